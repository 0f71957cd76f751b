/* SPDX-License-Identifier: Apache-2.0
 *
 * ${NAME} and ${file:/path} in values, filled in after the YAML was read: what they bring can
 * hold anything and stays one value. `$${` stands for a plain `${`. Keys are left alone. */
#pragma once

#include "config/node.h"

enum { SUBSTITUTE_FILE_MAX_BYTES = 64 * 1024, SUBSTITUTE_TEXT_MAX_BYTES = 1024 * 1024 };

/* Fills every scalar below `n`. `environment` as in config_load; NULL fills nothing and calls
 * every ${...} an error. Nodes that failed are marked bad. */
void substitute_tree(Node *n, char *const *environment, Arena *a, Problems *problems);
