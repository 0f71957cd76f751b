/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt to deliver one event, or a batch of them, to one endpoint: headers, signature, POST,
 * and what the answer means (reference: faults 2.6):
 *
 *   2xx                      delivered
 *   410                      the endpoint is gone: the job is dead, the endpoint disabled
 *   any other answer         a failure, tried again by the schedule; Retry-After is honoured
 *   no answer                a failure, tried again; its class says whether it was sent
 *
 * The head alone counts, whatever the body is and even if it is cut off. A receiver that answers
 * 2xx and dies has taken what it was sent: sending it once more would be for certain twice, and its
 * 410 or Retry-After is as good as any.
 *
 * Redirects are answers like others and never followed. */
#pragma once

#include "flow/outlet.h"

enum { DELIVERY_READ_BYTES = 64 * 1024 }; /* of an answer; then the connection is closed */

/* Each of the jobs is on record with this attempt; one answer is for all that were sent. */
void delivery_start(Outlet *o, Station *s, Job *const *jobs, size_t n);
/* By its link in the outlet: it ends as broken off, before this returns. */
void delivery_cut(Link *link);
