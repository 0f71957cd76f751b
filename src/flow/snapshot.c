/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/snapshot.h"

#include "flow/step.h"
#include "sign/encoding.h"

#define SNAPSHOT_ARENA_MAX_BYTES (64 * 1024 * 1024)
#define CONCURRENCY_DEFAULT      64

/* Where a program came from: so that jq's complaint gets the place in the file. */
typedef struct Origin {
        struct Origin *next;
        const Program *program;
        Place place;
} Origin;

typedef struct Build {
        StepBuild step;
        Origin *origins;
        bool is_partial; /* it will not run: expressions and steps are read for their errors */
} Build;

Snapshot *snapshot_ref(Snapshot *s) {
        atomic_fetch_add(&s->refs, 1);
        return s;
}

Snapshot *snapshot_unref(Snapshot *s) {
        if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
                return NULL;
        program_set_unref(s->programs);
        config_unref(s->config);
        arena_free(s->arena);
        free(s);
        return NULL;
}

const Source *snapshot_source(const Snapshot *s, Span name) {
        const SourceConfig *c = config_source(s->config, name);

        return c ? &s->sources[c->index] : NULL;
}

const Flow *snapshot_flow(const Snapshot *s, Span target) {
        for (size_t i = 0; i < s->config->n_flows; i++)
                if (span_eq(target, span_of(s->flows[i].target)))
                        return &s->flows[i];
        return NULL;
}

/* ---- expressions ---- */

static void remember(Build *b, const Program *p, Place place) {
        Origin *o = arena_alloc(b->step.snapshot->arena, sizeof *o);

        if (!o)
                return;
        *o = (Origin){b->origins, p, place};
        b->origins = o;
}

int build_program(StepBuild *step, const Expr *x, Program **ret) {
        Err e = {0};

        *ret = NULL;
        if (!x->text.p)
                return 0;
        if (program_add(step->snapshot->programs, x->text, ret, &e) < 0)
                return problem_add(step->problems, x->place, "%s", e.text);
        remember(CONTAINER_OF(step, Build, step), *ret, x->place);
        return 0;
}

int build_template(StepBuild *step, const Expr *x, Template *ret) {
        Err e = {0};

        *ret = (Template){0};
        if (!x->text.p)
                return 0;
        if (template_parse(x->text, step->snapshot->programs, step->snapshot->arena, ret, &e) < 0)
                return problem_add(step->problems, x->place, "%s", e.text);
        for (size_t i = 0; i < ret->n; i++)
                if (ret->parts[i].program)
                        remember(CONTAINER_OF(step, Build, step), ret->parts[i].program, x->place);
        return 0;
}

int build_address(StepBuild *b, const Expr *x, Address *ret) {
        *ret = (Address){0};
        if (!x->text.p)
                return 0; /* its absence was told */
        size_t colon = span_find(x->text, ':');
        const ConnectionConfig *c =
                config_connection(b->snapshot->config, (Span){x->text.p, colon});
        Expr path = {span_from(x->text, colon + 1), x->place};

        if (!c && colon < x->text.n && !memchr(x->text.p, '/', colon)) {
                const char *names[64] = {NULL};

                if (b->snapshot->config->n_connections == 0 && b->problems->errors)
                        return -EINVAL; /* what is wrong with them is said already */
                for (size_t i = 0; i < b->snapshot->config->n_connections && i < 63; i++)
                        names[i] = b->snapshot->config->connections[i].name;
                const char *near = nearest_name((Span){x->text.p, colon}, names);
                return problem_add(b->problems, x->place,
                                   "there is no connection '" SPAN_FMT "'%s%s%s", (int)colon,
                                   x->text.p, near ? "; did you mean '" : "", near ? near : "",
                                   near ? "'?" : "");
        }
        if (!c || path.text.n == 0 || path.text.p[0] != '/')
                return problem_add(b->problems, x->place,
                                   "write connection:/path, such as 'crm:/contacts/{.contact.id}'");
        b->step->target = ret->target = &b->snapshot->targets[c->index];
        return build_template(b, &path, &ret->path);
}

/* ---- connections ---- */

static Span bearer_of(Arena *a, const Secret *s) {
        Span v = secret_reveal(s);

        return span_of(arena_printf(a, "Bearer " SPAN_FMT, SPAN_ARG(v)));
}

static Span basic_of(Arena *a, const char *user, const Secret *password) {
        AUTO(buf_done)
        Buf plain = BUF(4096), coded = BUF(8192);
        Span v = secret_reveal(password);
        int r = buf_addf(&plain, "%s:" SPAN_FMT, user, SPAN_ARG(v));

        if (r == 0)
                r = buf_add(&coded, SPAN("Basic "));
        if (r == 0)
                r = base64_print(buf_span(&plain), &coded);
        if (plain.p)
                explicit_bzero(plain.p, plain.n);
        return r == 0 ? arena_span(a, buf_span(&coded)) : (Span){NULL, 0};
}

static int build_target(Build *b, const ConnectionConfig *c, Target *t) {
        Arena *a = b->step.snapshot->arena;
        Span secret = {NULL, 0};

        t->config = c;
        if (b->is_partial)
                return 0;
        t->limit = arena_alloc(a, sizeof *t->limit);
        t->breaker = arena_alloc(a, sizeof *t->breaker);
        t->headers = arena_alloc(a, (c->n_headers + 1) * sizeof *t->headers);
        if (!t->limit || !t->breaker || !t->headers)
                return problem_add(b->step.problems, c->place, "too many connections");
        breaker_init(t->breaker, BREAKER_FAILURES, BREAKER_PAUSE_MS, BREAKER_PAUSE_MAX_MS);
        limit_init(t->limit, c->concurrency ? (uint32_t)c->concurrency : CONCURRENCY_DEFAULT,
                   c->rate.count, c->rate.per_ms);
        for (size_t i = 0; i < c->n_headers; i++)
                t->headers[t->n_headers++] =
                        (HttpHeader){span_of(c->headers[i].name), span_of(c->headers[i].value)};
        if (c->auth == AUTH_BEARER)
                secret = bearer_of(a, &c->bearer);
        else if (c->auth == AUTH_BASIC)
                secret = basic_of(a, c->user, &c->password);
        else if (c->auth == AUTH_HEADER)
                secret = secret_reveal(&c->header_value);
        if (secret.p)
                t->headers[t->n_headers++] = (HttpHeader){
                        c->auth == AUTH_HEADER ? span_of(c->header) : SPAN("Authorization"),
                        secret};
        return 0;
}

/* ---- sources and flows ---- */

enum { NAMES_MAX = 63 };

static int unknown(Build *b, Place at, const char *what, const char *name,
                   const char *const *names) {
        const char *near = nearest_name(span_of(name), names);

        return problem_add(b->step.problems, at, "unknown %s '%s'%s%s%s", what, name,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The dialect, the envelope and the handshake by their names. */
static int build_ways(Build *b, const SourceConfig *c, Source *s) {
        const char *names[NAMES_MAX + 1] = {NULL};
        int r = 0;

        s->dialect = dialect_find(span_of(c->reply));
        for (size_t i = 0; dialects[i] && i < NAMES_MAX; i++)
                names[i] = dialects[i]->name;
        if (!s->dialect && c->reply)
                r = unknown(b, c->reply_place, "dialect", c->reply, names);
        memset(names, 0, sizeof names);
        s->envelope = envelope_find(span_of(c->envelope));
        for (size_t i = 0; envelopes[i] && i < NAMES_MAX; i++)
                names[i] = envelopes[i]->name;
        if (!s->envelope && c->envelope)
                r = unknown(b, c->envelope_place, "envelope", c->envelope, names);
        if (s->envelope && s->envelope != envelopes[0] && c->forms != FORMS_REFUSE)
                r = problem_add(b->step.problems, c->envelope_place,
                                "envelope: a form holds one event; use forms, or envelope %s",
                                c->envelope);
        if (!c->handshake || strcmp(c->handshake, "none") == 0)
                return r;
        memset(names, 0, sizeof names);
        s->handshake = handshake_find(span_of(c->handshake));
        for (size_t i = 0; handshakes[i] && i < NAMES_MAX; i++)
                names[i] = handshakes[i]->name;
        return s->handshake ? r : unknown(b, c->handshake_place, "handshake", c->handshake, names);
}

/* "header X-GitHub-Delivery": no jq program reads like that. */
static int build_pick(Build *b, const Expr *x, Pick *ret) {
        Span name = x->text;

        *ret = (Pick){NULL, NULL};
        if (!span_starts(name, SPAN("header ")))
                return build_program(&b->step, x, &ret->program);
        name = span_trim(span_from(name, 7), " ");
        char *lower = arena_text(b->step.snapshot->arena, name);
        bool is_name = lower && name.n > 0 && name.n <= HTTP_NAME_MAX_BYTES;
        for (char *p = lower; is_name && *p; p++) {
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char)(*p - 'A' + 'a');
                is_name = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
                          *p == '_';
        }
        ret->header = lower;
        return is_name ? 0
                       : problem_add(b->step.problems, x->place,
                                     "write header and its name, such as 'header X-Delivery'");
}

static int build_source(Build *b, const SourceConfig *c, Source *s) {
        int r = build_ways(b, c, s);

        s->config = c;
        s->is_always_new = span_eq(c->once.text, SPAN("never"));
        if ((!s->is_always_new && build_pick(b, &c->once, &s->once) < 0) ||
            build_program(&b->step, &c->prefer, &s->prefer.program) < 0 ||
            build_pick(b, &c->type, &s->type) < 0 || build_pick(b, &c->time, &s->time) < 0)
                r = -EINVAL;
        return r;
}

static const StepKind *kind_of(const Node *map, Place *ret_place) {
        for (size_t i = 0; i < map->n; i++)
                for (size_t k = 0; step_kinds[k]; k++)
                        if (span_eq(map->entries[i].key, span_of(step_kinds[k]->name))) {
                                *ret_place = map->entries[i].key_place;
                                return step_kinds[k];
                        }
        return NULL;
}

static int unknown_kind(Build *b, const Node *map) {
        AUTO(buf_done)
        Buf all = BUF(1024);
        const char *names[32] = {NULL};
        size_t n = 0;

        for (; step_kinds[n] && n < 31; n++) {
                names[n] = step_kinds[n]->name;
                if (buf_addf(&all, "%s%s", n ? ", " : "", names[n]) < 0)
                        break;
        }
        const char *near = map->n ? nearest_name(map->entries[0].key, names) : NULL;
        return problem_add(b->step.problems, map->place,
                           "this step does nothing that is known%s%s%s; steps are: " SPAN_FMT,
                           near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "",
                           SPAN_ARG(buf_span(&all)));
}

/* A step's table is the kind's rows and `when`. */
typedef struct Common {
        Expr when;
} Common;

static const Option when = {
        .name = "when",
        .type = OPTION_EXPR,
        .help = "Run the step only if this jq expression gives neither false nor null; its value "
                "is null otherwise."};

const OptionGroup step_common = {"every step", "What each of them may say too.", &when, 1};

static int read_options(Build *b, const Node *map, const StepKind *k, Step *s) {
        Arena *a = b->step.snapshot->arena;
        Option *table = arena_alloc(a, (k->n_options + 1) * sizeof *table);
        char *into = arena_alloc(a, k->size + sizeof(Common));

        if (!table || !into)
                return problem_add(b->step.problems, map->place, "too many steps");
        memcpy(table, k->options, k->n_options * sizeof *table);
        table[k->n_options] = when;
        table[k->n_options].offset = k->size;
        int r = options_read(map, table, k->n_options + 1, into, a, b->step.problems);
        s->options = into;
        Expr x;
        memcpy(&x, into + k->size, sizeof x);
        return build_program(&b->step, &x, &s->when) < 0 ? -EINVAL : r;
}

static int build_step(Build *b, const Node *entry, Flow *f) {
        Step *s = &f->steps[f->n_steps];
        const Node *map = entry->entries[0].value;

        s->name = entry->entries[0].key;
        s->place = entry->entries[0].key_place;
        if (map->kind != NODE_MAP)
                return -EINVAL; /* src/config has said so */
        s->kind = kind_of(map, &s->place);
        if (!s->kind)
                return unknown_kind(b, map);
        b->step.step = s;
        b->step.flow = f;
        int r = read_options(b, map, s->kind, s);
        if (s->options && s->kind->prepare(&b->step, s->options) < 0)
                r = -EINVAL;
        f->n_steps++;
        return r;
}

static int build_flow(Build *b, const FlowConfig *c, Flow *f) {
        Snapshot *s = b->step.snapshot;
        int r = 0;

        f->config = c;
        (void)snprintf(f->target, sizeof f->target, "flow:%s", c->name ? c->name : "");
        f->steps = arena_alloc(s->arena, (STEPS_MAX + 1) * sizeof *f->steps); /* and the answer */
        must(f->steps);
        if (!b->is_partial) {
                r = plan_compile(c->match, c->n_match, s->arena, b->step.problems, &f->plan);
                f->retry = c->retry_tries >= 0
                                   ? retry_exponential(c->retry_base_ms, c->retry_cap_ms,
                                                       (unsigned)c->retry_tries)
                                   : retry_default;
        }
        if (build_program(&b->step, &c->subject, &f->subject) < 0)
                r = -EINVAL;
        if (c->n_steps > STEPS_MAX)
                return problem_add(b->step.problems, c->place, "more than %d steps", STEPS_MAX);
        for (size_t i = 0; i < c->n_steps; i++)
                if (build_step(b, c->steps[i], f) < 0)
                        r = -EINVAL;
        return answer_build(&b->step, &c->answer, f) < 0 ? -EINVAL : r;
}

static int build_allow(Build *b) {
        const Config *c = b->step.snapshot->config;
        NetworkList *list = &b->step.snapshot->allow;
        int r = 0;

        for (size_t i = 0; i < c->n_allow; i++) {
                Err e = {0};

                if (list->n == NETWORK_ALLOW_MAX)
                        return problem_add(b->step.problems, c->allow_place[i],
                                           "more than %d networks", NETWORK_ALLOW_MAX);
                if (network_parse(span_of(c->allow[i]), &list->item[list->n], &e) < 0)
                        r = problem_add(b->step.problems, c->allow_place[i], "%s", e.text);
                else
                        list->n++;
        }
        return r;
}

static void bad_program(void *arg, Program *p, const char *message) {
        Build *b = arg;

        for (const Origin *o = b->origins; o; o = o->next)
                if (o->program == p)
                        (void)problem_add(b->step.problems, o->place, "jq: %s", message);
}

static int build_all(Build *b) {
        Snapshot *s = b->step.snapshot;
        const Config *c = s->config;
        int r = build_allow(b);

        s->targets = arena_alloc(s->arena, (c->n_connections + 1) * sizeof *s->targets);
        s->sources = arena_alloc(s->arena, (c->n_sources + 1) * sizeof *s->sources);
        s->flows = arena_alloc(s->arena, (c->n_flows + 1) * sizeof *s->flows);
        must(s->targets && s->sources && s->flows);
        for (size_t i = 0; i < c->n_connections; i++)
                if (build_target(b, &c->connections[i], &s->targets[i]) < 0)
                        r = -EINVAL;
        for (size_t i = 0; i < c->n_sources; i++)
                if (build_source(b, &c->sources[i], &s->sources[i]) < 0)
                        r = -EINVAL;
        for (size_t i = 0; i < c->n_flows; i++)
                if (build_flow(b, &c->flows[i], &s->flows[i]) < 0)
                        r = -EINVAL;
        return r;
}

Snapshot *snapshot_build(Config *config, Problems *problems) {
        Snapshot *s = must_alloc(sizeof *s);
        Build b = {.step = {.snapshot = s, .problems = problems},
                   .is_partial = problems->errors > 0};
        Err e = {0};
        size_t errors;
        int r, sealed;

        s->refs = 1;
        s->arena = arena_new(SNAPSHOT_ARENA_MAX_BYTES);
        s->config = config;
        s->programs = program_set_new();
        r = build_all(&b);
        errors = problems->errors;
        sealed = program_set_seal(s->programs, bad_program, &b, &e);
        if (sealed < 0 && problems->errors == errors)
                (void)problem_add(problems, (Place){config->file, 1, 1}, "%s", e.text);
        problems_sort(problems);
        if (r < 0 || sealed < 0 || problems->errors) {
                snapshot_unref(s);
                return NULL;
        }
        return s;
}
