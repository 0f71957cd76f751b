/* SPDX-License-Identifier: Apache-2.0
 *
 * The cage around libjq's types: spans in, spans out. Used only inside the nursery and its
 * helpers; nothing of it runs in the daemon. */
#pragma once

#include "base/buf.h"

typedef struct JqProgram JqProgram;

/* 0 or -EINVAL with jq's message, made readable, in `why`. */
MUST_CHECK int jq_program_compile(const char *text, JqProgram **ret, char *why, size_t why_bytes);

typedef enum JqEnd { JQ_OK, JQ_EMPTY, JQ_FAILED } JqEnd;

/* Runs on one JSON text (terminated by NUL behind the span). The output, or the message, is
 * appended to `out`. */
JqEnd jq_program_run(JqProgram *p, Span input, Buf *out);
/* Called when jq runs out of memory; must not return. */
void jq_program_on_no_memory(void (*fn)(void *), void *arg);
