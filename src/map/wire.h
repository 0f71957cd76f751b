/* SPDX-License-Identifier: Apache-2.0
 *
 * What the daemon, the nursery and the helpers say to each other. All are of one build on one
 * machine, so frames are plain structs; lengths and words are checked by whoever reads. */
#pragma once

#include "map/map.h"

enum {
        WIRE_INPUT_MAX_BYTES = 16 * 1024 * 1024,
        WIRE_MESSAGE_MAX_BYTES = 1000,
};

/* On a helper's stream, both ways: a head, then `n` bytes. */
typedef struct WireHead {
        uint32_t n;
        uint32_t word; /* to the helper: the program's number; from it: a WireWord */
} WireHead;

typedef enum WireWord {
        WIRE_HELLO, /* first of all, before any input was read: 4 bytes of process id */
        WIRE_OK,    /* the result; one word of these four for each input, in their order */
        WIRE_EMPTY,
        WIRE_FAILED, /* the message */
        WIRE_LARGE,
        WIRE_TIRED, /* the helper ends after these four; here between two runs */
        WIRE_CPU,
        WIRE_MEMORY,
        WIRE_CRASH,
} WireWord;

/* On the control socket (SOCK_SEQPACKET) to the nursery, one byte with one descriptor attached.
 * First one of the two COMPILE words with the programs, a file that holds each text and a NUL
 * behind it; then a FORK with a helper's end of its stream for every helper. To a REPORT the
 * nursery answers that it is READY, and then for each program one packet: GOOD or BAD. */
enum {
        WIRE_COMPILE_REPORT = 'r',
        WIRE_COMPILE_QUIET = 'q', /* they have compiled before */
        WIRE_FORK = 'f',
        WIRE_READY = 'y',
        WIRE_GOOD = 'g',
        WIRE_BAD = 'b', /* and the message */
};
