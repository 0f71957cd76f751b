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
        b->is_pressing = false;
        b->wake = wake;
        b->arg = arg;
}

void inbox_done(Inbox *b) {
        pthread_mutex_destroy(&b->lock);
        pthread_cond_destroy(&b->filled);
}

static void add(Inbox *b, Note *first, Note **last, bool presses) {
        *last = NULL;
        pthread_mutex_lock(&b->lock);
        bool rings = presses ? !b->is_pressing : !b->first;
        b->is_pressing = b->is_pressing || presses;
        *b->last = first;
        b->last = last;
        pthread_mutex_unlock(&b->lock);
        if (!rings)
                return;
        pthread_cond_signal(&b->filled);
        if (b->wake)
                b->wake(b->arg);
}

void inbox_send_all(Inbox *b, Note *first, Note **last) {
        add(b, first, last, true);
}

void inbox_send(Inbox *b, Note *n) {
        add(b, n, &n->next, true);
}

void inbox_send_later(Inbox *b, Note *n) {
        add(b, n, &n->next, false);
}

static Note *take_locked(Inbox *b) {
        Note *all = b->first;

        b->first = NULL;
        b->last = &b->first;
        b->is_pressing = false;
        return all;
}

Note *inbox_take(Inbox *b) {
        pthread_mutex_lock(&b->lock);
        Note *all = take_locked(b);
        pthread_mutex_unlock(&b->lock);
        return all;
}

static struct timespec after(int64_t us) {
        struct timespec t;

        must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
        t.tv_sec += (time_t)(us / 1000000);
        t.tv_nsec += (long)(us % 1000000) * 1000;
        if (t.tv_nsec >= 1000000000) {
                t.tv_sec++;
                t.tv_nsec -= 1000000000;
        }
        return t;
}

static void sleep_until_filled(Inbox *b, int64_t timeout_ms) {
        const struct timespec until = after(timeout_ms > 0 ? timeout_ms * 1000 : 0);

        while (!b->first) {
                int r = timeout_ms < 0 ? pthread_cond_wait(&b->filled, &b->lock)
                                       : pthread_cond_timedwait(&b->filled, &b->lock, &until);
                if (r == ETIMEDOUT)
                        return;
        }
}

static void sleep_until_pressing(Inbox *b, int64_t later_us) {
        const struct timespec until = after(later_us);

        while (!b->is_pressing)
                if (pthread_cond_timedwait(&b->filled, &b->lock, &until) == ETIMEDOUT)
                        return;
}

Note *inbox_wait(Inbox *b, int64_t timeout_ms) {
        return inbox_gather(b, timeout_ms, 0);
}

Note *inbox_gather(Inbox *b, int64_t timeout_ms, int64_t later_us) {
        pthread_mutex_lock(&b->lock);
        sleep_until_filled(b, timeout_ms);
        if (b->first && !b->is_pressing && later_us > 0)
                sleep_until_pressing(b, later_us);
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
