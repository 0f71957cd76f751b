/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/claims.h"

void claims_init(Claims *c) {
        *c = (Claims){.not_before_ms = INT64_MIN};
}

void claims_asked(Claims *c, bool due, int64_t from_ms, size_t max) {
        must(!c->is_asking);
        c->is_asking = true;
        c->asked_due = due;
        c->asked_from_ms = from_ms;
        c->asked_max = max;
}

void claims_failed(Claims *c, int64_t now_ms) {
        claims_heard(c);
        c->not_before_ms = now_ms + CLAIM_AGAIN_MS;
}

void claims_heard(Claims *c) {
        must(c->is_asking);
        c->is_asking = false;
        c->asked_max = 0;
}
