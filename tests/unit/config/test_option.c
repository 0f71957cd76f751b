/* SPDX-License-Identifier: Apache-2.0 */
#include "config/listen.h"
#include "config/option.h"
#include "config/quantity.h"
#include "config_room.h"

static void durations_have_one_number_and_one_unit(void **state) {
        static const struct {
                const char *text;
                int64_t ms;
        } good[] = {{"0s", 0},       {"250ms", 250},
                    {"3s", 3000},    {"5m", 300000},
                    {"2h", 7200000}, {"7d", 604800000},
                    {"007s", 7000},  {"106751991167d", 106751991167 * 86400000}};
        static const char *const bad[] = {"",
                                          "s",
                                          "3",
                                          "3 s",
                                          " 3s",
                                          "3s ",
                                          "+3s",
                                          "-3s",
                                          "3S",
                                          "1h30m",
                                          "3.5s",
                                          "3ss",
                                          "3w",
                                          "106751991168d",
                                          "99999999999999999999s"};
        int64_t ms = 0;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(good); i++) {
                assert_true(duration_parse(span_of(good[i].text), &ms));
                assert_true(ms == good[i].ms);
        }
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_false(duration_parse(span_of(bad[i]), &ms));
}

static void sizes_are_powers_of_1024(void **state) {
        static const char *const bad[] = {"", "K", "1k", "1KB", "1Ki", "1.5M", "-1", "8388608T"};
        int64_t n = 0;

        (void)state;
        assert_true(size_parse(SPAN("512"), &n) && n == 512);
        assert_true(size_parse(SPAN("64K"), &n) && n == 65536);
        assert_true(size_parse(SPAN("8M"), &n) && n == 8 << 20);
        assert_true(size_parse(SPAN("1G"), &n) && n == 1 << 30);
        assert_true(size_parse(SPAN("8388607T"), &n) && n == (int64_t)8388607 << 40);
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_false(size_parse(span_of(bad[i]), &n));
}

static void rates_count_per_unit(void **state) {
        static const char *const bad[] = {"",    "50",    "/s",   "50/",   "0/s",         "50/ms",
                                          "1/d", "50/s ", "-1/s", "1/s/s", "1000000001/s"};
        Rate r = {0};

        (void)state;
        assert_true(rate_parse(SPAN("50/s"), &r) && r.count == 50 && r.per_ms == 1000);
        assert_true(rate_parse(SPAN("100/m"), &r) && r.count == 100 && r.per_ms == 60000);
        assert_true(rate_parse(SPAN("1/h"), &r) && r.count == 1 && r.per_ms == 3600000);
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_false(rate_parse(span_of(bad[i]), &r));
}

static void quantities_print_in_their_largest_unit(void **state) {
        char text[QUANTITY_TEXT];

        (void)state;
        duration_print(0, text);
        assert_string_equal(text, "0s");
        duration_print(90000, text);
        assert_string_equal(text, "90s");
        duration_print(1001, text);
        assert_string_equal(text, "1001ms");
        duration_print(604800000, text);
        assert_string_equal(text, "7d");
        size_print(0, text);
        assert_string_equal(text, "0");
        size_print(65536, text);
        assert_string_equal(text, "64K");
        size_print(65537, text);
        assert_string_equal(text, "65537");
}

static void the_nearest_name_is_found(void **state) {
        static const char *const names[] = {"url", "bearer", "basic", "headers", "header", NULL};
        static const struct {
                const char *word, *want;
        } words[] = {{"urll", "url"},    {"ulr", "url"},       {"rl", "url"},
                     {"URL", "url"},     {"barer", "bearer"},  {"beaerr", "bearer"},
                     {"baisc", "basic"}, {"hedaer", "header"}, {"headerss", "headers"},
                     {"x", NULL},        {"", NULL},           {"abc", NULL},
                     {"uax", NULL},      {"frobnicate", NULL}};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(words); i++) {
                const char *near = nearest_name(span_of(words[i].word), names);

                assert_true((near == NULL) == (words[i].want == NULL));
                if (near)
                        assert_string_equal(near, words[i].want);
        }
        char longer[100];
        memset(longer, 'u', sizeof longer);
        assert_null(nearest_name((Span){longer, sizeof longer}, names));
}

typedef struct Thing {
        const char *text;
        Span span;
        bool flag;
        int64_t number;
        Expr program;
        Secret secret;
} Thing;

static const Option thing_options[] = {
        {.name = "text", .type = OPTION_TEXT, .offset = offsetof(Thing, text), .fallback = "x"},
        {.name = "span", .type = OPTION_SPAN, .offset = offsetof(Thing, span)},
        {.name = "flag", .type = OPTION_BOOL, .offset = offsetof(Thing, flag), .fallback = "true"},
        {.name = "number", .type = OPTION_NUMBER, .offset = offsetof(Thing, number)},
        {.name = "program", .type = OPTION_TEMPLATE, .offset = offsetof(Thing, program)},
        {.name = "secret", .type = OPTION_SECRET, .offset = offsetof(Thing, secret)},
};

static Node scalar(const char *text) {
        return (Node){.kind = NODE_SCALAR, .text = span_of(text), .place = {"t", 7, 9}};
}

static void another_room_reads_a_table_of_its_own(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        Node flag = scalar("false"), program = scalar(".a"), secret = scalar("hunter2"),
             text = scalar("lent");
        NodeEntry entries[] = {{SPAN("flag"), {"t", 1, 1}, &flag},
                               {SPAN("program"), {"t", 2, 1}, &program},
                               {SPAN("secret"), {"t", 7, 1}, &secret},
                               {SPAN("span"), {"t", 8, 1}, &text}};
        Node map = {.kind = NODE_MAP, .entries = entries, .n = COUNT_OF(entries)};
        Thing t = {0};

        (void)state;
        program.text_place = (Place){"t", 2, 12};
        assert_int_equal(
                options_read(&map, thing_options, COUNT_OF(thing_options), &t, p->arena, p), 0);
        assert_string_equal(t.text, "x");
        assert_true(span_eq(t.span, SPAN("lent")));
        assert_false(t.flag);
        assert_int_equal(t.number, 0);
        assert_true(span_eq(t.program.text, SPAN(".a")));
        assert_int_equal(t.program.place.column, 12);
        assert_true(span_eq(secret_reveal(&t.secret), SPAN("hunter2")));
        assert_int_equal(p->n_secrets, 1);
}

static void a_flag_is_true_or_false(void **state) {
        static const char *const bad[] = {"yes", "no", "on", "off", "True", "1"};
        AUTO(problems_end)
        Problems *p = problems_begin();
        Thing t = {0};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                Node n = scalar(bad[i]);

                assert_int_equal(option_read_one(&n, &thing_options[2], &t, p->arena, p), -EINVAL);
        }
        assert_string_equal(p->item[0].text, "flag: 'yes' is neither true nor false");
}

static void a_long_value_is_shown_in_part(void **state) {
        char text[300], shown[VALUE_SHOWN_BYTES];
        Node n = scalar("");

        (void)state;
        /* Two-byte characters: the cut falls between them. */
        for (size_t i = 0; i + 1 < sizeof text; i += 2)
                memcpy(text + i, "\xc3\xa4", 2);
        n.text = (Span){text, sizeof text};
        value_shown(&n, shown);
        size_t at = strlen(shown);
        assert_true(at < VALUE_SHOWN_BYTES);
        assert_string_equal(shown + at - 4, "...'");
        assert_memory_equal(shown + at - 6, "\xc3\xa4", 2);
        n.secret = true;
        assert_string_equal(value_shown(&n, shown), "the value");
}

static void loopback_is_known_in_every_spelling(void **state) {
        static const char *const yes[] = {"127.0.0.1",       "127.255.0.9",      "::1",
                                          "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost",
                                          "LOCALHOST"};
        static const char *const no[] = {
                "0.0.0.0", "128.0.0.1", "::", "::2", "::ffff:10.0.0.1", "localhost.example.com",
                "",        "127.1"};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(yes); i++)
                assert_true(host_is_loopback(span_of(yes[i])));
        for (size_t i = 0; i < COUNT_OF(no); i++)
                assert_false(host_is_loopback(span_of(no[i])));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(durations_have_one_number_and_one_unit),
                cmocka_unit_test(sizes_are_powers_of_1024),
                cmocka_unit_test(rates_count_per_unit),
                cmocka_unit_test(quantities_print_in_their_largest_unit),
                cmocka_unit_test(the_nearest_name_is_found),
                cmocka_unit_test(another_room_reads_a_table_of_its_own),
                cmocka_unit_test(a_flag_is_true_or_false),
                cmocka_unit_test(a_long_value_is_shown_in_part),
                cmocka_unit_test(loopback_is_known_in_every_spelling),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
