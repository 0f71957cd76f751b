/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of stores: a new one is a file and a row. */
#include "ledger/store.h"

extern const StoreOps store_sqlite, store_memory;

const StoreOps *const stores[] = {&store_sqlite, &store_memory, NULL};

const StoreOps *store_find(Span scheme) {
        for (size_t i = 0; stores[i]; i++)
                if (span_eq(scheme, span_of(stores[i]->scheme)))
                        return stores[i];
        return NULL;
}
