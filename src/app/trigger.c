/* SPDX-License-Identifier: Apache-2.0
 *
 * `grapnel trigger`: what a trigger has to have in a database, shown before it is put there; and
 * how those of a running daemon go. */
#include "app/commands.h"
#include "cli/api.h"
#include "watch/script.h"
#include "watch/triggers.h"

#include <unistd.h>

extern char **environ;

#define CONFIG_DEFAULT "grapnel.yaml"

enum { ARENA_BYTES = 8 * 1024 * 1024, TEXT_BYTES = 1024 * 1024, SCRIPT_BYTES = 16 * 1024 * 1024 };

/* ---- of a file ---- */

static Triggers *load(const char *path) {
        AUTO(arena_freep)
        Arena *a = arena_new(ARENA_BYTES);
        AUTO(buf_done)
        Buf text = BUF(TEXT_BYTES);
        Problems *problems = arena_alloc(a, sizeof *problems);
        Config *c;
        Triggers *t = NULL;

        must(problems);
        problems->arena = a;
        c = config_load(path, environ, problems);
        if (c)
                t = triggers_build(c, problems);
        if (problems_print(problems, &text) == 0)
                (void)fwrite(text.p ? text.p : "", 1, text.n, stderr);
        config_unref(c);
        return t;
}

static int put_in(const CommandLine *l, const Trigger *t, bool removes) {
        TriggerScript script = {.sql = BUF(SCRIPT_BYTES)};
        Err e = {0};
        int r;

        if (!t->kind->install)
                return line_wrong(l, "%s is a trigger by %s, which needs nothing in a database",
                                  t->source->name, t->kind->name);
        r = t->kind->install(t, removes, &script, &e);
        if (r == 0 && line_option(l, "apply")) {
                r = script_run(&script, &e);
                if (r == 0)
                        printf("%s: %s in database %s\n", t->source->name,
                               removes ? "removed" : "installed", script.database->name);
        } else if (r == 0)
                (void)fwrite(script.sql.p, 1, script.sql.n, stdout);
        if (r < 0)
                (void)fprintf(stderr, "grapnel: %s\n", e.text);
        buf_done(&script.sql);
        return r < 0;
}

static int change(const CommandLine *l, bool removes) {
        const char *file = line_option(l, "config"), *source = l->words[1];
        const Trigger *t;
        Triggers *all;
        int r;

        if (l->n_words < 2)
                return line_wrong(l, "it needs the name of a source");
        all = load(file ? file : CONFIG_DEFAULT);
        if (!all)
                return 1;
        t = triggers_find(all, span_of(source));
        r = t ? put_in(l, t, removes)
              : line_wrong(l, "there is no source %s with a trigger", source);
        triggers_unref(all);
        return r;
}

/* ---- of a running daemon ---- */

static int64_t number_of(const json_t *o, const char *member) {
        return json_integer_value(json_object_get(o, member));
}

static void show(const json_t *t) {
        const char *name, *last = api_text(t, "lastEvent");
        json_t *value;

        printf("%-20s %-12s %-9s %8" PRId64 " events", api_text(t, "source"), api_text(t, "kind"),
               api_text(t, "state"), number_of(t, "events"));
        if (last[0])
                printf(", the last at %s", last);
        if (number_of(t, "parked"))
                printf(", %" PRId64 " put aside", number_of(t, "parked"));
        json_object_foreach(json_object_get(t, "gauges"), name, value)
                printf(", %s %" JSON_INTEGER_FORMAT, name, json_integer_value(value));
        (void)putchar('\n');
        if (api_text(t, "why")[0])
                printf("    %s\n", api_text(t, "why"));
}

static bool is_fine(const json_t *t) {
        const char *state = api_text(t, "state");

        return strcmp(state, "failing") != 0 && strcmp(state, "broken") != 0;
}

static int status(const CommandLine *l) {
        const char *source = l->n_words > 1 ? l->words[1] : NULL;
        bool all_fine = true, any = false;
        ApiAnswer a;
        size_t i;
        json_t *j, *t;
        int r = api_call(l, "GET", "/triggers", (Span){NULL, 0}, &a);

        if (r != 0)
                return r;
        if (line_option(l, "json"))
                printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&a.body)));
        j = api_json(&a);
        json_array_foreach(json_object_get(j, "data"), i, t) {
                if (source && strcmp(source, api_text(t, "source")) != 0)
                        continue;
                any = true;
                all_fine = all_fine && is_fine(t);
                if (!line_option(l, "json"))
                        show(t);
        }
        json_decref(j);
        api_done(&a);
        if (source && !any)
                return line_wrong(l, "there is no source %s with a trigger", source);
        return all_fine ? 0 : 1;
}

static int run(const CommandLine *l) {
        static const struct {
                const char *word;
                int (*run)(const CommandLine *l, bool removes);
                bool removes;
        } verbs[] = {{"install", change, false}, {"uninstall", change, true}};

        for (size_t i = 0; i < COUNT_OF(verbs); i++)
                if (strcmp(l->words[0], verbs[i].word) == 0)
                        return verbs[i].run(l, verbs[i].removes);
        return strcmp(l->words[0], "status") == 0
                       ? status(l)
                       : line_wrong(l, "install, uninstall or status is expected, not %s",
                                    l->words[0]);
}

const Command command_trigger = {
        .name = "trigger",
        .arguments = "VERB [SOURCE]",
        .help = "What triggers need, and how they go.",
        .more = "  install SOURCE     prints the SQL that the source's trigger needs, to be\n"
                "                     read and run; with --apply it is run, all or nothing\n"
                "  uninstall SOURCE   the same for what takes it out again\n"
                "  status [SOURCE]    how the triggers of the running daemon go\n"
                "\n"
                "Exit code of status: 0 if all work, 1 if one fails.\n" API_HELP,
        .words_min = 1,
        .words_max = 2,
        .options = {{"config", "FILE", "the configuration (grapnel.yaml)", false},
                    {"apply", NULL, "run it in the database", false},
                    API_OPTION_SERVER,
                    API_OPTION_JSON},
        .run = run,
};
