/* SPDX-License-Identifier: Apache-2.0
 *
 * What flows emit, on its way to the ledger: as an event of a source, or as a message. */
#pragma once

#include "flow/emission.h"
#include "trigger/inlet.h"

/* Takes over the emission until its `done`. Its spans are copied. */
void emission_send(Inlet *in, Emission *e);
