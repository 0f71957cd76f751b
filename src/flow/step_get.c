/* SPDX-License-Identifier: Apache-2.0
 *
 * get: fetch one entity. */
#include "flow/fresh.h"
#include "flow/pages.h"

typedef struct GetOptions {
        Expr get;
        const Node *missing, *pages;
        int64_t cache_ms;
        Address to;
        Missing when_missing;
        Pages turn;
        Fresh fresh;
} GetOptions;

static const Option options[] = {
        {.name = "get",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(GetOptions, get),
         .required = true,
         .help = "What to fetch: connection:/path with holes, such as "
                 "'identity:/users/{.event.id}'. The answer's JSON becomes the step's value."},
        {.name = "missing",
         .type = OPTION_NODE,
         .offset = offsetof(GetOptions, missing),
         .help = "What a 404 means: {fail: 404, message: '...'} or null to go on."},
        {.name = "pages",
         .type = OPTION_NODE,
         .offset = offsetof(GetOptions, pages),
         .shape = "map",
         .help = "How a list goes on behind its first page: see [pages](#pages)."},
        CACHE_OPTION(offsetof(GetOptions, cache_ms)),
        FRESH_OPTIONS(offsetof(GetOptions, fresh))};

static int prepare(Build *b, void *into) {
        GetOptions *o = into;
        int r = build_address(b, &o->get, &o->to);

        if (pages_prepare(b, o->pages, &o->turn) < 0 || fresh_prepare(b, &o->fresh) < 0)
                r = -EINVAL;
        if (o->fresh.rule != DATA_FETCHED && (o->turn.are_given || o->cache_ms))
                r = problem_add(b->problems, b->step->place,
                                "data: overlay and fresh look at one entity as it is now: not "
                                "together with pages or cache");
        return missing_prepare(b, o->missing, &o->when_missing) < 0 ? -EINVAL : r;
}

static void ask(Act *a);

static void judged(Act *a, Span value) {
        const GetOptions *o = a->step->options;

        if (!value.p) {
                missing_run(a, &o->when_missing, o->to.target);
                return;
        }
        if (!a->run->data.p)
                a->run->data = value;
        act_done(a, value);
}

static void on_missing(Act *a) {
        judged(a, (Span){NULL, 0});
}

static void on_answer(Act *a, const ClientAnswer *answer) {
        const GetOptions *o = a->step->options;
        Span value = {NULL, 0};

        if (answer->status != 404) {
                if (!exchange_json(a, answer, false, &value))
                        return;
                Span tag = client_answer_get(answer, "etag");

                if (tag.n)
                        a->tag = act_keep(a, tag);
        }
        fresh_judge(a, &o->fresh, value, judged, ask);
}

static void ask(Act *a) {
        const GetOptions *o = a->step->options;

        a->call = (Call){.method = "GET"};
        a->keep_ms = o->cache_ms;
        if (o->turn.are_given)
                pages_start(a, &o->turn, &o->to, judged, on_missing);
        else
                exchange_start(a, &o->to, on_answer);
}

static void run(Act *a, const Step *s) {
        (void)s;
        ask(a);
}

const StepKind step_get = {
        .name = "get",
        .help = "Fetches one entity from a connection.",
        .reads = true,
        .options = options,
        .n_options = COUNT_OF(options),
        .more = &step_pages,
        .size = sizeof(GetOptions),
        .prepare = prepare,
        .run = run,
};
