/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/view.h"

/* A view lives in its own arena: nothing of it may be touched after the arena ends. */
EventView *event_view_free(EventView *v) {
        if (v)
                arena_free(v->arena);
        return NULL;
}

AttemptPage *attempt_page_free(AttemptPage *p) {
        if (p)
                arena_free(p->arena);
        return NULL;
}

EventPage *event_page_free(EventPage *p) {
        if (p)
                arena_free(p->arena);
        return NULL;
}
