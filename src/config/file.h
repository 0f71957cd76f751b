/* SPDX-License-Identifier: Apache-2.0
 *
 * Small files read whole: the configuration and the secrets that it names. Only regular files
 * (links to them are fine): a device never ends, a pipe may never begin. */
#pragma once

#include "base/buf.h"

enum { FILE_WORLD_WRITABLE = 1 }; /* outcome: read, but anyone on this machine can change it */

/* Appends the file to `out`, whose maximum is the file's maximum. 0, FILE_WORLD_WRITABLE, or a
 * fault with the sentence. */
MUST_CHECK int file_read(const char *path, Buf *out, Err *e);
