/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that can never be taken as they are: put aside in the notebook, whole and with the reason,
 * until a person has them tried again (what was in the way has been mended) or forgets them. */
#pragma once

#include "base/arena.h"
#include "source/envelope.h"
#include "watch/notes.h"

enum { PARKED_MAX = 10000, PARKED_ID_MAX_BYTES = NOTE_KEY_MAX_BYTES - 16 };

/* Under its key; 1 when something was there already, whose place it takes. A body beyond 48 MB is
 * left out. With `is_whole` false it is none that could be tried again: its body only tells of it.
 */
MUST_CHECK int parked_put(Notes *n, const EnvelopeEvent *event, bool is_whole, const char *why,
                          Err *e);
MUST_CHECK int parked_forget(Notes *n, Span id, Err *e);
/* The one behind `after`, in the order of ids ("": the first): 1 with its id and its JSON object
 * {"why", "whole", "type", "subject", "time", "meta", "event"} appended, 0 when there is none. */
MUST_CHECK int parked_next(Notes *n, Span after, Buf *id, Buf *text, Err *e);
/* How many; the last one's reason is appended. */
MUST_CHECK int parked_count(Notes *n, size_t *ret, Buf *why, Err *e);
/* The event as it was handed in; its spans lie in `id` and `text`, and in the arena. False when it
 * is not whole. */
bool parked_event(Span id, Span text, Arena *a, EnvelopeEvent *ret);
