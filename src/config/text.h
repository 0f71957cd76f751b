/* SPDX-License-Identifier: Apache-2.0
 *
 * A file's text before YAML sees it: what the YAML library would refuse with a byte offset or read
 * in an old-fashioned way is named here with its line and column. */
#pragma once

#include "config/node.h"

/* Length of the UTF-8 sequence at s[i] and its code point (`ret` may be NULL); 0 where the bytes
 * are none (RFC 3629). */
size_t utf8_at(Span s, size_t i, uint32_t *ret);
/* Without a byte order mark. */
Span text_without_mark(Span text);
/* 0 when `text` is UTF-8 without control characters, and only LF and CRLF end its lines. Else
 * -EINVAL, with the first fault in `problems`. */
MUST_CHECK int text_check(Span text, const char *file, Problems *problems);
/* The line with that number (from 1) without its end; .n is 0 when there is none. */
Span text_line(Span text, unsigned line);
