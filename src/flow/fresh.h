/* SPDX-License-Identifier: Apache-2.0
 *
 * Data that is not there yet. A source that calls before it has committed shows the old state for a
 * while, or none: `data: fresh` asks again until the entity's version has reached the event's,
 * `data: overlay` lays the values that the event brings over what was fetched. */
#pragma once

#include "flow/exchange.h"
#include "map/path.h"

typedef enum DataRule { DATA_FETCHED, DATA_OVERLAY, DATA_FRESH } DataRule;

typedef struct Fresh {
        int rule; /* DataRule */
        Expr values, version, reaches;
        Path version_path;
        const Program *program[1]; /* values, or reaches */
} Fresh;

/* Its rows, for the tables of steps: names, types and help, with offsets from a Fresh at `base`. */
#define FRESH_OPTIONS(base)                                                                        \
        {.name = "data",                                                                           \
         .type = OPTION_CHOICE,                                                                    \
         .offset = (base) + offsetof(Fresh, rule),                                                 \
         .fallback = "fetched",                                                                    \
         .choices = fresh_rules,                                                                   \
         .help = "For a source that calls before it has committed. `overlay` lays the values "     \
                 "that "                                                                           \
                 "the event brings over what was fetched (and over nothing after a 404); `fresh` " \
                 "asks again until the `version` of the entity has reached the event, as long as " \
                 "the deadline allows."},                                                          \
                {.name = "values",                                                                 \
                 .type = OPTION_EXPR,                                                              \
                 .offset = (base) + offsetof(Fresh, values),                                       \
                 .fallback = ".event.data",                                                        \
                 .help = "`data: overlay`: a jq expression that gives the event's own values as "  \
                         "an "                                                                     \
                         "object shaped like the entity; they are merged into it (RFC 7396)."},    \
                {.name = "version",                                                                \
                 .type = OPTION_EXPR,                                                              \
                 .offset = (base) + offsetof(Fresh, version),                                      \
                 .fallback = ".meta.lastModified",                                                 \
                 .help = "`data: fresh`: where the entity has its version or the time of its "     \
                         "last "                                                                   \
                         "change, a plain path."},                                                 \
                {.name = "reaches",                                                                \
                 .type = OPTION_EXPR,                                                              \
                 .offset = (base) + offsetof(Fresh, reaches),                                      \
                 .fallback = ".meta.time",                                                         \
                 .help = "`data: fresh`: a jq expression that gives the version or time which it " \
                         "has to reach; the event's time by default."},

extern const char *const fresh_rules[];

/* 0 or -EINVAL with the problems added. */
MUST_CHECK int fresh_prepare(Build *b, Fresh *f);
/* `value` (.p NULL: 404) was fetched. Calls `then` with what shall count (.p NULL: it is missing),
 * or `again` when it has to be fetched once more, or the act has failed. */
void fresh_judge(Act *a, const Fresh *f, Span value, void (*then)(Act *a, Span value),
                 void (*again)(Act *a));
