/* SPDX-License-Identifier: Apache-2.0
 *
 * The page is asked for by a run of a flow that stands in no file: one step, no event. So all that
 * calls know how to do is done here by the code that does it for flows. */
#include "trigger/fetch.h"

#include "base/clock.h"
#include "flow/step.h"
#include "http/url.h"
#include "json/value.h"

typedef struct Fetch {
        Arena *arena;
        Loop *loop;
        FetchAsk ask;
        const Target *target; /* NULL: there is no such connection */
        Address to;
        Step step;
        Flow flow;
        RunnerHost host;
        FetchAnswer answer;
        void (*done)(void *arg, const FetchAnswer *answer);
        void *arg;
        Note note;
} Fetch;

/* ---- the address ---- */

static int find(const Config *config, Span from, const ConnectionConfig **ret, Span *ret_path,
                Err *e) {
        size_t colon = span_find(from, ':');
        const ConnectionConfig *c = config_connection(config, (Span){from.p, colon});
        Span path = span_from(from, colon + 1);

        if (!c && colon < from.n)
                return FAIL(e, -EINVAL, "there is no connection '%.*s'", (int)colon, from.p);
        if (!c || path.n == 0 || path.p[0] != '/')
                return FAIL(e, -EINVAL,
                            "write connection:/path, such as 'identity:/users?limit=100'");
        if (memchr(path.p, '{', path.n) || memchr(path.p, '}', path.n))
                return FAIL(e, -EINVAL, "there is no event that could fill a hole {...}");
        if (c->url && strlen(c->url) + path.n > URL_MAX_BYTES)
                return FAIL(e, -EINVAL, "the address is longer than %d bytes", URL_MAX_BYTES);
        *ret = c;
        *ret_path = path;
        return 0;
}

int fetch_check_in(const Config *config, Span from, Err *e) {
        AUTO(buf_done)
        Buf whole = BUF(2 * URL_MAX_BYTES);
        const ConnectionConfig *c;
        Span path;
        Url url;

        if (find(config, from, &c, &path, e) < 0)
                return -EINVAL;
        if (!c->url) /* told already */
                return 0;
        if (buf_addf(&whole, "%s" SPAN_FMT, c->url, SPAN_ARG(path)) < 0)
                return FAIL(e, -EINVAL, "the address is too long");
        return url_parse(buf_span(&whole), &url, e);
}

int fetch_check(const Snapshot *s, Span from, Err *e) {
        return fetch_check_in(s->config, from, e);
}

/* ---- the step ---- */

static const Pages by_link = {.are_given = true,
                              .next = {.text = {"link", 4}},
                              .list = {.text = {".", 1}},
                              .by_link = true,
                              .list_path = {.whole = true}};

static const Pages *pages_of(const Fetch *f) {
        return f->ask.pages ? f->ask.pages : &by_link;
}

/* A page that is an object, where nobody said which of its members is the list: the only one that
 * could be it. */
static Span only_list(Span page) {
        Span key, value, found = {NULL, 0};

        for (size_t pos = 0; json_next(page, &pos, &key, &value);) {
                if (json_kind(value) != JSON_ARRAY)
                        continue;
                if (found.p)
                        return (Span){NULL, 0};
                found = value;
        }
        return found;
}

static Span list_of(const Fetch *f, Span page) {
        const Pages *p = pages_of(f);
        Span list = path_follow(&p->list_path, 0, page);

        if (p->list_path.whole && json_kind(page) == JSON_OBJECT)
                list = only_list(page);
        return list.p && json_kind(list) == JSON_ARRAY ? list : (Span){NULL, 0};
}

/* How many items there are in all, as pages commonly say it; 0 where this one does not. */
static int64_t total_of(Span page) {
        static const char *const names[] = {"total", "totalResults", "totalCount", "total_count"};
        uint64_t n = 0;

        for (size_t i = 0; n == 0 && json_kind(page) == JSON_OBJECT && i < COUNT_OF(names); i++) {
                Span v = json_trim(json_member(page, span_of(names[i])));

                if (!v.p || !span_to_u64(v, INT64_MAX, &n))
                        n = 0;
        }
        return (int64_t)n;
}

/* Nobody said how the list goes on, and there was no link. A part of it is never taken for the
 * whole: does the page speak of more? The word that says so, or NULL. */
static const char *speaks_of_more(Span page, int64_t items) {
        static const char *const names[] = {"next",      "nextLink",      "@odata.nextLink",
                                            "next_page", "nextPageToken", "next_cursor",
                                            "has_more",  "hasMore"};
        Span v = {NULL, 0};

        if (json_kind(page) != JSON_OBJECT)
                return NULL;
        if (total_of(page) > items)
                return "total";
        for (size_t i = 0; i < COUNT_OF(names); i++) {
                v = json_member(page, span_of(names[i]));
                if (v.p && json_kind(v) != JSON_NULL && json_kind(v) != JSON_FALSE &&
                    !span_eq(json_trim(v), SPAN("\"\"")))
                        return names[i];
        }
        return NULL;
}

/* False when it has failed. */
static bool check_end(Act *a, const Fetch *f, Span page, int64_t items, const char *next) {
        const char *name = f->target->config->name, *word = NULL;

        if (next && strcmp(next, a->call.url) == 0)
                act_fail(a, 424, "unreadable-answer", false,
                         "%s names a page as the one behind itself: %s", name, next);
        else if (!next && f->ask.is_guess && (word = speaks_of_more(page, items)))
                act_fail(a, 424, "unreadable-answer", false,
                         "%s gave %" PRId64 " items, and its page speaks of more (%s): say how the "
                         "list goes on",
                         name, items, word);
        else
                return true;
        return false;
}

static void keep_etag(Fetch *f, const ClientAnswer *answer) {
        Span etag = client_answer_get(answer, "etag");

        f->answer.etag = arena_span(f->arena, etag.n ? etag : SPAN(""));
}

static void take_page(Act *a, Fetch *f, const ClientAnswer *answer, Span page, Span list) {
        FetchAnswer *ret = &f->answer;
        PageAt at = {.pages = f->ask.pages_before + 1};
        const char *next;

        ret->n = json_length(list);
        at.items = f->ask.items_before + (int64_t)ret->n;
        at.first = arena_printf(a->run->arena, "%s" SPAN_FMT, f->target->config->url,
                                SPAN_ARG(span_from(f->ask.from, span_find(f->ask.from, ':') + 1)));
        if (!at.first || !pages_next(a, pages_of(f), &at, answer, page, list, &next)) {
                if (!at.first)
                        act_fail(a, 422, "too-large", false, "the page is too large");
                return;
        }
        if (!check_end(a, f, page, at.items, next))
                return;
        ret->total = total_of(page);
        ret->list = arena_span(f->arena, list);
        ret->next = next ? arena_span(f->arena, span_of(next)) : SPAN("");
        keep_etag(f, answer);
        if (ret->list.p && ret->next.p && ret->etag.p)
                act_done(a, (Span){NULL, 0});
        else
                act_fail(a, 422, "too-large", false, "the page is too large");
}

static void take_document(Act *a, Fetch *f, const ClientAnswer *answer, Span document) {
        f->answer.n = 1;
        f->answer.list = arena_span(f->arena, document);
        f->answer.next = SPAN("");
        keep_etag(f, answer);
        if (f->answer.list.p && f->answer.etag.p)
                act_done(a, (Span){NULL, 0});
        else
                act_fail(a, 422, "too-large", false, "the document is too large");
}

static void on_answer(Act *a, const ClientAnswer *answer) {
        Fetch *f = (Fetch *)a->step->options;
        Span page, list;

        f->answer.status = answer->status;
        if (answer->status == 404) {
                act_fail(a, 424, "missing", false, "%s has nothing at this address (404).",
                         f->target->config->name);
                return;
        }
        if (!exchange_json(a, answer, false, &page))
                return;
        list = f->ask.is_document ? json_trim(page) : list_of(f, page);
        if (f->ask.is_document)
                take_document(a, f, answer, list);
        else if (list.p)
                take_page(a, f, answer, page, list);
        else
                act_fail(a, 424, "unreadable-answer", false,
                         "%s gave a page that holds no list at " SPAN_FMT
                         ": say where in it the list is",
                         f->target->config->name, SPAN_ARG(pages_of(f)->list.text));
}

static bool on_refused(Act *a, const ClientAnswer *answer) {
        Fetch *f = (Fetch *)a->step->options;

        f->answer.status = answer->status;
        if (answer->status != 304 || f->ask.etag.n == 0)
                return false;
        f->answer.is_unchanged = true;
        f->answer.list = SPAN("[]");
        f->answer.next = f->answer.etag = SPAN("");
        act_done(a, (Span){NULL, 0});
        return true;
}

static const char *url_of(Act *a, const Fetch *f) {
        char *first;

        if (f->ask.url.n)
                return f->ask.url.p;
        first = arena_printf(a->run->arena, "%s" SPAN_FMT, f->target->config->url,
                             SPAN_ARG(span_from(f->ask.from, span_find(f->ask.from, ':') + 1)));
        return first ? pages_first(a, pages_of(f), first) : NULL;
}

static void run(Act *a, const Step *s) {
        Fetch *f = (Fetch *)s->options;
        const char *url = url_of(a, f);

        if (!url || !pages_is_same_origin(url, f->target->config->url)) {
                act_fail(a, 422, "address-refused", false,
                         "the next page is no place in the connection %s", f->target->config->name);
                return;
        }
        a->call = (Call){.method = "GET"};
        if (f->ask.etag.n) {
                a->match_header = (HttpHeader){SPAN("If-None-Match"), f->ask.etag};
                a->call.more = &a->match_header;
                a->call.n_more = 1;
        }
        exchange_catch(a, on_refused);
        exchange_at(a, &f->to, url, on_answer);
}

static int prepare(Build *b, void *options) {
        (void)b;
        (void)options;
        return 0;
}

static const StepKind fetch_kind = {
        .name = "fetch", .help = "", .reads = true, .prepare = prepare, .run = run};

/* ---- the run ---- */

static void on_note(Note *n) {
        Fetch *f = CONTAINER_OF(n, Fetch, note);

        f->done(f->arg, &f->answer);
        arena_free(f->arena);
        free(f);
}

static void finish_later(Fetch *f) {
        f->note.read = on_note;
        inbox_send(&f->loop->inbox, &f->note);
}

static void on_ended(void *self, Job *job, const JobResult *result, const Outcome *o) {
        Fetch *f = self;

        (void)result;
        if (o->status >= 300) {
                f->answer = (FetchAnswer){.code = o->code,
                                          .message = arena_span(f->arena, o->message),
                                          .is_retryable = o->retryable,
                                          .wait_ms = o->retry_after_s < 0 ? -1
                                                                          : o->retry_after_s * 1000,
                                          .status = f->answer.status};
                if (!f->answer.message.p)
                        f->answer.message = SPAN("The page is too large.");
        }
        job_free(job);
        finish_later(f);
}

static bool copy(Fetch *f, const FetchAsk *ask) {
        f->ask = *ask;
        f->ask.from = arena_span(f->arena, ask->from);
        f->ask.url = arena_span(f->arena, ask->url.n ? ask->url : SPAN(""));
        f->ask.etag = arena_span(f->arena, ask->etag.n ? ask->etag : SPAN(""));
        return f->ask.from.p && f->ask.url.p && f->ask.etag.p;
}

void fetch_start(Runner *runner, const FetchAsk *ask,
                 void (*done)(void *arg, const FetchAnswer *answer), void *arg) {
        static const FlowConfig config = {.name = "fetch"};
        Fetch *f = must_alloc(sizeof *f);
        const ConnectionConfig *c;
        Err e = {0};
        Event *event;
        Span path;

        *f = (Fetch){.arena = arena_new(FETCH_MAX_BYTES),
                     .loop = runner->hub->loop,
                     .flow = {.config = &config, .target = "fetch"},
                     .done = done,
                     .arg = arg};
        if (!copy(f, ask) || find(runner->snapshot->config, f->ask.from, &c, &path, &e) < 0) {
                f->answer = (FetchAnswer){.code = "address-refused",
                                          .message = e.code ? arena_span(f->arena, span_of(e.text))
                                                            : SPAN("the address is too long"),
                                          .wait_ms = -1};
                finish_later(f);
                return;
        }
        f->target = &runner->snapshot->targets[c->index];
        f->to.target = f->target;
        f->step = (Step){.kind = &fetch_kind,
                         .name = SPAN("fetch"),
                         .options = f,
                         .target = f->target,
                         .reads = true};
        f->flow.steps = (StepList){&f->step, 1};
        f->host = (RunnerHost){.self = f, .ended = on_ended};
        event = event_new(&(Event){.id = 1, .body = SPAN("null")});
        runner_rehearse(runner, job_new(1, event, SPAN("fetch"), 0), &f->flow,
                        clock_mono_ms() + FETCH_MAX_MS, &f->host, runner->dialler);
        event_unref(event);
}
