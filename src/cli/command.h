/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands: one file and one table row each. The row carries the words and options that the command
 * takes, with their help; cli/line.c reads a command line by it. */
#pragma once

#include "base/base.h"

enum { COMMAND_OPTIONS_MAX = 16, LINE_WORDS_MAX = 8, LINE_GIVEN_MAX = 64 };

typedef struct CommandOption {
        const char *name;  /* without the dashes */
        const char *value; /* what stands behind it, such as "URL"; NULL: nothing does */
        const char *help;  /* at most 50 characters */
        bool many;         /* may be given more than once */
} CommandOption;

/* What was typed, judged by the command's row. */
typedef struct CommandLine {
        const struct Command *command;
        const char *words[LINE_WORDS_MAX]; /* without options; all after "--" are words */
        int n_words;
        struct {
                const CommandOption *option;
                const char *value; /* "" when it takes none */
        } given[LINE_GIVEN_MAX];
        int n_given;
} CommandLine;

typedef struct Command {
        const char *name, *arguments, *help;
        const char *more; /* shown by --help: lines of at most 79 characters, each ended */
        int words_min, words_max;
        CommandOption options[COMMAND_OPTIONS_MAX]; /* ended by a NULL name */
        int (*run)(const CommandLine *l);           /* the exit code */
} Command;

extern const Command *const commands[]; /* ended by NULL */

enum { EXIT_USAGE = 2 };

/* 0; EXIT_USAGE after a sentence on standard error; -1 when help was asked for. */
int line_read(const Command *c, int argc, char **argv, CommandLine *ret);
/* The value of an option, NULL when it was not given; of several the n-th (0 is the first). */
const char *line_option(const CommandLine *l, const char *name);
const char *line_nth(const CommandLine *l, const char *name, int n);
/* A wrong word or value: says it and returns EXIT_USAGE. */
int line_wrong(const CommandLine *l, const char *format, ...) PRINTF_LIKE(2, 3);
/* The options with their help, for --help. */
void line_print_options(const Command *c);
