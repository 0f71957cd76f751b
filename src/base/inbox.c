/* SPDX-License-Identifier: Apache-2.0 */
#include "base/inbox.h"

#include <time.h>

void inbox_init(Inbox *b, void (*wake)(void *arg), void *arg) {
        pthread_condattr_t attr;

        must(pthread_condattr_init(&attr) == 0);
        must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
        must(pthread_mutex_init(&b->lock, NULL) == 0);
        must(pthread_cond_init(&b->filled, &attr) == 0);
        pthread_condattr_destroy(&attr);
        b->first = NULL;
        b->last = &b->first;
        b->wake = wake;
        b->arg = arg;
}

void inbox_done(Inbox *b) {
        pthread_mutex_destroy(&b->lock);
        pthread_cond_destroy(&b->filled);
}

void inbox_send_all(Inbox *b, Note *first, Note **last) {
        *last = NULL;
        pthread_mutex_lock(&b->lock);
        bool quiet = !b->first;
        *b->last = first;
        b->last = last;
        pthread_mutex_unlock(&b->lock);
        if (!quiet)
                return;
        pthread_cond_signal(&b->filled);
        if (b->wake)
                b->wake(b->arg);
}

void inbox_send(Inbox *b, Note *n) {
        inbox_send_all(b, n, &n->next);
}

static Note *take_locked(Inbox *b) {
        Note *all = b->first;

        b->first = NULL;
        b->last = &b->first;
        return all;
}

Note *inbox_take(Inbox *b) {
        pthread_mutex_lock(&b->lock);
        Note *all = take_locked(b);
        pthread_mutex_unlock(&b->lock);
        return all;
}

Note *inbox_wait(Inbox *b, int64_t timeout_ms) {
        struct timespec until;

        must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
        if (timeout_ms > 0) {
                until.tv_sec += (time_t)(timeout_ms / 1000);
                until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
                if (until.tv_nsec >= 1000000000) {
                        until.tv_sec++;
                        until.tv_nsec -= 1000000000;
                }
        }
        pthread_mutex_lock(&b->lock);
        while (!b->first) {
                int r = timeout_ms < 0 ? pthread_cond_wait(&b->filled, &b->lock)
                                       : pthread_cond_timedwait(&b->filled, &b->lock, &until);
                if (r == ETIMEDOUT)
                        break;
        }
        Note *all = take_locked(b);
        pthread_mutex_unlock(&b->lock);
        return all;
}

size_t inbox_read(Inbox *b) {
        size_t n = 0;

        for (Note *note = inbox_take(b), *next; note; note = next, n++) {
                next = note->next;
                note->read(note);
        }
        return n;
}
