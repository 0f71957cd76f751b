/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs what a trigger has to have in an application's database. */
#pragma once

#include "watch/kind.h"

/* All of it or nothing: the script is one transaction. The error has the database's own words. */
MUST_CHECK int script_run(const TriggerScript *s, Err *e);
