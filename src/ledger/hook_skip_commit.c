/* SPDX-License-Identifier: Apache-2.0
 *
 * Only in builds with -Dtest_hooks=true: with GRAPNEL_TEST_SKIP_COMMIT=N in the environment the
 * Nth commit of the process is rolled back and reported as done. So the program that checks
 * ledgers after kill -9 can show that it would notice. */
#include "ledger/store_sqlite.h"

bool hook_skips_commit(void) {
        static _Atomic uint64_t commits;
        const char *text = getenv("GRAPNEL_TEST_SKIP_COMMIT");
        uint64_t nth = 0;

        return text && span_to_u64(span_of(text), UINT32_MAX, &nth) &&
               atomic_fetch_add(&commits, 1) + 1 == nth;
}
