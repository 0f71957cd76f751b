/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ledger holds, as JSON and as metrics. Pure. */
#pragma once

#include "trigger/inlet.h"

/* `whole`: with the body and all attempts. 0 or a fault of buf_add. */
MUST_CHECK int show_event(const EventView *v, bool whole, Buf *out);
MUST_CHECK int show_events(const EventPage *p, Buf *out);
MUST_CHECK int show_metrics(const Inlet *inlets, unsigned n, const Ledger *l, const LedgerStats *s,
                            Buf *out);
