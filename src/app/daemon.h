/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon: owns and wires the parts, hears signals. SIGTERM and SIGINT drain, SIGHUP reloads. */
#pragma once

#include "flow/snapshot.h"

/* Runs until a signal ends it. Returns the process's exit code; says why on standard error. */
int daemon_run(const char *config_path);
/* Reads and prepares a configuration, and prints every problem; NULL when there is an error.
 * `environment` as config_load's. */
Snapshot *daemon_load(const char *path, char *const *environment);
/* The same for a person. 0 when it can be served. */
int daemon_check(const char *config_path);
