/* SPDX-License-Identifier: Apache-2.0
 *
 * delete: see to it that an entity is no more. One that is not there is as it should be, unless
 * `missing` says otherwise. */
#include "flow/send.h"

typedef struct DeleteOptions {
        Expr del;
        const Node *missing;
        Address to;
        Missing when_missing;
} DeleteOptions;

static const Option options[] = {
        {.name = "delete",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(DeleteOptions, del),
         .required = true,
         .help = "The entity to delete: connection:/path with holes, such as "
                 "'crm:/contacts/{.contact.id}'."},
        {.name = "missing",
         .type = OPTION_NODE,
         .offset = offsetof(DeleteOptions, missing),
         .fallback = "null",
         .help = "What a 404 or 410 means: {fail: 404, message: '...'}, or null, as by default: it "
                 "is gone, and that is well."},
};

static int prepare(Build *b, void *into) {
        DeleteOptions *o = into;
        int r = build_address(b, &o->del, &o->to);

        if (missing_prepare(b, o->missing, &o->when_missing) < 0)
                r = -EINVAL;
        if (!o->missing)
                o->when_missing.as_null = true;
        return r;
}

static bool on_refused(Act *a, const ClientAnswer *answer) {
        const DeleteOptions *o = a->step->options;

        if (answer->status != 404 && answer->status != 410)
                return false;
        if (o->when_missing.as_null)
                send_unchanged(a, o->to.target);
        missing_run(a, &o->when_missing, o->to.target);
        return true;
}

static void run(Act *a, const Step *s) {
        const DeleteOptions *o = s->options;

        send_start(a, &(Send){.method = "DELETE",
                              .to = &o->to,
                              .verb = "Deleted",
                              .refused = on_refused});
}

const StepKind step_delete = {
        .name = "delete",
        .help = "Deletes one entity; one that is gone already counts as deleted.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(DeleteOptions),
        .prepare = prepare,
        .run = run,
};
