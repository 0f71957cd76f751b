/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/claims.h"

void claims_init(Claims *c) {
        *c = (Claims){.next_due_ms = INT64_MAX, .not_before_ms = INT64_MIN};
}

void claims_due(Claims *c, int64_t due_ms) {
        if (due_ms < c->next_due_ms)
                c->next_due_ms = due_ms;
}

int64_t claims_when(const Claims *c) {
        if (c->is_asking)
                return INT64_MAX;
        return c->next_due_ms > c->not_before_ms ? c->next_due_ms : c->not_before_ms;
}

void claims_asked(Claims *c, bool due, size_t max) {
        must(!c->is_asking);
        c->is_asking = true;
        c->asked_due = due;
        c->asked_max = max;
        /* The answer will say; what becomes waiting meanwhile lowers it again. */
        if (due)
                c->next_due_ms = INT64_MAX;
}

void claims_failed(Claims *c, int64_t now_ms) {
        must(c->is_asking);
        c->is_asking = false;
        c->asked_max = 0;
        c->not_before_ms = now_ms + CLAIM_AGAIN_MS;
        if (c->asked_due)
                claims_due(c, now_ms);
}

void claims_heard(Claims *c, bool more, int64_t next_due_ms, int64_t now_ms) {
        must(c->is_asking);
        c->is_asking = false;
        c->asked_max = 0;
        if (!c->asked_due)
                return;
        claims_due(c, next_due_ms);
        if (more)
                claims_due(c, now_ms);
}
