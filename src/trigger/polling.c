/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/polling.h"

#include "trigger/fetch.h"
#include "watch/poll.h"

enum { PROBLEMS_ARENA = 256 * 1024 };

typedef struct Polling {
        Note note;
        Inlet *inlet;
        Page *page;
        Arena *arena;
        Pages pages;
} Polling;

/* ---- what is written ---- */

/* NULL, or a sentence; *ret_at is where, line 0 for all of it. */
static const char *settle(const char *items, const Node *node, Pages *ret, Place *ret_at) {
        if (!node)
                ret->next.text = SPAN("link");
        else if (node_get(node, "list")) {
                *ret_at = node_get(node, "list")->place;
                return "list: where the items are is what `items` says";
        }
        ret->list.text = items ? span_of(items) : SPAN(".");
        ret->list.place = (Place){0};
        return pages_settle(ret, ret_at);
}

static int read_pages(const char *items, const Node *node, Arena *a, Problems *problems,
                      Pages *ret) {
        Place at = {0};
        const char *wrong;

        *ret = (Pages){.max = POLL_PAGES_MAX};
        if (node && options_read(node, step_pages.table, step_pages.n, ret, a, problems) < 0)
                return -EINVAL;
        wrong = settle(items, node, ret, &at);
        if (wrong && node)
                return problem_add(problems, at.line ? at : node->place, "%s", wrong);
        return wrong ? -EINVAL : 0;
}

static void check(const Config *c, const Trigger *t, Problems *problems) {
        AUTO(arena_freep)
        Arena *a = arena_new(PROBLEMS_ARENA);
        const PollOptions *o = t->options;
        const Node *map = t->source->trigger, *from = node_get(map, "poll"),
                   *items = node_get(map, "items");
        Path path;
        Pages pages;
        Err e = {0};

        if (fetch_check_in(c, span_of(o->from), &e) < 0)
                problem_add(problems, from->text_place, "poll: %s", e.text);
        if (o->items && !path_parse(span_of(o->items), &path))
                problem_add(problems, items->text_place, "items: a plain path such as .items");
        else
                (void)!read_pages(o->items, o->pages, a, problems, &pages);
}

void polling_check(const Triggers *t, Problems *problems) {
        for (size_t i = 0; i < t->n; i++)
                if (t->at[i].kind == &trigger_poll)
                        check(t->config, &t->at[i], problems);
}

/* ---- reading ---- */

static void end(Polling *p, const PageAnswer *a) {
        page_answer(p->page, a);
        p->page = page_unref(p->page);
        p->inlet->polls--;
        arena_free(p->arena);
        free(p);
}

static void on_fetched(void *arg, const FetchAnswer *f) {
        Polling *p = arg;
        PageAnswer a = {.status = f->status, .wait_ms = -1};

        if (f->code) {
                a.why = arena_printf(p->arena, SPAN_FMT, SPAN_ARG(f->message));
                a.why = a.why && *a.why ? a.why : f->code;
                a.wait_ms = f->wait_ms;
        } else {
                a.is_unchanged = f->is_unchanged;
                a.list = f->list;
                a.n = f->n;
                a.next = f->next;
                a.etag = f->etag;
        }
        end(p, &a);
}

static void begin(Polling *p) {
        const PageAsk *ask = &p->page->ask;
        Problems *problems = arena_alloc(p->arena, sizeof *problems);
        PageAnswer refusal = {.wait_ms = -1};

        must(problems);
        problems->arena = p->arena;
        if (p->inlet->draining)
                refusal.why = "it stops";
        else if (read_pages(ask->items, ask->pages, p->arena, problems, &p->pages) < 0)
                refusal.why = "pages: it cannot be read";
        else if (ask->pages_before >= p->pages.max)
                refusal.why = arena_printf(
                        p->arena, "the list has more than %" PRId64 " pages (max, under `pages`)",
                        p->pages.max);
        if (refusal.why) {
                end(p, &refusal);
                return;
        }
        fetch_start(p->inlet->runner,
                    &(FetchAsk){.from = span_of(ask->from),
                                .pages = &p->pages,
                                .is_guess = !ask->pages,
                                .is_document = ask->is_document,
                                .url = ask->url,
                                .pages_before = ask->pages_before,
                                .items_before = ask->items_before,
                                .etag = ask->etag},
                    on_fetched, p);
}

static void on_note(Note *n) {
        Polling *p = CONTAINER_OF(n, Polling, note);

        p->inlet->polls++;
        begin(p);
}

void polling_read(void *self, Page *page) {
        Inlet *in = self;
        Polling *p = must_alloc(sizeof *p);

        *p = (Polling){.note = {.read = on_note},
                       .inlet = in,
                       .page = page_ref(page),
                       .arena = arena_new(PROBLEMS_ARENA)};
        inbox_send(&in->loop->inbox, &p->note);
}
