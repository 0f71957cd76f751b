/* SPDX-License-Identifier: Apache-2.0
 *
 * fail: end the flow with a message for the person; mostly together with `when`. It says in the
 * source's own terms which field is meant; the source's dialect puts that into its form. */
#include "flow/step.h"
#include "json/value.h"

enum { CODE_MAX_BYTES = 64 };

typedef struct FailOptions {
        int64_t fail;
        const char *code;
        Expr message, pointer, errors;
        Template text, place;
        const Program *list[1];
} FailOptions;

static const Option options[] = {
        {.name = "fail",
         .type = OPTION_NUMBER,
         .offset = offsetof(FailOptions, fail),
         .required = true,
         .min = 400,
         .max = 499,
         .help = "The status that the source hears, 400 to 499; its dialect may have another."},
        {.name = "message",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(FailOptions, message),
         .required = true,
         .help = "What the person reads; holes {...} are filled."},
        {.name = "pointer",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(FailOptions, pointer),
         .help = "The field that is meant, in the source's own entity: `/emails/0/address` (RFC "
                 "6901)."},
        {.name = "code",
         .type = OPTION_TEXT,
         .offset = offsetof(FailOptions, code),
         .fallback = "refused",
         .help = "A word or number for programs: letters, digits, `-`, `_` and `.`, at most 64."},
        {.name = "errors",
         .type = OPTION_EXPR,
         .offset = offsetof(FailOptions, errors),
         .help = "For several fields at once, a jq expression that gives a list of "
                 "`{pointer: \"/name\", message: \"...\"}`; the first 16 count."},
};

static bool is_code(Span s) {
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.'))
                        return false;
        }
        return s.n > 0 && s.n <= CODE_MAX_BYTES;
}

static int prepare(Build *b, void *into) {
        FailOptions *o = into;
        Span pointer = o->pointer.text;
        Program *list = NULL;
        int r = build_template(b, &o->message, &o->text);

        if (o->code && !is_code(span_of(o->code)))
                r = problem_add(b->problems, b->step->place,
                                "code: letters, digits, '-', '_' and '.' are expected, at most %d",
                                CODE_MAX_BYTES);
        if (pointer.n && pointer.p[0] != '/' && pointer.p[0] != '{')
                r = problem_add(b->problems, o->pointer.place,
                                "pointer: it begins with a slash, such as /emails/0/address");
        if (build_template(b, &o->pointer, &o->place) < 0 ||
            build_program(b, &o->errors, &list) < 0)
                r = -EINVAL;
        o->list[0] = list;
        return r;
}

/* The outcome grows from one evaluation to the next. */
static void add(Act *a, Span pointer, Span detail) {
        Outcome *o = a->scratch;

        if (o->n_errors == OUTCOME_ERRORS_MAX)
                return;
        if (pointer.n && pointer.p[0] != '/')
                pointer.n = 0; /* none is better than a wrong one */
        o->errors[o->n_errors++] = (OutcomeError){pointer, detail, SPAN("")};
}

static Span text_of(Act *a, Span object, Span name) {
        AUTO(buf_done)
        Buf text = BUF(64 * 1024);
        Span value = json_member(object, name);

        if (!value.p || json_text(value, &text) < 0 || text.n == 0)
                return SPAN("");
        value = arena_span(a->run->arena, buf_span(&text));
        return value.p ? value : SPAN("");
}

static void end(Act *a) {
        act_fail_with(a, a->scratch);
}

static void on_errors(Act *a) {
        Span list = a->evaluation.values[0], key, value;

        if (list.p && json_kind(list) != JSON_ARRAY) {
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": errors gives no list of {pointer, message}",
                         SPAN_ARG(a->step->name));
                return;
        }
        for (size_t pos = 0; list.p && json_next(list, &pos, &key, &value);)
                if (json_kind(value) == JSON_OBJECT)
                        add(a, text_of(a, value, SPAN("pointer")),
                            text_of(a, value, SPAN("message")));
        end(a);
}

static void go_on_with_errors(Act *a) {
        const FailOptions *o = a->step->options;

        if (o->list[0])
                act_evaluate(a, o->list, 1, on_errors);
        else
                end(a);
}

static void on_place(Act *a, Span pointer) {
        const Outcome *o = a->scratch;

        add(a, pointer, o->message);
        go_on_with_errors(a);
}

static void on_text(Act *a, Span text) {
        const FailOptions *o = a->step->options;

        Outcome *out = arena_alloc(a->run->arena, sizeof *out);

        if (!out) {
                act_fail(a, 422, "too-large", false, "the results of the steps are too large");
                return;
        }
        *out = (Outcome){
                .status = (int)o->fail, .code = o->code, .message = text, .retry_after_s = -1};
        a->scratch = out;
        if (o->place.n)
                act_template(a, &o->place, false, on_place);
        else
                go_on_with_errors(a);
}

static void run(Act *a, const Step *s) {
        const FailOptions *o = s->options;

        act_template(a, &o->text, false, on_text);
}

const StepKind step_fail = {
        .name = "fail",
        .help = "Ends the flow with a status and a message.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(FailOptions),
        .prepare = prepare,
        .run = run,
};
