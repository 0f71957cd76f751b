/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/state.h"

#define TO(state) (1u << (state))

static const unsigned moves[] = {
        /* runs; parked behind its lane; its target is gone */
        [JOB_QUEUED] = TO(JOB_RUNNING) | TO(JOB_BLOCKED) | TO(JOB_DEAD),
        /* claimed when due */
        [JOB_WAITING] = TO(JOB_QUEUED),
        /* woken and claimed */
        [JOB_BLOCKED] = TO(JOB_QUEUED),
        /* it ends; its batch had no room for it */
        [JOB_RUNNING] = TO(JOB_DONE) | TO(JOB_DEAD) | TO(JOB_WAITING) | TO(JOB_QUEUED),
        [JOB_DONE] = 0,
        [JOB_DEAD] = 0,
};

bool job_may_move(JobState from, JobState to) {
        must((size_t)from < COUNT_OF(moves) && (size_t)to < COUNT_OF(moves));
        return from == to || (moves[from] & TO(to));
}

void job_move(Job *job, JobState to, List *from, List *onto) {
        must(job_may_move(job->state, to));
        must(link_on(&job->link) == (from != NULL));
        if (from)
                list_remove(from, &job->link);
        job->state = to;
        if (onto)
                list_push(onto, &job->link);
}
