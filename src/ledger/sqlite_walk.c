/* SPDX-License-Identifier: Apache-2.0
 *
 * The ids are gone through region by region: one run of the index each, with the strays that
 * belong there; and what is in no run yet, a slice at a time. Of each region the entries are
 * gathered and sorted, so that every one comes once, in its place. What a table finds in the right
 * order by itself (all events, those with a job in some state) is read a few at a time. */
#include "ledger/sqlite_walk.h"

enum {
        READ_AT_ONCE = 256,
        STRAYS_AT_ONCE = 8192,
        SLICE_EVENTS = 4096, /* of those in no run */
        SLICE_COST = 512,
};

/* Events with ids above `low` and below `high`. */
typedef struct Region {
        int64_t low, high;
        int64_t run, first; /* the run's last event, 0 for none, and its first */
        int64_t from_ms, to_ms;
} Region;

static void keep(Walk *w, int64_t event, int64_t job) {
        if (w->n == w->cap) {
                w->cap = w->cap ? w->cap * 2 : READ_AT_ONCE;
                w->entries = realloc(w->entries, w->cap * sizeof *w->entries);
                must(w->entries);
        }
        w->entries[w->n++] = (RunEntry){event, job};
}

/* Statements come in pairs, down and up. */
static int get(Sqlite *s, const Walk *w, StatementName down, const Region *region,
               sqlite3_stmt **ret, Err *e) {
        int r = sqlite_get(s, w->is_up ? (StatementName)(down + 1) : down, ret, e);

        if (r < 0)
                return r;
        bind_int(*ret, 1, region->low);
        bind_int(*ret, 2, region->high);
        return 0;
}

/* Keeps some `max` rows (event, job), each event's together. Where there are more, the region ends
 * there. */
static int read_some(Sqlite *s, Walk *w, sqlite3_stmt *st, size_t max, Region *region, Err *e) {
        int64_t before = 0;
        int r;

        for (size_t n = 0; (r = sqlite_row(s, st, e, "look through events")) > 0; n++) {
                int64_t event = sqlite3_column_int64(st, 0), job = sqlite3_column_int64(st, 1);

                if (n >= max && event != before) {
                        *(w->is_up ? &region->high : &region->low) = event;
                        sqlite3_reset(st);
                        return 0;
                }
                /* A name may be that of a source and of a target; an event may have several jobs
                 * in a state. */
                bool is_one = (job != 0) == (w->kind == WALK_TARGET);
                bool is_kept = !job && w->n && w->entries[w->n - 1].event == event;
                if (is_one && !is_kept)
                        keep(w, event, job);
                before = event;
        }
        return r;
}

static int read_rest(Sqlite *s, Walk *w, StatementName name, const Region *region, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, name, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, region->low);
        bind_int(st, 2, region->high);
        bind_int(st, 3, w->name);
        while ((r = sqlite_row(s, st, e, "look through events")) > 0)
                keep(w, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1));
        return r;
}

/* What no run knows yet. */
static int read_tail(Sqlite *s, Walk *w, Region *region, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = get(s, w, SQL_WALK_SLICE, region, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 3, SLICE_EVENTS);
        r = sqlite_row(s, st, e, "look through events");
        if (r > 0) {
                *(w->is_up ? &region->high : &region->low) = sqlite3_column_int64(st, 0);
                sqlite3_reset(st);
        }
        w->cost += r > 0 ? SLICE_COST : 0;
        if (r >= 0 && w->kind == WALK_SOURCE)
                return read_rest(s, w, SQL_WALK_TAIL_SOURCE, region, e);
        if (r >= 0)
                r = read_rest(s, w, SQL_WALK_TAIL_TARGET, region, e);
        return r < 0 ? r : read_rest(s, w, SQL_WALK_TAIL_LATER, region, e);
}

static int read_run(Sqlite *s, Walk *w, const Region *region, Err *e) {
        bool with_job = w->kind == WALK_TARGET;
        sqlite3_stmt *st = NULL;
        RunEntry entry = {0};
        size_t pos = 0;
        int r = sqlite_get(s, with_job ? SQL_WALK_RUN_TARGET : SQL_WALK_RUN_SOURCE, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, region->run);
        bind_int(st, 2, w->name);
        r = sqlite_row(s, st, e, "look into a run");
        if (r <= 0)
                return r;
        while ((r = run_code_next(column_span(st, 0), with_job, &pos, &entry)) > 0)
                if (entry.event > region->low && entry.event < region->high)
                        keep(w, entry.event, entry.job);
        sqlite3_reset(st);
        return r < 0 ? FAIL(e, r, "ledger %s: a row of the index is damaged", s->path) : 0;
}

/* The smallest run that ends at `id` or later. */
static int run_at(Sqlite *s, int64_t id, Region *region, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_RUN_AT, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, id);
        r = sqlite_row(s, st, e, "look for a run");
        if (r <= 0)
                return r;
        region->run = sqlite3_column_int64(st, 0);
        region->first = sqlite3_column_int64(st, 1);
        region->from_ms = sqlite3_column_int64(st, 2);
        region->to_ms = sqlite3_column_int64(st, 3);
        sqlite3_reset(st);
        return 1;
}

static int run_before(Sqlite *s, int64_t id, int64_t *ret_last, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_RUN_BEFORE, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, id);
        r = sqlite_row(s, st, e, "look for a run");
        if (r > 0)
                *ret_last = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        return r < 0 ? r : 0;
}

static int find_region(Sqlite *s, const Walk *w, Region *ret, Err *e) {
        int64_t next = w->is_up ? w->at + 1 : w->at - 1;
        int r;

        *ret = (Region){.low = w->is_up ? w->at : 0, .high = w->is_up ? INT64_MAX : w->at};
        if (next > w->to) {
                ret->low = w->is_up ? w->at : w->to;
                return 0;
        }
        r = run_at(s, next, ret, e);
        if (r >= 0 && w->is_up)
                ret->high = r ? ret->run + 1 : w->to + 1;
        if (r >= 0 && !w->is_up)
                r = run_before(s, next, &ret->low, e);
        return r < 0 ? r : 0;
}

static bool is_outside(const Walk *w, const Region *region) {
        return (w->from_ms && region->to_ms < w->from_ms) ||
               (w->to_ms && region->from_ms >= w->to_ms);
}

static bool is_inside(const Walk *w, const Region *region) {
        return (!w->from_ms || region->from_ms >= w->from_ms) &&
               (!w->to_ms || region->to_ms < w->to_ms);
}

/* All events, but for runs of another time: there only those between the runs. */
static int read_all(Sqlite *s, Walk *w, Region *region, Err *e) {
        sqlite3_stmt *st = NULL;
        int r;

        if (region->run && is_outside(w, region)) {
                if (w->is_up && w->at + 1 >= region->first)
                        return 0;
                region->high = region->high < region->first ? region->high : region->first;
        }
        r = get(s, w, SQL_WALK_ALL, region, &st, e);
        return r < 0 ? r : read_some(s, w, st, READ_AT_ONCE, region, e);
}

static int read_by_state(Sqlite *s, Walk *w, Region *region, Err *e) {
        bool of_target = w->kind == WALK_TARGET_STATE;
        sqlite3_stmt *st = NULL;
        int r = get(s, w, of_target ? SQL_WALK_TARGET_STATE : SQL_WALK_STATE, region, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 3, w->state);
        if (of_target)
                bind_int(st, 4, w->name);
        return read_some(s, w, st, READ_AT_ONCE, region, e);
}

static int read_by_name(Sqlite *s, Walk *w, Region *region, Err *e) {
        sqlite3_stmt *st = NULL;
        int r;

        if (region->high - 1 > w->to)
                return read_tail(s, w, region, e);
        r = get(s, w, SQL_WALK_STRAYS, region, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 3, w->name);
        r = read_some(s, w, st, STRAYS_AT_ONCE, region, e);
        w->is_within = w->is_within || (region->run && w->n == 0 && is_inside(w, region));
        if (r == 0 && region->run && !is_outside(w, region))
                r = read_run(s, w, region, e);
        return r;
}

static int fill(Sqlite *s, Walk *w, Err *e) {
        bool by_name = w->kind == WALK_SOURCE || w->kind == WALK_TARGET;
        bool by_time = w->kind == WALK_ALL && (w->from_ms || w->to_ms);
        Region region = {.low = w->is_up ? w->at : 0, .high = w->is_up ? INT64_MAX : w->at};
        int r = by_name || by_time ? find_region(s, w, &region, e) : 0;

        w->n = w->next = 0;
        w->is_within = !w->from_ms && !w->to_ms;
        w->cost++;
        if (r == 0)
                r = by_name               ? read_by_name(s, w, &region, e)
                    : w->kind == WALK_ALL ? read_all(s, w, &region, e)
                                          : read_by_state(s, w, &region, e);
        if (r < 0)
                return r;
        if (w->n)
                qsort(w->entries, w->n, sizeof *w->entries, run_entry_order);
        w->end = w->is_up ? region.high - 1 : region.low + 1;
        w->is_over = w->is_up ? region.high == INT64_MAX : region.low <= 0;
        return 0;
}

static int jobs_in(Sqlite *s, Walk *w, int64_t first, int64_t last, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_EVENT_JOB_IDS, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, first);
        bind_int(st, 2, last);
        bind_int(st, 3, w->name);
        while ((r = sqlite_row(s, st, e, "read jobs")) > 0)
                keep(w, w->name, sqlite3_column_int64(st, 0));
        return r;
}

static int read_event(Sqlite *s, Walk *w, Err *e) {
        int64_t first = 0, last = 0, later = 0;
        int r = sqlite_event_range(s, w->name, &first, &last, e);

        w->is_over = true;
        if (r <= 0)
                return r;
        r = first ? jobs_in(s, w, first, last, e) : 0;
        while (r == 0 && (r = sqlite_later(s, w->name, &later, e)) > 0)
                r = jobs_in(s, w, later, later, e);
        if (w->n)
                qsort(w->entries, w->n, sizeof *w->entries, run_entry_order);
        return r;
}

int walk_begin(Sqlite *s, Walk *w, Err *e) {
        if (w->at == 0 && !w->is_up)
                w->at = INT64_MAX;
        w->end = w->at;
        return w->kind == WALK_EVENT ? read_event(s, w, e)
                                     : sqlite_meta_get(s, "indexed_to", &w->to, e);
}

int walk_next(Sqlite *s, Walk *w, RunEntry *ret, Err *e) {
        while (w->next == w->n) {
                w->at = w->end;
                if (w->is_over || walk_is_tired(w))
                        return 0;
                int r = fill(s, w, e);
                if (r < 0)
                        return r;
        }
        if (walk_is_tired(w))
                return 0;
        *ret = w->entries[w->is_up ? w->next : w->n - 1 - w->next];
        w->next++;
        w->cost++;
        w->at = ret->event;
        return 1;
}

void walk_done(Walk *w) {
        free(w->entries);
        *w = (Walk){0};
}
