/* SPDX-License-Identifier: Apache-2.0
 *
 * Where statements run: for each database a desk with a short queue and a few threads, each with a
 * connection of its own, so that neither a loop nor another database waits for a slow one. */
#include "base/clock.h"
#include "watch/statement.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define GRACE_MS 2000 /* what runs may end by itself; then it is told to */

typedef struct Desk Desk;
struct Desk {
        Desk *next;
        Desks *all;
        char name[CONFIG_NAME_MAX_BYTES + 1]; /* of the database */
        pthread_cond_t filled;
        StatementCall *first, **last;
        size_t n_waiting, n_threads, n_idle;
};

typedef struct Worker Worker;
struct Worker {
        Worker *next;
        Desk *desk;
        pthread_t thread;
        bool has_ended;
        void *stopper; /* under the lock; NULL: nothing runs */
        const StatementWay *way;
        /* The thread's: */
        void *connection; /* NULL: none */
        Statements *set;  /* that it was made for, a reference */
};

struct Desks {
        pthread_mutex_t lock;
        pthread_cond_t ended; /* a worker has */
        Desk *first;
        Worker *workers;
        Statements *current;
        bool stops;
        void (*told)(const char *statement, const char *why);
};

static void condition_init(pthread_cond_t *c) {
        pthread_condattr_t a;

        must(pthread_condattr_init(&a) == 0 &&
             pthread_condattr_setclock(&a, CLOCK_MONOTONIC) == 0 && pthread_cond_init(c, &a) == 0);
        pthread_condattr_destroy(&a);
}

Desks *desks_new(void (*told)(const char *statement, const char *why)) {
        Desks *d = must_alloc(sizeof *d);

        must(pthread_mutex_init(&d->lock, NULL) == 0);
        condition_init(&d->ended);
        d->told = told;
        return d;
}

/* ---- a worker ---- */

static void disconnect(Worker *w) {
        void *stopper;

        pthread_mutex_lock(&w->desk->all->lock);
        stopper = w->stopper;
        w->stopper = NULL;
        pthread_mutex_unlock(&w->desk->all->lock);
        if (w->connection) {
                w->way->stopper_free(stopper);
                w->way->close(w->connection);
        }
        w->connection = NULL;
        w->set = statements_unref(w->set);
}

static int connect_for(Worker *w, Statements *set, Err *e) {
        const DatabaseConfig *d = config_database(set->config, span_of(w->desk->name));
        int r;

        if (w->connection && w->set == set)
                return 0;
        disconnect(w);
        must(d);
        pthread_mutex_lock(&w->desk->all->lock);
        w->way = d->is_sqlite ? &statement_lite : &statement_pg;
        pthread_mutex_unlock(&w->desk->all->lock);
        r = w->way->open(d, set->n, &w->connection, e);
        if (r < 0)
                return r;
        w->set = statements_ref(set);
        pthread_mutex_lock(&w->desk->all->lock);
        w->stopper = w->way->stopper(w->connection);
        pthread_mutex_unlock(&w->desk->all->lock);
        return 0;
}

static void give_up(StatementCall *call, StatementResult result, const char *why) {
        call->result = result;
        (void)snprintf(call->message, sizeof call->message, "%s", why);
}

static void forget_answer(StatementCall *call) {
        buf_clear(&call->rows);
        buf_clear(&call->events);
        call->count = 0;
        call->is_untouched = false;
        call->message[0] = call->column[0] = call->table[0] = call->constraint[0] = 0;
}

static void serve(Worker *w, StatementCall *call) {
        for (int i = 0; i < 2; i++) {
                bool was_there = w->connection && w->set == call->set;
                Err e = {0};

                forget_answer(call);
                if (clock_mono_ms() >= call->until_ms) {
                        give_up(call, STATEMENT_LATE, "it waited too long for a connection");
                        return;
                }
                if (connect_for(w, call->set, &e) < 0) {
                        give_up(call, STATEMENT_AWAY, e.text);
                        return;
                }
                if (!w->way->run(w->connection, call))
                        disconnect(w);
                /* An old connection may have been cut since; nothing happened on it yet. */
                if (!was_there || !call->is_untouched)
                        return;
        }
}

/* All statements of the set that belong here. */
static void prepare_all(Worker *w, StatementCall *call) {
        Err e = {0};
        int r = connect_for(w, call->set, &e);

        for (size_t i = 0; i < call->set->n; i++) {
                const Statement *s = &call->set->at[i];
                Err why = {0};

                if (strcmp(s->config->database->name, w->desk->name) != 0)
                        continue;
                if (r < 0) {
                        w->desk->all->told(s->config->name, e.text);
                        return; /* the others would say the same */
                }
                if (w->way->attempt(w->connection, s, &why) < 0)
                        w->desk->all->told(s->config->name, why.text);
        }
}

static void finish(StatementCall *call) {
        if (call->home) {
                inbox_send(call->home, &call->note);
                return;
        }
        statements_unref(call->set);
        free(call);
}

/* Under the lock, which is let go while a connection that is of no use any more is closed. NULL: it
 * is to end. */
static StatementCall *next_call(Worker *w) {
        Desk *d = w->desk;
        StatementCall *call;

        while (!d->first) {
                if (d->all->stops)
                        return NULL;
                if (w->set && w->set != d->all->current) {
                        pthread_mutex_unlock(&d->all->lock);
                        disconnect(w);
                        pthread_mutex_lock(&d->all->lock);
                        continue;
                }
                d->n_idle++;
                pthread_cond_wait(&d->filled, &d->all->lock);
                d->n_idle--;
        }
        call = d->first;
        d->first = call->next;
        if (!d->first)
                d->last = &d->first;
        d->n_waiting--;
        return call;
}

static void *work(void *arg) {
        Worker *w = arg;
        Desks *all = w->desk->all;

        pthread_mutex_lock(&all->lock);
        for (StatementCall *call; (call = next_call(w));) {
                bool stops = all->stops;

                pthread_mutex_unlock(&all->lock);
                if (stops)
                        give_up(call, STATEMENT_AWAY, "Grapnel is stopping");
                else if (call->home)
                        serve(w, call);
                else
                        prepare_all(w, call);
                finish(call);
                pthread_mutex_lock(&all->lock);
        }
        pthread_mutex_unlock(&all->lock);
        disconnect(w);
        pthread_mutex_lock(&all->lock);
        w->has_ended = true;
        pthread_cond_signal(&all->ended);
        pthread_mutex_unlock(&all->lock);
        return NULL;
}

/* ---- the desks; under the lock ---- */

static Desk *desk_of(Desks *all, const char *database) {
        Desk *d = all->first;

        while (d && strcmp(d->name, database) != 0)
                d = d->next;
        if (d)
                return d;
        d = must_alloc(sizeof *d);
        *d = (Desk){.next = all->first, .all = all};
        (void)snprintf(d->name, sizeof d->name, "%s", database);
        d->last = &d->first;
        condition_init(&d->filled);
        all->first = d;
        return d;
}

/* Signals are the loops'. */
static void hire(Desk *d) {
        Worker *w = must_alloc(sizeof *w);
        sigset_t all, before;

        *w = (Worker){.next = d->all->workers, .desk = d};
        must(sigfillset(&all) == 0 && pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
        must(pthread_create(&w->thread, NULL, work, w) == 0);
        must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
        d->all->workers = w;
        d->n_threads++;
}

static void put(Desk *d, StatementCall *call) {
        call->next = NULL;
        *d->last = call;
        d->last = &call->next;
        d->n_waiting++;
        if (d->n_waiting > d->n_idle && d->n_threads < STATEMENT_THREADS)
                hire(d);
        pthread_cond_signal(&d->filled);
}

int desks_send(Desks *all, StatementCall *call) {
        Desk *d;
        int r = 0;

        pthread_mutex_lock(&all->lock);
        d = desk_of(all, call->statement->config->database->name);
        if (all->stops)
                r = -ESHUTDOWN;
        else if (d->n_waiting >= STATEMENT_QUEUE_MAX)
                r = -EAGAIN;
        else
                put(d, call);
        pthread_mutex_unlock(&all->lock);
        return r;
}

static bool has_statements(const Statements *s, const DatabaseConfig *d) {
        for (size_t i = 0; i < s->n; i++)
                if (s->at[i].config->database == d)
                        return true;
        return false;
}

void desks_set(Desks *all, Statements *s) {
        Statements *was;

        pthread_mutex_lock(&all->lock);
        was = all->current;
        all->current = s;
        for (size_t i = 0; i < s->config->n_databases; i++) {
                StatementCall *call;

                if (!has_statements(s, &s->config->databases[i]))
                        continue;
                call = must_alloc(sizeof *call);
                *call = (StatementCall){.set = statements_ref(s)};
                put(desk_of(all, s->config->databases[i].name), call);
        }
        for (Desk *d = all->first; d; d = d->next)
                pthread_cond_broadcast(&d->filled);
        pthread_mutex_unlock(&all->lock);
        statements_unref(was);
}

Statements *desks_current(Desks *all) {
        Statements *s;

        pthread_mutex_lock(&all->lock);
        s = all->current ? statements_ref(all->current) : NULL;
        pthread_mutex_unlock(&all->lock);
        return s;
}

/* ---- the end ---- */

static bool all_ended(const Desks *all) {
        for (const Worker *w = all->workers; w; w = w->next)
                if (!w->has_ended)
                        return false;
        return true;
}

static void wait_ended(Desks *all, int64_t ms) {
        struct timespec at;

        must(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
        at.tv_sec += (time_t)(ms / 1000);
        at.tv_nsec += (long)(ms % 1000) * 1000000;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        while (!all_ended(all))
                if (pthread_cond_timedwait(&all->ended, &all->lock, &at) == ETIMEDOUT)
                        return;
}

bool desks_stop(Desks *all, int64_t ms) {
        bool ended;

        pthread_mutex_lock(&all->lock);
        all->stops = true;
        for (Desk *d = all->first; d; d = d->next)
                pthread_cond_broadcast(&d->filled);
        wait_ended(all, ms < GRACE_MS ? ms / 2 : GRACE_MS);
        for (Worker *w = all->workers; w; w = w->next)
                if (w->stopper && !w->has_ended)
                        w->way->stop(w->stopper);
        wait_ended(all, ms);
        ended = all_ended(all);
        pthread_mutex_unlock(&all->lock);
        return ended;
}

Desks *desks_free(Desks *all) {
        if (!all)
                return NULL;
        while (all->workers) {
                Worker *w = all->workers;

                all->workers = w->next;
                (void)pthread_join(w->thread, NULL);
                free(w);
        }
        while (all->first) {
                Desk *d = all->first;

                all->first = d->next;
                pthread_cond_destroy(&d->filled);
                free(d);
        }
        statements_unref(all->current);
        pthread_cond_destroy(&all->ended);
        pthread_mutex_destroy(&all->lock);
        free(all);
        return NULL;
}
