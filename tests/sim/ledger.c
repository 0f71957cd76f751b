/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger as the loops know it: what they send takes effect in that order, in batches, some
 * time later; each loop hears the replies in that order, again some time later. */
#include "world.h"

void ask_free(Ask *ask) {
        free(ask->claim.found);
        free(ask);
}

static void do_record(World *w, Ask *ask) {
        Row *row = rows_get(&w->rows, ask->job->id);

        if (w->disk_is_full) {
                ask->fault = -ENOSPC;
                return;
        }
        rows_record(&w->rows, row, ask->spilled);
        ask->job->state = row->state;
        tell(w, row, "recorded as %d%s", (int)row->state, ask->spilled ? ", spilled" : "");
}

static void do_settle(World *w, Ask *ask) {
        Row *row = rows_get(&w->rows, ask->job->id);

        if (w->disk_is_full) {
                ask->fault = -ENOSPC;
                tell(w, row, "not settled as %d: disk full", (int)ask->job->state);
                return;
        }
        if (!row->is_held || row->state != JOB_QUEUED)
                broken(w, row->id, "a job is settled that nobody holds");
        ask->woke = rows_settle(&w->rows, row, ask->job, w->now_ms);
        tell(w, row, "settled as %d, due %" PRId64 "%s", (int)row->state, row->due_ms,
             ask->woke ? ", woke the next" : "");
}

static void do_claim(World *w, Ask *ask) {
        if (w->disk_is_full) {
                ask->fault = -ENOSPC;
                return;
        }
        ask->claim.found = must_alloc(ask->claim.max * sizeof(Row *));
        ask->claim.now_ms = w->now_ms;
        rows_claim(&w->rows, &ask->claim);
        for (size_t i = 0; i < ask->claim.n; i++)
                tell(w, ask->claim.found[i], "claimed");
        w->tally.claims++;
}

static void drop_ask(Deed *d) {
        if (d->ask->kind == ASK_RECORD)
                free(d->ask->job);
        ask_free(d->ask);
}

static void reply(World *w, Ask *ask) {
        Loop *l = &w->loop[ask->loop];
        int64_t at = w->now_ms + chance(w, w->reply_max_ms + 1);
        Deed *d;

        if (at < l->reply_at_ms)
                at = l->reply_at_ms;
        l->reply_at_ms = at;
        d = deed_at(w, at, loop_hears, true);
        d->loop = ask->loop;
        d->ask = ask;
        d->drop = drop_ask;
}

static void commit(World *w, Deed *d);

static void begin(World *w) {
        if (w->is_committing || w->asks.n == 0)
                return;
        w->is_committing = true;
        deed_at(w, w->now_ms + 1 + chance(w, w->commit_max_ms), commit, true);
}

static void commit(World *w, Deed *d) {
        int64_t n = 1 + chance(w, w->batch_max);
        Link *at;

        (void)d;
        w->is_committing = false;
        while (n-- > 0 && (at = list_pop(&w->asks))) {
                Ask *ask = CONTAINER_OF(at, Ask, link);

                if (w->disk_is_full && w->keeps_settles && ask->kind != ASK_RECORD) {
                        /* It tries again until there is room; what was sent later waits too. */
                        list_push_front(&w->asks, at);
                        break;
                }
                if (ask->kind == ASK_RECORD)
                        do_record(w, ask);
                else if (ask->kind == ASK_SETTLE)
                        do_settle(w, ask);
                else
                        do_claim(w, ask);
                reply(w, ask);
        }
        if (w->asks.n && w->disk_is_full) {
                w->is_committing = true;
                deed_at(w, w->now_ms + 1000, commit, true);
        }
        begin(w);
}

void ledger_ask(World *w, Ask *ask) {
        list_push(&w->asks, &ask->link);
        begin(w);
}
