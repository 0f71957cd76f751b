/* SPDX-License-Identifier: Apache-2.0
 *
 * flows: what is done for which events. Steps are held as they stand: what may be written inside
 * one is known to src/flow. */
#include "config/quantity.h"
#include "config/tables.h"

/* One entry as its table reads it. */
typedef struct Written {
        FlowConfig f;
        const Node *on, *type, *match, *reply, *retry, *steps;
        int order, stale;
} Written;

enum { WAIT_MIN_MS = 10, WAIT_MAX_MS = 300000, MATCH_MAX = 64, VALUES_MAX = 256 };

#define AT(field) offsetof(Written, field)

typedef enum Order { ORDER_DEFAULT, ORDER_SUBJECT, ORDER_NONE } Order;
static const char *const orders[] = {"default", "subject", "none", NULL};

typedef enum Stale { STALE_SUPERSEDED, STALE_RUN } Stale;
static const char *const stale_rules[] = {"superseded", "run", NULL};

static const Option flow_options[] = {
        {.name = "on",
         .type = OPTION_NODE,
         .offset = AT(on),
         .required = true,
         .shape = "name, or list of names",
         .help = "The sources whose events this flow looks at."},
        {.name = "type",
         .type = OPTION_NODE,
         .offset = AT(type),
         .shape = "text, or list of texts",
         .help = "The types of the events it wants, whatever tells them: the body, a header, or "
                 "the envelope. Without it: all."},
        {.name = "match",
         .type = OPTION_NODE,
         .offset = AT(match),
         .shape = "map of values",
         .help = "Which of their events it wants: each path of the body has to hold the value, or "
                 "one of a list of values: `match: {entityType: USER, eventType: [CREATE, "
                 "UPDATE]}`. Without it: all."},
        {.name = "subject",
         .type = OPTION_EXPR,
         .offset = AT(f.subject),
         .help = "Which entity the event is about, such as `.id`."},
        {.name = "order",
         .type = OPTION_CHOICE,
         .offset = AT(order),
         .choices = orders + 1,
         .help = "`subject` runs events of one subject one after the other, in the order in which "
                 "they came; `none` runs all in parallel. It is `subject` where a subject is "
                 "given."},
        {.name = "stale",
         .type = OPTION_CHOICE,
         .offset = AT(stale),
         .fallback = "superseded",
         .choices = stale_rules,
         .help = "What becomes of an event that is older than one of the same subject which was "
                 "applied already: it ends as `superseded`, or it is `run` all the same. Events "
                 "that say no time, and flows without order, are always run."},
        {.name = "coalesce",
         .type = OPTION_BOOL,
         .offset = AT(f.coalesces),
         .help = "When later events of the same subject wait, only the last of them is run; the "
                 "others end as `coalesced`. For flows that fetch what they write: not where each "
                 "event brings something of its own."},
        {.name = "reply",
         .type = OPTION_NODE,
         .offset = AT(reply),
         .fallback = "accepted",
         .shape = "`accepted`, `wait` or `wait 3s`",
         .help = "What the source hears. `accepted`: 202 as soon as the event is recorded. "
                 "`wait`: the result itself, within the source's `deadline`. `wait 3s`: the "
                 "result if it comes in time, else 202 and the work goes on."},
        {.name = "answer",
         .type = OPTION_EXPR,
         .offset = AT(f.answer),
         .help = "What a source that waits is told with a success, made from the results of the "
                 "steps: the full entity, claims, commands. What it is for depends on the "
                 "source's dialect: see [replies.md](replies.md#data)."},
        {.name = "retry",
         .type = OPTION_NODE,
         .offset = AT(retry),
         .shape = "map, or `none`",
         .help = "When a failed run is tried again: see [retry](#flowsnameretry). Without it: the "
                 "default schedule for `accepted`, none for `wait`, whose source was told."},
        {.name = "steps",
         .type = OPTION_NODE,
         .offset = AT(steps),
         .required = true,
         .shape = "list of steps",
         .help = "What is done, one after the other: each step is `- NAME: {...}`, and later "
                 "expressions read its result as `.NAME`."},
};

static const Option retry_options[] = {
        {.name = "tries",
         .type = OPTION_NUMBER,
         .offset = offsetof(FlowConfig, retry_tries),
         .fallback = "10",
         .min = 1,
         .max = 32,
         .help = "How many times it is tried again after the first."},
        {.name = "base",
         .type = OPTION_DURATION,
         .offset = offsetof(FlowConfig, retry_base_ms),
         .fallback = "5s",
         .min = 100,
         .max = 86400000,
         .help = "The pause before the second try; each later one is twice as long."},
        {.name = "max",
         .type = OPTION_DURATION,
         .offset = offsetof(FlowConfig, retry_cap_ms),
         .fallback = "1h",
         .min = 100,
         .max = (int64_t)7 * 86400000,
         .help = "No pause is longer than this."},
};

const OptionGroup flow_groups[] = {
        {"flows.NAME",
         "A process for matching events. Its name is made of a-z, 0-9 and `-`. A step's name is "
         "one that an expression can read: letters, digits and `_`, not beginning with a digit; "
         "`event` and `meta` are taken.",
         flow_options, COUNT_OF(flow_options)},
        {"flows.NAME.retry",
         "`retry: {tries: 5, base: 2s, max: 10m}`, or `retry: none` for a single run.",
         retry_options, COUNT_OF(retry_options)},
        {0},
};

static void unknown_source(Reading *r, Place at, const char *name) {
        enum { NAMES_MAX = 1000 };
        const Config *c = r->config;
        const char *names[NAMES_MAX + 1];
        Node text = {.kind = NODE_SCALAR, .text = span_of(name)};
        char shown[VALUE_SHOWN_BYTES];
        size_t n = 0;

        for (size_t i = 0; i < c->n_sources && n < NAMES_MAX; i++)
                if (c->sources[i].name)
                        names[n++] = c->sources[i].name;
        names[n] = NULL;
        const char *near = nearest_name(span_of(name), names);
        problem_add(r->problems, at, "on: there is no source %s%s%s%s", value_shown(&text, shown),
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void read_on(Reading *r, const Node *on, FlowConfig *f) {
        Place *places = NULL;

        f->n_on = texts_read(r, on, "on", &f->on, &places);
        if (f->n_on == 0 && on->kind == NODE_LIST && on->n == 0)
                problem_add(r->problems, on->place, "on: the list is empty");
        for (size_t i = 0; i < f->n_on; i++) {
                if (!config_source(r->config, span_of(f->on[i])))
                        unknown_source(r, places[i], f->on[i]);
                for (size_t k = 0; k < i; k++)
                        if (strcmp(f->on[i], f->on[k]) == 0)
                                problem_add(r->problems, places[i], "on: '%s' is given twice",
                                            f->on[i]);
        }
}

/* entityType, data.kind, .data.kind: names between single dots. */
static bool is_path(Span s) {
        bool is_after_dot = true;

        if (s.n && s.p[0] == '.')
                s = span_from(s, 1);
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (c == '.' ? is_after_dot
                             : !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                                 (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '@' ||
                                 c == '$' || c == ':'))
                        return false;
                is_after_dot = c == '.';
        }
        return s.n && !is_after_dot;
}

static void read_match_values(Reading *r, Node *n) {
        size_t count = n->kind == NODE_LIST ? n->n : 1;

        if (n->bad)
                return;
        if (n->kind == NODE_MAP || count == 0 || count > VALUES_MAX) {
                problem_add(r->problems, n->place,
                            "match: a value or a list of 1 to %d values is expected here",
                            VALUES_MAX);
                return;
        }
        for (size_t i = 0; n->kind == NODE_LIST && i < count; i++)
                if (n->items[i]->kind != NODE_SCALAR)
                        problem_add(r->problems, n->items[i]->place,
                                    "match: one value is expected here, not a %s",
                                    n->items[i]->kind == NODE_MAP ? "map" : "list");
}

static void read_match(Reading *r, const Node *match, FlowConfig *f) {
        if (match->bad)
                return;
        if (match->kind != NODE_MAP || match->n == 0 || match->n > MATCH_MAX) {
                problem_add(r->problems, match->place,
                            "match: a map from 1 to %d paths to their values is expected here",
                            MATCH_MAX);
                return;
        }
        f->match = arena_alloc(r->arena, match->n * sizeof *f->match);
        if (!f->match) {
                problem_no_room(r->problems, match->place);
                return;
        }
        for (size_t i = 0; i < match->n; i++) {
                const NodeEntry *entry = &match->entries[i];
                Node key = {.kind = NODE_SCALAR, .text = entry->key};
                char shown[VALUE_SHOWN_BYTES];
                MatchRule *rule = &f->match[f->n_match++];

                if (!is_path(entry->key))
                        problem_add(r->problems, entry->key_place,
                                    "match: %s is not a path such as entityType or data.kind",
                                    value_shown(&key, shown));
                bool has_dot = entry->key.n && entry->key.p[0] == '.';
                rule->path.place = entry->key_place;
                rule->path.text = span_of(arena_printf(r->arena, "%s" SPAN_FMT, has_dot ? "" : ".",
                                                       SPAN_ARG(entry->key)));
                rule->values = entry->value;
                if (!rule->path.text.p)
                        problem_no_room(r->problems, entry->key_place);
                read_match_values(r, entry->value);
        }
}

/* `wait 3s` and `{wait: 3s}` are one. */
static void read_wait(Reading *r, const Node *at, Span text, FlowConfig *f) {
        const Option row = {
                .name = "wait", .type = OPTION_DURATION, .min = WAIT_MIN_MS, .max = WAIT_MAX_MS};
        Node duration = *at;
        int err;

        duration.text = text;
        f->reply = REPLY_WAIT;
        err = option_read_one(&duration, &row, &f->wait_ms, r->arena, r->problems);
        (void)err; /* r->problems has counted it */
}

static void read_reply(Reading *r, const Node *n, FlowConfig *f) {
        static const char *const names[] = {"accepted", "wait", NULL};
        const Node *wait = node_get(n, "wait");
        char shown[VALUE_SHOWN_BYTES];

        if (n->bad)
                return;
        if (n->kind == NODE_MAP && n->n == 1 && wait) {
                read_wait(r, wait, wait->text, f);
        } else if (n->kind != NODE_SCALAR) {
                problem_add(r->problems, n->place,
                            "reply: write accepted, wait, or wait with a time (wait 3s)");
        } else if (span_starts(n->text, SPAN("wait "))) {
                read_wait(r, n, span_trim(span_from(n->text, 5), " "), f);
        } else if (span_eq(n->text, SPAN("wait"))) {
                f->reply = REPLY_WAIT;
        } else if (!span_eq(n->text, SPAN("accepted"))) {
                const char *near = n->secret ? NULL : nearest_name(n->text, names);

                problem_add(r->problems, n->place,
                            "reply: %s is not accepted, wait, or wait with a time (wait 3s)%s%s%s",
                            value_shown(n, shown), near ? "; did you mean '" : "", near ? near : "",
                            near ? "'?" : "");
        }
}

/* Such a source would wait for a result that nobody reads. */
static void warn_of_deaf(Reading *r, const Node *reply, const FlowConfig *f) {
        for (size_t i = 0; i < f->n_on; i++) {
                const SourceConfig *s = config_source(r->config, span_of(f->on[i]));

                if (s && s->is_deaf)
                        problem_warn(r->problems, reply->place,
                                     "reply: nobody reads what '%s' hears, but it may try again "
                                     "when it waits for too long; accepted is what fits",
                                     s->name);
        }
}

static void read_types(Reading *r, const Node *n, FlowConfig *f) {
        f->n_types = texts_read(r, n, "type", &f->types, NULL);
        if (f->n_types > VALUES_MAX || (n->kind == NODE_LIST && n->n == 0))
                problem_add(r->problems, n->place,
                            "type: a text or a list of 1 to %d is expected "
                            "here",
                            VALUES_MAX);
}

static void read_retry(Reading *r, const Node *n, FlowConfig *f) {
        f->retry_given = true;
        if (n->kind == NODE_SCALAR && span_eq(n->text, SPAN("none"))) {
                f->retry_tries = 0;
                return;
        }
        if (options_read(n, retry_options, COUNT_OF(retry_options), f, r->arena, r->problems) < 0)
                return;
        if (f->retry_base_ms > f->retry_cap_ms)
                problem_add(r->problems, n->place,
                            "retry: the first pause (base) is longer than "
                            "the longest (max)");
}

static void read_order(Reading *r, const Node *map, const Written *w, FlowConfig *f) {
        const Node *order = node_get(map, "order");

        /* The row's choices begin behind "default", which stands for an absent key. */
        Order given = order ? (Order)(w->order + 1) : ORDER_DEFAULT;
        f->ordered = given == ORDER_SUBJECT || (given == ORDER_DEFAULT && f->subject.text.p);
        if (f->coalesces && !f->ordered)
                problem_add(r->problems, node_get(map, "coalesce")->place,
                            "coalesce: only where events run by subject, one after the other; give "
                            "subject: an expression such as .id");
        if (given == ORDER_SUBJECT && !node_get(map, "subject") && !order->bad)
                problem_add(r->problems, order->place,
                            "order: a flow without a subject has no order by subject; give "
                            "subject: an expression such as .id");
}

static void read_flow(Reading *r, const Node *map, FlowConfig *f) {
        Written w = {.f = *f};
        int err =
                options_read(map, flow_options, COUNT_OF(flow_options), &w, r->arena, r->problems);

        (void)err; /* r->problems has counted it */
        if (map->kind != NODE_MAP)
                return;
        *f = w.f;
        f->retry_tries = -1;
        f->runs_stale = w.stale == STALE_RUN;
        if (w.on)
                read_on(r, w.on, f);
        if (w.type)
                read_types(r, w.type, f);
        if (w.match)
                read_match(r, w.match, f);
        if (w.reply)
                read_reply(r, w.reply, f);
        if (w.reply && f->reply == REPLY_WAIT)
                warn_of_deaf(r, w.reply, f);
        if (w.retry && !w.retry->bad)
                read_retry(r, w.retry, f);
        if (w.steps)
                f->n_steps = steps_read(w.steps, r->arena, r->problems, &f->steps);
        read_order(r, map, &w, f);
}

void flows_read(Reading *r, const Node *map) {
        Config *config = r->config;
        void *room = NULL;
        size_t n = named_room(r, map, "flow", sizeof *config->flows, &room);

        config->flows = room;
        for (size_t i = 0; i < n; i++) {
                FlowConfig *f = &config->flows[i];

                f->name = named_key(r, &map->entries[i], "flow");
                f->place = map->entries[i].key_place;
                f->index = i;
                read_flow(r, map->entries[i].value, f);
        }
        config->n_flows = n;
}
