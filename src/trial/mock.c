/* SPDX-License-Identifier: Apache-2.0 */
#include "trial/mock.h"

#include "base/clock.h"
#include "flow/run.h"
#include "flow/step.h"

/* A call on its way. */
typedef struct Open {
        Link link;
        Call *call;
        MockRule *rule; /* NULL: there is none */
        size_t made;    /* its place among the calls */
        int64_t due_ms;
} Open;

/* ---- which mock ---- */

/* `*` stands for any bytes. Goes back to the last star only: the work is bounded by both lengths
 * multiplied. */
static bool fits(Span pattern, Span text) {
        size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

        while (t < text.n) {
                if (p < pattern.n && pattern.p[p] == '*') {
                        star = p++;
                        from = t;
                } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
                        p++;
                        t++;
                } else if (star != SIZE_MAX) {
                        p = star + 1;
                        t = ++from;
                } else
                        return false;
        }
        while (p < pattern.n && pattern.p[p] == '*')
                p++;
        return p == pattern.n;
}

static MockRule *find(const MockRules *rules, const MadeCall *c) {
        for (size_t i = 0; rules && i < rules->n; i++) {
                MockRule *m = &rules->at[i];

                if (strcmp(m->method, c->method) == 0 && (m->times == 0 || m->used < m->times) &&
                    fits(span_of(m->to), c->to))
                        return m;
        }
        return NULL;
}

/* ---- remembering ---- */

static MadeCall *remember(MockDesk *d, const char *method, Span step, Span to, Span body) {
        MadeCall *c;

        if (d->n_calls == MOCK_CALLS_MAX)
                return NULL;
        if (d->n_calls == d->cap_calls) {
                d->cap_calls = d->cap_calls ? 2 * d->cap_calls : 16;
                d->calls = realloc(d->calls, d->cap_calls * sizeof *d->calls);
                must(d->calls);
        }
        c = &d->calls[d->n_calls++];
        *c = (MadeCall){.method = arena_text(d->arena, span_of(method)),
                        .step = arena_span(d->arena, step),
                        .to = arena_span(d->arena, to),
                        .reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0};
        if (body.p)
                c->body = arena_span(d->arena, body);
        must(c->method && c->step.p && c->to.p);
        return c;
}

/* Those of the configuration hold credentials, or may: they are not looked at. */
static void remember_headers(MockDesk *d, const Call *call, MadeCall *c) {
        c->headers = arena_alloc(d->arena, (call->n_more + 1) * sizeof *c->headers);
        must(c->headers);
        for (size_t i = 0; i < call->n_more; i++)
                c->headers[c->n_headers++] =
                        (HttpHeader){arena_span(d->arena, call->more[i].name),
                                     arena_span(d->arena, call->more[i].value)};
        if (call->content_type)
                c->headers[c->n_headers++] =
                        (HttpHeader){SPAN("Content-Type"), span_of(call->content_type)};
}

/* ---- the dialler ---- */

/* "crm:/contacts/C-1": what stands behind the connection's own URL. */
static Span address_of(Arena *a, const Call *c) {
        const ConnectionConfig *config = c->target->config;
        char *text = arena_printf(a, "%s:%s", config->name, c->url + strlen(config->url));

        must(text);
        return span_of(text);
}

static bool take(void *self, Call *call) {
        MockDesk *d = self;
        Open *o = must_alloc(sizeof *o);
        MadeCall *c = remember(d, call->method, call->act->step->name, address_of(d->arena, call),
                               call->body);
        int64_t now = clock_mono_ms();

        *o = (Open){.call = call, .made = d->n_calls, .due_ms = now};
        list_push(&d->open, &o->link);
        if (!c)
                return true;
        o->made = d->n_calls - 1;
        remember_headers(d, call, c);
        o->rule = find(d->own, c);
        if (!o->rule)
                o->rule = find(d->shared, c);
        c->is_unmocked = !o->rule;
        if (!o->rule)
                return true;
        o->rule->used++;
        o->due_ms = now + o->rule->delay_ms;
        /* The client would give up by itself. */
        if (o->rule->fault == MOCK_TIMEOUT || o->due_ms - now > call->client.timeout_ms)
                o->due_ms = now + call->client.timeout_ms;
        return true;
}

static void drop(void *self, Call *call) {
        MockDesk *d = self;

        LIST_EACH(&d->open, it) {
                Open *o = CONTAINER_OF(it, Open, link);

                if (o->call != call)
                        continue;
                if (o->made < d->n_calls)
                        d->calls[o->made].end = client_end_name(CLIENT_CANCELLED);
                list_remove(&d->open, it);
                free(o);
        }
}

static void note(void *self, const Act *a, const char *verb, Span to, Span value) {
        (void)remember(self, strcmp(verb, "log") == 0 ? "LOG" : "EMIT", a->step->name, to, value);
}

/* "/usr/local/bin/print-label --to lobby" */
static Span command_of(Arena *a, char *const *words) {
        AUTO(buf_done)
        Buf b = BUF(MOCK_COMMAND_MAX_BYTES);

        for (size_t i = 0; words[i]; i++)
                if ((i && buf_add_char(&b, ' ') < 0) || buf_add(&b, span_of(words[i])) < 0)
                        return SPAN("(too long)");
        return arena_span(a, buf_span(&b));
}

static void execute(void *self, const Act *a, char *const *words, Span input, ProgramSaid *ret) {
        MockDesk *d = self;
        Span command = command_of(d->arena, words);
        MadeCall *c = remember(d, "EXEC", a->step->name, command, input);
        MockRule *m = c ? find(d->own, c) : NULL;

        if (c && !m)
                m = find(d->shared, c);
        ret->status = m ? (int)m->exit : MOCK_NO_PROGRAM;
        if (m)
                m->used++;
        if (m && m->body.bytes.p)
                ret->output = m->body.bytes;
        if (!c)
                return;
        c->is_unmocked = !m;
        c->status = ret->status;
        c->end = client_end_name(CLIENT_ANSWERED);
}

void mock_desk_init(MockDesk *d) {
        *d = (MockDesk){.dialler = {d, take, drop, note, execute}};
        list_init(&d->open);
}

static void begin_rules(const MockRules *rules) {
        for (size_t i = 0; rules && i < rules->n; i++)
                rules->at[i].used = 0;
}

void mock_desk_begin(MockDesk *d, const MockRules *own, const MockRules *shared, Arena *a) {
        must(d->open.n == 0);
        d->own = own;
        d->shared = shared;
        d->arena = a;
        d->n_calls = 0;
        begin_rules(own);
        begin_rules(shared);
}

/* ---- answers ---- */

static void say_fault(const MockRule *m, ClientAnswer *a) {
        static const struct {
                ClientEnd end;
                const char *why;
        } all[] = {
                [MOCK_REFUSED] = {CLIENT_CONNECT, "the mock refuses the connection"},
                [MOCK_UNKNOWN_HOST] = {CLIENT_NAME, "the mock's host has no address"},
                [MOCK_TLS] = {CLIENT_TLS, "the mock's certificate is not accepted"},
                [MOCK_TIMEOUT] = {CLIENT_TIMEOUT, "the mock does not answer in time"},
                [MOCK_BROKEN] = {CLIENT_BROKEN, "the mock breaks off"},
        };

        a->end = all[m->fault].end;
        (void)snprintf(a->why, sizeof a->why, "%s", all[m->fault].why);
}

static void say_answer(const MockRule *m, HttpHeader headers[FIXTURE_HEADERS_MAX + 1],
                       ClientAnswer *a) {
        size_t n = 0;

        if (m->body.is_json)
                headers[n++] = (HttpHeader){SPAN("Content-Type"), SPAN("application/json")};
        for (size_t i = 0; i < m->headers.n; i++)
                headers[n++] = (HttpHeader){m->headers.at[i].name, m->headers.at[i].value};
        a->end = CLIENT_ANSWERED;
        a->status = (int)m->status;
        a->headers = headers;
        a->n_headers = n;
        a->body = m->body.bytes.p ? m->body.bytes : SPAN("");
}

static void answer(MockDesk *d, Open *o) {
        HttpHeader headers[FIXTURE_HEADERS_MAX + 1];
        ClientAnswer a = {.end = CLIENT_FAULT};
        Call *call = o->call;

        if (!o->rule)
                (void)snprintf(a.why, sizeof a.why, "%s",
                               o->made < d->n_calls ? "the test has no mock for this call"
                                                    : "a test makes no more than 1000 calls");
        else if (o->rule->fault == MOCK_ANSWERS && o->rule->delay_ms <= call->client.timeout_ms)
                say_answer(o->rule, headers, &a);
        else
                say_fault(o->rule->fault == MOCK_ANSWERS ? &(MockRule){.fault = MOCK_TIMEOUT}
                                                         : o->rule,
                          &a);
        if (o->made < d->n_calls) {
                d->calls[o->made].status = a.status;
                d->calls[o->made].end = client_end_name(a.end);
        }
        list_remove(&d->open, &o->link);
        free(o);
        call_answer(call, &a);
}

int64_t mock_desk_due(const MockDesk *d) {
        int64_t due = INT64_MAX;

        LIST_EACH(&d->open, it) {
                const Open *o = CONTAINER_OF(it, Open, link);

                due = o->due_ms < due ? o->due_ms : due;
        }
        return due;
}

/* One at a time: an answer may cancel others, and begin new ones. */
static Open *first_due(const MockDesk *d, int64_t now_ms) {
        Open *first = NULL;

        LIST_EACH(&d->open, it) {
                Open *o = CONTAINER_OF(it, Open, link);

                if (o->due_ms <= now_ms && (!first || o->due_ms < first->due_ms))
                        first = o;
        }
        return first;
}

bool mock_desk_answer(MockDesk *d, int64_t now_ms) {
        bool any = false;

        for (Open *o; (o = first_due(d, now_ms)); any = true)
                answer(d, o);
        return any;
}

void mock_desk_done(MockDesk *d) {
        free(d->calls);
}
