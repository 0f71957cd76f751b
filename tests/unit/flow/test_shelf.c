/* SPDX-License-Identifier: Apache-2.0
 *
 * The shelf of programs: what is asked for stays, what nobody asks for makes room. Plain paths need
 * no process, so that there may be many. */
#include "flow/shelf.h"

#include "base/inbox.h"
#include "unit.h"

enum { BOARDS = 2, FULL = BOARDS * SHELF_BOARD_MAX };

static Span text_of(char ret[32], unsigned i) {
        (void)snprintf(ret, 32, ".event.a%u", i);
        return span_of(ret);
}

static void add(Shelf *s, unsigned i) {
        char text[32];
        Err e = {0};

        if (shelf_add(s, text_of(text, i), &e) < 0)
                fail_msg("%s", e.text);
}

/* Asks for it, as a delivery does. */
static bool has(Shelf *s, unsigned i) {
        const Program *p = NULL;
        char text[32];
        ProgramSet *set = shelf_find(s, text_of(text, i), &p);

        assert_true(!set || (p && span_eq(program_text(p), span_of(text))));
        program_set_unref(set);
        return set != NULL;
}

static void what_is_added_is_found_once(void **state) {
        Shelf *s = shelf_new_for(BOARDS);

        (void)state;
        assert_false(has(s, 1));
        add(s, 1);
        add(s, 1);
        add(s, 2);
        assert_true(has(s, 1) && has(s, 2));
        assert_int_equal(shelf_count(s), 2);
        shelf_free(s);
}

/* Ten times as many as there is room for, and those in use are always there. */
static void what_is_in_use_stays_and_what_is_not_makes_room(void **state) {
        Shelf *s = shelf_new_for(BOARDS);

        (void)state;
        for (unsigned i = 0; i < 10 * FULL; i++) {
                add(s, i);
                assert_true(has(s, i));
                for (unsigned used = 0; used < 8 && used <= i; used++)
                        assert_true(has(s, used));
                assert_true(shelf_count(s) <= FULL);
        }
        assert_false(has(s, FULL / 2));
        assert_true(shelf_count(s) > FULL / 4);
        shelf_free(s);
}

/* Also when more are in use than there is room for: each comes back when it is wanted. */
static void more_than_there_is_room_for_take_turns(void **state) {
        Shelf *s = shelf_new_for(1);

        (void)state;
        for (unsigned turn = 0; turn < 3; turn++)
                for (unsigned i = 0; i < 2 * SHELF_BOARD_MAX; i++) {
                        add(s, i);
                        assert_true(has(s, i));
                }
        shelf_free(s);
}

/* Who holds a set goes on with it, whatever becomes of the board. */
static void a_set_in_use_outlives_its_board(void **state) {
        Shelf *s = shelf_new_for(1);
        const Program *p = NULL;
        ProgramSet *set;

        (void)state;
        add(s, 0);
        set = shelf_find(s, SPAN(".event.a0"), &p);
        assert_true(shelf_is_current(s, set));
        for (unsigned i = 1; i < 3 * SHELF_BOARD_MAX; i++)
                add(s, i);
        assert_false(has(s, 0));
        assert_false(shelf_is_current(s, set));
        assert_true(span_eq(program_text(p), SPAN(".event.a0")));
        program_set_unref(set);
        shelf_free(s);
}

/* A text that is refused pushes nothing off a full shelf. */
static void a_bad_program_takes_no_room(void **state) {
        Shelf *s = shelf_new_for(1);
        Err e = {0};

        (void)state;
        for (unsigned i = 0; i < SHELF_BOARD_MAX; i++)
                add(s, i);
        assert_int_equal(shelf_add(s, SPAN(".a | import"), &e), -EINVAL);
        assert_true(e.text[0]);
        assert_int_equal(shelf_count(s), SHELF_BOARD_MAX);
        for (unsigned i = 0; i < SHELF_BOARD_MAX; i++)
                assert_true(has(s, i));
        shelf_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_added_is_found_once),
                cmocka_unit_test(what_is_in_use_stays_and_what_is_not_makes_room),
                cmocka_unit_test(more_than_there_is_room_for_take_turns),
                cmocka_unit_test(a_set_in_use_outlives_its_board),
                cmocka_unit_test(a_bad_program_takes_no_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
