/* SPDX-License-Identifier: Apache-2.0
 *
 * What a jq helper may still do after this: read and write the one socket it has, ask for memory
 * up to a limit, and end. No files, no network, no other processes. */
#pragma once

#include "base/base.h"

/* Under the sanitizers, whose own needs no filter would survive, only the harmless limits are
 * set: then this is false. */
bool cage_is_strict(void);
/* Limits, then the system call filter; for good. The process may have `memory_bytes` of address
 * space more than it has now. Dies when the kernel refuses: no cage, no helper. */
void cage_enter(size_t memory_bytes);
/* Until the next call no (then: again any) file can be opened by this process: for compiling,
 * which has no use for files, however a program may ask. */
void cage_bar_files(bool barred);
