/* SPDX-License-Identifier: Apache-2.0
 *
 * A flow's `answer`: what a source that waits is told with a success. It runs as a last step, so
 * that one that fails is a failure of the run like any other, and it runs only while somebody
 * waits: nobody hears it otherwise. */
#include "flow/step.h"

/* What a jq program may give; a plain path may lead to more, and no source wants that. */
#define ANSWER_DATA_MAX_BYTES (1024 * 1024)

static void on_value(Run *r) {
        Span value = r->evaluation.values[0];

        if (value.n > ANSWER_DATA_MAX_BYTES) {
                run_fail(r, 422, "too-large", false, "the flow's answer is larger than %d bytes",
                         ANSWER_DATA_MAX_BYTES);
                return;
        }
        r->data = value;
        r->is_answer = true;
        run_next(r, (Span){NULL, 0});
}

static void run(Run *r, const Step *s) {
        const Program *const *program = s->options;

        if (r->job->waiter)
                run_evaluate(r, program, 1, on_value);
        else
                run_next(r, (Span){NULL, 0});
}

/* In no table of kinds: it is no step that anybody could write. */
static const StepKind step_answer = {.name = "answer", .run = run};

int answer_build(StepBuild *b, const Expr *e, Flow *f) {
        Program **program = arena_alloc(b->snapshot->arena, sizeof *program);

        must(program);
        if (build_program(b, e, program) < 0)
                return -EINVAL;
        if (*program)
                f->steps[f->n_steps++] = (Step){.kind = &step_answer,
                                                .name = SPAN("answer"),
                                                .place = e->place,
                                                .options = program};
        return 0;
}
