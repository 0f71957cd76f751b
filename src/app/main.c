/* SPDX-License-Identifier: Apache-2.0 */
#include "app/commands.h"
#include "config/option.h"
#include "map/map.h"

enum { NAMES_MAX = 64 };

/* "check [grapnel.yaml]", as wide as the widest of them. */
static int synopsis(const Command *c, char *ret, size_t size) {
        return snprintf(ret, size, "%s%s%s", c->name, *c->arguments ? " " : "", c->arguments);
}

static void usage(FILE *to) {
        char text[80];
        int width = 0;

        for (size_t i = 0; commands[i]; i++) {
                int n = synopsis(commands[i], text, sizeof text);

                width = n > width ? n : width;
        }
        (void)fprintf(to, "Grapnel turns a change in one application into an up-to-date other one, "
                          "and\ntells the first how it went.\n\nusage: grapnel COMMAND\n\n");
        for (size_t i = 0; commands[i]; i++) {
                (void)synopsis(commands[i], text, sizeof text);
                (void)fprintf(to, "  %-*s  %s\n", width, text, commands[i]->help);
        }
        (void)fprintf(to, "\n`grapnel COMMAND --help` says more; `grapnel --version` says which "
                          "one this is.\n");
}

static int help(const Command *c) {
        char text[80];

        (void)synopsis(c, text, sizeof text);
        printf("usage: grapnel %s%s\n\n%s\n\n%s", text, c->options[0].name ? " [options]" : "",
               c->help, c->more);
        line_print_options(c);
        return 0;
}

static const Command *find(const char *name) {
        for (size_t i = 0; commands[i]; i++)
                if (strcmp(name, commands[i]->name) == 0)
                        return commands[i];
        return NULL;
}

static int unknown(const char *name) {
        const char *names[NAMES_MAX + 1], *near;
        size_t n = 0;

        for (; commands[n] && n < NAMES_MAX; n++)
                names[n] = commands[n]->name;
        names[n] = NULL;
        near = nearest_name(span_of(name), names);
        (void)fprintf(stderr, "grapnel: there is no command '%s'%s%s%s\n", name,
                      near ? "; did you mean '" : "", near ? near : "",
                      near ? "'?" : "; see grapnel --help");
        return EXIT_USAGE;
}

static bool is_help(const char *word) {
        return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run(const Command *c, int argc, char **argv) {
        CommandLine line;
        int r = line_read(c, argc, argv, &line);

        if (r < 0)
                return help(c);
        return r > 0 ? r : c->run(&line);
}

int main(int argc, char **argv) {
        const Command *c;
        uint64_t fd;

        if (argc < 2) {
                usage(stderr);
                return EXIT_USAGE;
        }
        if (argc == 3 && strcmp(argv[1], "jq-nursery") == 0 &&
            span_to_u64(span_of(argv[2]), INT32_MAX, &fd))
                return map_nursery_main((int)fd);
        if (strcmp(argv[1], "--version") == 0) {
                printf("grapnel " GRAPNEL_VERSION "\n");
                return 0;
        }
        if (is_help(argv[1]) || (strcmp(argv[1], "help") == 0 && argc == 2)) {
                usage(stdout);
                return 0;
        }
        c = find(strcmp(argv[1], "help") == 0 ? argv[2] : argv[1]);
        if (!c)
                return unknown(strcmp(argv[1], "help") == 0 ? argv[2] : argv[1]);
        return strcmp(argv[1], "help") == 0 ? help(c) : run(c, argc - 1, argv + 1);
}
