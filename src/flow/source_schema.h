/* SPDX-License-Identifier: Apache-2.0
 *
 * A source's `schema`: read while the configuration loads, and what it says of a body put as the
 * outcome that the source hears. */
#pragma once

#include "flow/snapshot.h"
#include "reply/outcome.h"

/* Reads and compiles the file into the snapshot's arena; *ret is NULL when the source names none.
 * 0 or -EINVAL with the problem added. */
MUST_CHECK int source_schema_load(const SourceConfig *c, const char *config_file, Arena *a,
                                  Problems *problems, const JsonSchema **ret);
/* Does the body (which has passed json_check) fit? True without a schema. False: *ret is the
 * refusal, its spans in the arena. */
bool source_schema_fits(const Source *s, Span body, Arena *a, Outcome *ret);
