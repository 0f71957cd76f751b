/* SPDX-License-Identifier: Apache-2.0
 *
 * The addresses of this very host. A public one of them leads back to our own listeners, past
 * every rule that knows private networks only. */
#pragma once

#include "net/address.h"

/* Those of all interfaces that the table of address.c would let pass, up to NETWORK_ALLOW_MAX.
 * On a fault the list is as it was. */
MUST_CHECK int own_addresses(NetworkList *ret, Err *e);
