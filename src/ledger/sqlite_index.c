/* SPDX-License-Identifier: Apache-2.0
 *
 * What people search by, the source of an event and the target of a job, made findable off the hot
 * path. An index that every record keeps up to date would touch a page per source and target and
 * write it to the WAL. Here what was recorded is remembered in memory (32 bytes each, a few
 * nanoseconds), and once that is `per_run` entries, they are sorted and appended to the file as a
 * run, in one transaction: for each source and each target one row with all its entries in few
 * bytes. A question looks into each run with one seek, and walks over what is in none
 * (sqlite_walk.c).
 *
 * Runs know all events up to `to`, with few exceptions, which are the strays: events recorded
 * later with an earlier id (the youngest half second waits for the next run, so that they are
 * few); jobs that replays made of older events; and what is left of a run of which nearly all was
 * trimmed. An entry is in one run, or a stray, or its event is later than `to`. */
#include "ledger/store_sqlite.h"

#include "base/id.h"
#include "ledger/run_code.h"

enum {
        SLACK_MS = 500,
        UNINDEXED_RUNS_MAX = 4, /* then the youngest no longer wait */
        RUN_MAX_RUNS = 2,       /* of `per_run`: what one transaction writes */
        SURVIVORS_PER_RUN = 16, /* a run with fewer than one of so many entries left is dissolved */
        RUN_ROW_MAX_BYTES = 64 * 1024 * 1024,
};

static int add_stray(Sqlite *s, const IndexEntry *entry, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_STRAY_ADD, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, entry->name);
        bind_int(st, 2, entry->event);
        bind_int(st, 3, entry->job);
        r = sqlite_run(s, st, e, "write a stray");
        if (r < 0 || entry->job)
                return r;
        /* Questions by time pass over runs. */
        r = sqlite_get(s, SQL_RUN_WIDEN, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, entry->event);
        bind_int(st, 2, entry->received_ms);
        return sqlite_run(s, st, e, "widen a run");
}

/* An event before its jobs. */
static int by_event(const void *a, const void *b) {
        const IndexEntry *x = a, *y = b;

        if (x->event != y->event)
                return x->event < y->event ? -1 : 1;
        return x->job < y->job ? -1 : x->job > y->job;
}

static void remember(Index *x, const IndexEntry *entry) {
        if (x->n == x->cap) {
                x->cap = x->cap ? x->cap * 2 : 1024;
                x->fresh = realloc(x->fresh, x->cap * sizeof *x->fresh);
                must(x->fresh);
        }
        x->is_sorted = x->is_sorted && (x->n == 0 || by_event(&x->fresh[x->n - 1], entry) <= 0);
        x->fresh[x->n++] = *entry;
}

int sqlite_index_add(Sqlite *s, const IndexEntry *entry, Err *e) {
        if (entry->event <= s->index.to)
                return add_stray(s, entry, e);
        remember(&s->index, entry);
        return 0;
}

void sqlite_index_end(Sqlite *s, bool committed) {
        if (committed)
                s->index.n_committed = s->index.n;
        else
                s->index.n = s->index.n_committed;
}

/* The order in which entries are written: sources, then targets, each with its entries in the order
 * that they have already. One word each, which sorts in a third of the time. */
static uint64_t turn_of(const IndexEntry *entry, size_t at) {
        must(entry->name > 0 && entry->name < INT32_MAX && at < UINT32_MAX);
        return (uint64_t)(entry->job != 0) << 63 | (uint64_t)entry->name << 32 | at;
}

static int by_turn(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* How many of the fresh entries, which are sorted, go into the next run; 0: it is not time yet. */
static size_t choose(const Index *x, int64_t now_ms) {
        int64_t newest_ms = id_wall_ms(x->fresh[x->n - 1].event);
        int64_t until = id_at((now_ms > newest_ms ? now_ms : newest_ms) - SLACK_MS);
        size_t low = 0, high = x->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (x->fresh[middle].event <= until)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (x->n > x->per_run * UNINDEXED_RUNS_MAX && low < x->n - x->per_run)
                low = x->n - x->per_run;
        if (low < x->per_run)
                return 0;
        if (low > x->per_run * RUN_MAX_RUNS)
                low = x->per_run * RUN_MAX_RUNS;
        /* Never a part of an event. */
        while (low < x->n && x->fresh[low].event == x->fresh[low - 1].event)
                low++;
        return low;
}

static int write_row(Sqlite *s, int64_t run, int64_t name, bool with_job, int64_t n, Span code,
                     Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, with_job ? SQL_RUN_TARGET : SQL_RUN_SOURCE, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, run);
        bind_int(st, 2, name);
        bind_int(st, 3, n);
        bind_blob(st, 4, code);
        return sqlite_run(s, st, e, "write a row of a run");
}

/* One row for the entries from the first turn on that are of one name. Returns how many these
 * were. */
static int write_name(Sqlite *s, int64_t run, const IndexEntry *entries, const uint64_t *turns,
                      size_t n, Buf *code, size_t *ret_n, Err *e) {
        const IndexEntry *first = &entries[(uint32_t)turns[0]];
        RunEntry before = {0};
        size_t i;
        int r = 0;

        buf_clear(code);
        for (i = 0; r == 0 && i < n && turns[i] >> 32 == turns[0] >> 32; i++) {
                const IndexEntry *at = &entries[(uint32_t)turns[i]];
                RunEntry entry = {at->event, at->job};

                r = run_code_add(code, before, entry, entry.job != 0);
                before = entry;
        }
        *ret_n = i;
        if (r < 0)
                return FAIL(e, r, "ledger %s: a row of a run is too large", s->path);
        return write_row(s, run, first->name, first->job != 0, (int64_t)i, buf_span(code), e);
}

static int write_head(Sqlite *s, const IndexEntry *entries, size_t n, int64_t run, Err *e) {
        int64_t from_ms = INT64_MAX, to_ms = INT64_MIN, first = run;
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_RUN_ADD, &st, e);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (entries[i].job)
                        continue;
                first = entries[i].event < first ? entries[i].event : first;
                from_ms = entries[i].received_ms < from_ms ? entries[i].received_ms : from_ms;
                to_ms = entries[i].received_ms > to_ms ? entries[i].received_ms : to_ms;
        }
        bind_int(st, 1, run);
        bind_int(st, 2, first);
        bind_int(st, 3, from_ms);
        bind_int(st, 4, to_ms);
        r = sqlite_run(s, st, e, "write a run");
        return r < 0 ? r : sqlite_meta_set(s, "indexed_to", run, e);
}

static int write_run(Sqlite *s, const IndexEntry *entries, size_t n, int64_t run, Err *e) {
        AUTO(buf_done)
        Buf code = BUF(RUN_ROW_MAX_BYTES);
        AUTO(freep)
        uint64_t *turns = must_alloc(n * sizeof *turns);
        int r = write_head(s, entries, n, run, e);

        for (size_t i = 0; i < n; i++)
                turns[i] = turn_of(&entries[i], i);
        qsort(turns, n, sizeof *turns, by_turn);
        for (size_t i = 0, used; r == 0 && i < n; i += used)
                r = write_name(s, run, entries, turns + i, n - i, &code, &used, e);
        return r;
}

int sqlite_index_upkeep(Sqlite *s, int64_t now_ms, Err *e) {
        Index *x = &s->index;
        size_t n;
        int r;

        if (x->n < x->per_run)
                return 0;
        if (!x->is_sorted)
                qsort(x->fresh, x->n, sizeof *x->fresh, by_event);
        x->is_sorted = true;
        n = choose(x, now_ms);
        if (n == 0)
                return 0;
        int64_t run = x->fresh[n - 1].event;
        r = sqlite_begin(s, e);
        if (r < 0)
                return r;
        r = write_run(s, x->fresh, n, run, e);
        r = r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
        if (r < 0)
                return r;
        x->to = run;
        x->n -= n;
        memmove(x->fresh, x->fresh + n, x->n * sizeof *x->fresh);
        x->n_committed = x->n;
        return 0;
}

static int fill(Sqlite *s, StatementName name, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, name, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, s->index.to);
        while ((r = sqlite_row(s, st, e, "read what is not in the index")) > 0) {
                IndexEntry entry = {.name = sqlite3_column_int64(st, 0),
                                    .event = sqlite3_column_int64(st, 1),
                                    .job = sqlite3_column_int64(st, 2),
                                    .received_ms = sqlite3_column_int64(st, 3)};

                remember(&s->index, &entry);
        }
        return r;
}

/* What no run knows yet is remembered anew: not much, for runs are made while records arrive. */
int sqlite_index_open(Sqlite *s, const StoreOptions *o, Err *e) {
        Index *x = &s->index;
        int r = sqlite_meta_get(s, "indexed_to", &x->to, e);

        x->per_run = o->index_per_run ? o->index_per_run : INDEX_PER_RUN;
        x->is_sorted = true;
        if (r == 0)
                r = fill(s, SQL_FRESH_EVENTS, e);
        if (r == 0)
                r = fill(s, SQL_FRESH_JOBS, e);
        if (r == 0)
                r = fill(s, SQL_FRESH_LATER, e);
        return r;
}

void sqlite_index_done(Sqlite *s) {
        free(s->index.fresh);
}

/* ---- runs of which little is left ---- */

typedef struct Run {
        int64_t first, last;
} Run;

static int next_run(Sqlite *s, int64_t after, Run *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_RUN_AT, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, after + 1);
        r = sqlite_row(s, st, e, "look for a run");
        if (r > 0) {
                *ret = (Run){sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 0)};
                sqlite3_reset(st);
        }
        return r;
}

static int with_run(Sqlite *s, StatementName name, const Run *run, int64_t max, int64_t *ret_n,
                    Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, name, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, run->last);
        if (sqlite3_bind_parameter_count(st) > 1)
                bind_int(st, 2, run->first);
        if (sqlite3_bind_parameter_count(st) > 2)
                bind_int(st, 3, max);
        r = sqlite_row(s, st, e, "go through a run");
        if (r > 0 && ret_n)
                *ret_n = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        return r < 0 ? r : 0;
}

/* Those that are left become strays. */
static int dissolve(Sqlite *s, const Run *run, Err *e) {
        static const StatementName deeds[] = {SQL_RUN_LEFT_EVENTS,  SQL_RUN_LEFT_JOBS,
                                              SQL_RUN_LEFT_LATER,   SQL_RUN_DROP_SOURCES,
                                              SQL_RUN_DROP_TARGETS, SQL_RUN_DROP};
        int r = sqlite_begin(s, e);

        if (r < 0)
                return r;
        for (size_t i = 0; r == 0 && i < COUNT_OF(deeds); i++)
                r = with_run(s, deeds[i], run, 0, NULL, e);
        return r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
}

/* Looks at one run, the oldest first; at the first of which nothing was trimmed it begins anew. */
int sqlite_index_trim(Sqlite *s, int64_t trimmed_to, Err *e) {
        Index *x = &s->index;
        int64_t left = 0, max = x->per_run / SURVIVORS_PER_RUN;
        Run run = {0};
        int r;

        x->trimmed_to = trimmed_to > x->trimmed_to ? trimmed_to : x->trimmed_to;
        r = next_run(s, x->looked_to, &run, e);
        if (r <= 0 || run.first > x->trimmed_to) {
                x->looked_to = 0;
                return r < 0 ? r : 0;
        }
        x->looked_to = run.last;
        r = with_run(s, SQL_RUN_LEFT, &run, max + 1, &left, e);
        return r < 0 || left > max ? r : dissolve(s, &run, e);
}
