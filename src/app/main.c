/* SPDX-License-Identifier: Apache-2.0 */
#include "app/commands.h"
#include "map/map.h"

static void usage(FILE *to) {
        (void)fprintf(to, "usage: grapnel COMMAND\n\n");
        for (size_t i = 0; commands[i]; i++)
                (void)fprintf(to, "  %-8s %-16s %s\n", commands[i]->name, commands[i]->arguments,
                              commands[i]->help);
        (void)fprintf(to, "\n`grapnel COMMAND --help` says more.\n");
}

static int help(const Command *c) {
        printf("usage: grapnel %s %s\n\n%s\n%s\n", c->name, c->arguments, c->help, c->more);
        return 0;
}

int main(int argc, char **argv) {
        uint64_t fd;

        if (argc == 3 && strcmp(argv[1], "jq-nursery") == 0 &&
            span_to_u64(span_of(argv[2]), INT32_MAX, &fd))
                return map_nursery_main((int)fd);
        if (argc == 2 && strcmp(argv[1], "--version") == 0) {
                printf("grapnel " GRAPNEL_VERSION "\n");
                return 0;
        }
        for (size_t i = 0; argc > 1 && commands[i]; i++)
                if (strcmp(argv[1], commands[i]->name) == 0)
                        return argc > 2 && strcmp(argv[2], "--help") == 0
                                       ? help(commands[i])
                                       : commands[i]->run(argc - 1, argv + 1);
        if (argc == 2 && strcmp(argv[1], "--help") == 0) {
                usage(stdout);
                return 0;
        }
        usage(stderr);
        return 2;
}
