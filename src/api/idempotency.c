/* SPDX-License-Identifier: Apache-2.0 */
#include "api/idempotency.h"

#include "base/list.h"
#include "base/table.h"

#include <openssl/evp.h>
#include <pthread.h>

#define KEPT_MS (12 * 3600 * 1000LL)

enum { HASH_BYTES = 32 };

struct IdemTicket {
        Link age; /* oldest first */
        unsigned char name[HASH_BYTES], request[HASH_BYTES];
        int64_t since_ms;
        bool is_done;
        int status;
        char *body;
        size_t n;
};

struct Idempotency {
        pthread_mutex_t lock;
        Table *names;
        List ages;
};

Idempotency *idem_new(void) {
        Idempotency *m = must_alloc(sizeof *m);

        must(pthread_mutex_init(&m->lock, NULL) == 0);
        m->names = table_new(IDEM_ANSWERS_MAX);
        list_init(&m->ages);
        return m;
}

static Span name_of(const IdemTicket *t) {
        return span_make(t->name, HASH_BYTES);
}

static void drop(Idempotency *m, IdemTicket *t) {
        (void)table_remove(m->names, name_of(t));
        list_remove(&m->ages, &t->age);
        free(t->body);
        free(t);
}

Idempotency *idem_free(Idempotency *m) {
        if (!m)
                return NULL;
        LIST_EACH(&m->ages, l)
        drop(m, CONTAINER_OF(l, IdemTicket, age));
        table_free(m->names);
        pthread_mutex_destroy(&m->lock);
        free(m);
        return NULL;
}

/* Two texts, told apart however they are cut. */
static void hash(Span a, Span b, unsigned char ret[HASH_BYTES]) {
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        uint64_t n = a.n;

        must(c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 &&
             EVP_DigestUpdate(c, &n, sizeof n) == 1 && EVP_DigestUpdate(c, a.p, a.n) == 1 &&
             EVP_DigestUpdate(c, b.p, b.n) == 1 && EVP_DigestFinal_ex(c, ret, NULL) == 1);
        EVP_MD_CTX_free(c);
}

/* Answers that are too old go; one more goes, the oldest, when there is no room. */
static void make_room(Idempotency *m, int64_t now_ms) {
        LIST_EACH(&m->ages, l) {
                IdemTicket *t = CONTAINER_OF(l, IdemTicket, age);
                bool is_full = m->ages.n >= IDEM_ANSWERS_MAX;

                if (t->is_done && (is_full || now_ms - t->since_ms > KEPT_MS))
                        drop(m, t);
                else if (!is_full)
                        break;
        }
}

static IdemSaid look(const IdemTicket *t, const unsigned char request[HASH_BYTES],
                     IdemAnswer *ret) {
        if (memcmp(t->request, request, HASH_BYTES) != 0)
                return IDEM_OTHER;
        if (!t->is_done)
                return IDEM_BUSY;
        char *copy = must_alloc(t->n + 1);

        if (t->n)
                memcpy(copy, t->body, t->n);
        *ret = (IdemAnswer){t->status, {copy, t->n}};
        return IDEM_AGAIN;
}

static IdemSaid begin(Idempotency *m, const IdemTicket *wanted, IdemTicket **ret,
                      IdemAnswer *ret_answer) {
        const IdemTicket *known = table_get(m->names, name_of(wanted));
        IdemTicket *t;

        if (known && wanted->since_ms - known->since_ms <= KEPT_MS)
                return look(known, wanted->request, ret_answer);
        make_room(m, wanted->since_ms);
        if (m->ages.n >= IDEM_ANSWERS_MAX || table_get(m->names, name_of(wanted)))
                return IDEM_NO_ROOM;
        t = must_alloc(sizeof *t);
        *t = *wanted;
        must(table_put(m->names, name_of(t), t) == 0);
        list_push(&m->ages, &t->age);
        *ret = t;
        return IDEM_FIRST;
}

IdemSaid idem_begin(Idempotency *m, Span who, Span key, Span request, int64_t now_ms,
                    IdemTicket **ret, IdemAnswer *ret_answer) {
        IdemTicket wanted = {.since_ms = now_ms};
        IdemSaid said;

        *ret = NULL;
        hash(who, key, wanted.name);
        hash(who, request, wanted.request);
        pthread_mutex_lock(&m->lock);
        said = begin(m, &wanted, ret, ret_answer);
        pthread_mutex_unlock(&m->lock);
        return said;
}

static bool is_final(const IdemAnswer *a) {
        return a->status < 500 && a->status != 409 && a->status != 429 &&
               a->body.n <= IDEM_ANSWER_MAX_BYTES;
}

void idem_end(Idempotency *m, IdemTicket *t, const IdemAnswer *answer) {
        if (!t)
                return;
        pthread_mutex_lock(&m->lock);
        if (!is_final(answer))
                drop(m, t);
        else {
                t->body = must_alloc(answer->body.n + 1);
                t->n = answer->body.n;
                if (t->n)
                        memcpy(t->body, answer->body.p, t->n);
                t->status = answer->status;
                t->is_done = true;
        }
        pthread_mutex_unlock(&m->lock);
}
