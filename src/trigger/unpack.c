/* SPDX-License-Identifier: Apache-2.0
 *
 * From a verified call to its events: the envelope is opened, and event by event the type is read,
 * the flows that want it are found, and their and the source's expressions are evaluated. */
#include "trigger/intake.h"

#include "flow/source_schema.h"
#include "json/value.h"

#include <errno.h>

/* ---- the envelope ---- */

static bool open_envelope(Intake *k) {
        const Envelope *envelope = k->source->envelope;
        EnvelopeCall call = {k->head, k->view, k->arena};
        EnvelopeFault fault = {0};
        EnvelopeEvent *events = arena_alloc(k->arena, envelope->events_max * sizeof *events);
        int n = events ? envelope->open(&call, events, &fault) : -ENOMEM;

        k->items = n >= 0 ? arena_alloc(k->arena, ((size_t)n + 1) * sizeof *k->items) : NULL;
        if (n < 0 && n != -ENOMEM) {
                intake_refuse(k, fault.status, fault.code, fault.why);
                return false;
        }
        if (!k->items) {
                intake_refuse(k, 413, "too-large", "the call is too large to be taken apart");
                return false;
        }
        k->n_items = (size_t)n;
        for (size_t i = 0; i < k->n_items; i++) {
                Item *item = &k->items[i];

                item->in = events[i];
                item->view = item->in.body.n ? item->in.body : SPAN("null");
                /* A form is recorded as it came (and holds one event: src/flow looks after that).
                 */
                if (k->is_form)
                        item->in.body = k->body;
        }
        return true;
}

/* ---- the schema ---- */

static bool fits_schema(Intake *k) {
        Outcome o;

        for (size_t i = 0; i < k->n_items; i++) {
                if (source_schema_fits(k->source, k->items[i].view, k->arena, &o))
                        continue;
                intake_refuse_with(k, &o);
                return false;
        }
        return true;
}

/* ---- plan ---- */

static bool comes_from(const FlowConfig *f, const char *source) {
        for (size_t i = 0; i < f->n_on; i++)
                if (strcmp(f->on[i], source) == 0)
                        return true;
        return false;
}

static bool wants_type(const FlowConfig *f, Span type) {
        for (size_t i = 0; i < f->n_types; i++)
                if (span_eq(type, span_of(f->types[i])))
                        return true;
        return f->n_types == 0;
}

static Span first_member(Span body, const char *a, const char *b) {
        Span v = {NULL, 0};

        if (json_kind(body) != JSON_OBJECT)
                return v;
        v = json_member(body, span_of(a));
        return v.p ? v : json_member(body, span_of(b));
}

/* What the source's option says, else the envelope, else the body. */
static Span type_of(Intake *k, const Item *item) {
        Span given = item->values[VALUE_TYPE];

        if (!given.p && item->in.type.p)
                return item->in.type;
        if (!given.p)
                given = first_member(item->view, "eventType", "type");
        return intake_text(k, given, EVENT_WORD_MAX_BYTES);
}

/* False when it has answered: readers could disagree about what the plan looks at. */
static bool is_plain(Intake *k, const Item *item, const Plan *plan) {
        Span twice = plan_ambiguous(plan, item->view);
        char why[160];

        if (!twice.p)
                return true;
        (void)snprintf(why, sizeof why, "\"%.*s\" is given twice, and flows depend on it",
                       twice.n > 64 ? 64 : (int)twice.n, twice.p);
        intake_refuse(k, 400, "ambiguous", why);
        return false;
}

static bool plan_flows(Intake *k, Item *item) {
        const Snapshot *s = k->snapshot;

        if (k->only) {
                item->flows[item->n_flows++] = k->only;
                return true;
        }
        for (size_t i = 0; i < s->config->n_flows; i++) {
                const Flow *f = &s->flows[i];

                if (!comes_from(f->config, k->source->config->name) ||
                    !wants_type(f->config, item->type))
                        continue;
                if (!is_plain(k, item, &f->plan))
                        return false;
                if (plan_matches(&f->plan, item->view) && item->n_flows < FLOWS_PER_EVENT_MAX)
                        item->flows[item->n_flows++] = f;
        }
        return true;
}

static bool plan_endpoints(Intake *k, Item *item) {
        const Snapshot *s = k->snapshot;

        item->endpoints = arena_alloc(k->arena, (s->config->n_endpoints + 1) * sizeof(Declared *));
        must(item->endpoints);
        for (size_t i = 0; !k->only && i < s->config->n_endpoints; i++) {
                const Declared *d = &s->endpoints[i];

                if (!declared_hears(d, span_of(k->source->config->name)))
                        continue;
                if (!is_plain(k, item, &d->plan))
                        return false;
                if (plan_matches(&d->plan, item->view))
                        item->endpoints[item->n_endpoints++] = d;
        }
        return true;
}

static bool plan(Intake *k, Item *item) {
        item->is_planned = true;
        item->type = type_of(k, item);
        if (!plan_flows(k, item) || !plan_endpoints(k, item))
                return false;
        for (size_t i = 0; i < item->n_flows; i++)
                item->programs[VALUE_SUBJECTS + i] = item->flows[i]->subject;
        k->n_jobs += item->n_flows + item->n_endpoints;
        return true;
}

/* ---- expressions ---- */

static void evaluate(Intake *k);

static void on_value(MapCall *c) {
        Intake *k = c->arg;
        Span text = program_text(c->program);
        char why[800];

        if (c->end == MAP_OK)
                k->items[k->item].values[k->at] = arena_span(k->arena, c->output);
        if (c->end == MAP_OK || c->end == MAP_EMPTY) {
                k->at++;
                evaluate(k);
                return;
        }
        (void)snprintf(why, sizeof why, "the expression %.*s failed: %s%s",
                       text.n > 200 ? 200 : (int)text.n, text.p,
                       c->end == MAP_UNSAFE ? "jq would round the number at " : "", c->why);
        intake_refuse(k, 422, "mapping-failed", why);
}

/* The expressions of a source and a flow's subject look at the event itself: `.id`. They are run as
 * if it were the root. True when all of the item are known; false when that comes later, or it was
 * refused. */
static bool evaluate_item(Intake *k, Item *item) {
        Err e = {0};

        k->root[0] = (MapRoot){SPAN(""), item->view};
        for (; k->at < VALUES_MAX; k->at++) {
                const Program *p = item->programs[k->at];

                if (k->at > VALUE_TYPE && !item->is_planned) {
                        if (!plan(k, item))
                                return false;
                        p = item->programs[k->at];
                }
                if (!p)
                        continue;
                if (program_is_path(p)) {
                        item->values[k->at] = program_path_get(p, k->root, 1);
                        continue;
                }
                k->call = (MapCall){
                        .program = p, .roots = k->root, .n_roots = 1, .done = on_value, .arg = k};
                int r = map_run(k->in->runner->map, &k->call, &e);

                if (r == -EMSGSIZE)
                        intake_refuse(k, 413, "too-large", e.text);
                else if (r < 0)
                        intake_refuse(k, 503, "busy", e.text);
                return false;
        }
        return true;
}

static void evaluate(Intake *k) {
        for (; k->item < k->n_items; k->item++, k->at = 0)
                if (!evaluate_item(k, &k->items[k->item]))
                        return;
        intake_record(k);
}

/* A header as a JSON value; one that is given twice has none. */
static Span header_value(Intake *k, const char *name) {
        AUTO(buf_done)
        Buf b = BUF(6 * HTTP_TARGET_MAX_BYTES);
        Span value = k->head ? http_head_get(k->head, name) : (Span){NULL, 0};

        if (value.n == 0 || http_head_count(k->head, name) > 1 || buf_add_json(&b, value) < 0)
                return (Span){NULL, 0};
        return arena_span(k->arena, buf_span(&b));
}

static void ask(Intake *k, Item *item, unsigned at, const Pick *pick) {
        if (pick->header)
                item->values[at] = header_value(k, pick->header);
        else
                item->programs[at] = pick->program;
}

void intake_ask(Intake *k) {
        const Source *s = k->source;

        for (size_t i = 0; i < k->n_items; i++) {
                Item *item = &k->items[i];

                ask(k, item, VALUE_TYPE, &s->type);
                ask(k, item, VALUE_TIME, &s->time);
                if ((!k->message_id.p || k->n_items > 1) && !k->only)
                        ask(k, item, VALUE_ONCE, &s->once);
                if (k->n_items == 1 && !k->only)
                        ask(k, item, VALUE_PREFER, &s->prefer);
        }
        evaluate(k);
}

void intake_unpack(Intake *k) {
        if (open_envelope(k) && fits_schema(k))
                intake_ask(k);
}
