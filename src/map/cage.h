/* SPDX-License-Identifier: Apache-2.0
 *
 * What a jq helper may still do after this: read and write the one socket it has, ask for memory
 * up to a limit, and end. No files, no network, no other processes. */
#pragma once

#include "base/base.h"

/* Limits, then the system call filter. Dies when the kernel refuses: no cage, no helper. Under
 * the sanitizers, whose own needs no filter would survive, only the harmless limits are set. */
void cage_enter(size_t memory_bytes);
