/* SPDX-License-Identifier: Apache-2.0
 *
 * put: replace an entity by what is given. */
#include "flow/send.h"

typedef struct PutOptions {
        Expr put, body;
        Address to;
        const Program *body_program[1];
} PutOptions;

static const Option options[] = {
        {.name = "put",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(PutOptions, put),
         .required = true,
         .help = "The entity to replace: connection:/path with holes, such as "
                 "'crm:/contacts/{.contact.id}'."},
        {.name = "body",
         .type = OPTION_EXPR,
         .offset = offsetof(PutOptions, body),
         .fallback = ".event",
         .help = "A jq expression that gives the whole entity as it should be; the event by "
                 "default."},
};

static int prepare(Build *b, void *into) {
        PutOptions *o = into;
        Program *p = NULL;
        int r = build_address(b, &o->put, &o->to);

        if (build_program(b, &o->body, &p) < 0)
                r = -EINVAL;
        o->body_program[0] = p;
        return r;
}

static void on_body(Act *a) {
        const PutOptions *o = a->step->options;
        Span body = a->evaluation.values[0];

        /* By mistake or not: nothing is no entity. */
        if (!body.p) {
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": the body gives nothing to put",
                         SPAN_ARG(a->step->name));
                return;
        }
        send_start(a, &(Send){.method = "PUT",
                              .to = &o->to,
                              .body = body,
                              .content_type = "application/json",
                              .mapping = o->body_program[0],
                              .verb = "Updated",
                              .told = body});
}

static void run(Act *a, const Step *s) {
        const PutOptions *o = s->options;

        act_evaluate(a, o->body_program, 1, on_body);
}

const StepKind step_put = {
        .name = "put",
        .help = "Replaces one entity at a connection.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(PutOptions),
        .prepare = prepare,
        .run = run,
};
