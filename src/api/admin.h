/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin listener: what came in and what became of it, health, metrics. One table of routes;
 * every route but health needs the admin token where one is configured. */
#pragma once

#include "base/secret.h"
#include "trigger/inlet.h"

typedef struct Admin {
        Ledger *ledger;
        Loop *loop;
        const Inlet *inlets;
        unsigned n;
        const Secret *token;
} Admin;

/* `token` must stay until the next call of admin_use. */
void admin_init(Admin *a, Ledger *ledger, Loop *loop, const Inlet *inlets, unsigned n,
                const Secret *token);
/* Another configuration's token holds from now on; on the loop's thread. */
void admin_use(Admin *a, const Secret *token);
ServerHandler admin_handler(Admin *a);
