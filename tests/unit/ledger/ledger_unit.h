/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of this room share: a directory of their own, and events and jobs in one line. */
#pragma once

#include "base/buf.h"
#include "ledger/ledger.h"
#include "unit.h"

#include <dirent.h>
#include <unistd.h>

extern const StoreOps store_sqlite, store_memory;

typedef struct Place {
        char dir[64], path[96];
} Place;

static inline void place_make(Place *p) {
        (void)snprintf(p->dir, sizeof p->dir, "/tmp/grapnel-ledger-XXXXXX");
        assert_non_null(mkdtemp(p->dir));
        (void)snprintf(p->path, sizeof p->path, "%s/t.db", p->dir);
}

static inline void place_done(Place *p) {
        DIR *d = opendir(p->dir);

        for (struct dirent *f; d && (f = readdir(d));)
                (void)unlinkat(dirfd(d), f->d_name, 0);
        closedir(d);
        (void)rmdir(p->dir);
}

static inline Event *make_event(int64_t id, const char *key, const char *body) {
        return event_new(&(Event){
                .id = id,
                .received_ms = 1000 + id,
                .time_ms = 7,
                .source = SPAN("shop"),
                .key = span_of(key),
                .type = SPAN("order.paid"),
                .subject = SPAN("order-1"),
                .content_type = SPAN("application/json"),
                .trace = SPAN("00-trace"),
                .body = span_of(body),
        });
}

static inline Write record_of(Event *event, Job **jobs, size_t n) {
        return (Write){.kind = WRITE_RECORD, .record = {.event = event, .jobs = jobs, .n_jobs = n}};
}

static inline Write settle_of(Job *j, JobState state, const Attempt *a) {
        j->state = state;
        return (Write){.kind = WRITE_SETTLE, .settle = {.job = j, .attempt = a}};
}

static inline Write answer_of(int64_t event, int status, const char *body) {
        return (Write){
                .kind = WRITE_ANSWER,
                .answer = {.event = event, .answer = {status, SPAN("text/plain"), span_of(body)}}};
}

static inline void write_one(Store *s, Write *w) {
        Err e = {0};
        int r = s->ops->write(s, &w, 1, &e);

        if (r < 0)
                print_message("%s\n", e.text);
        assert_int_equal(r, 0);
}

/* Records an event of this id with one job of the next id. */
static inline Job *record_job(Store *s, int64_t id, uint64_t lane, bool spilled) {
        Event *event = make_event(id, NULL, "{}");
        Job *j = job_new(id + 1, event, SPAN("flow:a"), lane);
        Write w;

        j->spilled = spilled;
        w = record_of(event, &j, 1);
        write_one(s, &w);
        event_unref(event);
        return j;
}

static inline void settle(Store *s, Job *j, JobState state, int64_t due_ms) {
        Attempt a = {.number = ++j->attempts,
                     .started_ms = 5000,
                     .took_us = 1500,
                     .status = 200,
                     .code = SPAN("updated"),
                     .message = SPAN("fine")};
        Write w = settle_of(j, state, &a);

        j->due_ms = due_ms;
        write_one(s, &w);
}

static inline Claim claim(Store *s, ClaimAsk ask) {
        Claim c;
        Err e = {0};

        assert_int_equal(s->ops->claim(s, &ask, &c, &e), 0);
        return c;
}

static inline void claim_free(Claim *c) {
        for (size_t i = 0; i < c->n; i++)
                job_free(c->jobs[i]);
        free(c->jobs);
}

static inline int claimed_by_id(const void *a, const void *b) {
        const Job *x = *(Job *const *)a, *y = *(Job *const *)b;

        return x->id < y->id ? -1 : x->id > y->id;
}

/* All that may be claimed, whether it is due or was left by whoever held it. */
static inline Claim claim_any(Store *s, int64_t now_ms) {
        static const Span targets[] = {SPAN("flow:a"), SPAN("flow:b"), SPAN("endpoint:a"),
                                       SPAN("endpoint:b"), SPAN("endpoint:c")};
        Claim all = {.next_due_ms = INT64_MAX};

        for (size_t i = 0; i < 2 * COUNT_OF(targets); i++) {
                Claim c = claim(s, (ClaimAsk){.now_ms = now_ms,
                                              .shards = 1,
                                              .max = 100,
                                              .target = targets[i / 2],
                                              .is_due = i % 2 == 0});

                all.jobs = realloc(all.jobs, (all.n + c.n + 1) * sizeof(Job *));
                assert_non_null(all.jobs);
                if (c.n)
                        memcpy(all.jobs + all.n, c.jobs, c.n * sizeof(Job *));
                all.n += c.n;
                free(c.jobs);
                if (i % 2 == 0 && c.next_due_ms < all.next_due_ms)
                        all.next_due_ms = c.next_due_ms;
        }
        qsort(all.jobs, all.n, sizeof(Job *), claimed_by_id);
        return all;
}

/* What is due of the target that most of them have. */
static inline ClaimAsk ask_all(int64_t now_ms) {
        return (ClaimAsk){.now_ms = now_ms,
                          .shards = 1,
                          .max = 100,
                          .target = SPAN("flow:a"),
                          .is_due = true};
}
