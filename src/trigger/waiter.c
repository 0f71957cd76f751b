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

/* What happened, without what is too large to keep. */
static Outcome *keep_bare(Waiter *w, const Outcome *o) {
        Outcome bare = {.status = o->status,
                        .code = o->code,
                        .message = o->status < 300
                                           ? SPAN("Done; the data is too large to show.")
                                           : SPAN("It failed; the details are too large to show."),
                        .retryable = o->retryable,
                        .not_tried = o->not_tried,
                        .retry_after_s = o->retry_after_s};

        arena_free(w->arena);
        w->arena = arena_new(WAITER_ARENA_MAX_BYTES);
        return outcome_copy(w->arena, &bare);
}

WaiterWord waiter_decide(Waiter *w, const Outcome *o) {
        bool failed = o->status >= 300;
        unsigned left = atomic_fetch_sub(&w->pending, 1) - 1;
        bool open = false;

        if (!failed && left > 0)
                return WAITER_NOTHING;
        if (!atomic_compare_exchange_strong(&w->told, &open, true))
                return WAITER_NOTHING;
        w->outcome = outcome_copy(w->arena, o);
        if (!w->outcome)
                w->outcome = keep_bare(w, o);
        return failed ? WAITER_FAILURE : WAITER_SUCCESS;
}

bool waiter_begin(Waiter *w, int64_t now_ms) {
        if (now_ms >= w->until_ms || atomic_load(&w->told))
                return false;
        atomic_fetch_add(&w->running, 1);
        return true;
}

void waiter_ended(Waiter *w) {
        atomic_fetch_sub(&w->running, 1);
}

bool waiter_is_about_to_hear(const Waiter *w, int64_t now_ms) {
        return now_ms >= w->until_ms && atomic_load(&w->running) > 0;
}

void waiter_tell(Waiter *w) {
        waiter_ref(w);
        w->note.read = on_note;
        inbox_send(w->home, &w->note);
}

void waiter_leave(Waiter *w) {
        if (w && waiter_give_up(w))
                waiter_tell(w);
        waiter_unref(w);
}

bool waiter_give_up(Waiter *w) {
        bool open = false;

        return atomic_compare_exchange_strong(&w->told, &open, true);
}
