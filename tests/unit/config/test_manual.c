/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/configuration.md holds what the tables say. */
#include "config_room.h"
#include "manual.h"

#include <ctype.h>

static const char *cases;

static void the_manual_holds_what_the_tables_say(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 20);

        (void)state;
        assert_int_equal(config_print_reference(&reference), 0);
        manual_check(cases, "configuration.md", buf_span(&reference));
}

static bool holds(Span text, Span part) {
        return text.p && text.n && memmem(text.p, text.n, part.p, part.n);
}

/* Each row: a type, and a help that is a sentence. */
static void every_option_is_explained(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 20);
        size_t rows = 0;

        (void)state;
        assert_int_equal(config_print_reference(&reference), 0);
        for (Span text = buf_span(&reference); text.n;
             text = span_from(text, span_find(text, '\n') + 1)) {
                Span line = {text.p, span_find(text, '\n')};

                if (!span_starts(line, SPAN("| `")))
                        continue;
                rows++;
                assert_true(line.n > 4 && memcmp(line.p + line.n - 3, ". |", 3) == 0);
                assert_false(holds(line, SPAN("(null)")));
                assert_false(holds(line, SPAN("| |")));
        }
        assert_true(rows >= 50);
}

/* Links within the page lead to headings that are there. */
static void every_link_leads_somewhere(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 20);
        AUTO(buf_done)
        Buf anchors = BUF(1 << 16);
        size_t n_links = 0;

        (void)state;
        assert_int_equal(config_print_reference(&reference), 0);
        for (Span text = buf_span(&reference); text.n;
             text = span_from(text, span_find(text, '\n') + 1)) {
                Span line = {text.p, span_find(text, '\n')};

                if (!span_starts(line, SPAN("### ")))
                        continue;
                assert_int_equal(buf_add(&anchors, SPAN("(#")), 0);
                for (size_t i = 4; i < line.n; i++)
                        if (isalnum((unsigned char)line.p[i]))
                                assert_int_equal(buf_add_char(&anchors, (char)tolower(line.p[i])),
                                                 0);
                assert_int_equal(buf_add_char(&anchors, ')'), 0);
        }
        Span rest = buf_span(&reference);
        for (size_t at = 0; at + 3 < rest.n; at++) {
                Span link = span_from(rest, at + 1);

                if (!span_starts(span_from(rest, at), SPAN("](#")))
                        continue;
                link.n = span_find(link, ')') + 1;
                n_links++;
                assert_true(holds(buf_span(&anchors), link));
        }
        assert_true(n_links >= 10);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_manual_holds_what_the_tables_say),
                cmocka_unit_test(every_option_is_explained),
                cmocka_unit_test(every_link_leads_somewhere),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
