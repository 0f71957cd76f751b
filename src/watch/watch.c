/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/watch.h"

#include "base/clock.h"
#include "watch/parked.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_MIN_MS   1000 /* after a failure; doubled up to the maximum */
#define AGAIN_MAX_MS   60000
#define BROKEN_MS      60000 /* perhaps somebody has mended it */
#define SUBMIT_MIN_MS  20    /* the ledger is busy */
#define SUBMIT_MAX_MS  2000
#define SUBMIT_TELL_MS 5000   /* then it is said that events wait for the ledger */
#define READ_MAX_MS    300000 /* its own limits are lower: then something is broken */
#define PARKED_ARENA   (256 * 1024)

struct Watch {
        Watches *all;
        Watch *next;
        pthread_t thread;
        int bell; /* an eventfd: look at `stops`, `fresh` and `wish` */
        pthread_mutex_t lock;
        /* Under the lock: */
        bool stops, ended;
        Triggers *fresh; /* to go on with; NULL: the present ones */
        WatchWish wish;  /* what is to become of those that were put aside */
        WatchStatus status;
        /* The thread's: */
        Triggers *set;
        const Trigger *trigger;
        Notes *notes;
        char source[CONFIG_NAME_MAX_BYTES + 1];
        size_t n_parked;
        bool has_looked; /* for those that an earlier process put aside; nobody else does */
        int64_t again_ms;
};

struct Watches {
        WatchPort port;
        char *notes_path;
        pthread_mutex_t lock; /* of the list */
        Watch *first;
};

const char *watch_state_name(WatchState s) {
        static const char *const names[] = {"starting", "working", "failing", "broken"};

        return names[s];
}

/* ---- for kinds ---- */

const Trigger *watch_trigger(const Watch *w) {
        return w->trigger;
}

bool watch_stops(const Watch *w) {
        Watch *open = (Watch *)w;
        bool stops;

        pthread_mutex_lock(&open->lock);
        stops = open->stops || open->fresh || open->wish;
        pthread_mutex_unlock(&open->lock);
        return stops;
}

int watch_poll(Watch *w, int fd, short events, int64_t ms) {
        int64_t until = clock_mono_ms() + ms;

        for (;;) {
                struct pollfd fds[2] = {{w->bell, POLLIN, 0}, {fd, events, 0}};
                int64_t left = until - clock_mono_ms();
                int n;

                if (watch_stops(w))
                        return -ECANCELED;
                n = poll(fds, fd >= 0 ? 2 : 1, left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (fds[0].revents & POLLIN) {
                        uint64_t rings;

                        (void)!read(w->bell, &rings, sizeof rings);
                        continue;
                }
                if (n > 0 && fd >= 0 && fds[1].revents)
                        return 1;
                if (clock_mono_ms() >= until)
                        return 0;
        }
}

int watch_wait(Watch *w, int fd, int64_t ms) {
        return watch_poll(w, fd, POLLIN, ms);
}

static void tell(Watch *w, WatchState state, const char *why) {
        WatchStatus copy;
        bool is_news;

        pthread_mutex_lock(&w->lock);
        is_news = w->status.state != state || strcmp(w->status.why, why) != 0;
        if (is_news) {
                w->status.state = state;
                w->status.since_ms = clock_wall_ms();
                (void)snprintf(w->status.why, sizeof w->status.why, "%s", why);
        }
        copy = w->status;
        pthread_mutex_unlock(&w->lock);
        if (is_news)
                w->all->port.told(w->all->port.self, &copy);
}

void watch_remarks(Watch *w, const char *text) {
        w->again_ms = AGAIN_MIN_MS;
        tell(w, WATCH_WORKING, text);
}

void watch_works(Watch *w) {
        watch_remarks(w, "");
}

void watch_fails(Watch *w, const char *why) {
        tell(w, WATCH_FAILING, why);
}

void watch_gauge(Watch *w, const char *name, int64_t value) {
        WatchStatus *s = &w->status;
        size_t i = 0;

        pthread_mutex_lock(&w->lock);
        while (i < s->n_gauges && strcmp(s->gauges[i].name, name) != 0)
                i++;
        must(i < WATCH_GAUGES_MAX);
        s->gauges[i] = (struct WatchGauge){name, value};
        if (i == s->n_gauges)
                s->n_gauges++;
        pthread_mutex_unlock(&w->lock);
}

Notes *watch_notes(Watch *w, Err *e) {
        if (!w->notes && notes_open(w->all->notes_path, span_of(w->source), &w->notes, e) < 0)
                return NULL;
        return w->notes;
}

int watch_read(Watch *w, const PageAsk *ask, Page **ret, Err *e) {
        Page *p = page_new(w->set, ask);
        int r;

        w->all->port.read(w->all->port.self, p);
        r = watch_wait(w, p->bell, READ_MAX_MS);
        must(r != 1 || atomic_load(&p->is_answered));
        *ret = r == 1 ? p : page_unref(p);
        if (r == 0)
                return FAIL(e, -ETIMEDOUT, "a page was asked for, and nothing came of it");
        return r < 0 ? r : 0;
}

/* ---- handing in ---- */

static void count(Watch *w, const WatchTaken *taken) {
        pthread_mutex_lock(&w->lock);
        w->status.events += taken->n_new;
        w->status.known += taken->n_known;
        if (taken->n_new)
                w->status.last_event_ms = clock_wall_ms();
        pthread_mutex_unlock(&w->lock);
}

/* Tries until it is known, for good or not at all. */
static int hand_in(Watch *w, const EnvelopeEvent *events, size_t n, WatchTaken *ret) {
        int64_t pause = SUBMIT_MIN_MS, begun_ms = clock_mono_ms();
        bool is_told = false;

        for (;;) {
                int waited;

                *ret = (WatchTaken){0};
                if (watch_stops(w))
                        return -ECANCELED;
                w->all->port.submit(w->all->port.self, span_of(w->source), events, n, ret);
                if (ret->fault != -EAGAIN)
                        break;
                if (clock_mono_ms() - begun_ms > SUBMIT_TELL_MS) {
                        tell(w, WATCH_FAILING, ret->why);
                        is_told = true;
                }
                waited = watch_wait(w, -1, pause);
                if (waited < 0)
                        return waited;
                pause = pause * 2 > SUBMIT_MAX_MS ? SUBMIT_MAX_MS : pause * 2;
        }
        if (is_told)
                watch_works(w);
        if (ret->fault == 0)
                count(w, ret);
        return 0;
}

static void tell_parked(Watch *w, size_t n, const char *why) {
        w->n_parked = n;
        pthread_mutex_lock(&w->lock);
        w->status.parked = n;
        (void)snprintf(w->status.parked_why, sizeof w->status.parked_why, "%s", n ? why : "");
        pthread_mutex_unlock(&w->lock);
}

static int park(Watch *w, const EnvelopeEvent *event, bool is_whole, const char *why, Err *e) {
        Notes *notes = watch_notes(w, e);
        int r;

        if (!notes)
                return -EIO;
        if (w->n_parked >= PARKED_MAX)
                return FAIL(e, -ENOSPC,
                            "%d events were put aside as they cannot be taken; the next: %s",
                            PARKED_MAX, why);
        r = parked_put(notes, event, is_whole, why, e);
        if (r < 0)
                return -EIO;
        tell_parked(w, w->n_parked + (r == 0), why);
        return 0;
}

int watch_park(Watch *w, const EnvelopeEvent *event, const char *why, Err *e) {
        return park(w, event, false, why, e);
}

/* One of them cannot be taken: each goes alone, so that the others may. */
static int hand_in_singly(Watch *w, const EnvelopeEvent *events, size_t n, Err *e) {
        for (size_t i = 0; i < n; i++) {
                WatchTaken taken;
                int r = hand_in(w, &events[i], 1, &taken);

                if (r == 0 && taken.fault < 0)
                        r = park(w, &events[i], true, taken.why, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

int watch_submit(Watch *w, const EnvelopeEvent *events, size_t n, Err *e) {
        while (n) {
                size_t some = n < ENVELOPE_EVENTS_MAX ? n : ENVELOPE_EVENTS_MAX;
                WatchTaken taken;
                int r = hand_in(w, events, some, &taken);

                if (r == 0 && taken.fault < 0)
                        r = hand_in_singly(w, events, some, e);
                if (r < 0)
                        return r;
                events += some;
                n -= some;
        }
        return 0;
}

/* ---- the thread ---- */

static int look_parked(Watch *w, Notes *notes, Err *e) {
        AUTO(buf_done)
        Buf why = BUF(NOTE_VALUE_MAX_BYTES);
        size_t n = 0;
        int r = parked_count(notes, &n, &why, e);

        if (r == 0 && buf_add_char(&why, 0) < 0)
                r = FAIL(e, -EMSGSIZE, "a reason is too long");
        if (r == 0)
                tell_parked(w, n, why.p);
        w->has_looked = r == 0;
        return r;
}

/* Hands in one that was put aside; what is still in the way is noted. */
static int try_again(Watch *w, Notes *notes, Span id, Span text, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(PARKED_ARENA);
        EnvelopeEvent event;
        WatchTaken taken;
        int r;

        if (!parked_event(id, text, a, &event))
                return 0;
        r = hand_in(w, &event, 1, &taken);
        if (r < 0)
                return r;
        return taken.fault < 0 ? parked_put(notes, &event, true, taken.why, e)
                               : parked_forget(notes, id, e);
}

/* What a person wants of those that were put aside. */
static int grant(Watch *w, Notes *notes, WatchWish wish, Err *e) {
        AUTO(buf_done)
        Buf id = BUF(NOTE_KEY_MAX_BYTES);
        AUTO(buf_done)
        Buf next = BUF(NOTE_KEY_MAX_BYTES);
        AUTO(buf_done)
        Buf text = BUF(NOTE_VALUE_MAX_BYTES);
        int r = 1;

        for (size_t i = 0; i < PARKED_MAX && r > 0; i++) {
                buf_clear(&next);
                buf_clear(&text);
                r = parked_next(notes, buf_span(&id), &next, &text, e);
                if (r <= 0)
                        break;
                buf_clear(&id);
                r = buf_add(&id, buf_span(&next));
                if (r == 0)
                        r = wish == WATCH_FORGETS
                                    ? parked_forget(notes, buf_span(&id), e)
                                    : try_again(w, notes, buf_span(&id), buf_span(&text), e);
                r = r < 0 ? r : 1;
        }
        return r < 0 ? r : look_parked(w, notes, e);
}

/* Takes over what it is to be now, and what is wished. False: nothing more. */
static bool renew(Watch *w, WatchWish *wish) {
        Triggers *fresh;
        bool stops;

        pthread_mutex_lock(&w->lock);
        fresh = w->fresh;
        w->fresh = NULL;
        *wish = w->wish;
        w->wish = WATCH_WISHES_NOTHING;
        stops = w->stops;
        if (fresh) {
                triggers_unref(w->set);
                w->set = fresh;
                w->trigger = triggers_find(fresh, span_of(w->source));
                w->status.kind = w->trigger->kind->name;
                w->status.n_gauges = 0;
                w->again_ms = AGAIN_MIN_MS;
        }
        pthread_mutex_unlock(&w->lock);
        return !stops;
}

static void rest(Watch *w, int fault, const Err *e) {
        bool is_broken = fault == -ENOTRECOVERABLE;

        tell(w, is_broken ? WATCH_BROKEN : WATCH_FAILING,
             e->text[0] ? e->text : "it ended without a reason");
        (void)!watch_wait(w, -1, is_broken ? BROKEN_MS : w->again_ms);
        w->again_ms = w->again_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : w->again_ms * 2;
}

static void *work(void *arg) {
        Watch *w = arg;
        WatchWish wish;

        while (renew(w, &wish)) {
                Err e = {0};
                Notes *notes = watch_notes(w, &e);
                int r = notes ? 0 : -EIO;

                if (r == 0 && !w->has_looked)
                        r = look_parked(w, notes, &e);
                if (r == 0 && wish)
                        r = grant(w, notes, wish, &e);
                if (r == 0)
                        r = w->trigger->kind->run(w, w->trigger->options, &e);
                w->notes = notes_close(w->notes);
                if (r < 0 && !watch_stops(w))
                        rest(w, r, &e);
        }
        triggers_unref(w->set);
        pthread_mutex_lock(&w->lock);
        w->ended = true;
        pthread_mutex_unlock(&w->lock);
        return NULL;
}

/* ---- all of them ---- */

Watches *watches_new(const WatchPort *port) {
        Watches *ws = must_alloc(sizeof *ws);

        ws->port = *port;
        ws->notes_path = strdup(port->notes_path);
        must(ws->notes_path);
        must(pthread_mutex_init(&ws->lock, NULL) == 0);
        return ws;
}

static void ring(Watch *w) {
        uint64_t one = 1;

        (void)!write(w->bell, &one, sizeof one);
}

static void command(Watch *w, Triggers *fresh) {
        pthread_mutex_lock(&w->lock);
        triggers_unref(w->fresh);
        w->fresh = fresh;
        w->stops = w->stops || !fresh;
        pthread_mutex_unlock(&w->lock);
        ring(w);
}

static void start(Watches *ws, const Trigger *t, Triggers *set) {
        Watch *w = must_alloc(sizeof *w);
        sigset_t all, before;

        w->all = ws;
        w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        must(w->bell >= 0 && pthread_mutex_init(&w->lock, NULL) == 0);
        (void)snprintf(w->source, sizeof w->source, "%s", t->source->name);
        w->fresh = triggers_ref(set);
        w->status = (WatchStatus){
                .source = w->source, .kind = t->kind->name, .since_ms = clock_wall_ms()};
        w->next = ws->first;
        ws->first = w;
        (void)sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        must(pthread_create(&w->thread, NULL, work, w) == 0);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static Watch *watch_free(Watch *w) {
        (void)close(w->bell);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
}

/* Those that were told to end and have. */
static void reap(Watches *ws) {
        for (Watch **at = &ws->first; *at;) {
                Watch *w = *at;
                bool ended;

                pthread_mutex_lock(&w->lock);
                ended = w->ended;
                pthread_mutex_unlock(&w->lock);
                if (!ended) {
                        at = &w->next;
                        continue;
                }
                *at = w->next;
                (void)pthread_join(w->thread, NULL);
                watch_free(w);
        }
}

static Watch *find(Watches *ws, const char *source) {
        for (Watch *w = ws->first; w; w = w->next)
                if (!w->stops && strcmp(w->source, source) == 0)
                        return w;
        return NULL;
}

/* It works, and would do the same: to begin anew could cost it hours (a snapshot of a large table).
 */
static bool goes_on(Watch *w, const Triggers *t) {
        const Trigger *now = triggers_find(t, span_of(w->source));
        bool same;

        pthread_mutex_lock(&w->lock);
        same = now && w->trigger && !w->stops && !w->fresh && w->status.state == WATCH_WORKING &&
               trigger_same(w->trigger, now);
        pthread_mutex_unlock(&w->lock);
        return same;
}

void watches_set(Watches *ws, Triggers *t) {
        pthread_mutex_lock(&ws->lock);
        reap(ws);
        for (Watch *w = ws->first; w; w = w->next)
                if (!goes_on(w, t))
                        command(w, !w->stops && triggers_find(t, span_of(w->source))
                                           ? triggers_ref(t)
                                           : NULL);
        for (size_t i = 0; i < t->n; i++)
                if (!find(ws, t->at[i].source->name))
                        start(ws, &t->at[i], t);
        pthread_mutex_unlock(&ws->lock);
        triggers_unref(t);
}

bool watches_wish(Watches *ws, Span source, WatchWish wish) {
        bool is_there = false;

        pthread_mutex_lock(&ws->lock);
        for (Watch *w = ws->first; w; w = w->next) {
                if (w->stops || !span_eq(span_of(w->source), source))
                        continue;
                is_there = true;
                pthread_mutex_lock(&w->lock);
                w->wish = wish;
                pthread_mutex_unlock(&w->lock);
                ring(w);
        }
        pthread_mutex_unlock(&ws->lock);
        return is_there;
}

/* Waits without the lock, which a loop may want that one of them waits for. Nobody else changes the
 * list meanwhile. */
bool watches_stop(Watches *ws, int64_t ms) {
        struct timespec until;
        bool all_ended = true;

        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += ms / 1000;
        pthread_mutex_lock(&ws->lock);
        for (Watch *w = ws->first; w; w = w->next)
                command(w, NULL);
        pthread_mutex_unlock(&ws->lock);
        for (Watch **at = &ws->first; *at;) {
                Watch *w = *at;

                if (pthread_timedjoin_np(w->thread, NULL, &until) != 0) {
                        all_ended = false;
                        at = &w->next;
                        continue;
                }
                pthread_mutex_lock(&ws->lock);
                *at = w->next;
                pthread_mutex_unlock(&ws->lock);
                watch_free(w);
        }
        return all_ended;
}

Watches *watches_free(Watches *ws) {
        if (ws && !ws->first) {
                pthread_mutex_destroy(&ws->lock);
                free(ws->notes_path);
                free(ws);
        }
        return NULL;
}

void watches_each(Watches *ws, void (*each)(void *arg, const WatchStatus *s), void *arg) {
        pthread_mutex_lock(&ws->lock);
        for (Watch *w = ws->first; w; w = w->next) {
                WatchStatus copy;

                pthread_mutex_lock(&w->lock);
                copy = w->status;
                pthread_mutex_unlock(&w->lock);
                if (!w->stops)
                        each(arg, &copy);
        }
        pthread_mutex_unlock(&ws->lock);
}
