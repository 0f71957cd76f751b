/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ledger reads and writes in an event's meta (ledger/event.h): little, the rest is its
 * maker's. */
#pragma once

#include "base/buf.h"

enum { META_MAX_BYTES = 8 * 1024 * 1024 }; /* more than a body's maker could have written */

/* Is it a member of the array "channels"? */
bool meta_has_channel(Span meta, Span channel);
/* Appends the meta with the member "expunged": true. */
void meta_expunged(Span meta, Buf *out);
