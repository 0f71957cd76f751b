/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "watch/notes.h"

#include <unistd.h>

static Notes *open_notes(const char *path, const char *owner) {
        Notes *n = NULL;
        Err e = {0};

        assert_int_equal(notes_open(path, span_of(owner), &n, &e), 0);
        return n;
}

static void assert_note(Notes *n, const char *key, const char *wanted) {
        AUTO(buf_done)
        Buf value = BUF(1024);
        Err e = {0};

        assert_int_equal(notes_get(n, span_of(key), &value, &e), wanted != NULL);
        if (wanted)
                assert_true(span_eq(buf_span(&value), span_of(wanted)));
}

static void put(Notes *n, const char *key, const char *value) {
        Err e = {0};

        assert_int_equal(notes_put(n, span_of(key), span_of(value), &e), 0);
}

static void what_is_noted_stays(void **state) {
        char path[] = "/tmp/notes-XXXXXX";
        int fd = mkstemp(path);
        Notes *n;
        Err e = {0};

        (void)state;
        assert_true(fd >= 0);
        (void)close(fd);
        n = open_notes(path, "a");
        put(n, "cursor", "1");
        put(n, "cursor", "2");
        put(n, "empty", "");
        notes_close(n);
        n = open_notes(path, "a");
        assert_note(n, "cursor", "2");
        assert_note(n, "empty", "");
        assert_note(n, "none", NULL);
        assert_int_equal(notes_delete(n, SPAN("cursor"), &e), 0);
        assert_note(n, "cursor", NULL);
        notes_close(n);
        (void)unlink(path);
}

static void owners_do_not_see_each_other(void **state) {
        char path[] = "/tmp/notes-XXXXXX";
        int fd = mkstemp(path);
        Notes *a, *b;

        (void)state;
        (void)close(fd);
        a = open_notes(path, "a");
        b = open_notes(path, "b");
        put(a, "k", "of a");
        put(b, "k", "of b");
        assert_note(a, "k", "of a");
        assert_note(b, "k", "of b");
        notes_close(a);
        notes_close(b);
        (void)unlink(path);
}

static void all_or_nothing(void **state) {
        Notes *n = open_notes(":memory:", "a");
        Err e = {0};

        (void)state;
        assert_int_equal(notes_begin(n, &e), 0);
        put(n, "x", "1");
        notes_rollback(n);
        assert_note(n, "x", NULL);
        assert_int_equal(notes_begin(n, &e), 0);
        put(n, "x", "2");
        assert_int_equal(notes_commit(n, &e), 0);
        assert_note(n, "x", "2");
        notes_close(n);
}

typedef struct Seen {
        char keys[64];
        int stop_after;
} Seen;

static int see(void *arg, Span key, Span value) {
        Seen *s = arg;

        (void)value;
        (void)strncat(s->keys, key.p, key.n);
        (void)strcat(s->keys, ",");
        return --s->stop_after == 0 ? 7 : 0;
}

static void those_with_a_prefix_in_their_order(void **state) {
        Notes *n = open_notes(":memory:", "a");
        Seen all = {0}, after = {0}, first = {.stop_after = 1};
        Err e = {0};

        (void)state;
        put(n, "k/b", "");
        put(n, "k/a", "");
        put(n, "j", "");
        put(n, "l", "");
        put(n, "k/c", "");
        assert_int_equal(notes_each(n, SPAN("k/"), SPAN(""), see, &all, &e), 0);
        assert_string_equal(all.keys, "k/a,k/b,k/c,");
        assert_int_equal(notes_each(n, SPAN("k/"), SPAN("k/a"), see, &after, &e), 0);
        assert_string_equal(after.keys, "k/b,k/c,");
        assert_int_equal(notes_each(n, SPAN("k/"), SPAN(""), see, &first, &e), 7);
        assert_string_equal(first.keys, "k/a,");
        notes_close(n);
}

static void a_file_that_is_none_is_told_of(void **state) {
        Notes *n = NULL;
        Err e = {0};

        (void)state;
        assert_true(notes_open("/proc/nowhere/notes", SPAN("a"), &n, &e) < 0);
        assert_null(n);
        assert_non_null(strstr(e.text, "could not be opened"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_noted_stays),
                cmocka_unit_test(owners_do_not_see_each_other),
                cmocka_unit_test(all_or_nothing),
                cmocka_unit_test(those_with_a_prefix_in_their_order),
                cmocka_unit_test(a_file_that_is_none_is_told_of),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
