/* SPDX-License-Identifier: Apache-2.0
 *
 * `grapnel replay EVENT --dry-run`: what the flows of one event would do now. The daemon runs them,
 * with its credentials: reads are made, writes are shown. */
#pragma once

#include "cli/command.h"

/* Is the word an event's id? */
bool rehearse_wants(const char *word);
int rehearse(const CommandLine *l); /* the exit code */
