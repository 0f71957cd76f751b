/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds for use have no way to lose a commit. */
#include "ledger/store_sqlite.h"

bool hook_skips_commit(void) {
        return false;
}
