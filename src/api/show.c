/* SPDX-License-Identifier: Apache-2.0 */
#include "api/show.h"

#include "base/clock.h"
#include "json/check.h"
#include "json/value.h"

static int text(Buf *b, const char *key, Span value) {
        int r = buf_addf(b, ",\"%s\":", key);

        return r == 0 ? buf_add_json(b, value) : r;
}

static int time_of(Buf *b, const char *key, int64_t ms) {
        char t[CLOCK_TEXT];

        clock_print(ms, t);
        return buf_addf(b, ",\"%s\":\"%s\"", key, t);
}

static int show_attempt(const Attempt *a, Buf *b) {
        int r = buf_addf(b, "{\"number\":%u,\"status\":%d,\"us\":%" PRId64, a->number, a->status,
                         a->took_us);

        if (r == 0)
                r = time_of(b, "started", a->started_ms);
        if (r == 0)
                r = text(b, "code", a->code);
        if (r == 0)
                r = text(b, "message", a->message);
        if (r == 0 && a->detail.n)
                r = buf_addf(b, ",\"calls\":" SPAN_FMT, SPAN_ARG(a->detail));
        return r == 0 ? buf_add_char(b, '}') : r;
}

static int show_job(const JobView *j, bool whole, Buf *b) {
        char id[ID_TEXT];
        int r;

        id_print("job", j->id, id);
        r = buf_addf(b, "{\"id\":\"%s\",\"state\":\"%s\",\"attempts_made\":%u", id,
                     job_state_name(j->state), j->n_attempts);
        if (r == 0)
                r = text(b, "target", j->target);
        if (r == 0 && j->state == JOB_WAITING)
                r = time_of(b, "due", j->due_ms);
        if (r == 0 && whole) {
                r = buf_add(b, SPAN(",\"attempts\":["));
                for (size_t i = 0; i < j->n_listed && r == 0; i++) {
                        if (i)
                                r = buf_add_char(b, ',');
                        if (r == 0)
                                r = show_attempt(&j->attempts[i], b);
                }
                if (r == 0)
                        r = buf_add_char(b, ']');
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

int show_event(const EventView *v, bool whole, Buf *b) {
        /* What the source said beside the body. */
        static const char *const of_meta[] = {"headers", "cloudevent"};
        const Event *e = &v->event;
        JsonFault fault;
        char id[ID_TEXT];
        int r;

        id_print("evt", e->id, id);
        r = buf_addf(b, "{\"id\":\"%s\"", id);
        if (r == 0)
                r = time_of(b, "received", e->received_ms);
        if (r == 0)
                r = text(b, "source", e->source);
        if (r == 0)
                r = text(b, "type", e->type);
        if (r == 0)
                r = text(b, "subject", e->subject);
        if (r == 0 && e->time_ms)
                r = time_of(b, "time", e->time_ms);
        if (r == 0 && whole && json_check(e->body, SIZE_MAX, &fault) == 0) {
                r = buf_add(b, SPAN(",\"body\":"));
                if (r == 0)
                        r = buf_add(b, e->body);
        } else if (r == 0 && whole && e->body.n) {
                r = text(b, "bodyText", e->body); /* a form */
        }
        for (size_t i = 0; r == 0 && whole && i < COUNT_OF(of_meta); i++) {
                Span m = e->meta.n ? json_member(e->meta, span_of(of_meta[i])) : (Span){NULL, 0};

                if (m.p)
                        r = buf_addf(b, ",\"%s\":" SPAN_FMT, of_meta[i], SPAN_ARG(m));
        }
        if (r == 0 && whole && v->has_answer) {
                r = buf_addf(b, ",\"answer\":{\"status\":%d", v->answer_status);
                if (r == 0)
                        r = text(b, "body", v->answer_body);
                if (r == 0)
                        r = buf_add_char(b, '}');
        }
        if (r == 0)
                r = buf_add(b, SPAN(",\"jobs\":["));
        for (size_t i = 0; i < v->n_jobs && r == 0; i++) {
                if (i)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = show_job(&v->jobs[i], whole, b);
        }
        return r == 0 ? buf_add(b, SPAN("]}")) : r;
}

int show_events(const EventPage *p, Buf *b) {
        int r = buf_add(b, SPAN("{\"events\":["));

        for (size_t i = 0; i < p->n && r == 0; i++) {
                if (i)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = show_event(p->events[i], false, b);
        }
        return r == 0 ? buf_addf(b, "],\"more\":%s}", p->more ? "true" : "false") : r;
}

static int metric(Buf *b, const char *name, const char *kind, const char *help, uint64_t value) {
        return buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, kind,
                        name, value);
}

int show_metrics(const Inlet *inlets, unsigned n, const Ledger *l, const LedgerStats *s, Buf *b) {
        LedgerGauges g = ledger_gauges(l);
        struct InletCounts sum = {0};

        for (unsigned i = 0; i < n; i++) {
                const struct InletCounts *c = &inlets[i].counts;

                sum.webhooks += c->webhooks;
                sum.refused += c->refused;
                sum.repeats += c->repeats;
                sum.accepted += c->accepted;
                sum.messages += c->messages;
                sum.delivered += c->delivered;
                sum.undelivered += c->undelivered;
        }
        const struct {
                const char *name, *kind, *help;
                uint64_t value;
        } all[] = {
                {"grapnel_webhooks_total", "counter", "Webhooks received whole.", sum.webhooks},
                {"grapnel_webhooks_refused_total", "counter", "Webhooks that were refused.",
                 sum.refused},
                {"grapnel_webhooks_repeated_total", "counter", "Deliveries known before.",
                 sum.repeats},
                {"grapnel_events_total", "counter", "Events recorded.", sum.accepted},
                {"grapnel_messages_total", "counter", "Of these, messages to applications.",
                 sum.messages},
                {"grapnel_deliveries_total", "counter", "Attempts that endpoints took.",
                 sum.delivered},
                {"grapnel_deliveries_failed_total", "counter", "Attempts that they did not take.",
                 sum.undelivered},
                {"grapnel_ledger_batches_total", "counter", "Commits of the ledger.", g.batches},
                {"grapnel_ledger_writes_total", "counter", "Writes in these commits.", g.writes},
                {"grapnel_ledger_waiting", "gauge", "Records that wait for a commit.", g.waiting},
                {"grapnel_ledger_events", "gauge", "Events kept.", (uint64_t)s->events},
                {"grapnel_ledger_bytes", "gauge", "Bytes of the ledger.", (uint64_t)s->bytes},
                {"grapnel_jobs_waiting", "gauge", "Jobs that wait for a retry.",
                 (uint64_t)s->jobs_waiting},
                {"grapnel_jobs_blocked", "gauge", "Jobs behind an earlier one of their subject.",
                 (uint64_t)s->jobs_blocked},
                {"grapnel_jobs_dead", "gauge", "Jobs that failed for good.",
                 (uint64_t)s->jobs_dead},
        };
        int r = 0;

        for (size_t i = 0; i < COUNT_OF(all) && r == 0; i++)
                r = metric(b, all[i].name, all[i].kind, all[i].help, all[i].value);
        return r;
}
