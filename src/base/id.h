/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids of our own making: 63 bits that grow with time, so that rows land at the end of their
 * table and need no second index. 42 bits of milliseconds since 2020, 8 bits of maker (node and
 * loop), 13 bits of turn: 8,192 ids a millisecond from each maker before it borrows from the
 * next millisecond. A clock that goes back does not make an id repeat: the maker goes on from
 * the last. Written as a prefix and 13 letters of Crockford's base 32, which sort like the
 * numbers; prefixes have one to five letters. */
#pragma once

#include "base/base.h"

enum {
        ID_PREFIX_MAX = 5,
        ID_LETTERS = 13,
        ID_TEXT = ID_PREFIX_MAX + 1 + ID_LETTERS + 1, /* with the terminator */
        ID_MAKERS_MAX = 256,
};

typedef struct IdMaker {
        uint64_t last;
        unsigned maker;
} IdMaker;

/* Greater than every id this maker made before; `after` may lift it above ids of an earlier
 * process (0 for none). */
void id_maker_init(IdMaker *m, unsigned maker, int64_t after);
int64_t id_make(IdMaker *m, int64_t wall_ms);
int64_t id_wall_ms(int64_t id);
/* The smallest id of that moment: for cutting by age. */
int64_t id_at(int64_t wall_ms);
void id_print(const char *prefix, int64_t id, char ret[ID_TEXT]); /* prefix such as "evt" */
/* The whole of `text`, or false. */
bool id_parse(const char *prefix, Span text, int64_t *ret);
