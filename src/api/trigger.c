/* SPDX-License-Identifier: Apache-2.0
 *
 * The triggers of sources: what they do, and why they do not. */
#include "api/nouns.h"

enum { PAGE_MAX_BYTES = 4 * 1024 * 1024 };

static const char *const states[] = {"starting", "working", "failing", "broken", NULL};

static const Field fields[] = {
        {.name = "source", .type = FIELD_TEXT, .required = true},
        {.name = "kind", .type = FIELD_TEXT, .required = true},
        {.name = "state",
         .type = FIELD_TEXT,
         .required = true,
         .choices = states,
         .help = "\"failing\": it is tried again by itself. \"broken\": somebody has to act "
                 "first; `why` says what."},
        {.name = "why", .type = FIELD_TEXT, .help = "Of the last failure."},
        {.name = "since", .type = FIELD_TIME, .required = true, .help = "It has been so."},
        {.name = "lastEvent", .type = FIELD_TIME, .nullable = true},
        {.name = "events",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Handed in since the start, without those that were known."},
        {.name = "known",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Noticed once more, and known by their keys."},
        {.name = "parked",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Put aside, as they can never be taken as they are."},
        {.name = "gauges",
         .type = FIELD_MAP,
         .item = FIELD_INTEGER,
         .required = true,
         .help = "How it goes, by what kind it is: such as `pending` and `lag_ms`."},
};
static const Schema schema_trigger = {.name = "TriggerOut", SCHEMA_FIELDS(fields)};

static const Field list_fields[] = {
        {.name = "data",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .of = &schema_trigger,
         .required = true},
};
const Schema schema_trigger_list = {.name = "TriggerListOut", SCHEMA_FIELDS(list_fields)};

static void show(void *arg, const WatchStatus *s) {
        Put *p = arg;

        put_open(p, NULL, '{');
        put_text(p, "source", span_of(s->source));
        put_text(p, "kind", span_of(s->kind));
        put_text(p, "state", span_of(watch_state_name(s->state)));
        if (s->why[0])
                put_text(p, "why", span_of(s->why));
        put_time(p, "since", s->since_ms);
        if (s->last_event_ms)
                put_time(p, "lastEvent", s->last_event_ms);
        else
                put_null(p, "lastEvent");
        put_int(p, "events", (int64_t)s->events);
        put_int(p, "known", (int64_t)s->known);
        put_int(p, "parked", (int64_t)s->parked);
        put_open(p, "gauges", '{');
        for (size_t i = 0; i < s->n_gauges; i++)
                put_int(p, s->gauges[i].name, s->gauges[i].value);
        put_close(p, '}');
        put_close(p, '}');
}

void trigger_list(Op *op) {
        Watches *ws = op->admin->parts.watches;
        Put p = PUT(PAGE_MAX_BYTES);

        put_open(&p, NULL, '{');
        put_open(&p, "data", '[');
        if (ws)
                watches_each(ws, show, &p);
        put_close(&p, ']');
        put_close(&p, '}');
        op_json(op, 200, &p);
        put_done(&p);
}

/* ---- health ---- */

typedef struct Trouble {
        Put *p;
        bool any;
} Trouble;

static void look(void *arg, const WatchStatus *s) {
        Trouble *t = arg;

        if (s->state != WATCH_FAILING && s->state != WATCH_BROKEN && s->parked == 0)
                return;
        t->any = true;
        put_open(t->p, NULL, '{');
        put_text(t->p, "source", span_of(s->source));
        put_text(t->p, "state", span_of(watch_state_name(s->state)));
        put_close(t->p, '}');
}

bool trigger_trouble(const Op *op, Put *p) {
        Trouble t = {.p = p};

        if (!op->admin->parts.watches)
                return false;
        put_open(p, NULL, '{');
        put_text(p, "status", SPAN("degraded"));
        put_open(p, "triggers", '[');
        watches_each(op->admin->parts.watches, look, &t);
        put_close(p, ']');
        put_close(p, '}');
        return t.any;
}

/* ---- metrics ---- */

typedef struct Metrics {
        Buf *out;
        int fault;
        enum { UP, EVENTS, PARKED, GAUGES } which;
} Metrics;

static void add_metric(void *arg, const WatchStatus *s) {
        Metrics *m = arg;

        if (m->fault < 0)
                return;
        if (m->which == UP)
                m->fault = buf_addf(m->out, "grapnel_trigger_up{source=\"%s\"} %d\n", s->source,
                                    s->state == WATCH_WORKING);
        else if (m->which == EVENTS)
                m->fault = buf_addf(m->out,
                                    "grapnel_trigger_events_total{source=\"%s\"} %" PRIu64 "\n",
                                    s->source, s->events);
        else if (m->which == PARKED)
                m->fault = buf_addf(m->out, "grapnel_trigger_parked{source=\"%s\"} %" PRIu64 "\n",
                                    s->source, s->parked);
        else
                for (size_t i = 0; m->fault == 0 && i < s->n_gauges; i++)
                        m->fault = buf_addf(m->out,
                                            "grapnel_trigger_gauge{source=\"%s\",name=\"%s\"} "
                                            "%" PRId64 "\n",
                                            s->source, s->gauges[i].name, s->gauges[i].value);
}

int trigger_metrics(Watches *ws, Buf *out) {
        static const char *const heads[] = {
                [UP] = "# HELP grapnel_trigger_up It works: 1, or it does not: 0.\n"
                       "# TYPE grapnel_trigger_up gauge\n",
                [EVENTS] = "# HELP grapnel_trigger_events_total Events that it noticed.\n"
                           "# TYPE grapnel_trigger_events_total counter\n",
                [PARKED] = "# HELP grapnel_trigger_parked Events put aside that cannot be taken.\n"
                           "# TYPE grapnel_trigger_parked gauge\n",
                [GAUGES] = "# HELP grapnel_trigger_gauge How it goes, by kind of trigger.\n"
                           "# TYPE grapnel_trigger_gauge gauge\n",
        };
        Metrics m = {.out = out};

        for (m.which = UP; m.fault == 0 && m.which <= GAUGES; m.which++) {
                m.fault = buf_add(out, span_of(heads[m.which]));
                if (m.fault == 0)
                        watches_each(ws, add_metric, &m);
        }
        return m.fault;
}
