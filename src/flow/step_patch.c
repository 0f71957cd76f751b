/* SPDX-License-Identifier: Apache-2.0
 *
 * patch: write what differs, in the format that the target reads; nothing differs: no call. */
#include "flow/send.h"
#include "json/patch_format.h"
#include "json/value.h"

typedef struct PatchOptions {
        Expr patch, body;
        Span have;
        Address to;
        const Program *body_program[1];
        int as; /* index into patch_formats */
} PatchOptions;

static const Option options[] = {
        {.name = "patch",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(PatchOptions, patch),
         .required = true,
         .help = "The entity to change: connection:/path with holes, such as "
                 "'crm:/contacts/{.contact.id}'."},
        {.name = "body",
         .type = OPTION_EXPR,
         .offset = offsetof(PatchOptions, body),
         .required = true,
         .help = "A jq expression that gives the members as they should be."},
        {.name = "have",
         .type = OPTION_SPAN,
         .offset = offsetof(PatchOptions, have),
         .help = "The step whose value is the entity as it is: only what differs from it is sent. "
                 "By default the find or get of the same connection that the address names."},
        {.name = "as",
         .type = OPTION_CHOICE,
         .offset = offsetof(PatchOptions, as),
         .fallback = "merge",
         .choices = patch_format_names,
         .help = "The format of what is sent: `merge` is a merge patch (RFC 7396); `json-patch` is "
                 "a JSON Patch (RFC 6902); `json-patch-test` the same with a test of each old "
                 "value, so that the target refuses it when somebody else was faster; `scim` is a "
                 "SCIM PatchOp (RFC 7644); `scim-entra` writes it as Microsoft Entra does (`Add`, "
                 "`Replace`, `Remove`; booleans as `\"True\"` and `\"False\"`), `scim-okta` as "
                 "Okta does (one `replace` with a value and no path). In all of them a null in "
                 "`body` takes a member away, and a list is the whole list. All but `merge` have "
                 "to know the entity as it is."},
};

/* Did it look at an entity of the same system? What another one holds tells nothing about it. */
static bool looked_there(const Step *s, const Address *to) {
        return (s->kind == &step_get || s->kind == &step_find) && s->target == to->target;
}

/* The step that the address's holes look at: `{.contact.id}` names contact. */
static Span named_by_address(const StepBuild *b, const Address *to) {
        for (size_t i = 0; i < to->path.n; i++) {
                const Program *p = to->path.parts[i].program;

                for (size_t k = 0; p && k < b->flow->n_steps; k++) {
                        const Step *s = &b->flow->steps[k];
                        Span head = span_from(program_text(p), 1);

                        if (looked_there(s, to) && span_starts(head, s->name) &&
                            (head.n == s->name.n || head.p[s->name.n] == '.'))
                                return s->name;
                }
        }
        return (Span){NULL, 0};
}

static int check_have(StepBuild *b, Span have) {
        const char *names[STEPS_MAX + 1] = {NULL};

        for (size_t k = 0; k < b->flow->n_steps; k++) {
                if (span_eq(b->flow->steps[k].name, have))
                        return 0;
                /* Names end with a NUL, as every text of the file. */
                names[k] = b->flow->steps[k].name.p;
        }
        const char *near = nearest_name(have, names);
        return problem_add(b->problems, b->step->place,
                           "have: there is no step '" SPAN_FMT "' before this one%s%s%s",
                           SPAN_ARG(have), near ? "; did you mean '" : "", near ? near : "",
                           near ? "'?" : "");
}

static int prepare(StepBuild *b, void *into) {
        PatchOptions *o = into;
        Program *p = NULL;
        int r = build_address(b, &o->patch, &o->to);

        if (build_program(b, &o->body, &p) < 0)
                r = -EINVAL;
        o->body_program[0] = p;
        if (o->have.p)
                return check_have(b, o->have) < 0 ? -EINVAL : r;
        if (r == 0)
                o->have = named_by_address(b, &o->to);
        if (r == 0 && !o->have.p && patch_formats[o->as].needs_have)
                return problem_add(b->problems, b->step->place,
                                   "as: %s says how to change what is there, and no find or get of "
                                   "the same connection is named in the address; name the step "
                                   "that holds the entity with 'have'",
                                   patch_formats[o->as].name);
        return r;
}

/* The members that differ, as an object: what a person hears of, whatever the format. */
static Span told_of(Run *r, Span have, Span want) {
        AUTO(buf_done)
        Buf merge = BUF(MAP_OUTPUT_MAX_BYTES);

        return json_diff_merge(have, want, &merge) == 1 ? arena_span(r->arena, buf_span(&merge))
                                                        : (Span){NULL, 0};
}

static void on_body(Run *r) {
        const PatchOptions *o = r->current->options;
        const PatchFormat *format = &patch_formats[o->as];
        Span want = r->evaluation.values[0], have = run_root(r, o->have), body = want;
        bool is_known = o->have.p && have.p && json_kind(have) == JSON_OBJECT;

        if (!want.p || json_kind(want) != JSON_OBJECT) {
                run_fail(r, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": the body is no object", SPAN_ARG(r->current->name));
                return;
        }
        if (!is_known && format->needs_have) {
                run_fail(r, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": %s has to know the entity, and " SPAN_FMT
                         " gave no object",
                         SPAN_ARG(r->current->name), format->name, SPAN_ARG(o->have));
                return;
        }
        if (is_known) {
                AUTO(buf_done)
                Buf patch = BUF(MAP_OUTPUT_MAX_BYTES);
                int differs = format->diff(have, want, &patch);

                if (differs == 0) {
                        r->unchanged++;
                        if (!r->told_target.p)
                                r->told_target = span_of(o->to.target->config->name);
                        run_next(r, have);
                        return;
                }
                if (differs == -EINVAL) {
                        run_fail(r, 422, "mapping-failed", false,
                                 "step " SPAN_FMT ": a member of the body is no name of a SCIM "
                                 "attribute",
                                 SPAN_ARG(r->current->name));
                        return;
                }
                body = differs > 0 ? arena_span(r->arena, buf_span(&patch)) : (Span){NULL, 0};
                if (!body.p) {
                        run_fail(r, 422, "too-large", false, "the patch is too large");
                        return;
                }
        }
        send_patch(r, &o->to, body, o->as == PATCH_MERGE ? body : told_of(r, have, want),
                   o->body_program[0], format->content_type);
}

static void run(Run *r, const Step *s) {
        const PatchOptions *o = s->options;

        run_evaluate(r, o->body_program, 1, on_body);
}

const StepKind step_patch = {
        .name = "patch",
        .help = "Changes what differs of one entity; makes no call when nothing does.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(PatchOptions),
        .prepare = prepare,
        .run = run,
};
