/* SPDX-License-Identifier: Apache-2.0
 *
 * find: look for the one entity that matches. None is `missing`; more than one is an error, never
 * "take the first". */
#include "flow/exchange.h"
#include "map/path.h"
#include "json/value.h"

typedef struct FindOptions {
        Expr find, pick;
        const Node *missing;
        int64_t cache_ms;
        Address to;
        Path path;
        Missing when_missing;
} FindOptions;

static const Option options[] = {
        {.name = "find",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(FindOptions, find),
         .required = true,
         .help = "The search: connection:/path?query with holes, such as "
                 "'crm:/contacts?external_id={.event.id}'."},
        {.name = "pick",
         .type = OPTION_EXPR,
         .offset = offsetof(FindOptions, pick),
         .fallback = ".",
         .help = "Where the hits are in the answer, a plain path such as .items. A list must hold "
                 "one entity; an entity is taken as it is."},
        {.name = "missing",
         .type = OPTION_NODE,
         .offset = offsetof(FindOptions, missing),
         .help = "What no hit means: {fail: 404, message: '...'} or null to go on."},
        CACHE_OPTION(offsetof(FindOptions, cache_ms)),
};

static int prepare(Build *b, void *into) {
        FindOptions *o = into;
        int r = build_address(b, &o->find, &o->to);

        if (!path_parse(o->pick.text, &o->path))
                r = problem_add(b->problems, o->pick.place, "pick is a plain path such as .items");
        return missing_prepare(b, o->missing, &o->when_missing) < 0 ? -EINVAL : r;
}

static void on_answer(Act *a, const ClientAnswer *answer) {
        const FindOptions *o = a->step->options;
        Span all, hit;

        if (answer->status == 404) {
                missing_run(a, &o->when_missing, o->to.target);
                return;
        }
        if (!exchange_json(a, answer, false, &all))
                return;
        hit = path_follow(&o->path, 0, all);
        if (hit.p && json_kind(hit) == JSON_ARRAY) {
                if (json_length(hit) > 1) {
                        act_fail(a, 409, "ambiguous", false,
                                 "%s holds %zu entities that match, where there must be one.",
                                 o->to.target->config->name, json_length(hit));
                        return;
                }
                hit = json_element(hit, 0);
        }
        if (!hit.p || json_kind(hit) == JSON_NULL)
                missing_run(a, &o->when_missing, o->to.target);
        else
                act_done(a, hit);
}

static void run(Act *a, const Step *s) {
        const FindOptions *o = s->options;

        a->call = (Call){.method = "GET"};
        a->keep_ms = o->cache_ms;
        exchange_start(a, &o->to, on_answer);
}

const StepKind step_find = {
        .name = "find",
        .help = "Finds the one matching entity at a connection.",
        .reads = true,
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(FindOptions),
        .prepare = prepare,
        .run = run,
};
