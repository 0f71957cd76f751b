/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

void rows_init(Rows *r, size_t n_lanes, size_t window) {
        must(window > 0 && window <= WINDOW_MAX);
        *r = (Rows){.n_lanes = n_lanes, .window = window};
        r->lanes = must_alloc((n_lanes + 1) * sizeof *r->lanes);
        for (size_t i = 0; i <= n_lanes; i++)
                list_init(&r->lanes[i]);
}

void rows_done(Rows *r) {
        for (size_t i = 0; i < r->n; i++)
                free(r->row[i]);
        for (size_t i = 0; i < LOOPS_MAX; i++) {
                for (size_t t = 0; t < TARGETS_MAX; t++) {
                        heap_done(&r->waiting[i][t]);
                        heap_done(&r->unheld[i][t]);
                }
        }
        free(r->row);
        free(r->lanes);
}

static void rows_grow(Rows *r) {
        if (r->n + r->window > r->cap) {
                r->cap = r->cap ? r->cap * 2 : 1024;
                r->row = realloc(r->row, r->cap * sizeof(Row *));
                must(r->row);
        }
        for (size_t i = 0; i < r->window; i++) {
                Row *row = must_alloc(sizeof *row);

                r->row[r->n++] = row;
                row->id = (int64_t)r->n;
                link_init(&row->in_lane);
        }
        r->handed = 0;
}

/* Whose turn it is in the window: a walk with a random start. */
Row *rows_make(Rows *r, Rng *rng) {
        size_t first, at;

        if (r->n == 0 || r->handed == r->window)
                rows_grow(r);
        first = r->n - r->window;
        at = (size_t)rng_below(rng, r->window);
        while (r->row[first + at]->is_made)
                at = (at + 1) % r->window;
        r->handed++;
        r->row[first + at]->is_made = true;
        return r->row[first + at];
}

/* Is there an earlier one of its lane that waits, is blocked, or is held by nobody? */
static bool is_behind(const Rows *r, const Row *row) {
        if (row->lane == 0)
                return false;
        LIST_EACH(&r->lanes[row->lane], at) {
                const Row *other = CONTAINER_OF(at, Row, in_lane);

                if (other->id >= row->id)
                        return false;
                if (!other->is_held)
                        return true;
        }
        return false;
}

static void off_heaps(Rows *r, Row *row) {
        if (row->node.at == 0)
                return;
        heap_remove(row->state == JOB_WAITING ? &r->waiting[row->loop][row->target]
                                              : &r->unheld[row->loop][row->target],
                    &row->node);
}

static void set_state(Rows *r, Row *row, JobState state, bool is_held) {
        off_heaps(r, row);
        row->state = state;
        row->is_held = state == JOB_QUEUED && is_held;
        if (state == JOB_WAITING)
                heap_push(&r->waiting[row->loop][row->target], &row->node, row->due_ms);
        else if (state == JOB_QUEUED && !is_held)
                heap_push(&r->unheld[row->loop][row->target], &row->node, row->id);
        if (state != JOB_DONE && state != JOB_DEAD)
                return;
        r->n_open--;
        if (row->lane)
                list_remove(&r->lanes[row->lane], &row->in_lane);
}

static void enter_lane(Rows *r, Row *row) {
        List *lane = &r->lanes[row->lane];
        Link *after = lane->head.prev;

        while (after != &lane->head && CONTAINER_OF(after, Row, in_lane)->id > row->id)
                after = after->prev;
        row->in_lane.prev = after;
        row->in_lane.next = after->next;
        after->next->prev = &row->in_lane;
        after->next = &row->in_lane;
        lane->n++;
}

static void begin(Rows *r, Row *row) {
        row->turn = ++r->turns;
        r->n_open++;
        if (row->lane)
                enter_lane(r, row);
}

void rows_record(Rows *r, Row *row, bool spilled) {
        begin(r, row);
        set_state(r, row, is_behind(r, row) ? JOB_BLOCKED : JOB_QUEUED, !spilled);
}

void rows_record_waiting(Rows *r, Row *row) {
        begin(r, row);
        set_state(r, row, JOB_WAITING, false);
}

bool rows_replay(Rows *r, Row *row, bool even_waiting) {
        bool is_open = row->turn && row->state != JOB_DONE && row->state != JOB_DEAD;

        if (is_open && !(even_waiting && row->state == JOB_WAITING))
                return false;
        if (is_open)
                off_heaps(r, row); /* and it keeps its place in its lane */
        else
                begin(r, row);
        row->tries_from = row->attempts;
        row->due_ms = 0;
        set_state(r, row, JOB_QUEUED, false);
        return true;
}

/* The first of the lane that the engine does not have in memory. */
static Row *lane_first(const Rows *r, uint64_t lane) {
        LIST_EACH(&r->lanes[lane], at) {
                Row *row = CONTAINER_OF(at, Row, in_lane);

                if (!row->is_held)
                        return row;
        }
        return NULL;
}

bool rows_settle(Rows *r, Row *row, const Job *job, int64_t now_ms) {
        Row *first;

        off_heaps(r, row);
        row->attempts = job->attempts;
        row->due_ms = job->due_ms;
        set_state(r, row, job->state, !job->spilled);
        if (row->lane == 0 || (row->state != JOB_DONE && row->state != JOB_DEAD))
                return false;
        first = lane_first(r, row->lane);
        if (!first || first->state != JOB_BLOCKED)
                return false;
        first->due_ms = now_ms;
        set_state(r, first, JOB_WAITING, false);
        return true;
}

static int by_id(const void *a, const void *b) {
        const Row *const *x = a, *const *y = b;

        return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* Takes off what may come; what is not looked for, before `from`, is put back. */
static void take(RowsClaim *c, Heap *heap, int64_t from, int64_t to) {
        size_t n = 0;
        HeapNode *at, **passed = must_alloc((heap->n + 1) * sizeof *passed);

        while ((at = heap_first(heap)) && at->due < from)
                passed[n++] = heap_pop_due(heap, INT64_MAX);
        while (c->n < c->max && (at = heap_pop_due(heap, to)))
                c->found[c->n++] = CONTAINER_OF(at, Row, node);
        at = heap_first(heap);
        c->next_due_ms = at ? at->due : INT64_MAX;
        c->more = at && at->due <= to;
        while (n > 0) {
                at = passed[--n];
                heap_push(heap, at, at->due);
        }
        free(passed);
}

void rows_claim(Rows *r, RowsClaim *c) {
        size_t found;

        c->n = 0;
        if (c->is_due)
                take(c, &r->waiting[c->loop][c->target], c->from_ms, c->now_ms);
        else
                take(c, &r->unheld[c->loop][c->target], c->after_id + 1, INT64_MAX);
        qsort(c->found, c->n, sizeof(Row *), by_id);
        found = c->n;
        c->searched_to = found ? c->found[found - 1]->id : c->after_id;
        c->n = 0;
        for (size_t i = 0; i < found; i++) {
                Row *row = c->found[i];
                bool stays = is_behind(r, row);

                set_state(r, row, stays ? JOB_BLOCKED : JOB_QUEUED, true);
                if (!stays)
                        c->found[c->n++] = row;
        }
}

void rows_restart(Rows *r) {
        for (size_t i = 0; i < r->n; i++) {
                Row *row = r->row[i];

                row->is_live = false;
                if (row->turn && row->state == JOB_QUEUED && row->is_held)
                        set_state(r, row, JOB_QUEUED, false);
        }
}
