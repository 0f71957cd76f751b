/* SPDX-License-Identifier: Apache-2.0
 *
 * get: fetch one entity. */
#include "flow/exchange.h"

typedef struct GetOptions {
        Expr get;
        const Node *missing;
        Address to;
        Missing when_missing;
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
};

static int prepare(Build *b, void *into) {
        GetOptions *o = into;
        int r = build_address(b, &o->get, &o->to);

        return missing_prepare(b, o->missing, &o->when_missing) < 0 ? -EINVAL : r;
}

static void on_answer(Act *a, const ClientAnswer *answer) {
        const GetOptions *o = a->step->options;
        Span value;

        if (answer->status == 404) {
                missing_run(a, &o->when_missing, o->to.target);
                return;
        }
        if (!exchange_json(a, answer, false, &value))
                return;
        if (!a->run->data.p)
                a->run->data = value;
        act_done(a, value);
}

static void run(Act *a, const Step *s) {
        const GetOptions *o = s->options;

        a->call = (Call){.method = "GET"};
        exchange_start(a, &o->to, on_answer);
}

const StepKind step_get = {
        .name = "get",
        .help = "Fetches one entity from a connection.",
        .reads = true,
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(GetOptions),
        .prepare = prepare,
        .run = run,
};
