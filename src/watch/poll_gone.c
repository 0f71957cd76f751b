/* SPDX-License-Identifier: Apache-2.0
 *
 * What is gone from the list. Only a list that was read to its end says that, and one of several
 * pages only twice: an item that moves from a page to the one before, because others were deleted
 * while it was read, is in none of them. And a list that has lost most of its items at once is
 * rather an accident than the truth. */
#include "watch/poll_round.h"

#include <errno.h>

enum { TOGETHER = 200, ARENA_BYTES = 512 * 1024 * 1024, NAMES_MAX_BYTES = 512 * 1024 * 1024 };

/* ---- taking out ---- */

typedef struct Going {
        Poll *p;
        bool tells;
        Span names[TOGETHER];
        EnvelopeEvent events[TOGETHER];
        size_t n, n_events;
        int64_t floor;
} Going;

static int look_back(Going *g, Span name, Arena *a, Err *e) {
        AUTO(buf_done)
        Buf bytes = BUF(ITEM_NOTE_MAX_BYTES);
        int r = notes_get(g->p->memory.notes, name, &bytes, e);
        ItemNote was;

        if (r < 0)
                return r;
        g->names[g->n++] = name;
        if (r == 0 || !item_note_parse(buf_span(&bytes), &was))
                return 0;
        was.number++;
        if (was.number >= g->floor)
                g->floor = was.number + 1;
        if (!g->tells)
                return 0;
        r = poll_event(g->p, "delete", name, &was, was.content, a, &g->events[g->n_events]);
        g->n_events += r == 0;
        return r;
}

/* An item that comes back begins above all that it was. */
static int forget(Going *g, Err *e) {
        PollMemory *m = &g->p->memory;
        int r = notes_begin(m->notes, e);

        for (size_t i = 0; r == 0 && i < g->n; i++)
                r = notes_delete(m->notes, g->names[i], e);
        if (r == 0 && g->floor != m->floor)
                r = poll_memory_put_floor(m, g->floor, e);
        if (r == 0)
                r = notes_commit(m->notes, e);
        else
                notes_rollback(m->notes);
        if (r == 0)
                m->floor = g->floor;
        if (r == 0 && g->p->known >= 0)
                g->p->known -= (int64_t)g->n;
        return r;
}

static int take_some(Poll *p, const ItemNames *names, size_t *pos, bool tells, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(ARENA_BYTES);
        Going *g = arena_alloc(a, sizeof *g);
        Span name;
        int r = 0;

        must(g);
        *g = (Going){.p = p, .tells = tells, .floor = p->memory.floor};
        while (r == 0 && g->n < TOGETHER && item_names_next(names, pos, &name))
                r = look_back(g, name, a, e);
        if (r == 0 && g->n_events)
                r = watch_submit(p->watch, g->events, g->n_events, e);
        return r == 0 ? forget(g, e) : r;
}

static int take_out(Poll *p, const ItemNames *names, bool tells, Err *e) {
        int r = 0;

        for (size_t pos = 0; r == 0 && pos < names->bytes.n;)
                r = take_some(p, names, &pos, tells, e);
        return r;
}

/* ---- which ---- */

/* Those that the look before had missed too; the others are kept for the next. */
static int take_twice(Poll *p, const ItemNames *gone, Err *e) {
        ItemNames twice = {.bytes = BUF(NAMES_MAX_BYTES)};
        SeenItems once = {0};
        Span name;
        int r = 0;

        for (size_t pos = 0; r == 0 && item_names_next(gone, &pos, &name);) {
                SeenItem item = {.page = 1};

                digest_texts(&name, 1, &item.name);
                if (seen_items_has(&p->missed, &item.name))
                        r = item_names_add(&twice, name);
                else
                        (void)!seen_items_add(&once, &item);
        }
        if (r < 0)
                r = poll_fails(p, "too many items are gone");
        if (r == 0)
                r = take_out(p, &twice, true, e);
        buf_done(&twice.bytes);
        seen_items_clear(&p->missed);
        p->missed = once;
        return r;
}

static bool are_too_many(const Poll *p, size_t gone, size_t all) {
        return !p->o->is_document && gone * 100 > (size_t)p->o->most_gone * all;
}

static int take_gone(Poll *p, const ItemNames *gone, size_t all, Err *e) {
        if (p->o->deletions == POLL_KEEPS)
                return all > POLL_ITEMS_MAX ? take_out(p, gone, false, e) : 0;
        if (gone->n && are_too_many(p, gone->n, all))
                return poll_fails(p,
                                  "%zu of %zu items are gone at once, more than %" PRId64
                                  " percent (most_gone): none is taken for deleted",
                                  gone->n, all, p->o->most_gone);
        if (p->pages > 1)
                return take_twice(p, gone, e);
        seen_items_clear(&p->missed);
        return take_out(p, gone, true, e);
}

static int end_first(Poll *p, const ItemNames *gone, Err *e) {
        int r = take_out(p, gone, false, e);

        if (r == 0)
                r = poll_memory_put_whole(&p->memory, e);
        p->memory.is_whole = p->memory.is_whole || r == 0;
        return r;
}

int poll_take_end(Poll *p, Err *e) {
        ItemNames gone = {0};
        size_t all = 0;
        int r;

        /* What was seen is remembered by now: as many of them as of those are the same. */
        if (p->memory.is_whole &&
            (p->known == (int64_t)p->seen.n ||
             (p->o->deletions == POLL_KEEPS && p->known >= 0 && p->known <= POLL_ITEMS_MAX))) {
                seen_items_clear(&p->missed);
                return 0;
        }
        r = poll_memory_missing(&p->memory, &p->seen, &gone, &all, e);
        if (r == 0) {
                p->known = (int64_t)all;
                r = poll_tells(p) ? take_gone(p, &gone, all, e) : end_first(p, &gone, e);
        }
        if (r == 0 && !p->memory.is_whole)
                r = end_first(p, &(ItemNames){0}, e);
        buf_done(&gone.bytes);
        return r;
}
