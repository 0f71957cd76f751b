/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a delivery, made of its letters: the one there is, or, where the endpoint takes
 * batches, all of them as a JSON array. Each element is what would have been sent alone, byte for
 * byte; as CloudEvents they are a batch of the JSON event format.
 *
 * A batch has an id of its own, made of those of its letters: the same letters, tried again, have
 * the same id. Receivers that remember what they have got look at the letters' ids, since a batch
 * whose answer was lost may come back with others in it. */
#pragma once

#include "flow/letter.h"

#define PACKET_IDS_HEADER "Grapnel-Ids"

typedef struct Packet {
        char id[ID_TEXT]; /* "msg_..." or "batch_..." */
        Span body, content_type;
        Span ids; /* of a batch: "msg_...,msg_..." in the order of the array; else empty */
        const Letter *first; /* of those that it holds */
        size_t n;            /* 0: nothing is to be sent */
        Buf own;
} Packet;

/* Takes the letters that are not over, in their order; what does not fit is over from then on:
 * JOB_LEFT_OUT where there is one before it. Ends by packet_done. */
void packet_fill(Packet *v, const Endpoint *p, Letter *letters, size_t n, Arena *a);
void packet_done(Packet *v);
