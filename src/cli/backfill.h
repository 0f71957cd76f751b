/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of `grapnel backfill`. */
#pragma once

#include "cli/api.h"

/* What was asked for, as the API takes it; NULL when a value is not UTF-8. The caller's. */
json_t *backfill_body(const CommandLine *l);
/* `--report`: what it would change; the exit code. */
int backfill_show_report(const CommandLine *l);
