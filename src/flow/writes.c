/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/writes.h"

#include "base/list.h"
#include "base/table.h"
#include "json/value.h"

#include <pthread.h>

typedef struct Written {
        Link link;
        Span key, body;
        int64_t at_ms;
        char bytes[];
} Written;

#define ID_MAX_BYTES 4096

struct Writes {
        pthread_mutex_t lock;
        Table *by_key; /* the latest of each entity */
        List by_age;   /* the oldest first */
};

Writes *writes_new(void) {
        Writes *w = must_alloc(sizeof *w);

        must(pthread_mutex_init(&w->lock, NULL) == 0);
        w->by_key = table_new(WRITES_MAX);
        list_init(&w->by_age);
        return w;
}

static void forget(Writes *w, Written *one) {
        table_remove(w->by_key, one->key);
        list_remove(&w->by_age, &one->link);
        free(one);
}

Writes *writes_free(Writes *w) {
        if (!w)
                return NULL;
        while (w->by_age.n)
                forget(w, CONTAINER_OF(list_first(&w->by_age), Written, link));
        table_free(w->by_key);
        (void)pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
}

/* A name of a connection holds no blank. */
static Buf key_of(Span connection, Span id) {
        Buf key = BUF(ID_MAX_BYTES);

        if (buf_addf(&key, SPAN_FMT " " SPAN_FMT, SPAN_ARG(connection), SPAN_ARG(id)) < 0)
                key.n = 0;
        return key;
}

void writes_add(Writes *w, Span connection, Span id, Span body, int64_t now_ms) {
        AUTO(buf_done)
        Buf key = key_of(connection, id);
        Written *one, *old;

        if (key.n == 0 || body.n > WRITES_MAX_BYTES || json_kind(body) != JSON_OBJECT)
                return;
        one = must_alloc(sizeof *one + key.n + body.n);
        memcpy(one->bytes, key.p, key.n);
        memcpy(one->bytes + key.n, body.p, body.n);
        one->key = (Span){one->bytes, key.n};
        one->body = (Span){one->bytes + key.n, body.n};
        one->at_ms = now_ms;
        (void)pthread_mutex_lock(&w->lock);
        if ((old = table_get(w->by_key, one->key)))
                forget(w, old);
        while (w->by_age.n) {
                old = CONTAINER_OF(list_first(&w->by_age), Written, link);
                if (w->by_age.n < WRITES_MAX && now_ms - old->at_ms < WRITES_AGE_MAX_MS)
                        break;
                forget(w, old);
        }
        must(table_put(w->by_key, one->key, one) == 0);
        list_push(&w->by_age, &one->link);
        (void)pthread_mutex_unlock(&w->lock);
}

static bool is_said(Span values, Span written) {
        Span key, value;

        for (size_t pos = 0; json_next(written, &pos, &key, &value);) {
                AUTO(buf_done)
                Buf name = BUF(WRITES_MAX_BYTES);
                Span said;

                if (json_key_text(key, &name) < 0)
                        return false;
                said = json_member(values, buf_span(&name));
                if (said.p ? !json_equal(said, value) : json_kind(value) != JSON_NULL)
                        return false;
        }
        return true;
}

bool writes_has(Writes *w, Span connection, Span id, Span values, int64_t within_ms,
                int64_t now_ms) {
        AUTO(buf_done)
        Buf key = key_of(connection, id);
        const Written *one;
        bool has;

        (void)pthread_mutex_lock(&w->lock);
        one = table_get(w->by_key, buf_span(&key));
        has = one && now_ms - one->at_ms < within_ms &&
              (!values.p || (json_kind(values) == JSON_OBJECT && is_said(values, one->body)));
        (void)pthread_mutex_unlock(&w->lock);
        return has;
}
