/* SPDX-License-Identifier: Apache-2.0
 *
 * What `kind` of a source stands for, and who goes first. */
#include "config_room.h"

#include "config/kinds.h"

#define TOKEN "t-0123456789abcdef0123456789"

static char *const nothing[] = {NULL};

static const SourceConfig *parse_source(const char *keys, Problems *p, Config **ret) {
        AUTO(buf_done)
        Buf text = BUF(65536);

        assert_int_equal(buf_addf(&text, "sources:\n  s: %s\n", keys), 0);
        *ret = config_parse(buf_span(&text), "t", nothing, p);
        if (p->n)
                print_error("%s\n", p->item[0].text);
        assert_int_equal(p->n, 0);
        return config_source(*ret, SPAN("s"));
}

#define SOURCE(keys)                                                                               \
        AUTO(problems_end)                                                                         \
        Problems *p = problems_begin();                                                            \
        AUTO(config_end)                                                                           \
        Config *c = NULL;                                                                          \
        const SourceConfig *s = parse_source(keys, p, &c)

static void assert_text(Span got, const char *want) {
        if (!span_eq(got, span_of(want)))
                fail_msg("'" SPAN_FMT "' is not '%s'", SPAN_ARG(got), want);
}

static void a_kind_gives_what_nobody_says(void **state) {
        SOURCE("{kind: okta-inline, verify: {secret: " TOKEN "}}");

        (void)state;
        assert_string_equal(s->verify.scheme->name, "bearer");
        assert_string_equal(s->reply, "okta-inline");
        assert_int_equal(s->deadline_ms, 2500);
        assert_text(s->once.text, ".eventId");
        assert_int_equal(s->once.place.line, 2); /* where the kind stands */
        assert_false(s->is_deaf);
}

static void what_the_person_says_goes_first(void **state) {
        SOURCE("{kind: okta-inline, deadline: 7s, once: never, reply: plain, verify: "
               "{secret: " TOKEN "}}");

        (void)state;
        assert_int_equal(s->deadline_ms, 7000);
        assert_text(s->once.text, "never");
        assert_string_equal(s->reply, "plain");
        assert_text(s->type.text, ".eventType");
        assert_string_equal(s->verify.scheme->name, "bearer");
}

/* The kind's is made of all its values. */
static void a_kind_gives_lists_too(void **state) {
        SOURCE("{kind: shopify, verify: none}");

        (void)state;
        assert_int_equal(s->n_headers, 4);
        assert_string_equal(s->headers[0], "x-shopify-topic");
        assert_string_equal(s->headers[3], "x-shopify-event-id");
}

static void a_list_of_ones_own_stands_alone(void **state) {
        SOURCE("{kind: shopify, verify: none, headers: X-Own}");

        (void)state;
        assert_int_equal(s->n_headers, 1);
        assert_string_equal(s->headers[0], "x-own");
}

/* Then what the kind says about its own scheme would not fit. */
static void another_scheme_stands_alone(void **state) {
        SOURCE("{kind: graph, verify: {scheme: basic, user: u, secret: " TOKEN "}}");

        (void)state;
        assert_string_equal(s->verify.scheme->name, "basic");
        assert_string_equal(s->envelope, "graph");
        assert_true(s->is_deaf);
}

/* No row may hold a key or a value that its tables do not know. */
static void every_kind_is_read(void **state) {
        (void)state;
        for (const SourceKind *k = source_kinds; k->name; k++) {
                AUTO(buf_done)
                Buf keys = BUF(4096);

                assert_int_equal(buf_addf(&keys, "{kind: %s, verify: none}%c", k->name, 0), 0);
                SOURCE(keys.p);
                assert_ptr_equal(s->kind, k);
        }
}

static void mistakes_are_shown_where_they_are(void **state) {
        (void)state;
        expect_problems(SPAN("sources:\n  s: {kind: okta-inlin, verify: none}\n"), nothing,
                        "t:2:13: kind: there is no 'okta-inlin'; did you mean 'okta-inline'?\n");
        expect_problems(SPAN("sources:\n  s: {kind: [auth0], verify: none}\n"), nothing,
                        "t:2:13: kind: one value is expected, not a list\n");
        expect_problems(SPAN("sources:\n  s: {kind: auth0}\n"), nothing,
                        "t:2:13: verify: scheme bearer needs a secret\n");
        expect_problems(SPAN("sources:\n  s: {kind: cloudevents}\n"), nothing,
                        "t:2:6: 'verify' is missing: a source that proves nothing is refused; to "
                        "take deliveries from anyone, say so with verify: none\n");
        expect_problems(SPAN("sources:\n  s: {kind: auth0, verify: none, deadlin: 3s}\n"), nothing,
                        "t:2:34: unknown key 'deadlin'; did you mean 'deadline'?\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_kind_gives_what_nobody_says),
                cmocka_unit_test(what_the_person_says_goes_first),
                cmocka_unit_test(a_kind_gives_lists_too),
                cmocka_unit_test(a_list_of_ones_own_stands_alone),
                cmocka_unit_test(another_scheme_stands_alone),
                cmocka_unit_test(every_kind_is_read),
                cmocka_unit_test(mistakes_are_shown_where_they_are),
        };

        return cmocka_run_group_tests_name("kinds", tests, NULL, NULL);
}
