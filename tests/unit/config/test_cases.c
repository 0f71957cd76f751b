/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/cases/config/NAME.case: what a file may say, and what is answered to what it may not. Each
 * case is
 *
 *     == its name
 *     env NAME=value            (any number; \n stands for a newline)
 *     -- yaml
 *     the file
 *     -- problems
 *     the lines of `grapnel check`, in their order; none for a file without errors
 *
 * Lines between the cases that are empty or begin with # are for people. A file whose last line
 * ends in a backslash has no final newline. */
#include "config_room.h"

#include <dirent.h>
#include <unistd.h>

enum { ENV_MAX = 8, CASES_MIN = 200 };

typedef struct Case {
        Buf name, yaml, problems;
        Buf env[ENV_MAX];
        size_t n_env;
} Case;

static const char *folder;
static size_t n_cases, n_failed;

static void case_done(Case *c) {
        buf_done(&c->name);
        buf_done(&c->yaml);
        buf_done(&c->problems);
        for (size_t i = 0; i < ENV_MAX; i++)
                buf_done(&c->env[i]);
        *c = (Case){0};
}

static void case_begin(Case *c, Span name) {
        case_done(c);
        c->name = c->yaml = c->problems = BUF(1 << 20);
        for (size_t i = 0; i < ENV_MAX; i++)
                c->env[i] = BUF(4096);
        must(buf_add(&c->name, name) == 0);
}

static void add_env(Case *c, Span text) {
        Buf *b = &c->env[c->n_env++];

        must(c->n_env <= ENV_MAX);
        for (; text.n; text = span_from(text, 1)) {
                if (span_starts(text, SPAN("\\n"))) {
                        must(buf_add_char(b, '\n') == 0);
                        text = span_from(text, 1);
                } else {
                        must(buf_add_char(b, text.p[0]) == 0);
                }
        }
        must(buf_add_char(b, 0) == 0);
}

static void case_run(Case *c, const char *file) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(buf_done)
        Buf out = BUF(1 << 20);
        char *env[ENV_MAX + 1] = {NULL};

        if (!c->name.p)
                return;
        for (size_t i = 0; i < c->n_env; i++)
                env[i] = c->env[i].p;
        if (c->yaml.n >= 2 && memcmp(c->yaml.p + c->yaml.n - 2, "\\\n", 2) == 0)
                c->yaml.n -= 2;
        while (c->problems.n >= 2 && c->problems.p[c->problems.n - 2] == '\n')
                c->problems.n--;
        if (c->problems.n == 1)
                c->problems.n = 0;
        AUTO(config_end)
        Config *config = config_parse(buf_span(&c->yaml), "config.yaml", env, p);
        must(problems_lines(p, &out) == 0);
        n_cases++;
        if (span_eq(buf_span(&out), buf_span(&c->problems)) && (config == NULL) == (p->errors > 0))
                return;
        n_failed++;
        print_error("%s: %.*s\nwanted:\n%.*s\ngot:\n%.*s\n", file, SPAN_ARG(c->name),
                    SPAN_ARG(c->problems), SPAN_ARG(out));
}

static void read_cases(Span text, const char *file) {
        Case c = {0};
        Buf *into = NULL;

        for (; text.n; text = span_from(text, span_find(text, '\n') + 1)) {
                Span line = {text.p, span_find(text, '\n')};

                if (span_starts(line, SPAN("== "))) {
                        case_run(&c, file);
                        case_begin(&c, span_from(line, 3));
                        into = NULL;
                } else if (span_eq(line, SPAN("-- yaml"))) {
                        into = &c.yaml;
                } else if (span_eq(line, SPAN("-- problems"))) {
                        into = &c.problems;
                } else if (!into && span_starts(line, SPAN("env "))) {
                        add_env(&c, span_from(line, 4));
                } else if (into) {
                        must(buf_addf(into, SPAN_FMT "\n", SPAN_ARG(line)) == 0);
                }
        }
        case_run(&c, file);
        case_done(&c);
}

static void read_file(const char *name) {
        char path[4096];
        AUTO(buf_done)
        Buf text = BUF(4 << 20);
        char *at = NULL;

        (void)snprintf(path, sizeof path, "%s/config/%s", folder, name);
        FILE *f = fopen(path, "rb");
        must(f != NULL);
        for (size_t n = 1; n; text.n += n) {
                must(buf_room(&text, 65536, &at) == 0);
                n = fread(at, 1, 65536, f);
        }
        (void)fclose(f);
        read_cases(buf_span(&text), name);
}

static void every_case_says_what_it_should(void **state) {
        char path[4096];
        struct dirent *entry;

        (void)state;
        (void)snprintf(path, sizeof path, "%s/config", folder);
        DIR *d = opendir(path);
        assert_non_null(d);
        while ((entry = readdir(d))) {
                size_t n = strlen(entry->d_name);

                if (n > 5 && strcmp(entry->d_name + n - 5, ".case") == 0)
                        read_file(entry->d_name);
        }
        (void)closedir(d);
        assert_int_equal(n_failed, 0);
        assert_true(n_cases >= CASES_MIN);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_says_what_it_should),
        };

        must(argc > 1);
        folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
