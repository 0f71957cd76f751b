/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands that live in this folder; the daemon's own are app's. */
#pragma once

#include "cli/command.h"

extern const Command command_backfill, command_emit, command_endpoints, command_listen,
        command_replay, command_secret;
