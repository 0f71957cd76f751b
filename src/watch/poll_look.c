/* SPDX-License-Identifier: Apache-2.0
 *
 * Look after look. One that fails says so, and the next is tried by itself: sooner than usual, but
 * not before the other side wants it. */
#include "base/clock.h"
#include "watch/poll_round.h"

#include <errno.h>

enum { AGAIN_MIN_MS = 1000, AGAIN_MAX_MS = 60000, WAIT_MAX_MS = 86400000, ETAG_MAX_BYTES = 4096 };

/* ---- a look ---- */

static bool is_gone(const Poll *p, const PageAnswer *a) {
        return p->o->is_document && (a->status == 404 || a->status == 410);
}

/* The tag is of a list whose only page this was, all of which is remembered now. */
static void keep_etag(Poll *p, Span etag) {
        buf_clear(&p->etag);
        if (p->pages == 1 && buf_add(&p->etag, etag) < 0)
                buf_clear(&p->etag);
}

static int take_answer(Poll *p, const PageAnswer *a, Err *e) {
        int r;

        if (is_gone(p, a)) {
                buf_clear(&p->etag);
                (void)snprintf(p->why, sizeof p->why, "there is nothing at this address (%d)",
                               a->status);
                return poll_take_end(p, e);
        }
        if (a->why) {
                p->wait_ms = a->wait_ms;
                return poll_fails(p, "%s", a->why);
        }
        if (a->is_unchanged)
                return 0;
        r = poll_take_page(p, a->list, a->n, e);
        if (r || a->next.n)
                return r;
        buf_clear(&p->etag);
        r = poll_take_end(p, e);
        if (r == 0)
                keep_etag(p, a->etag);
        return r;
}

static int look_at_page(Poll *p, Buf *url, Err *e) {
        PageAsk ask = {.from = p->o->from,
                       .items = p->o->items,
                       .pages = p->o->pages,
                       .is_document = p->o->is_document,
                       .url = buf_span(url),
                       .pages_before = p->pages,
                       .items_before = p->items};
        Page *page;
        int r;

        if (p->pages == 0)
                ask.etag = buf_span(&p->etag);
        r = watch_read(p->watch, &ask, &page, e);
        if (r < 0)
                return r;
        p->pages++;
        r = take_answer(p, &page->answer, e);
        buf_clear(url);
        if (r == 0 && !page->answer.why && buf_add(url, page->answer.next) < 0)
                r = poll_fails(p, "the address of the next page is too long");
        page_unref(page);
        return r;
}

static int look(Poll *p, Err *e) {
        AUTO(buf_done)
        Buf url = BUF(64 * 1024);
        int64_t begun_ms = clock_mono_ms();
        int r;

        p->pages = p->items = p->bytes = 0;
        p->wait_ms = -1;
        p->why[0] = 0;
        do
                r = look_at_page(p, &url, e);
        while (r == 0 && url.n);
        watch_gauge(p->watch, "pages", p->pages);
        watch_gauge(p->watch, "took_ms", clock_mono_ms() - begun_ms);
        watch_gauge(p->watch, "missed", (int64_t)p->missed.n);
        if (p->known >= 0)
                watch_gauge(p->watch, "remembered", p->known);
        seen_items_clear(&p->seen);
        return r;
}

/* ---- all of them ---- */

static int64_t pause_ms(const Poll *p, unsigned tries) {
        int64_t ms = (int64_t)AGAIN_MIN_MS << (tries < 6 ? tries : 6);
        int64_t usual = p->o->every_ms > AGAIN_MIN_MS ? p->o->every_ms : AGAIN_MIN_MS;

        ms = ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
        ms = ms < usual ? ms : usual;
        ms = ms > p->wait_ms ? ms : p->wait_ms;
        return ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS;
}

static int go_on(Poll *p, Err *e) {
        unsigned tries = 0;

        for (;;) {
                int r = look(p, e);
                int64_t rest_ms = p->o->every_ms;

                if (r < 0)
                        return r;
                if (r == 0) {
                        watch_remarks(p->watch, p->why);
                        tries = 0;
                } else {
                        watch_fails(p->watch, p->why);
                        rest_ms = pause_ms(p, tries++);
                }
                r = watch_wait(p->watch, -1, rest_ms);
                if (r < 0)
                        return r;
        }
}

/* What it is a list of: a reload that changes that begins anew. What is asked of it, behind the
 * question mark, is not in it. */
static int open_memory(Poll *p, Err *e) {
        AUTO(buf_done)
        Buf about = BUF(64 * 1024);
        Notes *notes = watch_notes(p->watch, e);
        int path = (int)strcspn(p->o->from, "?");

        if (!notes)
                return -EIO;
        must(buf_addf(&about, "poll\n%.*s\n%s\n%s", path, p->o->from,
                      p->o->items ? p->o->items : "", p->o->key ? p->o->key : "") == 0);
        return poll_memory_open(&p->memory, notes, buf_span(&about), e);
}

int poll_looks(Watch *w, const PollOptions *o, Err *e) {
        Poll p = {.watch = w, .o = o, .known = -1, .etag = BUF(ETAG_MAX_BYTES)};
        int r = open_memory(&p, e);

        if (r == 0)
                r = go_on(&p, e);
        seen_items_clear(&p.seen);
        seen_items_clear(&p.missed);
        buf_done(&p.etag);
        return r == -ECANCELED ? 0 : r;
}
