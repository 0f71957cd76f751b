/* SPDX-License-Identifier: Apache-2.0
 *
 * A leash whose helper is played by the test: what the daemon makes of answers that no honest
 * helper would give. */
#include "map/leash.h"
#include "map/wire.h"
#include "unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Stage {
        uv_loop_t loop;
        LeashOwner owner;
        Leash *leash;
        int theirs;
        pid_t pid; /* a process that the leash takes for its helper */
        Pending *pending[3];
        unsigned answers;
        MapEnd last_end;
        char output[32];
        bool ended, closed;
        LeashEnd end;
        const char *why;
} Stage;

static void on_answered(void *arg, Pending *p, MapEnd end, Span output) {
        Stage *s = arg;

        (void)snprintf(s->output, sizeof s->output, SPAN_FMT, SPAN_ARG(output));
        s->last_end = end;
        s->answers++;
        pending_free(p);
}

static void on_ended(void *arg, Leash *l, LeashEnd end, const char *why) {
        Stage *s = arg;

        assert_ptr_equal(l, s->leash);
        assert_false(s->ended);
        s->ended = true;
        s->end = end;
        s->why = why;
}

static void on_closed(void *arg) {
        ((Stage *)arg)->closed = true;
}

static Pending *pending(void) {
        Pending *p = must_alloc(sizeof *p);

        p->bytes = BUF(100);
        assert_int_equal(buf_add(&p->bytes, SPAN("12345678{}")), 0);
        return p;
}

static Stage *stage_new(unsigned calls) {
        Stage *s = must_alloc(sizeof *s);
        int ends[2];

        s->pid = fork(); /* before there is a stream that it could hold open */
        if (s->pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        assert_int_equal(uv_loop_init(&s->loop), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        s->owner = (LeashOwner){on_answered, on_ended, s};
        s->theirs = ends[1];
        assert_int_equal(leash_new(&s->loop, ends[0], 60000, 60000, &s->owner, &s->leash, NULL), 0);
        for (unsigned i = 0; i < calls; i++)
                leash_give(s->leash, pending());
        leash_flush(s->leash);
        return s;
}

static void says(Stage *s, uint32_t word, uint32_t n, const void *bytes, size_t n_bytes) {
        WireHead head = {n, word};

        assert_int_equal(send(s->theirs, &head, sizeof head, MSG_NOSIGNAL), sizeof head);
        if (n_bytes)
                assert_int_equal(send(s->theirs, bytes, n_bytes, MSG_NOSIGNAL), n_bytes);
}

static void says_hello(Stage *s) {
        int32_t pid = (int32_t)s->pid;

        says(s, WIRE_HELLO, sizeof pid, &pid, sizeof pid);
}

static void stage_turn(Stage *s) {
        for (int i = 0; i < 3; i++)
                uv_run(&s->loop, UV_RUN_NOWAIT);
}

/* Ends all; `killed`: is it the leash that ended the process? */
static void stage_end(Stage *s, bool killed) {
        int status;

        for (Pending *p; (p = leash_take(s->leash));)
                pending_free(p);
        leash_close(s->leash, on_closed, s);
        while (uv_run(&s->loop, UV_RUN_DEFAULT))
                ;
        assert_true(s->closed);
        assert_int_equal(uv_loop_close(&s->loop), 0);
        if (!killed)
                assert_int_equal(kill(s->pid, SIGTERM), 0);
        assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), killed ? SIGKILL : SIGTERM);
        if (s->theirs >= 0)
                close(s->theirs);
        free(s);
}

static void answers_belong_to_the_oldest_call(void **state) {
        Stage *s = stage_new(3);

        (void)state;
        says_hello(s);
        says(s, WIRE_OK, 3, "abc", 3);
        says(s, WIRE_FAILED, 3, "why", 2);
        stage_turn(s);
        assert_int_equal(leash_pid(s->leash), s->pid);
        assert_int_equal(s->answers, 1);
        assert_string_equal(s->output, "abc");
        assert_int_equal(send(s->theirs, "y", 1, 0), 1);
        stage_turn(s);
        assert_int_equal(s->answers, 2);
        assert_int_equal(s->last_end, MAP_FAILED);
        assert_string_equal(s->output, "why");
        assert_int_equal(leash_load(s->leash), 1);
        assert_false(s->ended);
        stage_end(s, true);
}

static void nothing_is_believed_before_the_hello(void **state) {
        Stage *s = stage_new(1);

        (void)state;
        says(s, WIRE_OK, 3, "abc", 3);
        stage_turn(s);
        assert_true(s->ended && s->end == LEASH_NO_START && s->answers == 0);
        assert_int_equal(leash_pid(s->leash), 0);
        stage_end(s, false);
}

static void a_process_id_must_be_one(void **state) {
        static const int32_t ids[] = {-1, 0, 1};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(ids); i++) {
                Stage *s = stage_new(1);

                says(s, WIRE_HELLO, sizeof ids[i], &ids[i], sizeof ids[i]);
                stage_turn(s);
                assert_true(s->ended);
                assert_int_equal(leash_pid(s->leash), 0);
                stage_end(s, false);
        }
}

static void a_second_hello_changes_nothing(void **state) {
        Stage *s = stage_new(1);
        int32_t other = (int32_t)getpid();

        (void)state;
        says_hello(s);
        says(s, WIRE_HELLO, sizeof other, &other, sizeof other);
        stage_turn(s);
        assert_true(s->ended && s->why);
        assert_int_equal(leash_pid(s->leash), s->pid);
        stage_end(s, true);
}

static void an_answer_that_nobody_asked_for_ends_it(void **state) {
        Stage *s = stage_new(1);

        (void)state;
        says_hello(s);
        says(s, WIRE_OK, 1, "1", 1);
        says(s, WIRE_OK, 1, "2", 1);
        stage_turn(s);
        assert_int_equal(s->answers, 1);
        assert_true(s->ended);
        stage_end(s, true);
}

static void a_length_over_the_maximum_ends_it(void **state) {
        Stage *s = stage_new(1);

        (void)state;
        says_hello(s);
        says(s, WIRE_OK, MAP_OUTPUT_MAX_BYTES + 1, NULL, 0);
        stage_turn(s);
        assert_true(s->ended && s->why && s->answers == 0);
        stage_end(s, true);
}

static void an_unknown_word_ends_it(void **state) {
        static const uint32_t words[] = {100, UINT32_MAX};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(words); i++) {
                Stage *s = stage_new(1);

                says_hello(s);
                says(s, words[i], 0, NULL, 0);
                stage_turn(s);
                assert_true(s->ended && s->answers == 0);
                assert_string_equal(s->why, "the helper for jq programs answered nonsense");
                stage_end(s, true);
        }
}

static void the_last_word_says_why(void **state) {
        Stage *s = stage_new(2);

        (void)state;
        says_hello(s);
        says(s, WIRE_CPU, 0, NULL, 0);
        stage_turn(s);
        assert_true(s->ended);
        assert_int_equal(s->end, LEASH_GUILTY);
        assert_string_equal(s->why, "the program used up its CPU time");
        assert_int_equal(leash_load(s->leash), 2);
        stage_end(s, true);
}

static void a_helper_may_ask_for_its_end_between_runs(void **state) {
        (void)state;
        for (unsigned answers = 0; answers < 2; answers++) {
                Stage *s = stage_new(2);

                says_hello(s);
                if (answers)
                        says(s, WIRE_OK, 1, "1", 1);
                says(s, WIRE_TIRED, 0, NULL, 0);
                stage_turn(s);
                assert_true(s->ended);
                assert_int_equal(s->end, answers ? LEASH_RESTED : LEASH_GUILTY);
                assert_int_equal(leash_load(s->leash), 2 - answers);
                stage_end(s, true);
        }
}

static void a_helper_that_is_gone_is_not_killed(void **state) {
        Stage *s = stage_new(1);

        (void)state;
        says_hello(s);
        says(s, WIRE_OK, 1, "1", 1);
        close(s->theirs);
        s->theirs = -1;
        stage_turn(s);
        assert_int_equal(s->answers, 1);
        assert_true(s->ended && s->end == LEASH_SILENT);
        stage_end(s, false);
}

static void a_last_word_is_heard_though_inputs_were_unread(void **state) {
        Stage *s = stage_new(3);

        (void)state;
        says_hello(s);
        says(s, WIRE_OK, 1, "1", 1);
        says(s, WIRE_CRASH, 0, NULL, 0);
        close(s->theirs);
        s->theirs = -1;
        stage_turn(s);
        assert_int_equal(s->answers, 1);
        assert_true(s->ended);
        assert_string_equal(s->why, "the program crashed jq");
        stage_end(s, false);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_belong_to_the_oldest_call),
                cmocka_unit_test(nothing_is_believed_before_the_hello),
                cmocka_unit_test(a_process_id_must_be_one),
                cmocka_unit_test(a_second_hello_changes_nothing),
                cmocka_unit_test(an_answer_that_nobody_asked_for_ends_it),
                cmocka_unit_test(a_length_over_the_maximum_ends_it),
                cmocka_unit_test(an_unknown_word_ends_it),
                cmocka_unit_test(the_last_word_says_why),
                cmocka_unit_test(a_helper_may_ask_for_its_end_between_runs),
                cmocka_unit_test(a_helper_that_is_gone_is_not_killed),
                cmocka_unit_test(a_last_word_is_heard_though_inputs_were_unread),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
