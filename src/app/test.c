/* SPDX-License-Identifier: Apache-2.0
 *
 * `grapnel test`: plays the tests beside a configuration. No network: the daemon's own parts, with
 * mocks where the client would dial. */
#include "app/commands.h"
#include "app/daemon.h"
#include "app/files.h"
#include "app/player.h"
#include "app/report.h"
#include "trial/names.h"

#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

enum {
        FILES_ARENA_BYTES = 64 * 1024 * 1024,
        PLAY_ARENA_BYTES = 64 * 1024 * 1024,
        CONFIGS_MAX = 64,
        PATH_BYTES = 4096,
};

/* A configuration is loaded once, however many files of tests stand beside it. */
typedef struct Stand {
        const char *path;
        Player *player; /* NULL: it could not be loaded, and that was said */
} Stand;

typedef struct Testing {
        const CommandLine *line;
        Arena *arena;
        Stand stands[CONFIGS_MAX];
        size_t n_stands;
        Report report;
        bool is_broken; /* something could not even be read */
} Testing;

/* ---- configurations ---- */

static void say_made_up(char *const *names) {
        AUTO(buf_done)
        Buf b = BUF(16 * 1024);
        int r = 0;

        for (size_t i = 0; r == 0 && names[i]; i++)
                r = buf_addf(&b, "%s%s", i ? ", " : "", names[i]);
        if (b.n)
                (void)fprintf(
                        stderr,
                        "made up for the tests, since the environment has none of them: " SPAN_FMT
                        "\ngive what does not fit by --env FILE\n",
                        SPAN_ARG(buf_span(&b)));
}

static Player *open_player(Testing *t, const char *path) {
        char **environment, **made;
        Player *player = NULL;
        Err e = {0};
        int r = names_for(path, line_option(t->line, "env"), environ, t->arena, &environment, &made,
                          &e);
        Snapshot *s = r == 0 ? daemon_load(path, environment) : NULL;

        if (r == 0 && !s)
                say_made_up(made);
        if (s && player_new(s, &player, &e) < 0)
                player = NULL;
        if (e.code)
                (void)fprintf(stderr, "grapnel test: %s\n", e.text);
        snapshot_unref(s);
        return player;
}

static Player *player_of(Testing *t, const char *path) {
        Stand *s;

        for (size_t i = 0; i < t->n_stands; i++)
                if (strcmp(t->stands[i].path, path) == 0)
                        return t->stands[i].player;
        if (t->n_stands == CONFIGS_MAX) {
                (void)fprintf(stderr,
                              "grapnel test: more than %d configurations; test them in "
                              "several calls\n",
                              CONFIGS_MAX);
                return NULL;
        }
        s = &t->stands[t->n_stands++];
        *s = (Stand){arena_text(t->arena, span_of(path)), open_player(t, path)};
        return s->player;
}

/* The folder of a file, with its slash. */
static int folder_of(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? (int)(slash - path + 1) : 0;
}

/* As the file says; else grapnel.yaml in its folder, else in the one above. */
static void config_of(const FixtureFile *f, char ret[PATH_BYTES]) {
        int n = folder_of(f->path);

        if (f->config) {
                (void)snprintf(ret, PATH_BYTES, "%.*s%s", f->config[0] == '/' ? 0 : n, f->path,
                               f->config);
                return;
        }
        (void)snprintf(ret, PATH_BYTES, "%.*s../grapnel.yaml", n, f->path);
        if (access(ret, F_OK) == 0) {
                char here[PATH_BYTES];

                (void)snprintf(here, sizeof here, "%.*sgrapnel.yaml", n, f->path);
                if (access(here, F_OK) == 0)
                        memcpy(ret, here, PATH_BYTES);
        } else
                (void)snprintf(ret, PATH_BYTES, "%.*sgrapnel.yaml", n, f->path);
}

/* ---- tests ---- */

static bool is_chosen(const Testing *t, const Fixture *f) {
        const char *only = line_option(t->line, "only");

        return !only || (f->name.n && memmem(f->name.p, f->name.n, only, strlen(only)));
}

static void play(Testing *t, Player *player, const FixtureFile *file, const Fixture *f) {
        AUTO(arena_freep)
        Arena *a = arena_new(PLAY_ARENA_BYTES);
        Verdict *v = arena_alloc(a, sizeof *v);
        Seen seen;
        Err e = {0};

        must(v);
        v->arena = a;
        if (player_play(player, f, &file->mocks, a, &seen, &e) < 0)
                verdict_add(v, (Span){NULL, 0}, span_of(e.text), "it could not be played");
        else
                judge_play(f, &seen, v);
        report_test(&t->report, file, f, &seen, v);
}

static void test_file(Testing *t, const char *path) {
        AUTO(arena_freep)
        Arena *a = arena_new(FILES_ARENA_BYTES);
        Problems *problems = arena_alloc(a, sizeof *problems);
        char config[PATH_BYTES];
        FixtureFile *file;
        Player *player;

        must(problems);
        problems->arena = a;
        file = fixture_read(path, a, problems);
        if (problems->n) {
                AUTO(buf_done)
                Buf text = BUF(1024 * 1024);

                if (problems_print(problems, &text) == 0)
                        (void)fwrite(text.p, 1, text.n, stderr);
        }
        if (!file) {
                t->is_broken = true;
                return;
        }
        config_of(file, config);
        player = player_of(t, config);
        if (!player) {
                (void)fprintf(stderr, "%s: not played: %s has errors\n", path, config);
                t->is_broken = true;
                return;
        }
        report_file(&t->report, file);
        for (size_t i = 0; i < file->n; i++)
                if (is_chosen(t, &file->tests[i]))
                        play(t, player, file, &file->tests[i]);
}

static int run(const CommandLine *l) {
        static const char *const here[] = {"."};
        Testing t = {.line = l, .arena = arena_new(FILES_ARENA_BYTES)};
        bool some = l->n_words > 0;
        TestFiles files;
        Err e = {0};
        int r = test_files_find(some ? l->words : here, some ? (size_t)l->n_words : 1, t.arena,
                                &files, &e);

        if (r < 0 || files.n == 0) {
                (void)fprintf(stderr, "grapnel test: %s\n",
                              r < 0 ? e.text
                                    : "no file here ends in .test.yaml; see docs/testing.md");
                arena_free(t.arena);
                return EXIT_USAGE;
        }
        report_begin(&t.report, line_option(l, "json") != NULL);
        for (size_t i = 0; i < files.n; i++)
                test_file(&t, files.at[i]);
        for (size_t i = 0; i < t.n_stands; i++)
                player_free(t.stands[i].player);
        arena_free(t.arena);
        if (t.report.passed + t.report.failed == 0 && !t.is_broken) {
                (void)fprintf(stderr, "grapnel test: no test has such a name\n");
                t.is_broken = true;
        }
        bool is_good = t.report.passed + t.report.failed == 0 && !t.report.is_json
                               ? false
                               : report_end(&t.report);
        return t.is_broken ? EXIT_USAGE : is_good ? 0 : 1;
}

const Command command_test = {
        .name = "test",
        .arguments = "[FOLDER|FILE...]",
        .help = "Play the tests of flows, without a network.",
        .more = "A file of tests (*.test.yaml, looked for in the folder and those below) says\n"
                "for each test what a source sends, what the connections answer, and what is to\n"
                "come of it: docs/testing.md. The webhook goes through the daemon's own code,\n"
                "signature and all; mocks answer the calls, and what waits does not take time.\n"
                "\n"
                "${NAME} in the configuration is looked up in --env FILE (lines NAME=value),\n"
                "then in the environment; a name that neither has gets a made-up value.\n"
                "\n"
                "Exit code: 0 if all passed, 1 if one failed, 2 if one could not be read.\n",
        .words_max = 8,
        .options = {{"only", "TEXT", "those with this text in their names", false},
                    {"env", "FILE", "lines NAME=value for the configuration", false},
                    {"json", NULL, "print JSON", false}},
        .run = run,
};
