/* SPDX-License-Identifier: Apache-2.0
 *
 * How a watch's thread hands events in: over to a loop, on from there as any arrival
 * (trigger/arrival.h), and back with what became of them. */
#pragma once

#include "trigger/inlet.h"
#include "watch/watch.h"

/* WatchPort.submit; `self` is the Inlet of the loop that takes them, which runs meanwhile. */
void submission_send(void *self, Span source, const EnvelopeEvent *events, size_t n,
                     WatchTaken *ret);
