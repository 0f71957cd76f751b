/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/build.h"

#include "flow/step.h"

/* Where a program came from: so that jq's complaint gets the place in the file. */
typedef struct Origin {
        struct Origin *next;
        const Program *program;
        Place place;
} Origin;

/* ---- expressions ---- */

/* Which steps does it look at? They have to end before the one that it belongs to begins. */
static void mention(Build *b, const Program *p) {
        for (BuildLevel *l = b->level; l; l = l->outer)
                for (size_t i = 0; i < l->list->n; i++)
                        if (program_uses(p, l->list->steps[i].name))
                                l->mentions |= 1U << i;
}

static void remember(Build *b, const Program *p, Place place) {
        Origin *o = arena_alloc(b->snapshot->arena, sizeof *o);

        mention(b, p);
        if (!o)
                return;
        *o = (Origin){b->origins, p, place};
        b->origins = o;
}

int build_program(Build *b, const Expr *x, Program **ret) {
        Err e = {0};

        *ret = NULL;
        if (!x->text.p)
                return 0;
        if (program_add(b->snapshot->programs, x->text, ret, &e) < 0)
                return problem_add(b->problems, x->place, "%s", e.text);
        remember(b, *ret, x->place);
        return 0;
}

int build_template(Build *b, const Expr *x, Template *ret) {
        Err e = {0};

        *ret = (Template){0};
        if (!x->text.p)
                return 0;
        if (template_parse(x->text, b->snapshot->programs, b->snapshot->arena, ret, &e) < 0)
                return problem_add(b->problems, x->place, "%s", e.text);
        for (size_t i = 0; i < ret->n; i++)
                if (ret->parts[i].program)
                        remember(b, ret->parts[i].program, x->place);
        return 0;
}

int build_no_connection(Build *b, Place place, Span name) {
        const Config *c = b->snapshot->config;
        const char *names[64] = {NULL};

        if (c->n_connections == 0 && b->problems->errors)
                return -EINVAL; /* what is wrong with them is said already */
        for (size_t i = 0; i < c->n_connections && i < 63; i++)
                names[i] = c->connections[i].name;
        const char *near = nearest_name(name, names);
        return problem_add(b->problems, place, "there is no connection '" SPAN_FMT "'%s%s%s",
                           SPAN_ARG(name), near ? "; did you mean '" : "", near ? near : "",
                           near ? "'?" : "");
}

int build_address(Build *b, const Expr *x, Address *ret) {
        *ret = (Address){0};
        if (!x->text.p)
                return 0; /* its absence was told */
        size_t colon = span_find(x->text, ':');
        const ConnectionConfig *c =
                config_connection(b->snapshot->config, (Span){x->text.p, colon});
        Expr path = {span_from(x->text, colon + 1), x->place};

        if (!c && colon < x->text.n && !memchr(x->text.p, '/', colon))
                return build_no_connection(b, x->place, (Span){x->text.p, colon});
        if (!c || path.text.n == 0 || path.text.p[0] != '/')
                return problem_add(b->problems, x->place,
                                   "write connection:/path, such as 'crm:/contacts/{.contact.id}'");
        b->step->target = ret->target = &b->snapshot->targets[c->index];
        return build_template(b, &path, &ret->path);
}

/* ---- steps ---- */

static const StepKind *kind_named(Span name) {
        for (size_t k = 0; step_kinds[k]; k++)
                if (span_eq(name, span_of(step_kinds[k]->name)))
                        return step_kinds[k];
        return NULL;
}

/* Is every kind's name among the keys one of its options? */
static bool knows_all(const StepKind *kind, const Node *map) {
        for (size_t i = 0; i < map->n; i++) {
                bool is_known = !kind_named(map->entries[i].key);

                for (size_t k = 0; k < kind->n_options && !is_known; k++)
                        is_known = span_eq(map->entries[i].key, span_of(kind->options[k].name));
                if (!is_known)
                        return false;
        }
        return true;
}

/* The kind that a key names. Of two names the one counts that has the other for an option, as in
 * {upsert: ..., find: ...}; of strangers the first. */
static const StepKind *kind_of(const Node *map, Place *ret_place) {
        const StepKind *first = NULL;

        for (size_t i = 0; i < map->n; i++) {
                const StepKind *kind = kind_named(map->entries[i].key);

                if (!kind || (first && !knows_all(kind, map)))
                        continue;
                *ret_place = map->entries[i].key_place;
                if (knows_all(kind, map))
                        return kind;
                first = kind;
        }
        return first;
}

static int unknown_kind(Build *b, const Node *map) {
        AUTO(buf_done)
        Buf all = BUF(1024);
        const char *names[32] = {NULL};
        size_t n = 0;

        for (; step_kinds[n] && n < 31; n++) {
                names[n] = step_kinds[n]->name;
                if (buf_addf(&all, "%s%s", n ? ", " : "", names[n]) < 0)
                        break;
        }
        const char *near = map->n ? nearest_name(map->entries[0].key, names) : NULL;
        return problem_add(b->problems, map->place,
                           "this step does nothing that is known%s%s%s; steps are: " SPAN_FMT,
                           near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "",
                           SPAN_ARG(buf_span(&all)));
}

/* A step's table is the kind's rows and these. */
typedef struct Common {
        Expr when;
        const Node *after, *undo;
} Common;

static const Option common[] = {
        {.name = "when",
         .type = OPTION_EXPR,
         .offset = offsetof(Common, when),
         .help = "Run the step only if this jq expression gives neither false nor null; its value "
                 "is null otherwise."},
        {.name = "after",
         .type = OPTION_NODE,
         .offset = offsetof(Common, after),
         .shape = "list of names, or `none`",
         .help = "Which earlier steps have to end before this one begins, beside those whose names "
                 "it mentions. Without it a step that only reads (get, find, map) waits for no "
                 "others but those that write, and one that writes waits for all."},
        {.name = "undo",
         .type = OPTION_NODE,
         .offset = offsetof(Common, undo),
         .shape = "list of steps",
         .help = "Steps that take back what this one did. When a later step fails they run, the "
                 "latest step's first, before the source hears of the failure; a quarter of the "
                 "time until the deadline, at most 5 s, is kept for them."},
};

const OptionGroup step_common = {"every step", "What each of them may say too.", common,
                                 COUNT_OF(common)};

static size_t bit_of(const StepList *l, Span name) {
        size_t i = 0;

        while (i < l->n && !span_eq(l->steps[i].name, name))
                i++;
        return i;
}

static int no_such_step(Build *b, const char *what, Span name) {
        enum { NAMES_MAX = STEPS_MAX * (STEP_DEPTH_MAX + 1) };
        const char *names[NAMES_MAX + 1];
        size_t n = 0;

        /* Names end with a NUL, as every text of the file. */
        for (const BuildLevel *l = b->level; l; l = l->outer)
                for (size_t k = 0; k < l->list->n && n < NAMES_MAX; k++)
                        names[n++] = l->list->steps[k].name.p;
        names[n] = NULL;
        const char *near = nearest_name(name, names);
        return problem_add(b->problems, b->step->place,
                           "%s: there is no step '" SPAN_FMT "' before this one%s%s%s", what,
                           SPAN_ARG(name), near ? "; did you mean '" : "", near ? near : "",
                           near ? "'?" : "");
}

const Step *build_step_named(Build *b, const char *what, Span name) {
        for (const BuildLevel *l = b->level; l; l = l->outer) {
                size_t i = bit_of(l->list, name);

                if (i < l->list->n)
                        return &l->list->steps[i];
        }
        (void)no_such_step(b, what, name);
        return NULL;
}

static int read_after(Build *b, const Node *after, uint32_t *ret) {
        size_t n = after->kind == NODE_LIST ? after->n : 1;
        int r = 0;

        *ret = 0;
        if (after->kind == NODE_SCALAR && !after->quoted && span_eq(after->text, SPAN("none")))
                return 0;
        for (size_t i = 0; i < n; i++) {
                const Node *name = after->kind == NODE_LIST ? after->items[i] : after;
                size_t bit = name->kind == NODE_SCALAR ? bit_of(b->level->list, name->text)
                                                       : b->level->list->n;

                if (name->kind != NODE_SCALAR)
                        r = problem_add(
                                b->problems, name->place,
                                "after: names of earlier steps, or none, are expected here");
                else if (bit == b->level->list->n)
                        r = no_such_step(b, "after", name->text);
                else
                        *ret |= 1U << bit;
        }
        return r;
}

/* What has to have ended before the step begins. */
static int find_order(Build *b, const Node *after, Step *s) {
        const StepList *l = b->level->list;

        s->after = b->level->mentions;
        if (after) {
                uint32_t named;

                if (read_after(b, after, &named) < 0)
                        return -EINVAL;
                s->after |= named;
                return 0;
        }
        for (size_t k = 0; k < l->n; k++)
                if (!s->reads || !l->steps[k].reads)
                        s->after |= 1U << k;
        return 0;
}

static int read_undo(Build *b, const Node *undo, Step *s) {
        int r;

        if (b->is_undo)
                return problem_add(b->problems, undo->place,
                                   "undo: what undoes a step cannot be undone itself");
        b->is_undo = b->flow->may_undo = true;
        r = build_steps(b, undo, NULL, 0, &s->undo);
        b->is_undo = false;
        return r;
}

static int read_options(Build *b, const Node *map, Step *s, Common *ret) {
        const StepKind *k = s->kind;
        Arena *a = b->snapshot->arena;
        size_t n = k->n_options + COUNT_OF(common);
        Option *table = arena_alloc(a, n * sizeof *table);
        char *into = arena_alloc(a, k->size + sizeof *ret);

        if (!table || !into)
                return problem_add(b->problems, map->place, "too many steps");
        memcpy(table, k->options, k->n_options * sizeof *table);
        memcpy(table + k->n_options, common, sizeof common);
        for (size_t i = k->n_options; i < n; i++)
                table[i].offset += k->size;
        int r = options_read(map, table, n, into, a, b->problems);
        s->options = into;
        memcpy(ret, into + k->size, sizeof *ret);
        return build_program(b, &ret->when, &s->when) < 0 ? -EINVAL : r;
}

/* The step joins its list in the end: until then its expressions see those before it. */
static int build_step(Build *b, const Node *entry, Step *s) {
        const Node *map = entry->entries[0].value;
        Common more = {0};

        s->name = entry->entries[0].key;
        s->place = entry->entries[0].key_place;
        if (map->kind != NODE_MAP)
                return -EINVAL; /* src/config has said so */
        s->kind = kind_of(map, &s->place);
        if (!s->kind)
                return unknown_kind(b, map);
        s->reads = s->kind->reads;
        b->step = s;
        b->level->mentions = 0;
        int r = read_options(b, map, s, &more);
        if (s->options && s->kind->prepare(b, s->options) < 0)
                r = -EINVAL;
        if (find_order(b, more.after, s) < 0)
                r = -EINVAL;
        b->level->list->n++;
        if (more.undo && read_undo(b, more.undo, s) < 0)
                r = -EINVAL;
        return r;
}

/* Does a list around this one, or what its steps see beside it, have the name already? */
static int check_name(Build *b, Span name, Place place) {
        for (const BuildLevel *l = b->level; l; l = l->outer) {
                bool taken = l != b->level && bit_of(l->list, name) < l->list->n;

                for (size_t i = 0; i < l->n_names; i++)
                        taken |= span_eq(l->names[i], name);
                if (taken)
                        return problem_add(b->problems, place,
                                           "a step around this one has the name " SPAN_FMT
                                           " already",
                                           SPAN_ARG(name));
        }
        return 0;
}

static int build_list(Build *b, const Node *const *nodes, size_t n, StepList *list,
                      BuildLevel *level) {
        Step *outer = b->step;
        int r = 0;

        list->steps = arena_alloc(b->snapshot->arena, (n + 1) * sizeof *list->steps);
        must(list->steps);
        level->list = list;
        level->outer = b->level;
        b->level = level;
        for (size_t i = 0; i < n; i++) {
                const NodeEntry *entry = &nodes[i]->entries[0];

                if (check_name(b, entry->key, entry->key_place) < 0 ||
                    build_step(b, nodes[i], &list->steps[list->n]) < 0)
                        r = -EINVAL;
        }
        b->level = level->outer;
        b->step = outer;
        return r;
}

int build_steps(Build *b, const Node *list, const Span *names, size_t n_names,
                const StepList **ret) {
        StepList *l = arena_alloc(b->snapshot->arena, sizeof *l);
        BuildLevel level = {.names = names, .n_names = n_names};
        unsigned depth = 0;
        const Node **nodes;
        size_t errors = b->problems->errors;

        must(l);
        *ret = l;
        for (const BuildLevel *o = b->level; o; o = o->outer)
                depth++;
        if (depth > STEP_DEPTH_MAX)
                return problem_add(b->problems, list->place,
                                   "steps stand within steps at most %d deep", STEP_DEPTH_MAX);
        size_t n = steps_read(list, b->snapshot->arena, b->problems, &nodes);
        if (build_list(b, nodes, n, l, &level) < 0 || b->problems->errors != errors)
                return -EINVAL;
        return 0;
}

int build_flow_steps(Build *b, Flow *f) {
        BuildLevel level = {0};

        b->flow = f;
        b->level = NULL;
        return build_list(b, f->config->steps, f->config->n_steps, &f->steps, &level);
}

void build_bad_program(void *arg, Program *p, const char *message) {
        Build *b = arg;

        for (const Origin *o = b->origins; o; o = o->next)
                if (o->program == p)
                        (void)problem_add(b->problems, o->place, "jq: %s", message);
}
