/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/pages.h"

#include "flow/run.h"
#include "http/list.h"
#include "http/url.h"
#include "json/value.h"

static const Option options[] = {
        {.name = "next",
         .type = OPTION_EXPR,
         .offset = offsetof(Pages, next),
         .shape = "`link`, or plain path",
         .help = "Where the answer names the next page: `link` for a Link header with rel=\"next\" "
                 "(RFC 8288), or a plain path such as .meta.next to its URL, or to a cursor "
                 "together with `as`. When nothing is there, that page was the last."},
        {.name = "as",
         .type = OPTION_TEXT,
         .offset = offsetof(Pages, as),
         .help = "The query parameter that takes the cursor which `next` finds."},
        {.name = "number",
         .type = OPTION_TEXT,
         .offset = offsetof(Pages, number),
         .help = "In place of `next`: the query parameter that counts the pages, up to an empty "
                 "one."},
        {.name = "from",
         .type = OPTION_NUMBER,
         .offset = offsetof(Pages, from),
         .fallback = "1",
         .min = 0,
         .max = 1000000,
         .help = "The `number` of the first page."},
        {.name = "offset",
         .type = OPTION_TEXT,
         .offset = offsetof(Pages, offset),
         .help = "In place of `next`: the query parameter that says how many items come before the "
                 "page, 0 before the first, up to an empty one."},
        {.name = "index",
         .type = OPTION_TEXT,
         .offset = offsetof(Pages, index),
         .help = "The same for one that counts from 1 on, such as SCIM's startIndex."},
        {.name = "list",
         .type = OPTION_EXPR,
         .offset = offsetof(Pages, list),
         .fallback = ".",
         .help = "Where the items are in a page, a plain path such as .items."},
        {.name = "max",
         .type = OPTION_NUMBER,
         .offset = offsetof(Pages, max),
         .fallback = "100",
         .min = 1,
         .max = 10000,
         .help = "How many pages are read at most. A longer list fails the step: a part of it is "
                 "never taken for the whole."},
};

const OptionGroup step_pages = {
        "pages", "`pages: {next: link}`: the step's value is the list of all pages' items.",
        options, COUNT_OF(options)};

const char *pages_settle(Pages *p, Place *ret_at) {
        int ways = !!p->next.text.p + !!p->number + !!p->offset + !!p->index;

        *ret_at = (Place){0};
        p->are_given = true;
        p->by_link = span_eq(p->next.text, SPAN("link"));
        if (ways != 1)
                return "pages: one of next, number, offset and index says where the next page is";
        if (p->as && (p->by_link || !p->next.text.p))
                return "as: only a cursor that next finds in the answer needs it";
        *ret_at = p->next.place;
        if (p->next.text.p && !p->by_link && !path_parse(p->next.text, &p->next_path))
                return "next is link, or a plain path such as .meta.next";
        *ret_at = p->list.place;
        if (!path_parse(p->list.text, &p->list_path))
                return "list is a plain path such as .items";
        return NULL;
}

int pages_prepare(Build *b, const Node *node, Pages *ret) {
        const char *wrong;
        Place at;

        if (!node)
                return 0;
        if (options_read(node, options, COUNT_OF(options), ret, b->snapshot->arena, b->problems) <
            0)
                return -EINVAL;
        wrong = pages_settle(ret, &at);
        return wrong ? problem_add(b->problems, at.line ? at : node->place, "%s", wrong) : 0;
}

/* ---- a list on its way ---- */

typedef struct Page {
        struct Page *earlier;
        Span list;
} Page;

typedef struct Turning {
        const Pages *p;
        void (*then)(Act *a, Span items);
        void (*missing)(Act *a);
        Page *last;
        PageAt at;
} Turning;

static void no_room(Act *a) {
        act_fail(a, 422, "too-large", false, "the pages of step " SPAN_FMT " are too large",
                 SPAN_ARG(a->step->name));
}

/* All items, in one array. */
static Span join(Act *a, const Turning *t) {
        size_t bytes = 2, n = 0;
        const Page **pages = arena_alloc(a->run->arena, ((size_t)t->at.pages + 1) * sizeof *pages);
        char *text, *at;

        for (const Page *p = t->last; p && pages; p = p->earlier) {
                pages[n++] = p;
                bytes += p->list.n;
        }
        text = pages ? arena_alloc(a->run->arena, bytes + 1) : NULL;
        if (!text)
                return (Span){NULL, 0};
        at = text;
        *at++ = '[';
        while (n-- > 0) {
                Span items = json_trim(pages[n]->list);

                items = json_trim((Span){items.p + 1, items.n - 2});
                if (items.n == 0)
                        continue;
                if (at > text + 1)
                        *at++ = ',';
                memcpy(at, items.p, items.n);
                at += items.n;
        }
        *at++ = ']';
        return (Span){text, (size_t)(at - text)};
}

/* ---- the next page ---- */

/* The target of the link with the relation "next"; .p NULL for none. */
static Span linked(const ClientAnswer *answer) {
        for (size_t i = 0; i < answer->n_headers; i++) {
                Span rest = answer->headers[i].value, link;

                if (!span_eq_nocase(answer->headers[i].name, SPAN("link")))
                        continue;
                while (http_list_next(&rest, ',', &link)) {
                        Span target, part, name, value;

                        if (!http_list_next(&link, ';', &target) || target.n < 2 ||
                            target.p[0] != '<' || target.p[target.n - 1] != '>')
                                continue;
                        while (http_list_next(&link, ';', &part))
                                if (http_parameter_read(part, &name, &value) &&
                                    span_eq_nocase(name, SPAN("rel")) && value.p &&
                                    span_eq_nocase(value, SPAN("next")))
                                        return (Span){target.p + 1, target.n - 2};
                }
        }
        return (Span){NULL, 0};
}

static char *with_parameter(Act *a, const char *url, const char *name, Span value) {
        AUTO(buf_done)
        Buf coded = BUF(URL_MAX_BYTES * 3);

        if (url_encode(&coded, value) < 0)
                return NULL;
        return arena_printf(a->run->arena, "%s%c%s=" SPAN_FMT, url, strchr(url, '?') ? '&' : '?',
                            name, SPAN_ARG(buf_span(&coded)));
}

/* Where the path of a URL begins. */
static size_t origin_bytes(const char *url) {
        const char *host = strstr(url, "://");

        return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?") : strlen(url);
}

bool pages_is_same_origin(const char *a, const char *b) {
        Url x, y;
        Err e = {0};

        return url_parse(span_of(a), &x, &e) == 0 && url_parse(span_of(b), &y, &e) == 0 &&
               x.https == y.https && x.port == y.port && span_eq_nocase(x.host, y.host);
}

/* A reference (RFC 3986 section 4.2) as far as APIs use them: whole, from the root, or a query.
 * NULL when it leads elsewhere. */
static char *resolve(Act *a, Span text) {
        const char *now = a->call.url, *base = a->to->target->config->url;
        char *url = NULL;

        if (span_starts(text, SPAN("http://")) || span_starts(text, SPAN("https://")))
                url = arena_printf(a->run->arena, SPAN_FMT, SPAN_ARG(text));
        else if (span_starts(text, SPAN("/")) && !span_starts(text, SPAN("//")))
                url = arena_printf(a->run->arena, "%.*s" SPAN_FMT, (int)origin_bytes(base), base,
                                   SPAN_ARG(text));
        else if (span_starts(text, SPAN("?")))
                url = arena_printf(a->run->arena, "%.*s" SPAN_FMT, (int)strcspn(now, "?"), now,
                                   SPAN_ARG(text));
        return url && pages_is_same_origin(url, base) ? url : NULL;
}

/* Those that count need no word of the answer. NULL when next does not count, or there is no room;
 * `ret_counts` tells which. */
static const char *counted(Act *a, const Pages *p, const PageAt *at, bool *ret_counts) {
        const char *name = p->number ? p->number : p->offset ? p->offset : p->index;
        int64_t n = p->number ? p->from + at->pages : p->offset ? at->items : at->items + 1;
        char number[24];

        *ret_counts = name;
        if (!name)
                return NULL;
        (void)snprintf(number, sizeof number, "%" PRId64, n);
        return with_parameter(a, at->first, name, span_of(number));
}

const char *pages_first(Act *a, const Pages *p, const char *first) {
        bool counts;
        const char *url = counted(a, p, &(PageAt){.first = first}, &counts);

        return counts ? url : first;
}

bool pages_next(Act *a, const Pages *p, const PageAt *at, const ClientAnswer *answer, Span value,
                Span list, const char **ret) {
        AUTO(buf_done)
        Buf text = BUF(URL_MAX_BYTES);
        bool counts;

        *ret = counted(a, p, at, &counts);
        if (counts && json_length(list) == 0) {
                *ret = NULL;
                return true;
        }
        if (!counts) {
                Span next = p->by_link ? linked(answer) : path_follow(&p->next_path, 0, value);
                int r = 0;

                if (!next.p || (!p->by_link && json_kind(next) == JSON_NULL))
                        return true;
                r = p->by_link ? buf_add(&text, next) : json_text(next, &text);
                if (r == 0 && text.n == 0)
                        return true;
                if (r == 0)
                        *ret = p->as ? with_parameter(a, at->first, p->as, buf_span(&text))
                                     : resolve(a, buf_span(&text));
        }
        if (*ret)
                return true;
        act_fail(a, 424, "unreadable-answer", false,
                 "%s names a next page that is no place in it: %.*s", a->to->target->config->name,
                 text.n > 200 ? 200 : (int)text.n, text.p ? text.p : "");
        return false;
}

static void on_page(Act *a, const ClientAnswer *answer) {
        Turning *t = a->scratch;
        const char *name = a->to->target->config->name, *next;
        Page *page = arena_alloc(a->run->arena, sizeof *page);
        Span value, list;

        if (answer->status == 404 && t->at.pages == 0) {
                t->missing(a);
                return;
        }
        if (answer->status == 404) {
                act_fail(a, 424, "target-refused", true, "%s has no page %" PRId64 " (404).", name,
                         t->at.pages + 1);
                return;
        }
        if (!page) {
                no_room(a);
                return;
        }
        if (!exchange_json(a, answer, false, &value))
                return;
        list = path_follow(&t->p->list_path, 0, value);
        if (!list.p || json_kind(list) != JSON_ARRAY) {
                act_fail(a, 424, "unreadable-answer", false,
                         "%s gave a page that holds no list at " SPAN_FMT ".", name,
                         SPAN_ARG(t->p->list.text));
                return;
        }
        *page = (Page){t->last, list};
        t->last = page;
        t->at.pages++;
        t->at.items += (int64_t)json_length(list);
        if (!pages_next(a, t->p, &t->at, answer, value, list, &next))
                return;
        if (!next) {
                Span all = join(a, t);

                if (all.p)
                        t->then(a, all);
                else
                        no_room(a);
        } else if (t->at.pages == t->p->max) {
                act_fail(a, 424, "too-large", false,
                         "%s has more than %" PRId64 " pages of this list.", name, t->at.pages);
        } else
                exchange_go_on(a, next, on_page);
}

static void on_address(Act *a, const char *url) {
        Turning *t = a->scratch;

        t->at.first = url;
        url = pages_first(a, t->p, url);
        if (url)
                exchange_go_on(a, url, on_page);
        else
                no_room(a);
}

void pages_start(Act *a, const Pages *p, const Address *to, void (*then)(Act *a, Span items),
                 void (*missing)(Act *a)) {
        Turning *t = arena_alloc(a->run->arena, sizeof *t);

        if (!t) {
                no_room(a);
                return;
        }
        *t = (Turning){.p = p, .then = then, .missing = missing};
        a->scratch = t;
        exchange_address(a, to, on_address);
}
