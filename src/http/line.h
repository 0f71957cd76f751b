/* SPDX-License-Identifier: Apache-2.0
 *
 * The request line and its target (RFC 9112 section 3): the first half of http_head_parse(). */
#pragma once

#include "http/head.h"

/* Reads the line that begins at `from`: method, target, path, query and minor version. `authority`
 * is that of an absolute-form target, else .p is NULL. `run`: the target's bytes before it were
 * good when there were fewer; moved on. Returns the offset after the line, 0 for need more, or
 * -EBADMSG. */
MUST_CHECK int http_line_parse(Span in, size_t from, size_t *run, HttpHead *ret,
                               Span *ret_authority, HttpRefusal *refusal);

/* Splits "host", "host:port" or "[v6]:port"; *ret_port is 0 where none is named. False for
 * anything else: user names, empty ports, ports beyond 65535, bytes that no name has. */
bool http_authority_parse(Span text, Span *ret_host, unsigned *ret_port);
