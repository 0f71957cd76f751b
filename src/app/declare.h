/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the endpoints of a configuration known: their applications are made where they are not
 * there yet, then all of the endpoints are published together. */
#pragma once

#include "flow/registry.h"
#include "flow/snapshot.h"
#include "ledger/ledger.h"

/* For the main thread: waits for the ledger's commits, if there is something to write. -EEXIST when
 * the API has an endpoint of one's name, or a fault of the ledger: then the endpoints are those of
 * before. */
MUST_CHECK int declare_endpoints(Ledger *ledger, Registry *registry, const Snapshot *s, Err *e);
