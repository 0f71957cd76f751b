/* SPDX-License-Identifier: Apache-2.0
 *
 * The stores against the simulation's ledger (rows.c): the same records, settles, claims, replays
 * and crashes, drawn from a seed, must have the same outcome in both. So what the simulation shows
 * of the engine holds with the stores that ship.
 *
 *     sim_stores --seed 1 --seeds 20 --steps 3000 */
#include "ledger/store.h"
#include "rows.h"

#include <unistd.h>

extern const StoreOps store_sqlite, store_memory;

enum { LANES = 5, TIME_STEP = 1 << 20, HELD_MAX = 200, TARGETS = 3 };

static const Span targets[TARGETS] = {SPAN("flow:a"), SPAN("flow:b"), SPAN("endpoint:c")};

typedef struct Pair {
        const StoreOps *ops;
        Store *store;
        StoreOptions options;
        Rows rows;
        Rng rng;
        int64_t now, due_place; /* all times differ, so that there is one order by time */
        unsigned shards;
        Job *held[HELD_MAX];
        size_t n_held;
        uint64_t crashes, claimed, replayed, steps;
        const char *why;
} Pair;

static bool fails(Pair *p, const char *why) {
        p->why = why;
        return false;
}

static void open_store(Pair *p) {
        Err e = {0};

        if (p->ops->open(&p->options, &p->store, &e) < 0) {
                printf("%s\n", e.text);
                abort();
        }
}

static bool write_one(Pair *p, Write *w) {
        Err e = {0};

        return p->ops->write(p->store, &w, 1, &e) == 0 || fails(p, "a write failed");
}

static int64_t row_id(const Job *job) {
        return job->id / 2;
}

static Row *row_of(Pair *p, const Job *job) {
        return rows_get(&p->rows, row_id(job));
}

static int64_t due(Pair *p) {
        return p->now + ((int64_t)rng_below(&p->rng, 30) * TIME_STEP) + ++p->due_place;
}

/* ---- the deeds ---- */

static bool record(Pair *p) {
        Row *row = rows_make(&p->rows, &p->rng);
        Event *event = event_new(
                &(Event){.id = row->id * 2 - 1, .source = SPAN("shop"), .body = SPAN("{}")});
        bool spilled = rng_below(&p->rng, 3) == 0;
        Job *job;
        Write w;

        row->lane = rng_below(&p->rng, LANES + 1);
        row->event = row->id;
        /* A lane is of one target. */
        row->target = row->lane ? row->lane % TARGETS : (unsigned)rng_below(&p->rng, TARGETS);
        job = job_new(row->id * 2, event, targets[row->target], row->lane);
        event_unref(event);
        job->spilled = spilled;
        row->loop = job->shard % p->shards;
        if (rng_below(&p->rng, 6) == 0) {
                job->state = JOB_WAITING;
                job->due_ms = row->due_ms = due(p);
        }
        w = (Write){.kind = WRITE_RECORD, .record = {event, &job, 1}};
        if (!write_one(p, &w))
                return false;
        if (row->due_ms)
                rows_record_waiting(&p->rows, row);
        else
                rows_record(&p->rows, row, spilled);
        if (job->state != row->state)
                return fails(p, "recorded in another state");
        if (row->is_held)
                p->held[p->n_held++] = job;
        else
                job_free(job);
        return true;
}

static Job *take_held(Pair *p) {
        size_t at = (size_t)rng_below(&p->rng, p->n_held);
        Job *job = p->held[at];

        p->held[at] = p->held[--p->n_held];
        return job;
}

/* An engine parks a job only behind one that will wake it. */
static bool may_park(const Pair *p, const Row *row) {
        LIST_EACH(&p->rows.lanes[row->lane], at) {
                const Row *other = CONTAINER_OF(at, Row, in_lane);

                if (row->lane && other->id < row->id && !other->is_held)
                        return true;
        }
        return false;
}

static bool settle(Pair *p) {
        static const JobState ends[] = {JOB_DONE, JOB_DEAD, JOB_WAITING, JOB_QUEUED, JOB_BLOCKED};
        Job *job = take_held(p);
        Row *row = row_of(p, job);
        Attempt a = {.number = ++job->attempts, .started_ms = p->now};
        Write w = {.kind = WRITE_SETTLE, .settle = {.job = job, .attempt = &a}};
        bool woke, ok;

        job->state = ends[rng_below(&p->rng, COUNT_OF(ends) - !may_park(p, row))];
        job->spilled = job->state == JOB_QUEUED; /* given back */
        job->due_ms = due(p);
        ok = write_one(p, &w);
        woke = rows_settle(&p->rows, row, job, p->now);
        job_free(job);
        return ok && (woke == w.settle.woke || fails(p, "another one was woken, or none"));
}

/* The row of the event's job for the target, or NULL. */
static Row *job_row(const Pair *p, int64_t event, unsigned target) {
        for (int64_t id = 1; id <= (int64_t)p->rows.n; id++) {
                Row *row = rows_get(&p->rows, id);

                if (row->turn && row->event == event && row->target == target)
                        return row;
        }
        return NULL;
}

static uint64_t lane_for(Pair *p, unsigned target) {
        uint64_t lane = rng_below(&p->rng, LANES + 1);

        return lane % TARGETS == target ? lane : 0;
}

/* Some event's job for some target, whether there is one, or it has ended. */
static bool replay(Pair *p) {
        const Row *some = rows_get(&p->rows, 1 + (int64_t)rng_below(&p->rng, p->rows.n));
        unsigned target = (unsigned)rng_below(&p->rng, TARGETS);
        Row *row = some->turn ? job_row(p, some->event, target) : NULL;

        if (!some->turn)
                return true;
        if (!row) {
                row = rows_make(&p->rows, &p->rng);
                row->event = some->event;
                row->target = target;
        }
        Event *event = event_new(&(Event){.id = row->event * 2 - 1});
        Job *job = job_new(row->id * 2, event, targets[target], lane_for(p, target));
        event_unref(event);
        /* Its maker says on which loop. */
        job->shard = (uint8_t)rng_below(&p->rng, 256);
        if (!row->turn || row->state == JOB_DONE || row->state == JOB_DEAD) {
                row->lane = job->lane;
                row->loop = job->shard % p->shards;
        }
        Write w = {.kind = WRITE_REPLAY,
                   .replay = {.job = job, .even_waiting = rng_below(&p->rng, 2)}};
        bool ok = write_one(p, &w), done = rows_replay(&p->rows, row, w.replay.even_waiting);
        bool is_same = w.replay.done == done && (!done || w.replay.done_id == row->id * 2);
        job_free(job);
        p->replayed += done;
        return ok && (is_same || fails(p, "a replay had another result"));
}

static bool same_claim(Pair *p, const Claim *got, const RowsClaim *c) {
        if (got->n != c->n)
                return fails(p, "more or fewer jobs were claimed");
        for (size_t i = 0; i < got->n; i++)
                if (row_id(got->jobs[i]) != c->found[i]->id)
                        return fails(p, "other jobs were claimed");
        for (size_t i = 0; i < got->n; i++)
                if (got->jobs[i]->shard % p->shards != c->found[i]->loop ||
                    got->jobs[i]->tries_from != c->found[i]->tries_from)
                        return fails(p, "a claimed job is not as it was recorded");
        if (c->is_due && got->next_due_ms > c->next_due_ms)
                return fails(p, "a claim says that nothing is due for too long");
        if (!c->is_due && got->searched_to / 2 > c->searched_to && c->more)
                return fails(p, "a claim says that it has searched too far");
        return !c->more || got->more || (c->is_due && got->next_due_ms <= p->now) ||
               fails(p, "a claim says that there is no more");
}

static bool claim(Pair *p) {
        Row *found[8];
        RowsClaim c = {.loop = (unsigned)rng_below(&p->rng, p->shards),
                       .target = (unsigned)rng_below(&p->rng, TARGETS),
                       .is_due = rng_below(&p->rng, 2),
                       .now_ms = p->now,
                       .max = 1 + (size_t)rng_below(&p->rng, COUNT_OF(found)),
                       .found = found};
        ClaimAsk ask = {.now_ms = p->now,
                        .shard = c.loop,
                        .shards = p->shards,
                        .max = c.max,
                        .target = targets[c.target],
                        .is_due = c.is_due};
        const HeapNode *first = heap_first(&p->rows.waiting[c.loop][c.target]);
        Claim got;
        Err e = {0};
        bool ok;

        if (!c.is_due)
                c.after_id = rng_below(&p->rng, 4) ? 0 : (int64_t)rng_below(&p->rng, p->rows.n + 1);
        else if (rng_below(&p->rng, 2))
                ask.from_ms = c.from_ms = first ? first->due : p->now;
        ask.after_id = c.after_id * 2;
        if (p->ops->claim(p->store, &ask, &got, &e) < 0)
                return fails(p, "a claim failed");
        rows_claim(&p->rows, &c);
        ok = same_claim(p, &got, &c);
        p->claimed += got.n;
        for (size_t i = 0; i < got.n; i++)
                p->held[p->n_held++] = got.jobs[i];
        free(got.jobs);
        return ok;
}

static void drop_held(Pair *p) {
        while (p->n_held)
                job_free(p->held[--p->n_held]);
}

/* The process ends, and starts again. */
static void crash(Pair *p) {
        drop_held(p);
        p->ops->close(p->store);
        open_store(p);
        rows_restart(&p->rows);
        p->crashes++;
}

static bool deed(Pair *p) {
        uint64_t what = rng_below(&p->rng, 1000);

        p->now += TIME_STEP;
        if (what < 4 && p->ops == &store_sqlite) { /* what is in memory ends with the process */
                crash(p);
                return true;
        }
        if (what < 230 && p->n_held + 8 < HELD_MAX)
                return record(p);
        if (what < 250 && p->rows.n > 0)
                return replay(p);
        if (what < 650 || p->n_held + 8 >= HELD_MAX)
                return p->n_held ? settle(p) : true;
        return claim(p);
}

static bool run(const StoreOps *ops, const char *path, uint64_t seed, uint64_t steps) {
        Pair p = {.ops = ops, .rng = rng_of(seed)};
        bool ok = true;

        p.options = (StoreOptions){.path = path, .node = "n"};
        p.shards = 1 + (unsigned)rng_below(&p.rng, 3);
        rows_init(&p.rows, LANES, rng_below(&p.rng, 2) ? 1 : WINDOW_MAX);
        open_store(&p);
        for (; ok && p.steps < steps; p.steps++)
                ok = deed(&p);
        if (!ok)
                printf("sim_stores --seed %" PRIu64 ": %s, step %" PRIu64 ": %s\n", seed,
                       ops->scheme, p.steps, p.why);
        else
                printf("%s, seed %" PRIu64 ": %zu jobs, %" PRIu64 " claimed, %" PRIu64
                       " replayed, %" PRIu64 " crashes: the same\n",
                       ops->scheme, seed, p.rows.n, p.claimed, p.replayed, p.crashes);
        drop_held(&p);
        p.ops->close(p.store);
        rows_done(&p.rows);
        return ok;
}

static uint64_t number(const char *text) {
        uint64_t n;

        if (!text || !span_to_u64(span_of(text), INT64_MAX, &n)) {
                fprintf(stderr, "usage: sim_stores [--seed N] [--seeds COUNT] [--steps N]\n");
                exit(2);
        }
        return n;
}

int main(int argc, char **argv) {
        uint64_t first = 1, n = 10, steps = 3000;
        /* In memory where there is such a place: what syncs cost is not the question. */
        char dir[] = "/dev/shm/grapnel-sim-XXXXXX", other[] = "/tmp/grapnel-sim-XXXXXX", path[64];
        bool ok = true;

        for (int i = 1; i < argc; i += 2) {
                uint64_t value = number(argv[i + 1]);

                if (strcmp(argv[i], "--seed") == 0)
                        first = value;
                else if (strcmp(argv[i], "--seeds") == 0)
                        n = value;
                else
                        steps = value;
        }
        const char *place = mkdtemp(dir) ? dir : mkdtemp(other);
        must(place);
        (void)snprintf(path, sizeof path, "%s/t.db", place);
        for (uint64_t seed = first; ok && seed < first + n; seed++) {
                static const char *const ends[] = {"", "-wal", "-shm", "-lock", ".lock"};
                char file[96];

                ok = run(&store_memory, path, seed, steps) && run(&store_sqlite, path, seed, steps);
                for (size_t i = 0; i < COUNT_OF(ends); i++) {
                        (void)snprintf(file, sizeof file, "%s%s", path, ends[i]);
                        (void)unlink(file);
                }
        }
        (void)rmdir(place);
        return ok ? 0 : 1;
}
