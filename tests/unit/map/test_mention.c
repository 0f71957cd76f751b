/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "map/mention.h"
#include "unit.h"

/* What is found, with | between. */
static void mentions(const char *text, const char *wanted) {
        AUTO(buf_done)
        Buf got = BUF(4096);
        Span name;

        for (size_t pos = 0; mention_next(span_of(text), &pos, &name);) {
                assert_int_equal(buf_add(&got, got.n ? SPAN("|") : SPAN("")), 0);
                assert_int_equal(buf_add(&got, name), 0);
        }
        if (!span_eq(buf_span(&got), span_of(wanted)))
                fail_msg("%s: '" SPAN_FMT "'", text, SPAN_ARG(buf_span(&got)));
}

static void quoted_words_are_names(void **state) {
        (void)state;
        mentions("Attribute 'id' is readOnly", "id|readOnly");
        mentions("Required attribute 'phoneNumbers' is missing", "phoneNumbers");
        mentions("The value of \"userName\" is taken, `title` too.", "userName|title");
        mentions("Invalid path 'emails[type eq \"work\"].value' for 'add' op",
                 "emails[type eq \"work\"].value|add");
        mentions("'a'", "a");
        mentions("'' and \"\"", "");
}

static void an_apostrophe_begins_nothing(void **state) {
        (void)state;
        mentions("The user's attribute 'title' isn't right", "title");
        mentions("it's the users' title", "");
        mentions("It ends 'in a quote", "");
        mentions("'The user's title'", "The user's title");
        mentions("l'attribut 'é'a'", "é'a");
}

static void words_that_nobody_says_are_names(void **state) {
        (void)state;
        mentions("userName is taken", "userName");
        mentions("Somebody has it already. (emails.value)", "emails.value");
        mentions("Not unique: emails[type eq \"work\"].value.", "emails[type eq \"work\"].value");
        mentions("urn:ietf:params:scim:schemas:core:2.0:User:userName: taken",
                 "urn:ietf:params:scim:schemas:core:2.0:User:userName");
        mentions("The name is too long. Try another: it is well-known, e-mail ...", "");
        mentions("", "");
        mentions("[[[ ]", "");
        mentions("a[", "a[");
}

static void long_ones_are_none(void **state) {
        char text[MENTION_MAX_BYTES * 2 + 3];

        (void)state;
        memset(text, 'x', sizeof text);
        text[0] = text[MENTION_MAX_BYTES * 2 + 1] = '\'';
        text[sizeof text - 1] = 0;
        mentions(text, "");
        text[MENTION_MAX_BYTES] = 'Y';
        mentions(text, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(quoted_words_are_names),
                cmocka_unit_test(an_apostrophe_begins_nothing),
                cmocka_unit_test(words_that_nobody_says_are_names),
                cmocka_unit_test(long_ones_are_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
