/* SPDX-License-Identifier: Apache-2.0
 *
 * request: any call that the other steps have no name for. */
#include "flow/send.h"

typedef struct RequestOptions {
        Expr request, body;
        int method;
        Address to;
        const Program *body_program[1];
} RequestOptions;

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};

static const Option options[] = {
        {.name = "request",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(RequestOptions, request),
         .required = true,
         .help = "Where to: connection:/path with holes."},
        {.name = "method",
         .type = OPTION_CHOICE,
         .offset = offsetof(RequestOptions, method),
         .fallback = "GET",
         .choices = methods,
         .help = "The HTTP method."},
        {.name = "body",
         .type = OPTION_EXPR,
         .offset = offsetof(RequestOptions, body),
         .help = "A jq expression that gives the JSON to send; no body by default."},
};

static int prepare(Build *b, void *into) {
        RequestOptions *o = into;
        Program *p = NULL;
        int r = build_address(b, &o->request, &o->to);

        if (build_program(b, &o->body, &p) < 0)
                r = -EINVAL;
        o->body_program[0] = p;
        b->step->reads = o->method == 0;
        return r;
}

static void on_body(Act *a) {
        const RequestOptions *o = a->step->options;

        send_start(a, &(Send){.method = methods[o->method],
                              .to = &o->to,
                              .body = a->evaluation.values[0],
                              .content_type = "application/json",
                              .mapping = o->body_program[0],
                              .verb = o->method != 0 ? "Updated" : NULL,
                              .told = a->evaluation.values[0]});
}

static void run(Act *a, const Step *s) {
        const RequestOptions *o = s->options;

        act_evaluate(a, o->body_program, 1, on_body);
}

const StepKind step_request = {
        .name = "request",
        .help = "Calls a connection by any method.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(RequestOptions),
        .prepare = prepare,
        .run = run,
};
