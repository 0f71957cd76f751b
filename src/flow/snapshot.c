/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/snapshot.h"

#include "flow/answer.h"
#include "flow/build.h"
#include "flow/lookups.h"
#include "flow/source_schema.h"
#include "sign/encoding.h"

#define SNAPSHOT_ARENA_MAX_BYTES (64 * 1024 * 1024)
#define CONCURRENCY_DEFAULT      64

Snapshot *snapshot_ref(Snapshot *s) {
        atomic_fetch_add(&s->refs, 1);
        return s;
}

Snapshot *snapshot_unref(Snapshot *s) {
        if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
                return NULL;
        program_set_unref(s->programs);
        lookups_free(s->lookups);
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
        Arena *a = b->snapshot->arena;
        Span secret = {NULL, 0};

        t->config = c;
        if (b->is_partial)
                return 0;
        t->limit = arena_alloc(a, sizeof *t->limit);
        t->breaker = arena_alloc(a, sizeof *t->breaker);
        t->headers = arena_alloc(a, (c->n_headers + 1) * sizeof *t->headers);
        if (!t->limit || !t->breaker || !t->headers)
                return problem_add(b->problems, c->place, "too many connections");
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

        return problem_add(b->problems, at, "unknown %s '%s'%s%s%s", what, name,
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
                r = problem_add(b->problems, c->envelope_place,
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
                return build_program(b, x, &ret->program);
        name = span_trim(span_from(name, 7), " ");
        char *lower = arena_text(b->snapshot->arena, name);
        bool is_name = lower && name.n > 0 && name.n <= HTTP_NAME_MAX_BYTES;
        for (char *p = lower; is_name && *p; p++) {
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char)(*p - 'A' + 'a');
                is_name = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
                          *p == '_';
        }
        ret->header = lower;
        return is_name ? 0
                       : problem_add(b->problems, x->place,
                                     "write header and its name, such as 'header X-Delivery'");
}

static int build_source(Build *b, const SourceConfig *c, Source *s) {
        int r = build_ways(b, c, s);

        s->config = c;
        s->is_always_new = span_eq(c->once.text, SPAN("never"));
        if ((!s->is_always_new && build_pick(b, &c->once, &s->once) < 0) ||
            build_program(b, &c->prefer, &s->prefer.program) < 0 ||
            build_pick(b, &c->type, &s->type) < 0 || build_pick(b, &c->time, &s->time) < 0)
                r = -EINVAL;
        if (source_schema_load(c, b->snapshot->config->file, b->snapshot->arena, b->problems,
                               &s->schema) < 0)
                r = -EINVAL;
        return r;
}

static int build_flow(Build *b, const FlowConfig *c, Flow *f) {
        Snapshot *s = b->snapshot;
        int r = 0;

        f->config = c;
        (void)snprintf(f->target, sizeof f->target, "flow:%s", c->name ? c->name : "");
        if (!b->is_partial) {
                r = plan_compile(c->match, c->n_match, s->arena, b->problems, &f->plan);
                f->retry = c->retry_tries >= 0
                                   ? retry_exponential(c->retry_base_ms, c->retry_cap_ms,
                                                       (unsigned)c->retry_tries)
                                   : retry_default;
        }
        if (build_program(b, &c->subject, &f->subject) < 0)
                r = -EINVAL;
        if (build_flow_steps(b, f) < 0)
                r = -EINVAL;
        return answer_build(b, &c->answer, f) < 0 ? -EINVAL : r;
}

static int build_allow(Build *b) {
        const Config *c = b->snapshot->config;
        NetworkList *list = &b->snapshot->allow;
        int r = 0;

        for (size_t i = 0; i < c->n_allow; i++) {
                Err e = {0};

                if (list->n == NETWORK_ALLOW_MAX)
                        return problem_add(b->problems, c->allow_place[i], "more than %d networks",
                                           NETWORK_ALLOW_MAX);
                if (network_parse(span_of(c->allow[i]), &list->item[list->n], &e) < 0)
                        r = problem_add(b->problems, c->allow_place[i], "%s", e.text);
                else
                        list->n++;
        }
        return r;
}

static int build_all(Build *b) {
        Snapshot *s = b->snapshot;
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
        Build b = {.snapshot = s, .problems = problems, .is_partial = problems->errors > 0};
        Err e = {0};
        size_t errors;
        int r, sealed;

        s->refs = 1;
        s->arena = arena_new(SNAPSHOT_ARENA_MAX_BYTES);
        s->config = config;
        s->programs = program_set_new();
        s->lookups = lookups_new();
        r = build_all(&b);
        errors = problems->errors;
        sealed = program_set_seal(s->programs, build_bad_program, &b, &e);
        if (sealed < 0 && problems->errors == errors)
                (void)problem_add(problems, (Place){config->file, 1, 1}, "%s", e.text);
        problems_sort(problems);
        if (r < 0 || sealed < 0 || problems->errors) {
                snapshot_unref(s);
                return NULL;
        }
        return s;
}
