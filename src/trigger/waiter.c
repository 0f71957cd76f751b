/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/waiter.h"

#define WAITER_ARENA_MAX_BYTES (16 * 1024 * 1024)

Waiter *waiter_new(Inbox *home, unsigned jobs) {
        Waiter *w = must_alloc(sizeof *w);

        w->refs = 1;
        w->pending = jobs;
        w->home = home;
        w->arena = arena_new(WAITER_ARENA_MAX_BYTES);
        return w;
}

Waiter *waiter_ref(Waiter *w) {
        atomic_fetch_add(&w->refs, 1);
        return w;
}

Waiter *waiter_unref(Waiter *w) {
        if (!w || atomic_fetch_sub(&w->refs, 1) != 1)
                return NULL;
        arena_free(w->arena);
        free(w);
        return NULL;
}

static void on_note(Note *n) {
        Waiter *w = CONTAINER_OF(n, Waiter, note);

        w->on_told(w);
        waiter_unref(w);
}

WaiterWord waiter_decide(Waiter *w, const Outcome *o) {
        static const Outcome too_large = {.status = 200,
                                          .code = "done",
                                          .message = {"Done; the data is too large to show.", 36},
                                          .retry_after_s = -1};
        bool failed = o->status >= 300;
        unsigned left = atomic_fetch_sub(&w->pending, 1) - 1;
        bool open = false;

        if (!failed && left > 0)
                return WAITER_NOTHING;
        if (!atomic_compare_exchange_strong(&w->told, &open, true))
                return WAITER_NOTHING;
        w->outcome = outcome_copy(w->arena, o);
        if (!w->outcome)
                w->outcome = outcome_copy(w->arena, &too_large);
        return failed ? WAITER_FAILURE : WAITER_SUCCESS;
}

void waiter_tell(Waiter *w) {
        waiter_ref(w);
        w->note.read = on_note;
        inbox_send(w->home, &w->note);
}

bool waiter_give_up(Waiter *w) {
        bool open = false;

        return atomic_compare_exchange_strong(&w->told, &open, true);
}
