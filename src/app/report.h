/* SPDX-License-Identifier: Apache-2.0
 *
 * How tests went, on standard output: a line for each, what differs below those that failed, and a
 * summary; or one JSON document. Colour on a terminal only, and not under NO_COLOR. */
#pragma once

#include "trial/judge.h"

typedef struct Report {
        bool is_json, has_colour;
        size_t passed, failed;
} Report;

void report_begin(Report *r, bool is_json);
void report_file(Report *r, const FixtureFile *f);
void report_test(Report *r, const FixtureFile *file, const Fixture *f, const Seen *seen,
                 const Verdict *v);
/* True when none failed. */
bool report_end(Report *r);
