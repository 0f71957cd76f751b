/* SPDX-License-Identifier: Apache-2.0
 *
 * The cage around libjq's types: spans in, spans out. Used only inside the nursery and its
 * helpers; nothing of it runs in the daemon. */
#pragma once

#include "base/buf.h"

typedef struct JqProgram JqProgram;

/* 0 or -EINVAL with jq's message, made readable, in `why`. */
MUST_CHECK int jq_program_compile(const char *text, JqProgram **ret, char *why, size_t why_bytes);

typedef enum JqEnd {
        JQ_OK,     /* one result, printed */
        JQ_EMPTY,  /* none */
        JQ_FAILED, /* the message instead */
        JQ_LARGE,  /* the result does not fit into the buffer, which is left empty */
} JqEnd;

/* Runs on one JSON text. The result, or the message, replaces what is in `out`. Numbers are
 * printed by us, the same with every version of jq: the shortest text that reads back as the same
 * double; integers up to 2^53 in plain digits, `1.0` as 1, 1e17 as 1e+17. NaN and Infinity, which
 * jq prints as null and 1.797e308, are failures, and so is nesting that json_check would refuse. */
JqEnd jq_program_run(JqProgram *p, Span input, Buf *out);
/* Called when jq runs out of memory; must not return. */
void jq_program_on_no_memory(void (*fn)(void *), void *arg);
