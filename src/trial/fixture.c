/* SPDX-License-Identifier: Apache-2.0 */
#include "trial/fixture.h"

#include "base/clock.h"
#include "config/file.h"
#include "config/text.h"
#include "config/yaml.h"
#include "trial/content.h"
#include "json/check.h"

enum { CONTENT_MAX_BYTES = 8 * 1024 * 1024 };

typedef struct Reading {
        Arena *arena;
        Problems *problems;
} Reading;

/* ---- the tables ---- */

/* The methods of mocks and calls, and the key that names each. */
enum { METHODS = 9 };
static const char *const method_names[METHODS] = {"GET",  "POST", "PUT", "PATCH", "DELETE",
                                                  "HEAD", "EXEC", "LOG", "EMIT"};

typedef struct Addressed {
        const char *to[METHODS];
} Addressed;

#define METHOD_ROW(key, i, text)                                                                   \
        {                                                                                          \
                .name = key, .type = OPTION_TEXT,                                                  \
                .offset = offsetof(Addressed, to) + (i) * sizeof(char *),                          \
                .shape = "connection:/path", .help = text                                          \
        }

#define METHOD_ROWS                                                                                \
        METHOD_ROW("get", 0, "One of the methods says which call it is."),                         \
                METHOD_ROW("post", 1, "The same."), METHOD_ROW("put", 2, "The same."),             \
                METHOD_ROW("patch", 3, "The same."), METHOD_ROW("delete", 4, "The same."),         \
                METHOD_ROW("head", 5, "The same."), {                                              \
                .name = "exec", .type = OPTION_TEXT,                                               \
                .offset = offsetof(Addressed, to) + 6 * sizeof(char *),                            \
                .shape = "program and its arguments",                                              \
                .help = "A program that a step `exec` would run, with its arguments, a blank "     \
                        "between them; nothing is run."                                            \
        }

static const char *const faults[] = {"none",   "refused", "unknown-host", "tls", "timeout",
                                     "broken", NULL};

typedef struct MockWritten {
        Addressed addressed;
        int64_t status, delay_ms, times, exit;
        int fault;
        const Node *headers, *body;
} MockWritten;

#define MOCK(field) offsetof(MockWritten, field)

static const Option mock_options[] = {
        METHOD_ROWS,
        {.name = "status",
         .type = OPTION_NUMBER,
         .offset = MOCK(status),
         .fallback = "200",
         .min = 200,
         .max = 599,
         .help = "The status of the answer."},
        {.name = "headers",
         .type = OPTION_NODE,
         .offset = MOCK(headers),
         .help = "Its headers; of a body that is JSON the Content-Type is there already."},
        {.name = "body",
         .type = OPTION_NODE,
         .offset = MOCK(body),
         .shape = "map, list or text",
         .help = "Its body: a map or list as JSON, a text as it stands."},
        {.name = "fault",
         .type = OPTION_CHOICE,
         .offset = MOCK(fault),
         .fallback = "none",
         .choices = faults,
         .help = "Instead of an answer: the connection is refused, the host has no address, TLS "
                 "fails, no answer comes in time (the connection's timeout, or what the run has "
                 "left), or it breaks off."},
        {.name = "delay",
         .type = OPTION_DURATION,
         .offset = MOCK(delay_ms),
         .fallback = "0s",
         .min = 0,
         .max = 3600000,
         .help = "How long the answer takes. Nobody waits for it: when there is nothing else left "
                 "to do, the test's clock goes forward."},
        {.name = "times",
         .type = OPTION_NUMBER,
         .offset = MOCK(times),
         .fallback = "0",
         .min = 0,
         .max = 10000,
         .help = "How many calls it answers; then the next mock that fits does. 0 is any number."},
        {.name = "exit",
         .type = OPTION_NUMBER,
         .offset = MOCK(exit),
         .fallback = "0",
         .min = 0,
         .max = 255,
         .help = "Of a program: its exit status. What it says on its standard output is `body`."},
};

typedef struct CallWritten {
        Addressed addressed;
        const Node *headers, *body;
} CallWritten;

static const Option call_options[] = {
        METHOD_ROWS,
        {.name = "log",
         .type = OPTION_TEXT,
         .offset = offsetof(Addressed, to) + 7 * sizeof(char *),
         .shape = "file",
         .help = "A line that a step `log` would append to that file; nothing is written."},
        {.name = "emit",
         .type = OPTION_TEXT,
         .offset = offsetof(Addressed, to) + 8 * sizeof(char *),
         .shape = "event type",
         .help = "An event that a step `emit` would make; none is made."},
        {.name = "body",
         .type = OPTION_NODE,
         .offset = offsetof(CallWritten, body),
         .shape = "map, list or text",
         .help = "The body, member by member: no more and no less. Not looked at when it is not "
                 "given."},
        {.name = "headers",
         .type = OPTION_NODE,
         .offset = offsetof(CallWritten, headers),
         .help = "Headers that the call has to have."},
};

typedef struct ExpectWritten {
        int64_t status;
        const Node *body, *headers, *calls, *reads, *outcome;
        bool exact;
} ExpectWritten;

#define EXPECT(field) offsetof(ExpectWritten, field)

static const Option expect_options[] = {
        {.name = "status",
         .type = OPTION_NUMBER,
         .offset = EXPECT(status),
         .min = 200,
         .max = 599,
         .help = "The status that the source hears."},
        {.name = "body",
         .type = OPTION_NODE,
         .offset = EXPECT(body),
         .shape = "map, list or text",
         .help = "What the source reads: members that have to be there with these values. A text "
                 "is compared as it stands."},
        {.name = "exact",
         .type = OPTION_BOOL,
         .offset = EXPECT(exact),
         .fallback = "false",
         .help = "The body may have no other members."},
        {.name = "headers",
         .type = OPTION_NODE,
         .offset = EXPECT(headers),
         .help = "Headers that the answer has to have."},
        {.name = "calls",
         .type = OPTION_NODE,
         .offset = EXPECT(calls),
         .shape = "list, or `none`",
         .help = "The calls that change something (all but GET and HEAD) the lines that are "
                 "logged and the events that are emitted, in their order, all of them. Not looked "
                 "at when it is not given."},
        {.name = "reads",
         .type = OPTION_NODE,
         .offset = EXPECT(reads),
         .shape = "list, or `none`",
         .help = "The calls that only read, in any order, all of them."},
        {.name = "outcome",
         .type = OPTION_NODE,
         .offset = EXPECT(outcome),
         .shape = "code, map from flows to codes, or `none`",
         .help = "The code with which every flow's last run ended, such as `updated`; or of which "
                 "flow which: then no other may run. `none`: no flow runs."},
};

static const char *const sign_words[] = {"true", "false", "wrong", NULL};

typedef struct TestWritten {
        const char *source, *time, *id;
        int64_t age_ms, attempts;
        int sign;
        const Node *headers, *body, *mocks, *expect;
} TestWritten;

#define TEST(field) offsetof(TestWritten, field)

static const Option test_options[] = {
        {.name = "source",
         .type = OPTION_TEXT,
         .offset = TEST(source),
         .required = true,
         .help = "The source that sends."},
        {.name = "body",
         .type = OPTION_NODE,
         .offset = TEST(body),
         .required = true,
         .shape = "map, list or text",
         .help = "What it sends: a map or list as JSON, a text as it stands."},
        {.name = "headers",
         .type = OPTION_NODE,
         .offset = TEST(headers),
         .help = "Headers beside those of the signature. Content-Type is application/json unless "
                 "it is given."},
        {.name = "sign",
         .type = OPTION_CHOICE,
         .offset = TEST(sign),
         .fallback = "true",
         .choices = sign_words,
         .help = "Sign it with the source's own secret, as its scheme wants it; not at all; or "
                 "with one character of the signature altered."},
        {.name = "age",
         .type = OPTION_DURATION,
         .offset = TEST(age_ms),
         .fallback = "0s",
         .min = 0,
         .max = (int64_t)365 * 86400000,
         .help = "How long ago it was signed, for schemes that sign a time."},
        {.name = "id",
         .type = OPTION_TEXT,
         .offset = TEST(id),
         .fallback = "msg_test",
         .help = "The id of the message, for schemes that sign one."},
        {.name = "time",
         .type = OPTION_TEXT,
         .offset = TEST(time),
         .shape = "RFC 3339",
         .help = "What the clock says when it comes, such as `2026-01-31T09:00:00Z`. jq's `now` "
                 "knows nothing of it."},
        {.name = "attempts",
         .type = OPTION_NUMBER,
         .offset = TEST(attempts),
         .fallback = "1",
         .min = 1,
         .max = FIXTURE_ATTEMPTS_MAX,
         .help = "How many runs of each flow are looked at, when they fail and are retried. The "
                 "pauses between them cost no time."},
        {.name = "mocks",
         .type = OPTION_NODE,
         .offset = TEST(mocks),
         .shape = "list",
         .help = "What the connections answer: see [mocks](#mocks)."},
        {.name = "expect",
         .type = OPTION_NODE,
         .offset = TEST(expect),
         .required = true,
         .help = "What is to come of it: see [expect](#expect)."},
};

typedef struct FileWritten {
        const char *config;
        const Node *mocks, *tests;
} FileWritten;

static const Option file_options[] = {
        {.name = "config",
         .type = OPTION_TEXT,
         .offset = offsetof(FileWritten, config),
         .shape = "file",
         .help = "The configuration under test, relative to this file's folder. By default "
                 "`grapnel.yaml` in this folder or in the one above."},
        {.name = "mocks",
         .type = OPTION_NODE,
         .offset = offsetof(FileWritten, mocks),
         .shape = "list",
         .help = "Mocks for all tests of the file; a test's own go first."},
        {.name = "tests",
         .type = OPTION_NODE,
         .offset = offsetof(FileWritten, tests),
         .required = true,
         .help = "The tests, each under a name of its own that says in words what holds."},
};

int fixture_print_reference(Buf *out) {
        static const OptionGroup groups[] = {
                {"The file of tests", "Any name that ends in `.test.yaml`.", file_options,
                 COUNT_OF(file_options)},
                {"tests.NAME", "One webhook and what comes of it.", test_options,
                 COUNT_OF(test_options)},
                {"mocks",
                 "`- {get: 'crm:/contacts?external_id=*', body: {items: []}}`: the first "
                 "that fits answers. `*` stands for anything; path and query are "
                 "compared as they are sent, percent-encoded.",
                 mock_options, COUNT_OF(mock_options)},
                {"expect", "What is not given is not looked at.", expect_options,
                 COUNT_OF(expect_options)},
                {"expect.calls", "`- {patch: 'crm:/contacts/C-1', body: {email: a@example.com}}`",
                 call_options, COUNT_OF(call_options)},
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < COUNT_OF(groups); i++)
                r = option_print_group(&groups[i], out);
        return r;
}

/* ---- reading ----
 *
 * What a table complained about is in the problems: the rest is read on, to find more. */

static void read_table(Reading *r, const Node *map, const Option *table, size_t n, void *into) {
        int e = options_read(map, table, n, into, r->arena, r->problems);

        (void)e;
}

static void read_content(Reading *r, const Node *n, Content *ret) {
        AUTO(buf_done)
        Buf b = BUF(CONTENT_MAX_BYTES);

        *ret = (Content){0};
        if (!n || n->bad)
                return;
        ret->is_json = n->kind != NODE_SCALAR;
        if (!ret->is_json)
                ret->bytes = n->text.p ? n->text : SPAN("");
        else if (content_json(n, &b) < 0 || !(ret->bytes = arena_span(r->arena, buf_span(&b))).p)
                problem_add(r->problems, n->place, "the body is too large");
}

static void read_headers(Reading *r, const Node *n, FixtureHeaders *ret) {
        if (!n || n->bad)
                return;
        if (n->kind != NODE_MAP || n->n > FIXTURE_HEADERS_MAX) {
                problem_add(r->problems, n->place,
                            "headers: a map of up to %d names and values is expected here",
                            FIXTURE_HEADERS_MAX);
                return;
        }
        ret->at = arena_alloc(r->arena, (n->n + 1) * sizeof *ret->at);
        must(ret->at);
        for (size_t i = 0; i < n->n; i++) {
                const NodeEntry *e = &n->entries[i];
                bool is_bad = e->value->kind != NODE_SCALAR;

                for (size_t k = 0; !is_bad && k < e->value->text.n; k++)
                        is_bad = (unsigned char)e->value->text.p[k] < ' ';
                if (is_bad)
                        problem_add(r->problems, e->value->place,
                                    "the value of a header is one line of text");
                else
                        ret->at[ret->n++] = (FixtureHeader){e->key, e->value->text, e->key_place};
        }
}

/* Exactly one method is named. */
static bool read_address(Reading *r, const Node *n, const Addressed *a, const char **ret_method,
                         const char **ret_to) {
        size_t given = 0;

        for (size_t i = 0; i < METHODS; i++)
                if (a->to[i]) {
                        given++;
                        *ret_method = method_names[i];
                        *ret_to = a->to[i];
                }
        if (given == 1)
                return true;
        problem_add(r->problems, n->place,
                    "say which call, by one of get, post, put, patch, delete, head, exec: get: "
                    "'crm:/contacts/*'");
        return false;
}

/* Is it a list of up to so many? */
static bool is_list(Reading *r, const Node *n, const char *what) {
        if (n->bad)
                return false;
        if (n->kind == NODE_LIST && n->n <= FIXTURE_LIST_MAX)
                return true;
        problem_add(r->problems, n->place, "%s: a list of up to %d calls is expected here", what,
                    FIXTURE_LIST_MAX);
        return false;
}

static void read_mocks(Reading *r, const Node *n, MockRules *ret) {
        if (!n || !is_list(r, n, "mocks"))
                return;
        ret->at = arena_alloc(r->arena, (n->n + 1) * sizeof *ret->at);
        must(ret->at);
        for (size_t i = 0; i < n->n; i++) {
                const Node *item = n->items[i];
                MockRule *m = &ret->at[ret->n];
                MockWritten w = {0};

                if (options_read(item, mock_options, COUNT_OF(mock_options), &w, r->arena,
                                 r->problems) < 0 ||
                    !read_address(r, item, &w.addressed, &m->method, &m->to))
                        continue;
                m->status = w.status;
                m->delay_ms = w.delay_ms;
                m->times = w.times;
                m->exit = w.exit;
                m->fault = w.fault;
                m->place = item->place;
                read_headers(r, w.headers, &m->headers);
                read_content(r, w.body, &m->body);
                ret->n++;
        }
}

static bool is_word(const Node *n, const char *word) {
        return n->kind == NODE_SCALAR && span_eq(n->text, span_of(word));
}

static void read_calls(Reading *r, const Node *n, const char *what, WantedCalls *ret) {
        if (!n)
                return;
        ret->is_given = true;
        if (is_word(n, "none") || !is_list(r, n, what))
                return;
        ret->at = arena_alloc(r->arena, (n->n + 1) * sizeof *ret->at);
        must(ret->at);
        for (size_t i = 0; i < n->n; i++) {
                const Node *item = n->items[i];
                WantedCall *c = &ret->at[ret->n];
                CallWritten w = {0};

                if (options_read(item, call_options, COUNT_OF(call_options), &w, r->arena,
                                 r->problems) < 0 ||
                    !read_address(r, item, &w.addressed, &c->method, &c->to))
                        continue;
                c->place = item->place;
                read_content(r, w.body, &c->body);
                read_headers(r, w.headers, &c->headers);
                ret->n++;
        }
}

static void read_outcome(Reading *r, const Node *n, Fixture *f) {
        if (!n || n->bad)
                return;
        f->no_outcome = is_word(n, "none");
        if (f->no_outcome)
                return;
        if (n->kind == NODE_LIST) {
                problem_add(r->problems, n->place,
                            "outcome: a code, or a map from flows to codes, is expected here");
                return;
        }
        f->outcomes = arena_alloc(r->arena, (n->n + 1) * sizeof *f->outcomes);
        must(f->outcomes);
        if (n->kind == NODE_SCALAR) {
                f->outcomes[f->n_outcomes++] = (WantedOutcome){NULL, n->text.p};
                return;
        }
        for (size_t i = 0; i < n->n; i++) {
                const NodeEntry *e = &n->entries[i];

                if (e->value->kind != NODE_SCALAR)
                        problem_add(r->problems, e->value->place, "outcome: a code is expected");
                else
                        f->outcomes[f->n_outcomes++] =
                                (WantedOutcome){arena_text(r->arena, e->key), e->value->text.p};
        }
}

static void read_expect(Reading *r, const Node *n, Fixture *f) {
        ExpectWritten w = {0};

        if (!n)
                return;
        read_table(r, n, expect_options, COUNT_OF(expect_options), &w);
        f->status = w.status;
        f->is_exact = w.exact;
        read_content(r, w.body, &f->reply);
        read_headers(r, w.headers, &f->reply_headers);
        read_calls(r, w.calls, "calls", &f->calls);
        read_calls(r, w.reads, "reads", &f->reads);
        read_outcome(r, w.outcome, f);
}

static void read_test(Reading *r, const NodeEntry *entry, Fixture *f) {
        const Node *map = entry->value;
        TestWritten w = {0};

        f->name = entry->key;
        f->place = entry->key_place;
        read_table(r, map, test_options, COUNT_OF(test_options), &w);
        f->source = w.source;
        f->id = w.id;
        f->age_ms = w.age_ms;
        f->attempts = w.attempts;
        f->sign = w.sign;
        if (w.time && !clock_parse(span_of(w.time), &f->time_ms))
                problem_add(r->problems, node_get(map, "time")->place,
                            "time: write it as 2026-01-31T09:00:00Z");
        read_headers(r, w.headers, &f->headers);
        read_content(r, w.body, &f->body);
        read_mocks(r, w.mocks, &f->mocks);
        read_expect(r, w.expect, f);
}

static void read_tests(Reading *r, const Node *n, FixtureFile *ret) {
        if (!n)
                return;
        if (n->kind != NODE_MAP || n->n == 0 || n->n > FIXTURE_TESTS_MAX) {
                problem_add(r->problems, n->place,
                            "tests: a map of 1 to %d tests by their names is expected here",
                            FIXTURE_TESTS_MAX);
                return;
        }
        ret->tests = arena_alloc(r->arena, n->n * sizeof *ret->tests);
        must(ret->tests);
        ret->n = n->n;
        for (size_t i = 0; i < n->n; i++)
                read_test(r, &n->entries[i], &ret->tests[i]);
}

static void read_file(Reading *r, Span text, FixtureFile *ret) {
        FileWritten w = {0};
        Node *root = NULL;

        r->problems->source = text;
        if (text_check(text, ret->path, r->problems) < 0)
                return;
        if (yaml_read(text, ret->path, r->arena, r->problems, &root) < 0 && !root)
                return;
        read_table(r, root, file_options, COUNT_OF(file_options), &w);
        ret->config = w.config;
        read_mocks(r, w.mocks, &ret->mocks);
        read_tests(r, w.tests, ret);
}

FixtureFile *fixture_read(const char *path, Arena *a, Problems *problems) {
        AUTO(buf_done)
        Buf b = BUF(FIXTURE_FILE_MAX_BYTES);
        FixtureFile *ret = arena_alloc(a, sizeof *ret);
        Reading r = {a, problems};
        Err e = {0};

        must(ret);
        ret->path = arena_text(a, span_of(path));
        must(ret->path);
        problems->source = (Span){NULL, 0};
        if (file_read(path, &b, &e) < 0) {
                problem_add(problems, (Place){ret->path, 0, 0}, "%s", e.text);
                return NULL;
        }
        Span text = arena_span(a, text_without_mark(b.n ? buf_span(&b) : SPAN("")));
        if (!text.p) {
                problem_no_room(problems, (Place){ret->path, 0, 0});
                return NULL;
        }
        read_file(&r, text, ret);
        problems_sort(problems);
        return problems->errors ? NULL : ret;
}
