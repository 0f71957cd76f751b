/* SPDX-License-Identifier: Apache-2.0
 *
 * What the daemon, the nursery and the helpers say to each other. All are of one build on one
 * machine, so frames are plain structs; lengths are checked by whoever reads. */
#pragma once

#include "map/map.h"

/* On a helper's stream, both ways: a head, then `n` bytes. */
typedef struct WireHead {
        uint32_t n;
        uint32_t word; /* to the helper: the program's number; from it: a WireWord */
} WireHead;

typedef enum WireWord {
        WIRE_HELLO, /* first of all: 4 bytes of process id */
        WIRE_OK,
        WIRE_EMPTY,
        WIRE_FAILED, /* the message */
        WIRE_CPU,    /* the helper ends after these three */
        WIRE_MEMORY,
        WIRE_CRASH,
} WireWord;

/* On the control socket (SOCK_SEQPACKET), to the nursery: 'p' and a program's text; 's': compile
 * all; 'f' with a socket attached: fork a helper on it. From it, after 's': for each program one
 * packet, 'o' or 'b' and the message. */
enum {
        WIRE_PACKET_MAX_BYTES = MAP_TEXT_MAX_BYTES + 16,
        WIRE_INPUT_MAX_BYTES = 64 * 1024 * 1024,
};
