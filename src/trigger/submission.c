/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/submission.h"

#include "trigger/arrival.h"

#include <errno.h>

/* Lives on the stack of the thread that waits. */
typedef struct Submission {
        Note note;
        Inlet *inlet;
        Span source;
        const EnvelopeEvent *events;
        size_t n;
        WatchTaken *ret;
        pthread_mutex_t lock;
        pthread_cond_t ended;
        bool is_done;
} Submission;

/* The last touch: behind the unlock the thread that waits may be gone with all of it. */
static void finish(Submission *s) {
        pthread_mutex_lock(&s->lock);
        s->is_done = true;
        pthread_cond_signal(&s->ended);
        pthread_mutex_unlock(&s->lock);
}

static void on_arrived(void *arg, const ArrivalOut *out) {
        Submission *s = arg;

        *s->ret = (WatchTaken){.fault = out->fault, .n_new = out->n_new, .n_known = out->n_known};
        /* A source that is gone takes its trigger with it soon; what is noticed until then stays
         * where it is. */
        if (out->fault == -EINVAL && out->code && strcmp(out->code, "unknown-source") == 0)
                s->ret->fault = -EAGAIN;
        /* The source says `unmatched: refuse`, and nobody wants it: that is no fault. */
        if (out->fault == -EINVAL && out->code && strcmp(out->code, "unmatched") == 0)
                s->ret->fault = 0;
        else if (out->fault < 0)
                (void)snprintf(s->ret->why, sizeof s->ret->why, "%s", out->why ? out->why : "");
        finish(s);
}

static void on_note(Note *n) {
        Submission *s = CONTAINER_OF(n, Submission, note);

        arrival_send(s->inlet, s->source, s->events, s->n, SPAN(""), on_arrived, s);
}

void submission_send(void *self, Span source, const EnvelopeEvent *events, size_t n,
                     WatchTaken *ret) {
        Inlet *in = self;
        Submission s = {.note = {.read = on_note},
                        .inlet = in,
                        .source = source,
                        .events = events,
                        .n = n,
                        .ret = ret};

        must(pthread_mutex_init(&s.lock, NULL) == 0 && pthread_cond_init(&s.ended, NULL) == 0);
        inbox_send(&in->loop->inbox, &s.note);
        pthread_mutex_lock(&s.lock);
        while (!s.is_done)
                pthread_cond_wait(&s.ended, &s.lock);
        pthread_mutex_unlock(&s.lock);
        pthread_cond_destroy(&s.ended);
        pthread_mutex_destroy(&s.lock);
}
