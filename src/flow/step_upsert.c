/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/step_upsert.h"

#define AT(field) offsetof(UpsertOptions, field)

static const char *const gone_rules[] = {"deactivate", "delete", "skip", NULL};

static const Option options[] = {
        {.name = "upsert",
         .type = OPTION_TEMPLATE,
         .offset = AT(upsert),
         .required = true,
         .help = "The collection: connection:/path, such as 'crm:/contacts'. New entities are "
                 "posted to it; one that is there is at this path, a slash and its id."},
        {.name = "find",
         .type = OPTION_TEMPLATE,
         .offset = AT(find),
         .required = true,
         .help = "The search for the one that is there: a query of the collection, such as "
                 "'?external_id={.event.id}', or another path of the connection, such as "
                 "'/search?q={.event.id}'."},
        {.name = "pick",
         .type = OPTION_EXPR,
         .offset = AT(pick),
         .fallback = ".",
         .help = "Where the hits are in the answer to the search, a plain path such as .items."},
        {.name = "id",
         .type = OPTION_EXPR,
         .offset = AT(id),
         .fallback = ".id",
         .help = "Where an entity has the id that the target gave it, a plain path."},
        CHANGE_OPTIONS(AT(change)),
        {.name = "new",
         .type = OPTION_EXPR,
         .offset = AT(more),
         .help = "A jq expression that gives the members that one gets beside those of `body` when "
                 "it is created, and that are left alone later."},
        {.name = "missing",
         .type = OPTION_NODE,
         .offset = AT(missing),
         .fallback = "create",
         .shape = "`create`, `null`, or map",
         .help = "What is done when the search finds none: create it; null to go on without; or "
                 "{fail: 404, message: '...'}."},
        {.name = "gone",
         .type = OPTION_EXPR,
         .offset = AT(gone),
         .help = "A jq expression that gives neither false nor null when the source no longer has "
                 "the entity. Then `when_gone` holds, and `body` is not looked at."},
        {.name = "when_gone",
         .type = OPTION_NODE,
         .offset = AT(when_gone),
         .fallback = "deactivate",
         .shape = "`deactivate`, `delete` or `skip`",
         .help = "What is done to one that is gone: change it to what `inactive` gives, delete it, "
                 "or nothing. One that the target does not have is not created."},
        {.name = "inactive",
         .type = OPTION_EXPR,
         .offset = AT(inactive),
         .fallback = "{active: false}",
         .help = "A jq expression that gives the members of one that is deactivated."},
        {.name = "cache",
         .type = OPTION_DURATION,
         .offset = AT(cache_ms),
         .min = 1000,
         .max = (int64_t)7 * 86400000,
         .help = "How long the target's id is remembered for a search. Within that time the entity "
                 "is fetched by its id, without a search; when it is not there any more the "
                 "search is made. At most 10,000 ids, and none after a reload. Without it nothing "
                 "is remembered."},
};

/* The address of the search: `find` stands behind the collection, or behind the connection. */
static int prepare_search(Build *b, UpsertOptions *o) {
        Span find = o->find.text, to = o->upsert.text;
        Span head = to;

        if (!find.p || !o->to.target)
                return 0; /* told */
        if (find.n == 0 || (find.p[0] != '?' && find.p[0] != '/'))
                return problem_add(b->problems, o->find.place,
                                   "write ?query, such as '?external_id={.event.id}', or /path of "
                                   "the same connection");
        if (find.p[0] == '/')
                head.n = span_find(to, ':') + 1;
        char *text =
                arena_printf(b->snapshot->arena, SPAN_FMT SPAN_FMT, SPAN_ARG(head), SPAN_ARG(find));
        must(text);
        return build_address(b, &(Expr){span_of(text), o->find.place}, &o->search);
}

static int prepare_collection(Build *b, UpsertOptions *o) {
        int r = build_address(b, &o->upsert, &o->to);

        for (size_t i = 0; i < o->to.path.n; i++) {
                const TemplatePart *part = &o->to.path.parts[i];

                if (!part->program && part->text.n && memchr(part->text.p, '?', part->text.n))
                        return problem_add(b->problems, o->upsert.place,
                                           "upsert: a collection has no query; the search is "
                                           "written as find: '?...'");
        }
        return r < 0 ? r : prepare_search(b, o);
}

static int prepare_path(Build *b, const char *what, const Expr *x, Path *ret) {
        if (path_parse(x->text, ret))
                return 0;
        return problem_add(b->problems, x->place, "%s is a plain path such as .items", what);
}

static int prepare_missing(Build *b, UpsertOptions *o) {
        const Node *n = o->missing;

        o->creates = !n || (n->kind == NODE_SCALAR && span_eq(n->text, SPAN("create")));
        if (o->creates)
                return 0;
        if (n->kind == NODE_SCALAR && !span_eq(n->text, SPAN("null")))
                return problem_add(b->problems, n->place,
                                   "missing is create, null, or a map {fail: 404, message: '...'}");
        return missing_prepare(b, n, &o->when_missing);
}

static int prepare_gone(Build *b, UpsertOptions *o) {
        static const Option rule = {
                .name = "when_gone", .type = OPTION_CHOICE, .choices = gone_rules};
        Program *gone = NULL, *inactive = NULL;
        int r = build_program(b, &o->gone, &gone);

        if (o->when_gone && !o->gone.text.p)
                r = problem_add(b->problems, o->when_gone->place,
                                "when_gone: say with 'gone' when that is, such as gone: "
                                "'.event.type == \"DELETE\"'");
        if (o->when_gone && option_read_one(o->when_gone, &rule, &o->gone_rule, b->snapshot->arena,
                                            b->problems) < 0)
                r = -EINVAL;
        if (gone && o->gone_rule == GONE_DEACTIVATE &&
            build_program(b, &o->inactive, &inactive) < 0)
                r = -EINVAL;
        o->gone_program = gone;
        o->inactive_program = inactive;
        return r;
}

static void forget_all(void *ids) {
        (void)id_cache_free(ids);
}

static int prepare_cache(Build *b, UpsertOptions *o) {
        if (!o->cache_ms)
                return 0;
        o->ids = id_cache_new(ID_CACHE_MAX, o->cache_ms);
        must(arena_defer(b->snapshot->arena, forget_all, o->ids) == 0);
        return 0;
}

static int prepare(Build *b, void *into) {
        UpsertOptions *o = into;
        Program *more = NULL;
        int r = prepare_collection(b, o);

        r = prepare_path(b, "pick", &o->pick, &o->pick_path) < 0 ? -EINVAL : r;
        r = prepare_path(b, "id", &o->id, &o->id_path) < 0 ? -EINVAL : r;
        r = change_prepare(b, &o->change) < 0 ? -EINVAL : r;
        r = build_program(b, &o->more, &more) < 0 ? -EINVAL : r;
        r = prepare_missing(b, o) < 0 ? -EINVAL : r;
        r = prepare_gone(b, o) < 0 ? -EINVAL : r;
        o->body_programs[0] = o->change.program;
        o->body_programs[1] = more;
        return prepare_cache(b, o) < 0 ? -EINVAL : r;
}

const StepKind step_upsert = {
        .name = "upsert",
        .help = "Creates or changes the one entity of a target that belongs to one of the source.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(UpsertOptions),
        .prepare = prepare,
        .run = upsert_run,
};
