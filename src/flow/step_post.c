/* SPDX-License-Identifier: Apache-2.0
 *
 * post: send a new entity or a message. */
#include "flow/send.h"

typedef struct PostOptions {
        Expr post, body;
        Address to;
        const Program *body_program[1];
} PostOptions;

static const Option options[] = {
        {.name = "post",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(PostOptions, post),
         .required = true,
         .help = "Where to: connection:/path with holes."},
        {.name = "body",
         .type = OPTION_EXPR,
         .offset = offsetof(PostOptions, body),
         .fallback = ".event",
         .help = "A jq expression that gives the JSON to send; the event by default."},
};

static int prepare(Build *b, void *into) {
        PostOptions *o = into;
        Program *p = NULL;
        int r = build_address(b, &o->post, &o->to);

        if (build_program(b, &o->body, &p) < 0)
                r = -EINVAL;
        o->body_program[0] = p;
        return r;
}

static void on_body(Act *a) {
        const PostOptions *o = a->step->options;
        Span body = a->evaluation.values[0];

        body = body.p ? body : SPAN("null");
        send_start(a, &(Send){.method = "POST",
                              .to = &o->to,
                              .body = body,
                              .content_type = "application/json",
                              .mapping = o->body_program[0],
                              .verb = "Updated",
                              .told = body});
}

static void run(Act *a, const Step *s) {
        const PostOptions *o = s->options;

        act_evaluate(a, o->body_program, 1, on_body);
}

const StepKind step_post = {
        .name = "post",
        .help = "Sends JSON to a connection by POST.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(PostOptions),
        .prepare = prepare,
        .run = run,
};
