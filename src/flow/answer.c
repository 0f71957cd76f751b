/* SPDX-License-Identifier: Apache-2.0
 *
 * A flow's `answer`: what a source that waits is told with a success. It runs as a step behind the
 * last, so that one that fails is a failure of the run like any other, and it runs only while
 * somebody waits: nobody hears it otherwise. */
#include "flow/answer.h"

#include "flow/step.h"

/* What a jq program may give; a plain path may lead to more, and no source wants that. */
#define ANSWER_DATA_MAX_BYTES (1024 * 1024)

static void on_value(Act *a) {
        Span value = a->evaluation.values[0];

        if (value.n > ANSWER_DATA_MAX_BYTES) {
                act_fail(a, 422, "too-large", false, "the flow's answer is larger than %d bytes",
                         ANSWER_DATA_MAX_BYTES);
                return;
        }
        a->run->data = value;
        a->run->is_answer = true;
        act_done(a, (Span){NULL, 0});
}

static void run(Act *a, const Step *s) {
        act_evaluate(a, s->options, 1, on_value);
}

/* In no table of kinds: it is no step that anybody could write. */
static const StepKind step_answer = {.name = "answer", .run = run};

int answer_build(Build *b, const Expr *e, Flow *f) {
        Program **program = arena_alloc(b->snapshot->arena, sizeof *program);
        Step *step = arena_alloc(b->snapshot->arena, sizeof *step);

        must(program && step);
        if (build_program(b, e, program) < 0)
                return -EINVAL;
        *step = (Step){.kind = &step_answer,
                       .name = SPAN("answer"),
                       .place = e->place,
                       .options = (void *)program};
        f->answer = (StepList){step, *program ? 1 : 0};
        return 0;
}
