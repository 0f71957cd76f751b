/* SPDX-License-Identifier: Apache-2.0
 *
 * One event is one block: the struct with its bytes behind it. */
#include "ledger/event.h"

static Span copy(char **at, Span s) {
        Span ret = {*at, s.n};

        if (s.n)
                memcpy(*at, s.p, s.n);
        *at += s.n;
        return ret;
}

Event *event_new(const Event *parts) {
        size_t n = parts->source.n + parts->key.n + parts->type.n + parts->subject.n +
                   parts->content_type.n + parts->trace.n + parts->meta.n + parts->body.n;
        Event *e = malloc(sizeof *e + n);
        char *at;

        must(e);
        *e = *parts;
        atomic_init(&e->refs, 1);
        at = (char *)(e + 1);
        e->source = copy(&at, parts->source);
        e->key = copy(&at, parts->key);
        e->type = copy(&at, parts->type);
        e->subject = copy(&at, parts->subject);
        e->content_type = copy(&at, parts->content_type);
        e->trace = copy(&at, parts->trace);
        e->meta = copy(&at, parts->meta);
        e->body = copy(&at, parts->body);
        return e;
}

Event *event_ref(Event *e) {
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        return e;
}

Event *event_unref(Event *e) {
        if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
                free(e);
        return NULL;
}
