/* SPDX-License-Identifier: Apache-2.0
 *
 * patch: write what differs, in the format that the target reads; nothing differs: no call. */
#include "flow/change.h"

typedef struct PatchOptions {
        Expr patch;
        Change change;
        Span have;
        Address to;
} PatchOptions;

static const Option options[] = {
        {.name = "patch",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(PatchOptions, patch),
         .required = true,
         .help = "The entity to change: connection:/path with holes, such as "
                 "'crm:/contacts/{.contact.id}'."},
        CHANGE_OPTIONS(offsetof(PatchOptions, change)),
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
        int r = build_address(b, &o->patch, &o->to);

        if (change_prepare(b, &o->change) < 0)
                r = -EINVAL;
        if (o->have.p)
                return build_step_named(b, "have", o->have) ? r : -EINVAL;
        if (r == 0)
                o->have = named_by_address(b, &o->to);
        if (r == 0 && !o->have.p && patch_formats[o->change.as].needs_have)
                return problem_add(b->problems, b->step->place,
                                   "as: %s says how to change what is there, and no find or get of "
                                   "the same connection is named in the address; name the step "
                                   "that holds the entity with 'have'",
                                   patch_formats[o->change.as].name);
        return r;
}

static void on_changed(Act *a, Span value, bool was_sent) {
        (void)was_sent;
        act_done(a, value);
}

static void on_body(Act *a) {
        const PatchOptions *o = a->step->options;

        a->if_match = act_tag(a, o->have);
        a->seen_by = o->have;
        change_start(a, &o->change,
                     &(ChangeTo){.to = &o->to,
                                 .have = o->have.p ? act_root(a, o->have) : o->have,
                                 .want = a->evaluation.values[0],
                                 .verb = "Updated",
                                 .then = on_changed});
}

static void run(Act *a, const Step *s) {
        const PatchOptions *o = s->options;

        act_evaluate(a, &o->change.program, 1, on_body);
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
