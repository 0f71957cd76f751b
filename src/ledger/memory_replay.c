/* SPDX-License-Identifier: Apache-2.0
 *
 * Replays, and what is made to be forgotten, in memory. */
#include "ledger/meta.h"
#include "ledger/store_memory.h"

static void add(Memory *m, MemoryEvent *event, const Job *from) {
        Job parts = *from;
        size_t at = event->n_jobs;

        parts.spilled = true;
        MemoryJob *j = memory_job_new(m, event, &parts, JOB_QUEUED);
        j->is_replay = true;
        event->jobs = realloc(event->jobs, (event->n_jobs + 1) * sizeof(MemoryJob *));
        must(event->jobs);
        for (; at > 0 && event->jobs[at - 1]->id > j->id; at--)
                event->jobs[at] = event->jobs[at - 1];
        event->jobs[at] = j;
        event->n_jobs++;
}

/* One that waits keeps its place in its lane: those behind it wait for its end. */
static void hurry(Memory *m, MemoryJob *j) {
        j->tries_from = j->n_attempts;
        j->is_replay = true;
        j->is_free = true;
        j->due_ms = 0;
        memory_move(m, j, JOB_QUEUED);
}

static void revive(Memory *m, MemoryJob *j, const Job *from) {
        j->lane = from->lane;
        j->shard = from->shard;
        hurry(m, j);
}

void memory_replay(Memory *m, Write *w) {
        const Job *from = w->replay.job;
        MemoryEvent *event = memory_event(m, from->event->id);
        MemoryJob *known = NULL;

        w->replay.done = false;
        w->replay.found = JOB_STATES;
        for (size_t i = 0; event && i < event->n_jobs; i++) {
                if (!span_eq(span_of(event->jobs[i]->target), from->target))
                        continue;
                known = event->jobs[i];
                w->replay.found = known->state;
                if (known->state < JOB_DONE)
                        break;
        }
        if (!event || (known && w->replay.only_missing) ||
            (known && known->state < JOB_DONE &&
             !(known->state == JOB_WAITING && w->replay.even_waiting)))
                return;
        w->replay.done = true;
        w->replay.done_id = known ? known->id : from->id;
        if (known && known->state == JOB_WAITING)
                hurry(m, known);
        else if (known)
                revive(m, known, from);
        else
                add(m, event, from);
}

static bool expunge_attempt(Memory *m, const Write *w) {
        MemoryJob *j = memory_job(m, w->expunge.job);

        if (!j || (w->expunge.event && j->event->event->id != w->expunge.event))
                return false;
        for (size_t i = 0; i < j->n_listed; i++) {
                Attempt *a = &j->attempts[i];

                if (a->number != w->expunge.attempt)
                        continue;
                memset((char *)a->detail.p, 0, a->detail.n);
                j->event->bytes -= a->detail.n;
                m->bytes -= a->detail.n;
                a->detail.n = 0;
                return true;
        }
        return false;
}

/* Whoever holds the event has it as it was. */
static bool expunge_body(Memory *m, int64_t id) {
        AUTO(buf_done)
        Buf meta = BUF(META_MAX_BYTES);
        MemoryEvent *event = memory_event(m, id);

        if (!event)
                return false;
        Event parts = *event->event;
        meta_expunged(parts.meta, &meta);
        event->bytes -= parts.body.n;
        m->bytes -= parts.body.n;
        parts.meta = buf_span(&meta);
        parts.body = SPAN("");
        Event *bare = event_new(&parts);
        event_unref(event->event);
        event->event = bare;
        return true;
}

void memory_expunge(Memory *m, Write *w) {
        w->expunge.done =
                w->expunge.job ? expunge_attempt(m, w) : expunge_body(m, w->expunge.event);
}
