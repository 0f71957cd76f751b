/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/backfill_round.h"

#include "base/clock.h"

typedef struct Look {
        LedgerRequest request;
        Round *round;
        int64_t event;
} Look;

static void forget(Round *r, int64_t event) {
        BackfillAt *now = &r->now;

        for (size_t i = 0; i < now->n_open; i++) {
                if (now->open[i] != event)
                        continue;
                now->open[i] = now->open[--now->n_open];
                r->has_news = r->is_dirty = true;
                return;
        }
}

/* "bfl_...:key": the key is the item's. */
static Span item_key(const Round *r, Span key) {
        size_t before = strlen(r->name) + 1;

        return key.n > before ? span_from(key, before) : key;
}

static void count(Round *r, const EventView *v, const JobView *j) {
        static const Span unsaid = {"it ended without a word", 23};
        const Attempt *last = j->n_listed ? &j->attempts[j->n_listed - 1] : NULL;
        BackfillCounts *c = &r->now.counts;

        if (j->state == JOB_DEAD) {
                char code[64];

                (void)snprintf(code, sizeof code, SPAN_FMT,
                               SPAN_ARG(last ? last->code : SPAN("dead")));
                c->dead++;
                round_problem(r, item_key(r, v->event.key), v->event.id, code,
                              last && last->message.n ? last->message : unsaid);
        } else if (last && span_eq(last->code, SPAN("unchanged")))
                c->unchanged++;
        else
                c->succeeded++;
        forget(r, v->event.id);
}

/* What has gone meanwhile had ended: the ledger keeps what has not. */
static void judge(Round *r, const Look *l, const EventView *v) {
        if (!v) {
                round_problem(r, SPAN(""), l->event, "forgotten",
                              SPAN("the event is no longer kept, and how it ended is not known"));
                forget(r, l->event);
                return;
        }
        for (size_t i = 0; i < v->n_jobs; i++)
                if (span_eq(v->jobs[i].target, span_of(r->target)) &&
                    (v->jobs[i].state == JOB_DONE || v->jobs[i].state == JOB_DEAD)) {
                        count(r, v, &v->jobs[i]);
                        return;
                }
}

static void on_event(LedgerRequest *q) {
        Look *l = q->arg;
        Round *r = l->round;

        r->owner->asked--;
        r->looking--;
        if (q->result == 0)
                judge(r, l, q->event.ret);
        event_view_free(q->event.ret);
        free(l);
        if (r->looking > 0)
                return;
        r->looked_ms = clock_mono_ms();
        r->look_ms = r->has_news                               ? BACKFILLER_LOOK_MS
                     : r->look_ms * 2 < BACKFILLER_LOOK_MAX_MS ? r->look_ms * 2
                                                               : BACKFILLER_LOOK_MAX_MS;
        round_came_back(r);
}

int64_t round_look_due(const Round *r) {
        return r->now.n_open && r->looking == 0 ? r->looked_ms + r->look_ms : INT64_MAX;
}

void round_look(Round *r) {
        BackfillAt *now = &r->now;
        size_t n = now->n_open < BACKFILLER_LOOKS ? now->n_open : BACKFILLER_LOOKS;

        if (r->looking > 0 || r->owner->stopping || clock_mono_ms() < round_look_due(r))
                return;
        r->has_news = false;
        for (size_t i = 0; i < n; i++) {
                Look *l = must_alloc(sizeof *l);

                *l = (Look){.round = r, .event = now->open[r->look_at++ % now->n_open]};
                l->request = (LedgerRequest){.ask = ASK_EVENT,
                                             .home = &r->owner->in->loop->inbox,
                                             .done = on_event,
                                             .arg = l,
                                             .event = {.id = l->event}};
                must(ledger_send(r->owner->in->ledger, &l->request) == 0); /* always taken */
                r->looking++;
                r->owner->asked++;
        }
}
