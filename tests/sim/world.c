/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#define HOUR_MS INT64_C(3600000)

enum { REST_HOURS = 2000, DEEDS_MAX = 200 * 1000 * 1000, STOP_MS = 18000, STOP_LOOK_MS = 20 };

int64_t chance(World *w, int64_t below) {
        return (int64_t)rng_below(&w->rng, (uint64_t)below);
}

Deed *deed_at(World *w, int64_t when_ms, void (*act)(World *w, Deed *d), bool dies_with_process) {
        Deed *d = must_alloc(sizeof *d);

        d->act = act;
        d->dies_with_process = dies_with_process;
        link_init(&d->link);
        if (dies_with_process)
                list_push(&w->mortal, &d->link);
        heap_push(&w->deeds, &d->node, when_ms);
        return d;
}

static void deed_leaves(World *w, Deed *d) {
        heap_remove(&w->deeds, &d->node);
        if (link_on(&d->link))
                list_remove(&w->mortal, &d->link);
}

void deed_drop(World *w, Deed *d) {
        deed_leaves(w, d);
        if (d->drop)
                d->drop(d);
        free(d);
}

static void on_arrival(World *w, Deed *d) {
        unsigned target = (unsigned)chance(w, w->n_targets);
        uint64_t lane = 0;
        unsigned loop = (unsigned)chance(w, w->n_loops);

        (void)d;
        if (w->is_stopping)
                return;
        if (happens(w, w->lane_percent)) {
                lane = 1 + target * w->lanes_per_target + (uint64_t)chance(w, w->lanes_per_target);
                loop = (unsigned)(lane % w->n_loops);
        }
        loop_arrival(&w->loop[loop], target, lane);
        loop_step(&w->loop[loop]);
}

static void process_dies(World *w) {
        Link *at;

        for (unsigned i = 0; i < w->n_loops; i++)
                loop_crash(&w->loop[i]);
        while ((at = list_first(&w->mortal)))
                deed_drop(w, CONTAINER_OF(at, Deed, link));
        while ((at = list_pop(&w->asks))) {
                Ask *ask = CONTAINER_OF(at, Ask, link);

                if (ask->kind == ASK_RECORD)
                        free(ask->job);
                ask_free(ask);
        }
        w->is_committing = w->is_stopping = false;
}

static void share(World *w) {
        for (size_t i = 0; i < SHARED_MAX; i++) {
                Shared *s = &w->shared[i];

                throttle_unref(s->throttle);
                s->throttle = throttle_new();
                throttle_set(s->throttle, s->rate);
                s->n_begun = 0;
        }
        for (unsigned i = 0; i < w->n_targets; i++) {
                Target *t = &w->target[i];

                t->limits.throttle = t->shared ? w->shared[t->shared - 1].throttle : NULL;
        }
}

static void start_anew(World *w) {
        process_dies(w);
        share(w);
        rows_restart(&w->rows);
        for (unsigned i = 0; i < w->n_loops; i++)
                loop_start(&w->loop[i], true);
}

static void on_crash(World *w, Deed *d) {
        (void)d;
        if (w->is_closing)
                return;
        tell(w, NULL, "the process dies and starts anew");
        w->tally.crashes++;
        start_anew(w);
}

static bool is_at_rest(const World *w) {
        for (unsigned i = 0; i < w->n_loops; i++) {
                EngineGauges g = engine_gauges(w->loop[i].engine);

                if (g.running > 0 || g.unsettled > 0 || g.is_asking || w->loop[i].recording > 0)
                        return false;
        }
        return w->asks.n == 0 && !w->is_committing;
}

static void on_stop_look(World *w, Deed *d) {
        (void)d;
        if (!w->is_stopping) /* it has died meanwhile */
                return;
        if (is_at_rest(w))
                judge_stop(w);
        else if (w->now_ms < w->stop_by_ms) {
                deed_at(w, w->now_ms + STOP_LOOK_MS, on_stop_look, false);
                return;
        }
        tell(w, NULL, "the process has stopped and starts anew");
        start_anew(w);
}

static void on_stop(World *w, Deed *d) {
        (void)d;
        if (w->is_closing || w->is_stopping)
                return;
        tell(w, NULL, "the process is told to stop");
        w->tally.stops++;
        w->is_stopping = true;
        w->stop_by_ms = w->now_ms + STOP_MS;
        for (unsigned i = 0; i < w->n_loops; i++) {
                engine_drain(w->loop[i].engine);
                loop_step(&w->loop[i]);
        }
        deed_at(w, w->now_ms, on_stop_look, false);
}

static void on_disk_freed(World *w, Deed *d) {
        (void)d;
        tell(w, NULL, "the disk has room");
        w->disk_is_full = false;
}

static void on_disk_full(World *w, Deed *d) {
        int64_t lasts_ms = happens(w, 80) ? chance(w, 3000) : chance(w, HOUR_MS);

        (void)d;
        if (w->is_closing || w->disk_is_full)
                return;
        tell(w, NULL, "the disk is full");
        w->tally.full_disks++;
        w->disk_is_full = true;
        deed_at(w, w->now_ms + lasts_ms, on_disk_freed, false);
}

/* Events come in bursts, and misfortunes like to come with them. */
static void on_burst(World *w, Deed *d) {
        int64_t n = 1 + chance(w, happens(w, 10) ? 400 : 30), within_ms = 1 + chance(w, 2000);

        (void)d;
        if (w->is_closing)
                return;
        for (int64_t i = 0; i < n; i++)
                deed_at(w, w->now_ms + chance(w, within_ms), on_arrival, false);
        if (happens(w, 5))
                deed_at(w, w->now_ms + chance(w, within_ms + 500), on_crash, false);
        if (happens(w, 5))
                deed_at(w, w->now_ms + chance(w, within_ms + 500), on_stop, false);
        if (happens(w, 5))
                deed_at(w, w->now_ms + chance(w, within_ms + 500), on_disk_full, false);
        deed_at(w, w->now_ms + chance(w, happens(w, 30) ? 2000 : HOUR_MS), on_burst, false);
}

static void on_weather(World *w, Deed *d) {
        Target *t = &w->target[chance(w, w->n_targets)];

        (void)d;
        if (w->is_closing)
                return;
        t->is_away = happens(w, t->away_percent);
        t->is_slow = happens(w, 20);
        t->is_removed = happens(w, 2);
        deed_at(w, w->now_ms + chance(w, happens(w, 50) ? HOUR_MS : 30000), on_weather, false);
}

static void on_closing(World *w, Deed *d) {
        (void)d;
        tell(w, NULL, "all is well from now on");
        w->is_closing = true;
        w->disk_is_full = false;
        for (unsigned i = 0; i < w->n_targets; i++)
                w->target[i].is_away = w->target[i].is_slow = w->target[i].is_removed = false;
}

static void make_targets(World *w) {
        for (size_t i = 0; i < SHARED_MAX; i++)
                w->shared[i].rate = 1 + (uint32_t)chance(w, SHARED_RATE_MAX);
        for (unsigned i = 0; i < w->n_targets; i++) {
                Target *t = &w->target[i];
                /* One draw per statement: in a call, the order would be the compiler's. */
                int64_t base_ms = 1 + chance(w, happens(w, 50) ? 20 : 5000);
                int64_t cap_ms = base_ms + chance(w, HOUR_MS);
                unsigned n = (unsigned)chance(w, 12);

                snprintf(t->name, sizeof t->name, "flow:%u", i);
                t->rule = happens(w, 30) ? retry_default : retry_exponential(base_ms, cap_ms, n);
                t->away_percent = happens(w, 30) ? 90 : 20;
                t->limits.width = happens(w, 50) ? 1 + (unsigned)chance(w, 10) : 0;
                t->limits.rate = happens(w, 30) ? 1 + (unsigned)chance(w, 50) : 0;
                t->shared = happens(w, 30) ? 1 + (unsigned)chance(w, SHARED_MAX) : 0;
                if (happens(w, 40)) {
                        t->limits.batch = 2 + (unsigned)chance(w, happens(w, 50) ? 5 : 200);
                        t->limits.batch_bytes = 1; /* events have none here */
                        t->limits.batch_wait_ms = happens(w, 50) ? chance(w, 60000) : 0;
                }
        }
}

static void make(World *w, const Seed *seed) {
        *w = (World){.rng = rng_of(seed->seed)};
        list_init(&w->mortal);
        list_init(&w->asks);
        w->now_ms = INT64_C(1700000000000);
        w->end_ms = w->now_ms + seed->hours * HOUR_MS;
        w->told_job = seed->told_job;
        w->told_lane = seed->told_lane;
        w->n_loops = 1 + (unsigned)chance(w, 3);
        w->n_targets = 1 + (unsigned)chance(w, COUNT_OF(w->target));
        w->limits.jobs_max = (size_t)(1 + chance(w, happens(w, 50) ? 30 : 1000));
        w->limits.running_max = (size_t)(1 + chance(w, happens(w, 50) ? 5 : 100));
        w->recording_max = (size_t)(1 + chance(w, happens(w, 50) ? 5 : 100));
        w->commit_max_ms = 1 + (int)chance(w, 30);
        w->reply_max_ms = (int)chance(w, happens(w, 50) ? 3 : 100);
        w->batch_max = 1 + (int)chance(w, happens(w, 50) ? 3 : 100);
        w->keeps_settles = happens(w, 50);
        w->lane_percent = happens(w, 50) ? 95 : 40;
        w->lanes_per_target = 1 + (unsigned)chance(w, happens(w, 50) ? 3 : 30);
        make_targets(w);
        share(w);
        rows_init(&w->rows, (size_t)w->n_targets * w->lanes_per_target,
                  happens(w, 50) ? 1 : WINDOW_MAX);
        for (unsigned i = 0; i < w->n_loops; i++) {
                w->loop[i].world = w;
                w->loop[i].index = i;
                loop_start(&w->loop[i], false);
        }
        deed_at(w, w->now_ms, on_burst, false);
        deed_at(w, w->now_ms, on_weather, false);
        deed_at(w, w->end_ms, on_closing, false);
}

bool world_run(World *w, const Seed *seed) {
        HeapNode *at;
        int64_t n = 0;

        make(w, seed);
        while (!w->failure[0] && (at = heap_first(&w->deeds))) {
                Deed *d = CONTAINER_OF(at, Deed, node);

                must(at->due >= w->now_ms);
                w->now_ms = at->due;
                if (w->now_ms > w->end_ms + REST_HOURS * HOUR_MS || n++ > DEEDS_MAX) {
                        broken(w, 0, "the engines do not come to rest");
                        break;
                }
                deed_leaves(w, d);
                d->act(w, d);
                free(d);
        }
        if (!w->failure[0])
                judge_end(w);
        return !w->failure[0];
}

void world_done(World *w) {
        HeapNode *at;

        process_dies(w);
        while ((at = heap_first(&w->deeds)))
                deed_drop(w, CONTAINER_OF(at, Deed, node));
        heap_done(&w->deeds);
        for (size_t i = 0; i < SHARED_MAX; i++)
                throttle_unref(w->shared[i].throttle);
        rows_done(&w->rows);
}
