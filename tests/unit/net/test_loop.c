/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"
#include "unit.h"

enum { TELLERS = 3, NOTES_EACH = 20000, GUARD_MS = 30000 };

typedef struct House {
        Loop loop;
        uv_timer_t guard;
        size_t heard, expected[TELLERS];
} House;

typedef struct Word {
        Note note;
        House *house;
        size_t teller, number;
} Word;

static House house;
static Word words[TELLERS][NOTES_EACH];

static void on_guard(uv_timer_t *t) {
        (void)t;
        fail_msg("a note was not heard");
}

/* Each teller's words come once each, in their order. */
static void hear(Note *note) {
        const Word *w = CONTAINER_OF(note, Word, note);
        House *h = w->house;

        assert_int_equal(w->number, h->expected[w->teller]);
        h->expected[w->teller]++;
        if (++h->heard == (size_t)TELLERS * NOTES_EACH) {
                uv_close((uv_handle_t *)&h->guard, NULL);
                loop_stop(&h->loop);
        }
}

static void *tell(void *first) {
        for (Word *w = first, *end = w + NOTES_EACH; w < end; w++)
                inbox_send(&w->house->loop.inbox, &w->note);
        return NULL;
}

static void what_other_threads_send_wakes_the_loop(void **state) {
        pthread_t threads[TELLERS];

        (void)state;
        assert_int_equal(loop_init(&house.loop, 0, NULL), 0);
        assert_int_equal(uv_timer_init(&house.loop.uv, &house.guard), 0);
        assert_int_equal(uv_timer_start(&house.guard, on_guard, GUARD_MS, 0), 0);
        for (size_t t = 0; t < TELLERS; t++) {
                for (size_t i = 0; i < NOTES_EACH; i++)
                        words[t][i] = (Word){{.read = hear}, &house, t, i};
                assert_int_equal(pthread_create(&threads[t], NULL, tell, words[t]), 0);
        }
        loop_run(&house.loop);
        for (size_t t = 0; t < TELLERS; t++)
                assert_int_equal(pthread_join(threads[t], NULL), 0);
        assert_int_equal(house.heard, TELLERS * NOTES_EACH);
        loop_done(&house.loop);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_other_threads_send_wakes_the_loop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
