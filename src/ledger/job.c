/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/job.h"

const char *job_state_name(JobState s) {
        static const char *const names[] = {
                [JOB_QUEUED] = "queued", [JOB_WAITING] = "waiting", [JOB_BLOCKED] = "blocked",
                [JOB_DONE] = "done",     [JOB_DEAD] = "dead",       [JOB_RUNNING] = "running",
        };

        must((size_t)s < COUNT_OF(names));
        return names[s];
}

/* The top byte of a multiplicative hash: ids made in quiet times differ in few of their bits. */
static uint8_t shard_of(uint64_t n) {
        return (uint8_t)(n * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

Job *job_new(int64_t id, Event *event, Span target, uint64_t lane) {
        Job *j = must_alloc(sizeof *j + target.n);
        char *bytes = (char *)(j + 1);

        if (target.n)
                memcpy(bytes, target.p, target.n);
        j->id = id;
        j->event = event_ref(event);
        j->target = (Span){bytes, target.n};
        j->lane = lane;
        j->shard = shard_of(lane ? lane : (uint64_t)id);
        link_init(&j->link);
        return j;
}

Job *job_free(Job *j) {
        if (!j)
                return NULL;
        event_unref(j->event);
        free(j);
        return NULL;
}
