/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/triggers.h"

#include <stdatomic.h>

enum { ARENA_MAX_BYTES = 16 * 1024 * 1024, KINDS_MAX = 32 };

const TriggerKind *trigger_kind_find(Span name) {
        for (const TriggerKind *const *k = trigger_kinds; *k; k++)
                if (span_eq(name, span_of((*k)->name)))
                        return *k;
        return NULL;
}

const DatabaseConfig *trigger_database(TriggerBuild *b, const char *key, const char *name) {
        const DatabaseConfig *d = name ? config_database(b->config, span_of(name)) : NULL;
        const Node *n = node_get(b->map, key);

        if (name && !d)
                problem_add(b->problems, n ? n->text_place : b->map->place,
                            "%s: there is no database '%s' (databases: %s: {url: ...})", key, name,
                            name);
        return d;
}

static const char *all_kinds(char ret[256]) {
        size_t at = 0;

        ret[0] = 0;
        for (const TriggerKind *const *k = trigger_kinds; *k && at < 200; k++)
                at += (size_t)snprintf(ret + at, 256 - at, "%s%s", at ? ", " : "", (*k)->name);
        return ret;
}

static bool has_option(const TriggerKind *k, const char *name) {
        for (size_t i = 0; i < k->n_options; i++)
                if (strcmp(k->options[i].name, name) == 0)
                        return true;
        return false;
}

/* The one key of the map that is the name of a kind; `poll` is an option of another one too. */
static const TriggerKind *kind_of(TriggerBuild *b) {
        const TriggerKind *found = NULL;
        char text[256];

        if (b->map->bad)
                return NULL;
        for (size_t i = 0; b->map->kind == NODE_MAP && i < b->map->n; i++) {
                const TriggerKind *k = trigger_kind_find(b->map->entries[i].key);

                if (k && found && has_option(found, k->name))
                        continue;
                if (k && found && !has_option(k, found->name)) {
                        problem_add(b->problems, b->map->entries[i].key_place,
                                    "a source has one trigger: '%s' and '%s' are two kinds",
                                    found->name, k->name);
                        return NULL;
                }
                found = k ? k : found;
        }
        if (!found)
                problem_add(b->problems, b->map->place,
                            "trigger: one of its keys says what kind it is: %s", all_kinds(text));
        return found;
}

static void build(TriggerBuild *b, Trigger *ret) {
        const TriggerKind *kind = kind_of(b);
        void *options = kind ? arena_alloc(b->arena, kind->size) : NULL;
        int r;

        if (!kind)
                return;
        if (!options) {
                problem_no_room(b->problems, b->map->place);
                return;
        }
        r = options_read(b->map, kind->options, kind->n_options, options, b->arena, b->problems);
        if (r == 0 && kind->prepare)
                r = kind->prepare(b, options);
        *ret = (Trigger){kind, b->source, b->map, options};
}

Triggers *triggers_build(Config *c, Problems *problems) {
        Triggers *t = must_alloc(sizeof *t);
        size_t before = problems->errors;

        t->refs = 1;
        t->arena = arena_new(ARENA_MAX_BYTES);
        t->config = config_ref(c);
        t->at = arena_alloc(t->arena, (c->n_sources + 1) * sizeof *t->at);
        must(t->at);
        for (size_t i = 0; i < c->n_sources; i++) {
                const SourceConfig *s = &c->sources[i];
                TriggerBuild b = {.config = c,
                                  .source = s,
                                  .map = s->trigger,
                                  .arena = t->arena,
                                  .problems = problems};

                if (s->trigger && s->name)
                        build(&b, &t->at[t->n++]);
        }
        return problems->errors == before ? t : triggers_unref(t);
}

Triggers *triggers_ref(Triggers *t) {
        atomic_fetch_add(&t->refs, 1);
        return t;
}

Triggers *triggers_unref(Triggers *t) {
        if (t && atomic_fetch_sub(&t->refs, 1) == 1) {
                arena_free(t->arena);
                config_unref(t->config);
                free(t);
        }
        return NULL;
}

bool trigger_same(const Trigger *a, const Trigger *b) {
        const DatabaseConfig *x, *y;

        if (a->kind != b->kind || !a->kind->database || !node_same(a->map, b->map))
                return false;
        x = a->kind->database(a->options);
        y = b->kind->database(b->options);
        return span_eq(secret_reveal(&x->url), secret_reveal(&y->url));
}

const Trigger *triggers_find(const Triggers *t, Span source) {
        for (size_t i = 0; i < t->n; i++)
                if (span_eq(source, span_of(t->at[i].source->name)))
                        return &t->at[i];
        return NULL;
}

int triggers_print_reference(Buf *out) {
        int r = 0;

        for (const TriggerKind *const *k = trigger_kinds; r == 0 && *k; k++) {
                OptionGroup group = {(*k)->name, (*k)->help, (*k)->options, (*k)->n_options};

                r = option_print_group(&group, out);
                if (r == 0 && (*k)->more)
                        r = option_print_group((*k)->more, out);
        }
        return r;
}
