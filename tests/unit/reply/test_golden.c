/* SPDX-License-Identifier: Apache-2.0
 *
 * Every dialect's answer to every outcome, byte for byte: tests/cases/reply. */
#include "case_file.h"
#include "reply/dialect.h"
#include "json/check.h"

enum { NAMED_MAX = 32 };

typedef struct Named {
        char name[32];
        Outcome outcome;
} Named;

static const char *cases;
static Named named[NAMED_MAX];
static size_t n_named;
static Arena *arena;

static void open_file(const char *name, CaseFile *f) {
        char folder[2048];

        (void)snprintf(folder, sizeof folder, "%s/reply", cases);
        *f = case_open(folder, name);
}

static Span kept(const CaseFile *f) {
        Span s = arena_span(arena, buf_span(&f->value));

        must(s.p);
        return s;
}

static int number(const CaseFile *f) {
        uint64_t n = 0;

        assert_true(span_to_u64(buf_span(&f->value), 100000, &n));
        return (int)n;
}

/* "pointer | field | detail" */
static void add_error(Outcome *o, Span text) {
        Span parts[3] = {{NULL, 0}};

        for (size_t i = 0; i < 3; i++) {
                size_t bar = i < 2 ? span_find(text, '|') : text.n;

                parts[i] = span_trim((Span){text.p, bar}, " ");
                text = span_from(text, bar + 1);
        }
        assert_true(o->n_errors < OUTCOME_ERRORS_MAX);
        o->errors[o->n_errors++] =
                (OutcomeError){.pointer = parts[0], .field = parts[1], .detail = parts[2]};
}

static void read_outcomes(void) {
        CaseFile f;

        open_file("outcomes.case", &f);
        while (case_next(&f)) {
                Outcome *o = n_named ? &named[n_named - 1].outcome : NULL;

                if (!f.key[0])
                        continue;
                if (strcmp(f.key, "name") == 0) {
                        assert_true(n_named < NAMED_MAX && f.value.n < sizeof named->name);
                        memcpy(named[n_named].name, f.value.p, f.value.n);
                        named[n_named++].outcome.retry_after_s = -1;
                } else if (strcmp(f.key, "status") == 0)
                        o->status = number(&f);
                else if (strcmp(f.key, "code") == 0)
                        o->code = kept(&f).p;
                else if (strcmp(f.key, "message") == 0)
                        o->message = kept(&f);
                else if (strcmp(f.key, "event") == 0)
                        o->event = kept(&f);
                else if (strcmp(f.key, "url") == 0)
                        o->event_url = kept(&f);
                else if (strcmp(f.key, "error") == 0)
                        add_error(o, kept(&f));
                else if (strcmp(f.key, "retry") == 0) {
                        o->retryable = true;
                        o->retry_after_s = number(&f);
                } else
                        fail_msg("%s:%u: unknown key %s", f.name, f.line, f.key);
        }
        case_close(&f);
}

typedef struct Golden {
        size_t of;
        Span data, pointer, request, answer, body;
        bool has_answer;
} Golden;

static void check(const Dialect *d, const CaseFile *f, const Golden *g) {
        Outcome o = named[g->of].outcome;
        Reply reply = {.body = BUF(1 << 20)};
        char head[128];
        JsonFault fault;

        o.data = g->data;
        o.request = g->request;
        for (size_t i = 0; i < o.n_errors; i++)
                if (g->pointer.p && o.errors[i].pointer.n)
                        o.errors[i].pointer = g->pointer;
        assert_int_equal(dialect_write(d, &o, &reply), 0);
        (void)snprintf(head, sizeof head, "%d%s%s", reply.status, reply.content_type ? " " : "",
                       reply.content_type ? reply.content_type : "");
        if (!span_eq(span_of(head), g->answer) || !span_eq(buf_span(&reply.body), g->body))
                fail_msg("%s:%u: %s: answers %s\n" SPAN_FMT, f->name, f->line, named[g->of].name,
                         head, SPAN_ARG(buf_span(&reply.body)));
        if (reply.content_type && strstr(reply.content_type, "json"))
                assert_int_equal(json_check(buf_span(&reply.body), JSON_KEYS_MAX, &fault), 0);
        assert_true((reply.body.n == 0) == (reply.content_type == NULL));
        buf_done(&reply.body);
}

static size_t find(const CaseFile *f) {
        for (size_t i = 0; i < n_named; i++)
                if (span_eq(span_of(named[i].name), buf_span(&f->value)))
                        return i;
        fail_msg("%s:%u: no outcome of this name", f->name, f->line);
        return 0;
}

static void run_file(const Dialect *d) {
        bool seen[NAMED_MAX] = {false};
        char name[64];
        Golden g = {0};
        CaseFile f;

        (void)snprintf(name, sizeof name, "%s.case", d->name);
        open_file(name, &f);
        for (bool more = true; more;) {
                more = case_next(&f);
                if (!more || !f.key[0]) {
                        if (g.has_answer)
                                check(d, &f, &g);
                        g = (Golden){0};
                } else if (strcmp(f.key, "of") == 0) {
                        g.of = find(&f);
                        seen[g.of] = true;
                } else if (strcmp(f.key, "data") == 0)
                        g.data = kept(&f);
                else if (strcmp(f.key, "pointer") == 0)
                        g.pointer = kept(&f);
                else if (strcmp(f.key, "request") == 0)
                        g.request = kept(&f);
                else if (strcmp(f.key, "answer") == 0) {
                        g.answer = kept(&f);
                        g.has_answer = true;
                } else if (strcmp(f.key, "body") == 0)
                        g.body = kept(&f);
                else
                        fail_msg("%s:%u: unknown key %s", f.name, f.line, f.key);
        }
        for (size_t i = 0; i < n_named; i++)
                if (!seen[i])
                        fail_msg("%s: no case of %s", f.name, named[i].name);
        case_close(&f);
}

static void each_dialect_says_every_outcome_in_its_own_words(void **state) {
        (void)state;
        for (const Dialect *const *d = dialects; *d; d++)
                run_file(*d);
}

/* Whatever the dialect, a failure that is not in the ledger is never answered as a success that
 * has nothing to say. */
static void what_was_not_stored_is_never_taken_for_done(void **state) {
        (void)state;
        for (const Dialect *const *d = dialects; *d; d++)
                for (size_t i = 0; i < n_named; i++) {
                        const Outcome *o = &named[i].outcome;
                        Reply reply = {.body = BUF(1 << 16)};

                        assert_int_equal(dialect_write(*d, o, &reply), 0);
                        if (o->status >= 300 && o->event.n == 0 && reply.status < 300)
                                assert_true(reply.body.n > 0);
                        if (o->status == 401)
                                assert_int_equal(reply.status, 401);
                        buf_done(&reply.body);
                }
}

static int read_all(void **state) {
        (void)state;
        arena = arena_new(4 << 20);
        read_outcomes();
        return 0;
}

static int drop_all(void **state) {
        (void)state;
        arena = arena_free(arena);
        return 0;
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_dialect_says_every_outcome_in_its_own_words),
                cmocka_unit_test(what_was_not_stored_is_never_taken_for_done),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, read_all, drop_all);
}
