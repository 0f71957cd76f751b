/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of all commands: those that need the daemon's parts are here, the others in cli/. */
#pragma once

#include "cli/command.h"

extern const Command command_explain, command_test, command_trigger;
