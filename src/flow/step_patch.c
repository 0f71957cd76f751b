/* SPDX-License-Identifier: Apache-2.0
 *
 * patch: write what differs, as a merge patch (RFC 7396); nothing differs: no call. */
#include "flow/send.h"
#include "json/diff.h"
#include "json/value.h"

typedef struct PatchOptions {
        Expr patch, body;
        Span have;
        Address to;
        const Program *body_program[1];
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
};

/* Did it look at an entity of the same system? What another one holds tells nothing about it. */
static bool looked_there(const Step *s, const Address *to) {
        return (s->kind == &step_get || s->kind == &step_find) && s->target == to->target;
}

/* The step that the address's holes look at: `{.contact.id}` names contact. */
static Span named_by_address(const Build *b, const Address *to) {
        for (size_t i = 0; i < to->path.n; i++) {
                const Program *p = to->path.parts[i].program;
                Span head = p ? span_from(program_text(p), 1) : SPAN("");

                for (const BuildLevel *l = b->level; p && l; l = l->outer)
                        for (size_t k = 0; k < l->list->n; k++) {
                                const Step *s = &l->list->steps[k];

                                if (looked_there(s, to) && span_starts(head, s->name) &&
                                    (head.n == s->name.n || head.p[s->name.n] == '.'))
                                        return s->name;
                        }
        }
        return (Span){NULL, 0};
}

static int prepare(Build *b, void *into) {
        PatchOptions *o = into;
        Program *p = NULL;
        int r = build_address(b, &o->patch, &o->to);

        if (build_program(b, &o->body, &p) < 0)
                r = -EINVAL;
        o->body_program[0] = p;
        if (o->have.p)
                return build_step_named(b, "have", o->have) ? r : -EINVAL;
        if (r == 0)
                o->have = named_by_address(b, &o->to);
        return r;
}

static void on_body(Act *a) {
        const PatchOptions *o = a->step->options;
        Span want = a->evaluation.values[0], have = act_root(a, o->have), body = want;

        if (!want.p || json_kind(want) != JSON_OBJECT) {
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": the body is no object", SPAN_ARG(a->step->name));
                return;
        }
        a->had = have;
        if (o->have.p && have.p && json_kind(have) == JSON_OBJECT) {
                AUTO(buf_done)
                Buf patch = BUF(MAP_OUTPUT_MAX_BYTES);
                int differs = json_diff_merge(have, want, &patch);

                if (differs == 0) {
                        a->run->unchanged++;
                        if (!a->run->told_target.p)
                                a->run->told_target = span_of(o->to.target->config->name);
                        act_done(a, have);
                        return;
                }
                body = differs > 0 ? arena_span(a->run->arena, buf_span(&patch)) : (Span){NULL, 0};
                if (!body.p) {
                        act_fail(a, 422, "too-large", false, "the patch is too large");
                        return;
                }
        }
        send_start(a, "PATCH", &o->to, body, o->body_program[0], "application/merge-patch+json",
                   true);
}

static void run(Act *a, const Step *s) {
        const PatchOptions *o = s->options;

        act_evaluate(a, o->body_program, 1, on_body);
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
