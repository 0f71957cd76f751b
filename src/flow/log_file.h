/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that lines are appended to, whole or not at all, by any number of threads and processes.
 * It is opened for each line, so that it may be moved away at any time; when it would grow beyond
 * its size it becomes FILE.1, that one FILE.2, and so on. Or the local syslog socket in its place.
 * These block: they are for worker threads. */
#pragma once

#include "base/base.h"

enum { LOG_FILES_MAX = 100 };

typedef struct LogFile {
        const char *path;
        int64_t size_max; /* bytes; 0: it grows */
        int64_t keep;     /* FILE.1 to FILE.keep */
} LogFile;

/* Appends one line, with its final newline. 0, or an error number < 0 with what it was about in
 * *doing
 * ("open", "write to", "rotate"). */
int log_file_add(const LogFile *f, Span line, const char **doing);
/* Sends one line without newline to the socket at `path` (/dev/log), as syslog(3) does. `priority`
 * is facility * 8 + severity (RFC 5424 section 6.2.1). */
int log_syslog_send(const char *path, int priority, Span line, const char **doing);
