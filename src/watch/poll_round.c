/* SPDX-License-Identifier: Apache-2.0
 *
 * The items of a page, compared with what is remembered of them. The id of a change is made of the
 * item, its number and its content: one that is seen again after a crash, before it was noted, has
 * the same, and an item that goes back to what it was has another. */
#include "watch/poll_round.h"

#include "base/clock.h"
#include "watch/row_change.h"
#include "json/value.h"

#include <errno.h>

enum { ARENA_BYTES = 512 * 1024 * 1024, KEY_SHOWN_BYTES = 100 };

int poll_fails(Poll *p, const char *format, ...) {
        va_list list;

        va_start(list, format);
        (void)vsnprintf(p->why, sizeof p->why, format, list);
        va_end(list);
        return 1;
}

bool poll_tells(const Poll *p) {
        return p->memory.is_whole || p->o->existing == POLL_SEND;
}

/* ---- an event ---- */

/* {"id":"17"}: the key's member, as it stands in the item. */
static Span key_of(const Poll *p, Span item, Arena *a) {
        AUTO(buf_done)
        Buf b = BUF(ROW_CHANGE_MAX_BYTES);
        Span v = json_at(item, span_of(p->o->key_pointer));

        if (buf_addf(&b, "{\"%s\":", p->o->key_name) < 0 || buf_add(&b, json_trim(v)) < 0 ||
            buf_add_char(&b, '}') < 0)
                return (Span){NULL, 0};
        return arena_span(a, buf_span(&b));
}

int poll_event(Poll *p, const char *op, Span name, const ItemNote *n, Span previous, Arena *a,
               EnvelopeEvent *ret) {
        char id[DIGEST_TEXT], number[32], now[CLOCK_TEXT];
        bool is_delete = strcmp(op, "delete") == 0;
        Digest d;

        (void)snprintf(number, sizeof number, "%" PRId64, n->number);
        digest_texts((Span[]){name, span_of(op), span_of(number),
                              span_make((const char *)n->digest.p, DIGEST_BYTES)},
                     4, &d);
        digest_print(&d, id);
        clock_print(clock_wall_ms(), now);
        RowChange c = {.source = span_of(watch_trigger(p->watch)->source->name),
                       .kind = "poll",
                       .table = span_of(p->o->table),
                       .op = op,
                       .fresh = is_delete ? (Span){NULL, 0} : n->content,
                       .previous = previous,
                       .index = -1,
                       .time = arena_span(a, span_of(now)),
                       .time_is = "capture",
                       .id = span_of(id),
                       .is_backfill = strcmp(op, "snapshot") == 0};
        if (!p->o->is_document)
                c.key = key_of(p, is_delete ? previous : n->content, a);
        if (!c.time.p || (!p->o->is_document && !c.key.p) || !row_change_event(&c, a, ret))
                return poll_fails(p, "an item is too large for an event: " SPAN_FMT,
                                  name.n > KEY_SHOWN_BYTES ? KEY_SHOWN_BYTES : (int)name.n, name.p);
        return 0;
}

/* ---- an item ---- */

typedef struct Fresh {
        Span name;
        ItemNote note;
        bool is_new;
} Fresh;

typedef struct Batch {
        Poll *p;
        Arena *arena;
        EnvelopeEvent *events;
        Fresh *fresh;
        size_t n_events, n_fresh, at; /* at: the item, from 1 */
} Batch;

static int no_room(Poll *p) {
        return poll_fails(p, "a page is too large to be compared: ask for smaller ones");
}

static int find_name(Batch *b, Span item, Span *ret) {
        Poll *p = b->p;
        AUTO(buf_done)
        Buf key = BUF(1024 * 1024);
        AUTO(buf_done)
        Buf name = BUF(ITEM_NAME_MAX_BYTES);
        Span v = {NULL, 0};

        if (!p->o->is_document) {
                if (json_kind(item) == JSON_OBJECT)
                        v = json_at(item, span_of(p->o->key_pointer));
                if (!v.p || (json_kind(v) != JSON_STRING && json_kind(v) != JSON_NUMBER) ||
                    json_text(v, &key) < 0 || key.n == 0)
                        return poll_fails(p,
                                          "item %zu of page %" PRId64
                                          " has no text or number at its key, %s",
                                          b->at, p->pages, p->o->key);
        } else if (json_kind(item) != JSON_OBJECT)
                return poll_fails(p, "there is no object at this address: a list needs a key "
                                     "(key: .id)");
        if (item_name(buf_span(&key), &name) < 0)
                return no_room(p);
        *ret = arena_span(b->arena, buf_span(&name));
        return ret->p ? 0 : no_room(p);
}

/* An item that moved on to the next page while the list was read comes twice, and is the same. 1:
 * it is wrong; 2: it was seen. */
static int see(Batch *b, Span name, const Digest *content) {
        Poll *p = b->p;
        SeenItem item = {.content = *content, .page = p->pages};
        const SeenItem *was;

        digest_texts(&name, 1, &item.name);
        was = seen_items_add(&p->seen, &item);
        if (was && (was->page == p->pages || memcmp(&was->content, content, sizeof *content) != 0))
                return poll_fails(p, "two items of the list have the same key: " SPAN_FMT,
                                  name.n > KEY_SHOWN_BYTES ? KEY_SHOWN_BYTES : (int)name.n - 2,
                                  name.p + 2);
        if (p->seen.n > POLL_ITEMS_MAX)
                return poll_fails(p, "the list has more than %d items", POLL_ITEMS_MAX);
        return was ? 2 : 0;
}

/* What was remembered with other members ignored may be the same all the same. */
static int compare(Batch *b, Fresh *f, Span bytes) {
        Poll *p = b->p;
        const PollOptions *o = p->o;
        ItemNote was;
        Digest again;
        int r;

        if (!bytes.n || !item_note_parse(bytes, &was)) {
                f->is_new = true;
                f->note.number = p->memory.floor;
                if (!poll_tells(p))
                        return 0;
                return poll_event(p, p->memory.is_whole ? "insert" : "snapshot", f->name, &f->note,
                                  (Span){NULL, 0}, b->arena, &b->events[b->n_events++]);
        }
        f->note.number = was.number;
        if (!poll_tells(p))
                return 0;
        if (!digest_json(was.content, o->ignored, o->n_ignored, b->arena, &again))
                return no_room(p);
        if (memcmp(&again, &f->note.digest, sizeof again) == 0)
                return 0;
        f->note.number++;
        r = poll_event(p, "update", f->name, &f->note, was.content, b->arena,
                       &b->events[b->n_events]);
        b->n_events += r == 0;
        return r;
}

static int take_item(Batch *b, Span item, Err *e) {
        Poll *p = b->p;
        const PollOptions *o = p->o;
        AUTO(buf_done)
        Buf was = BUF(ITEM_NOTE_MAX_BYTES);
        Fresh f = {.note = {.content = json_trim(item)}};
        ItemNote old;
        int r = find_name(b, item, &f.name);

        if (r == 0 && !digest_json(item, o->ignored, o->n_ignored, b->arena, &f.note.digest))
                r = no_room(p);
        if (r == 0)
                r = see(b, f.name, &f.note.digest);
        if (r)
                return r == 2 ? 0 : r;
        r = notes_get(p->memory.notes, f.name, &was, e);
        if (r < 0)
                return r;
        if (r == 1 && item_note_parse(buf_span(&was), &old) &&
            memcmp(&old.digest, &f.note.digest, sizeof old.digest) == 0)
                return 0;
        r = compare(b, &f, buf_span(&was));
        if (r == 0)
                b->fresh[b->n_fresh++] = f;
        return r;
}

/* ---- a page ---- */

static int note_all(const Batch *b, Err *e) {
        PollMemory *m = &b->p->memory;
        int64_t n_new = 0;
        int r = notes_begin(m->notes, e);

        for (size_t i = 0; r == 0 && i < b->n_fresh; i++) {
                r = item_put(m, b->fresh[i].name, &b->fresh[i].note, e);
                n_new += b->fresh[i].is_new;
        }
        if (r == 0)
                r = notes_commit(m->notes, e);
        else
                notes_rollback(m->notes);
        if (r == 0 && b->p->known >= 0)
                b->p->known += n_new;
        return r;
}

int poll_take_page(Poll *p, Span list, size_t n, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(ARENA_BYTES);
        Batch b = {.p = p, .arena = a};
        Span key, item;
        int r = 0;

        p->items += (int64_t)n;
        p->bytes += (int64_t)list.n;
        if (p->bytes > POLL_LIST_MAX_BYTES)
                return poll_fails(p, "the list is larger than %d MiB",
                                  POLL_LIST_MAX_BYTES / 1024 / 1024);
        b.events = arena_alloc(a, (n + 1) * sizeof *b.events);
        b.fresh = arena_alloc(a, (n + 1) * sizeof *b.fresh);
        if (!b.events || !b.fresh)
                return no_room(p);
        if (p->o->is_document) {
                r = take_item(&b, list, e);
        } else
                for (size_t pos = 0; r == 0 && b.at < n && json_next(list, &pos, &key, &item);) {
                        b.at++;
                        r = take_item(&b, item, e);
                }
        if (r == 0 && b.n_events)
                r = watch_submit(p->watch, b.events, b.n_events, e);
        return r == 0 && b.n_fresh ? note_all(&b, e) : r;
}
