/* SPDX-License-Identifier: Apache-2.0
 *
 * An event as a CloudEvent 1.0: its attributes as headers (HTTP protocol binding, binary mode) or
 * the whole as one JSON document (JSON event format, structured mode). Pure. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "http/head.h"
#include "ledger/event.h"

enum { CLOUDEVENT_HEADERS = 6 };

#define CLOUDEVENT_JSON "application/cloudevents+json"
#define CLOUDEVENT_BATCH_JSON                                                                      \
        "application/cloudevents-batch+json" /* an array of such documents                         \
                                              */

/* Fills `ret` with at most CLOUDEVENT_HEADERS headers, `id` and what is made in `a`; returns how
 * many, or -EMSGSIZE. `id` is the message's as it prints. */
int cloudevent_headers(const Event *event, Span id, Arena *a, HttpHeader *ret);
/* Appends the document. The data is JSON when the content type says so, else base64. 0, or as
 * buf_add. */
MUST_CHECK int cloudevent_print(const Event *event, Span id, Buf *out);
