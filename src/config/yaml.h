/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML text -> one tree of nodes. One document; no anchors, aliases, tags or merge keys; no key
 * twice in a map. */
#pragma once

#include "config/node.h"

enum { YAML_DEPTH_MAX = 32, YAML_NODES_MAX = 20000 };

/* `text` has passed text_check and outlives the call; `file` outlives the nodes. The root is a
 * map. -EINVAL when anything was added to `problems`; *ret is set when the tree is whole all the
 * same, so that one check shows its other errors too. */
MUST_CHECK int yaml_read(Span text, const char *file, Arena *a, Problems *problems, Node **ret);
