/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/query.h"

#include "ledger/meta.h"

static bool is_one_of(Span type, const Span *types, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (span_eq(type, types[i]))
                        return true;
        return n == 0;
}

static bool is_within(int64_t ms, int64_t from_ms, int64_t to_ms) {
        return (from_ms == 0 || ms >= from_ms) && (to_ms == 0 || ms < to_ms);
}

bool query_wants_event(const EventQuery *q, const Event *e) {
        return (q->source.n == 0 || span_eq(q->source, e->source)) &&
               is_within(e->received_ms, q->from_ms, q->to_ms) &&
               is_one_of(e->type, q->types, q->n_types) &&
               (q->channel.n == 0 || meta_has_channel(e->meta, q->channel));
}

bool query_wants_job(const EventQuery *q, Span target, JobState state) {
        return (q->target.n == 0 || span_eq(q->target, target)) &&
               (q->state < 0 || (JobState)q->state == state);
}

bool query_wants_attempts_of(const AttemptQuery *q, const Event *e) {
        return is_one_of(e->type, q->types, q->n_types) &&
               (q->channel.n == 0 || meta_has_channel(e->meta, q->channel));
}

bool query_wants_attempt(const AttemptQuery *q, const Attempt *a) {
        bool is_success = a->status >= 200 && a->status < 300;

        return (q->success < 0 || is_success == (q->success == 1)) &&
               (q->status_class == 0 || a->status / 100 == q->status_class) &&
               is_within(a->started_ms, q->from_ms, q->to_ms);
}

AttemptPlace query_place(const AttemptQuery *q, int64_t event_of_job) {
        if (q->before_job == 0)
                return (AttemptPlace){INT64_MAX, 0, 0};
        if (event_of_job == 0 || q->before_number == PLACE_IS_EVENT)
                return (AttemptPlace){q->before_job, 0, 0};
        return (AttemptPlace){event_of_job, q->before_job, q->before_number};
}

bool query_is_after(const AttemptPlace *p, int64_t event, int64_t job, unsigned number) {
        if (event != p->event)
                return event < p->event;
        if (job != p->job)
                return job < p->job;
        return number < p->number;
}
