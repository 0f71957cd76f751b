/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a JSON string, decoded as it is read: byte for byte, so that two spellings of one
 * text compare equal without being written out anywhere. */
#pragma once

#include "json/scan.h"

/* Over what stands between the quotes. */
typedef struct JsonReader {
        const char *p, *end;
        unsigned char held[4]; /* UTF-8 of the last escape, still to be given */
        unsigned n_held, at_held;
        bool is_lone; /* a lone surrogate was met: given in the three bytes that UTF-8 forbids */
} JsonReader;

static inline JsonReader json_reader(Span raw) {
        return (JsonReader){.p = raw.p, .end = raw.p + raw.n};
}
/* The next byte, or -1 at the end. */
int json_reader_next(JsonReader *r);

bool json_raw_is(Span raw, Span text);     /* does the raw key say `text`? */
bool json_raw_equal(Span raw, Span other); /* do both say the same? */
uint64_t json_raw_hash(Span raw);          /* one for all spellings of a text */
