/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's watches, wired: events go to the first loop, states to the log. */
#pragma once

#include "config/config.h"
#include "trigger/inlet.h"
#include "watch/watch.h"

/* Where triggers keep their notebook: beside the ledger; ":memory:" where that is. The caller's. */
char *noticing_notes_path(const Config *c);
/* They notice nothing yet. */
Watches *noticing_new(const Config *c, Inlet *inlet);
/* The triggers of a configuration that was checked (noticing_check). */
void noticing_set(Watches *ws, Config *c);
/* Looks at its triggers; adds what is wrong to `problems`. */
void noticing_check(Config *c, Problems *problems);
