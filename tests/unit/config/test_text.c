/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that no file of cases can hold, and the limits of a file. */
#include "config/text.h"
#include "config/yaml.h"
#include "config_room.h"

static char *const nothing[] = {NULL};

static void a_byte_order_mark_and_crlf_are_fine(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        Span text = SPAN("\xef\xbb\xbfthreads: 3\r\nkeep:\r\n  for: 2d\r\nsources: {a: {verify: "
                         "none, once: \"[\\r\\n]\"}}\r\n");
        AUTO(config_end)
        Config *c = config_parse(text, "t", nothing, p);

        (void)state;
        assert_int_equal(p->n, 0);
        assert_non_null(c);
        assert_int_equal(c->threads, 3);
        assert_int_equal(c->keep_ms, 2 * 86400000);
        assert_string_equal(c->sources[0].once.text.p, "[\r\n]");
}

static void places_count_characters_behind_a_mark(void **state) {
        (void)state;
        expect_problems(SPAN("\xef\xbb\xbf{\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\": 1, log: x}"),
                        nothing,
                        "t:1:2: unknown key '\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80'; known here: "
                        "listen, admin, admin_token, public_url, ledger, keep, once_window, "
                        "outbound, threads, limits, log, connections, databases, sources, flows, "
                        "endpoints\n"
                        "t:1:17: log: 'x' is not debug, info, warn or error\n");
}

static void bytes_that_have_no_place_are_named(void **state) {
        (void)state;
        expect_problems(SPAN("log: info\nthreads: \0 1\n"), nothing,
                        "t:2:10: a NUL byte (U+0000) is not allowed here\n");
        expect_problems(SPAN("log: \x1b[31minfo\n"), nothing,
                        "t:1:6: a control character (U+001B) is not allowed here\n");
        expect_problems(SPAN("log: \x7f\n"), nothing,
                        "t:1:6: a control character (U+007F) is not allowed here\n");
        expect_problems(SPAN("log: info\rthreads: 1\n"), nothing,
                        "t:1:10: a carriage return without a newline; end lines with LF or CRLF\n");
        expect_problems(SPAN("log: info\r"), nothing,
                        "t:1:10: a carriage return without a newline; end lines with LF or CRLF\n");
        expect_problems(SPAN("log: \"a\xe2\x80\xa8z\"\n"), nothing,
                        "t:1:8: a line separator that is not a newline (U+2028) is not allowed "
                        "here\n");
        expect_problems(SPAN("log: \xc2\x85\n"), nothing,
                        "t:1:6: a line separator that is not a newline (U+0085) is not allowed "
                        "here\n");
        expect_problems(SPAN("log: info\n\xef\xbb\xbfthreads: 1\n"), nothing,
                        "t:2:1: a byte order mark inside the text (U+FEFF) is not allowed here\n");
        expect_problems(SPAN("\xff\xfel\0o\0g\0"), nothing,
                        "t:1:1: the file is UTF-16; save it as UTF-8\n");
        expect_problems(SPAN("\xfe\xff\0l\0o\0g"), nothing,
                        "t:1:1: the file is UTF-16; save it as UTF-8\n");
}

static void bytes_that_are_not_utf8_are_named(void **state) {
        /* Each is malformed at its first byte: RFC 3629 and the Unicode standard's table 3-7. */
        static const Span bad[] = {
                {"\x80", 1},
                {"\xbf", 1},
                {"\xc0\xaf", 2},
                {"\xc1\xbf", 2},
                {"\xc3", 1},
                {"\xc3(", 2},
                {"\xe0\x80\xaf", 3},
                {"\xe2\x82", 2},
                {"\xe2(\xa1", 3},
                {"\xed\xa0\x80", 3},
                {"\xed\xbf\xbf", 3},
                {"\xf0\x80\x80\xaf", 4},
                {"\xf0\x9f\x98", 3},
                {"\xf4\x90\x80\x80", 4},
                {"\xf5\x80\x80\x80", 4},
                {"\xf8\x88\x80\x80\x80", 5},
                {"\xfe", 1},
                {"\xff", 1},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                char text[32] = "log: ", want[80];

                memcpy(text + 5, bad[i].p, bad[i].n);
                (void)snprintf(want, sizeof want,
                               "t:1:6: byte 0x%02x is not UTF-8; save the file as UTF-8\n",
                               (unsigned)(unsigned char)bad[i].p[0]);
                expect_problems((Span){text, 5 + bad[i].n}, nothing, want);
        }
}

static void well_formed_utf8_is_measured(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
                uint32_t point;
        } good[] = {{"a", 1, 'a'},
                    {"\xc2\x80", 2, 0x80},
                    {"\xdf\xbf", 2, 0x7ff},
                    {"\xe0\xa0\x80", 3, 0x800},
                    {"\xed\x9f\xbf", 3, 0xd7ff},
                    {"\xee\x80\x80", 3, 0xe000},
                    {"\xf0\x90\x80\x80", 4, 0x10000},
                    {"\xf4\x8f\xbf\xbf", 4, 0x10ffff}};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(good); i++) {
                uint32_t point = 0;

                assert_int_equal(utf8_at(span_of(good[i].bytes), 0, &point), good[i].n);
                assert_int_equal(point, good[i].point);
        }
}

static void the_number_of_values_has_its_maximum(void **state) {
        AUTO(buf_done)
        Buf b = BUF(1 << 20);

        (void)state;
        /* The root, its key, the list, and as many items as are left. */
        assert_int_equal(buf_add(&b, SPAN("outbound: [\n")), 0);
        for (int i = 3; i < YAML_NODES_MAX; i++)
                assert_int_equal(buf_add(&b, SPAN("a,\n")), 0);
        size_t n = b.n;
        assert_int_equal(buf_add_char(&b, ']'), 0);
        expect_problems(buf_span(&b), nothing, "t:1:11: a map is expected here; its keys: allow\n");
        b.n = n;
        assert_int_equal(buf_add(&b, SPAN("a]")), 0);
        expect_problems(buf_span(&b), nothing, "t:19999:1: the file has more than 20000 values\n");
}

static void a_map_of_thousands_of_keys_is_quick_to_check(void **state) {
        AUTO(buf_done)
        Buf b = BUF(1 << 20);

        (void)state;
        assert_int_equal(buf_add(&b, SPAN("sources:\n")), 0);
        for (int i = 0; i < 4000; i++)
                assert_int_equal(buf_addf(&b, "  s%d: {verify: none}\n", i), 0);
        assert_int_equal(buf_add(&b, SPAN("  s0: {verify: none}\n")), 0);
        expect_problems(buf_span(&b), nothing, "t:4002:3: 's0' is given twice (also on line 2)\n");
}

static void the_size_of_a_text_has_its_maximum(void **state) {
        AUTO(buf_done)
        Buf b = BUF(CONFIG_FILE_MAX_BYTES + 1);
        char *at = NULL;

        (void)state;
        assert_int_equal(buf_room(&b, CONFIG_FILE_MAX_BYTES + 1, &at), 0);
        memset(at, '\n', CONFIG_FILE_MAX_BYTES + 1);
        b.n = CONFIG_FILE_MAX_BYTES + 1;
        expect_problems(buf_span(&b), nothing, "t: is larger than 4194304 bytes\n");
        b.n--;
        memcpy(b.p, "log: info\n", 10);
        expect_problems(buf_span(&b), nothing, "");
}

static void a_value_grows_only_so_far(void **state) {
        AUTO(buf_done)
        Buf big = BUF(2 << 20);
        AUTO(buf_done)
        Buf text = BUF(2 << 20);

        (void)state;
        assert_int_equal(buf_add(&big, SPAN("BIG=")), 0);
        for (int i = 0; i < 1024; i++)
                assert_int_equal(buf_addf(&big, "%01024d", i), 0);
        assert_int_equal(buf_add_char(&big, 0), 0);
        char *env[] = {big.p, NULL};
        expect_problems(SPAN("ledger: \"sqlite:${BIG}\"\n"), env,
                        "t:1:9: longer than 1048576 bytes when filled in\n");
        /* Each of them alone is small enough, all of them are not. */
        assert_int_equal(buf_add(&text, SPAN("outbound: {allow: [\n")), 0);
        for (int i = 0; i < 70; i++)
                assert_int_equal(buf_add(&text, SPAN("\"${BIG}\",\n")), 0);
        assert_int_equal(buf_add(&text, SPAN("]}\n")), 0);
        AUTO(problems_end)
        Problems *p = problems_begin();
        assert_null(config_parse(buf_span(&text), "t", env, p));
        assert_true(p->n > 0);
        assert_string_equal(p->item[0].text,
                            "the configuration needs more memory than it may have");
}

static void a_tree_is_wiped_whole(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        Node *root = NULL;

        (void)state;
        assert_int_equal(yaml_read(SPAN("a: one\nb: [two, {c: three}]\n"), "t", p->arena, p, &root),
                         0);
        const Node *list = root->entries[1].value;
        Span texts[] = {root->entries[0].value->text, list->items[0]->text,
                        node_get(list->items[1], "c")->text};
        node_wipe(root);
        for (size_t i = 0; i < COUNT_OF(texts); i++)
                for (size_t k = 0; k < texts[i].n; k++)
                        assert_int_equal(texts[i].p[k], 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_byte_order_mark_and_crlf_are_fine),
                cmocka_unit_test(places_count_characters_behind_a_mark),
                cmocka_unit_test(bytes_that_have_no_place_are_named),
                cmocka_unit_test(bytes_that_are_not_utf8_are_named),
                cmocka_unit_test(well_formed_utf8_is_measured),
                cmocka_unit_test(the_number_of_values_has_its_maximum),
                cmocka_unit_test(a_map_of_thousands_of_keys_is_quick_to_check),
                cmocka_unit_test(the_size_of_a_text_has_its_maximum),
                cmocka_unit_test(a_value_grows_only_so_far),
                cmocka_unit_test(a_tree_is_wiped_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
