/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands: one file and one table row each. */
#pragma once

#include "base/base.h"

typedef struct Command {
        const char *name, *arguments, *help;
        const char *more; /* shown by --help: lines of at most 79 characters, each ended */
        int arguments_max;
        int (*run)(int argc, char **argv); /* argv[0] is the command's name; the exit code */
} Command;

extern const Command *const commands[]; /* ended by NULL */
