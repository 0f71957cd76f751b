/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/state.h"

#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void the_table_says_which_moves_there_are(void **state) {
        static const struct {
                JobState from, to;
        } allowed[] = {
                {JOB_QUEUED, JOB_RUNNING},  {JOB_QUEUED, JOB_BLOCKED}, {JOB_QUEUED, JOB_DEAD},
                {JOB_WAITING, JOB_QUEUED},  {JOB_BLOCKED, JOB_QUEUED}, {JOB_RUNNING, JOB_DONE},
                {JOB_RUNNING, JOB_WAITING}, {JOB_RUNNING, JOB_DEAD},   {JOB_RUNNING, JOB_QUEUED},
        };

        (void)state;
        for (JobState from = JOB_QUEUED; from <= JOB_RUNNING; from++)
                for (JobState to = JOB_QUEUED; to <= JOB_RUNNING; to++) {
                        bool expected = from == to;

                        for (size_t i = 0; i < COUNT_OF(allowed); i++)
                                expected |= allowed[i].from == from && allowed[i].to == to;
                        assert_int_equal(job_may_move(from, to), expected);
                }
}

static void a_move_changes_state_and_list(void **state) {
        List ready, running;
        Job job = {.state = JOB_QUEUED};

        (void)state;
        list_init(&ready);
        list_init(&running);
        link_init(&job.link);
        job_move(&job, JOB_QUEUED, NULL, &ready);
        job_move(&job, JOB_RUNNING, &ready, &running);
        assert_int_equal(job.state, JOB_RUNNING);
        assert_int_equal(ready.n, 0);
        assert_ptr_equal(list_first(&running), &job.link);
        job_move(&job, JOB_DONE, &running, NULL);
        assert_int_equal(running.n, 0);
}

static void a_forbidden_move_ends_the_process(void **state) {
        int status = 0;
        pid_t child = fork();

        (void)state;
        assert_true(child >= 0);
        if (child == 0) {
                Job job = {.state = JOB_DONE};

                link_init(&job.link);
                fclose(stderr);
                job_move(&job, JOB_RUNNING, NULL, NULL);
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_table_says_which_moves_there_are),
                cmocka_unit_test(a_move_changes_state_and_list),
                cmocka_unit_test(a_forbidden_move_ends_the_process),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
