/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/claims.h"

void claims_init(Claims *c) {
        *c = (Claims){.next_due_ms = INT64_MAX, .not_before_ms = INT64_MIN};
}

void claims_due(Claims *c, int64_t due_ms) {
        if (due_ms < c->next_due_ms)
                c->next_due_ms = due_ms;
}

void claims_backlog(Claims *c, int64_t after_id) {
        if (!c->has_backlog || after_id < c->after_id)
                c->after_id = after_id;
        c->has_backlog = true;
        c->asked_queued = false; /* what is on its way may not know of these */
}

int64_t claims_when(const Claims *c) {
        if (c->is_asking)
                return INT64_MAX;
        if (c->has_backlog)
                return c->not_before_ms;
        return c->next_due_ms > c->not_before_ms ? c->next_due_ms : c->not_before_ms;
}

void claims_asked(Claims *c, size_t max) {
        must(!c->is_asking);
        c->is_asking = true;
        c->asked_queued = c->has_backlog;
        c->asked_max = max;
        /* The answer will say; what becomes waiting meanwhile lowers it again. */
        c->next_due_ms = INT64_MAX;
}

void claims_failed(Claims *c, int64_t now_ms) {
        must(c->is_asking);
        c->is_asking = false;
        c->asked_max = 0;
        c->not_before_ms = now_ms + CLAIM_AGAIN_MS;
        claims_due(c, now_ms);
}

void claims_heard(Claims *c, bool more, int64_t next_due_ms, int64_t now_ms) {
        must(c->is_asking);
        c->is_asking = false;
        c->asked_max = 0;
        claims_due(c, next_due_ms);
        if (more)
                claims_due(c, now_ms);
        if (c->asked_queued && !more)
                c->has_backlog = false;
}
