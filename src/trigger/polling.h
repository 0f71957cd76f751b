/* SPDX-License-Identifier: Apache-2.0
 *
 * How a watch's thread has a page read: over to a loop, there as backfills read theirs
 * (trigger/fetch.h), and back. Nobody waits here: whoever asked may have been told to end. */
#pragma once

#include "trigger/inlet.h"
#include "watch/watch.h"

/* WatchPort.read; `self` is the Inlet of the loop that reads, which runs meanwhile. */
void polling_read(void *self, Page *p);
/* Of triggers that read pages, what only this room can see: is there such a connection, are the
 * address and `pages` right? Adds problems. */
void polling_check(const Triggers *t, Problems *problems);
