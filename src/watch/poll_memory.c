/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/poll_memory.h"

#include "base/clock.h"

#include <errno.h>

#define ABOUT_NOTE  "about"
#define FLOOR_NOTE  "floor"
#define WHOLE_NOTE  "whole"
#define ITEM_PREFIX "i"

enum { ROOM_MIN = 256, HEAD_BYTES = 8 + DIGEST_BYTES, NAMES_MAX_BYTES = 512 * 1024 * 1024 };

/* ---- of one look ---- */

void seen_items_clear(SeenItems *s) {
        free(s->at);
        *s = (SeenItems){0};
}

static SeenItem *place_of(const SeenItems *s, const Digest *name) {
        size_t i;

        memcpy(&i, name->p, sizeof i); /* a digest is as good as chance */
        for (;; i++) {
                SeenItem *one = &s->at[i & (s->room - 1)];

                if (!one->page || memcmp(&one->name, name, sizeof *name) == 0)
                        return one;
        }
}

static void grow(SeenItems *s) {
        SeenItems more = {.n = s->n, .room = s->room ? s->room * 2 : ROOM_MIN};

        more.at = must_alloc(more.room * sizeof *more.at);
        for (size_t i = 0; i < s->room; i++)
                if (s->at[i].page)
                        *place_of(&more, &s->at[i].name) = s->at[i];
        free(s->at);
        *s = more;
}

const SeenItem *seen_items_add(SeenItems *s, const SeenItem *item) {
        SeenItem *at;

        if (s->n * 2 >= s->room)
                grow(s);
        at = place_of(s, &item->name);
        if (at->page)
                return at;
        *at = *item;
        s->n++;
        return NULL;
}

bool seen_items_has(const SeenItems *s, const Digest *name) {
        return s->room && place_of(s, name)->page;
}

/* ---- names ---- */

int item_name(Span key, Buf *ret) {
        char text[DIGEST_TEXT];
        Digest d;
        int r;

        if (key.n <= ITEM_NAME_MAX_BYTES - 2) {
                r = buf_add(ret, SPAN(ITEM_PREFIX "/"));
                return r < 0 ? r : buf_add(ret, key);
        }
        digest_texts(&key, 1, &d);
        digest_print(&d, text);
        return buf_addf(ret, ITEM_PREFIX "#%s", text);
}

int item_names_add(ItemNames *names, Span name) {
        const char length[2] = {(char)(name.n >> 8), (char)name.n};
        int r = buf_add(&names->bytes, span_make(length, 2));

        names->n++;
        return r < 0 ? r : buf_add(&names->bytes, name);
}

bool item_names_next(const ItemNames *names, size_t *pos, Span *ret) {
        const unsigned char *at = (const unsigned char *)names->bytes.p + *pos;

        if (*pos >= names->bytes.n)
                return false;
        *ret = span_make((const char *)at + 2, (size_t)at[0] << 8 | at[1]);
        *pos += 2 + ret->n;
        return true;
}

/* ---- notes ---- */

bool item_note_parse(Span bytes, ItemNote *ret) {
        uint64_t number = 0;

        if (bytes.n < HEAD_BYTES)
                return false;
        for (size_t i = 0; i < 8; i++)
                number = number << 8 | (unsigned char)bytes.p[i];
        ret->number = (int64_t)number;
        memcpy(&ret->digest, bytes.p + 8, DIGEST_BYTES);
        ret->content = span_from(bytes, HEAD_BYTES);
        return true;
}

int item_put(PollMemory *m, Span name, const ItemNote *n, Err *e) {
        AUTO(buf_done)
        Buf bytes = BUF(ITEM_NOTE_MAX_BYTES);
        char head[HEAD_BYTES];

        for (size_t i = 0; i < 8; i++)
                head[i] = (char)((uint64_t)n->number >> (8 * (7 - i)));
        memcpy(head + 8, &n->digest, DIGEST_BYTES);
        if (buf_add(&bytes, span_make(head, sizeof head)) < 0 || buf_add(&bytes, n->content) < 0)
                return FAIL(e, -EMSGSIZE, "an item is too large to be remembered");
        return notes_put(m->notes, name, buf_span(&bytes), e);
}

int poll_memory_put_floor(PollMemory *m, int64_t floor, Err *e) {
        char text[32];

        (void)snprintf(text, sizeof text, "%" PRId64, floor);
        return notes_put(m->notes, SPAN(FLOOR_NOTE), span_of(text), e);
}

int poll_memory_put_whole(PollMemory *m, Err *e) {
        return notes_put(m->notes, SPAN(WHOLE_NOTE), SPAN("yes"), e);
}

typedef struct Search {
        const SeenItems *seen; /* NULL: none was */
        ItemNames *ret;
        size_t all;
} Search;

static int look(void *arg, Span key, Span value) {
        Search *s = arg;
        Digest name;

        (void)value;
        s->all++;
        digest_texts(&key, 1, &name);
        if (s->seen && seen_items_has(s->seen, &name))
                return 0;
        return item_names_add(s->ret, key);
}

int poll_memory_missing(PollMemory *m, const SeenItems *seen, ItemNames *ret, size_t *ret_all,
                        Err *e) {
        Search s = {.seen = seen, .ret = ret};
        int r;

        ret->bytes = BUF(NAMES_MAX_BYTES);
        r = notes_each(m->notes, SPAN(ITEM_PREFIX), SPAN(""), look, &s, e);
        *ret_all = s.all;
        return r == -EMSGSIZE ? FAIL(e, r, "too many items are remembered") : r;
}

static int forget_all(PollMemory *m, Err *e) {
        ItemNames names = {0};
        size_t all, pos = 0;
        Span name;
        int r = poll_memory_missing(m, NULL, &names, &all, e);

        while (r == 0 && item_names_next(&names, &pos, &name))
                r = notes_delete(m->notes, name, e);
        buf_done(&names.bytes);
        return r < 0 ? r : notes_delete(m->notes, SPAN(WHOLE_NOTE), e);
}

static int begin_anew(PollMemory *m, Span about, Err *e) {
        int64_t now = clock_wall_ms();
        int r = notes_begin(m->notes, e);

        if (m->floor < now)
                m->floor = now;
        if (r == 0)
                r = forget_all(m, e);
        if (r == 0)
                r = poll_memory_put_floor(m, m->floor, e);
        if (r == 0)
                r = notes_put(m->notes, SPAN(ABOUT_NOTE), about, e);
        if (r == 0)
                return notes_commit(m->notes, e);
        notes_rollback(m->notes);
        return r;
}

int poll_memory_open(PollMemory *m, Notes *notes, Span about, Err *e) {
        AUTO(buf_done)
        Buf was = BUF(64 * 1024);
        AUTO(buf_done)
        Buf floor = BUF(64);
        AUTO(buf_done)
        Buf whole = BUF(64);
        uint64_t n;

        *m = (PollMemory){.notes = notes};
        if (notes_get(notes, SPAN(ABOUT_NOTE), &was, e) < 0 ||
            notes_get(notes, SPAN(FLOOR_NOTE), &floor, e) < 0 ||
            notes_get(notes, SPAN(WHOLE_NOTE), &whole, e) < 0)
                return -EIO;
        if (span_to_u64(buf_span(&floor), INT64_MAX, &n))
                m->floor = (int64_t)n;
        m->is_whole = whole.n > 0;
        if (floor.n && span_eq(buf_span(&was), about))
                return 0;
        m->is_whole = false;
        return begin_anew(m, about, e);
}
