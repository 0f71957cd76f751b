/* SPDX-License-Identifier: Apache-2.0
 *
 * The jq programs of endpoints, which come while Grapnel runs. A set of programs cannot grow once
 * it is sealed, and each set costs processes; so programs stand on *boards* of SHELF_BOARD_MAX, and
 * a new one makes the last board's set anew. Whoever still runs the old set ends with it.
 *
 * When all boards are full, those leave that were asked for longest ago: programs of endpoints that
 * are gone, or rest. One that is wanted again later is compiled again.
 *
 * Any thread may look; adding compiles, which takes tens of milliseconds: loops let a worker do it.
 */
#pragma once

#include "map/map.h"
#include "net/loop.h"

enum { SHELF_BOARD_MAX = 32, SHELF_BOARDS_MAX = 32 };

typedef struct Shelf Shelf;

Shelf *shelf_new(void);
Shelf *shelf_new_for(size_t boards_max); /* fewer of them */
Shelf *shelf_free(Shelf *s);

/* The program of this text and a reference of its set; NULL when it is not there. */
ProgramSet *shelf_find(Shelf *s, Span text, const Program **ret);
/* False for a set that was made anew. */
bool shelf_is_current(Shelf *s, const ProgramSet *set);
/* How many programs there are. */
size_t shelf_count(Shelf *s);
/* Compiles it and puts it there; 0 also when it is there already. -EINVAL with jq's sentence, or
 * another fault. Blocks. */
MUST_CHECK int shelf_add(Shelf *s, Span text, Err *e);
/* The same on a worker thread; `done` is called on the loop's thread, never inside this call. The
 * text is copied. */
void shelf_add_later(Shelf *s, Loop *loop, Span text,
                     void (*done)(void *arg, int result, const char *why), void *arg);
