/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 as generator and target read it: a first line, headers of which only Content-Length
 * counts, a body. It is cheap because it trusts: both sides are programs of the benchmark. What it
 * cannot read (chunked bodies, HTTP/1.0) is an error and never a wrong figure. */
#pragma once

#include "base/base.h"

enum {
        MESSAGE_HEAD_MAX_BYTES = 16 * 1024,
        MESSAGE_BODY_MAX_BYTES = 1024 * 1024,
        MESSAGE_MAX_BYTES = MESSAGE_HEAD_MAX_BYTES + MESSAGE_BODY_MAX_BYTES,
};

typedef struct Message {
        Span line; /* request line or status line, without its end */
        Span body;
} Message;

/* Bytes of the first message in `in`, which the result points into; 0: not all of it is there;
 * -EBADMSG: cannot be read. */
MUST_CHECK int message_read(Span in, Message *ret);
/* Of a status line; 0 when it is none. */
int message_status(Span line);
