/* SPDX-License-Identifier: Apache-2.0
 *
 * Plays tests of flows against one configuration: its stage, its desk of mocks, and what was seen.
 */
#pragma once

#include "app/stage.h"
#include "trial/judge.h"
#include "trial/request.h"

typedef struct Player Player;

/* Takes a reference of the snapshot. */
MUST_CHECK int player_new(Snapshot *s, Player **ret, Err *e);
Player *player_free(Player *p); /* accepts NULL, returns NULL */

/* Plays one; all that is in *ret lies in the arena, but for the calls, which last until the next.
 * A fault with the sentence when it could not be played to its end. `shared`: mocks behind its
 * own; may be NULL. */
MUST_CHECK int player_play(Player *p, const Fixture *f, const MockRules *shared, Arena *a,
                           Seen *ret, Err *e);
/* The stage, with what the last play left in its ledger. */
Stage *player_stage(Player *p);
