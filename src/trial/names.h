/* SPDX-License-Identifier: Apache-2.0
 *
 * The environment of a configuration under test: what a file of NAME=value lines says, then what
 * the process has, then made-up values for the names that the configuration mentions and nobody
 * gives. A made-up value is a secret that every scheme takes, and the same in every run; a port
 * where it stands behind a colon; a URL where the key says that one is meant. */
#pragma once

#include "base/arena.h"

/* Entries "NAME=value", ended by NULL, in the arena. `file` may be NULL. The names that were made
 * up are listed at *ret_made, ended by NULL. A fault with the sentence when a file cannot be read,
 * or a line of it is none. */
MUST_CHECK int names_for(const char *config, const char *file, char *const *environment, Arena *a,
                         char ***ret, char ***ret_made, Err *e);
