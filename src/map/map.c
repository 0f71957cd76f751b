/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's side: calls wait in a queue, go to helpers a few at a time, and come back in the
 * order in which they went. A helper that ends takes the call with it that it was running; the
 * ones behind go back to the head of the queue.
 *
 * What is started in one turn of the loop is handed out at the beginning of the next, together:
 * an idle handle is awake exactly as long as there is something to hand out. */
#include "map/map.h"

#include "map/leash.h"
#include "map/program.h"
#include "map/wire.h"
#include "json/check.h"

enum {
        HELPERS_MAX = 16,
        QUEUE_MAX = 4096,
        WALL_MS = 5000,
        REFILL_BELOW = LEASH_LOAD_MAX / 2,
        LOST_MAX = 3,   /* innocent ends of a helper that one call survives */
        MISSES_MAX = 6, /* vain starts in a row before those who wait are told */
        PAUSE_MS = 50,  /* after the second vain start; doubles */
        PAUSE_MAX_MS = 1000,
};

struct Map {
        uv_loop_t *loop;
        ProgramSet *set;
        MapLimits limits;
        LeashOwner owner;
        Leash *leashes[HELPERS_MAX]; /* NULL: to be started */
        List waiting, finished;
        size_t calls, bytes; /* of all that are started and not ended, cancelled ones included */
        unsigned misses;     /* starts in a row that came to nothing */
        uv_idle_t turn;
        uv_timer_t restart;
        unsigned handles;
        bool closing;
        void (*closed)(void *arg);
        void *closed_arg;
};

static void on_turn(uv_idle_t *idle);

static void wake(Map *m) {
        if (!m->closing)
                must(uv_idle_start(&m->turn, on_turn) == 0);
}

/* ---- ends of calls ---- */

static void forget(Map *m, Pending *p) {
        m->calls--;
        m->bytes -= p->bytes.n;
        pending_free(p);
}

/* The copy ends with a whole character. */
static void say_why(MapCall *c, Span why) {
        if (why.n >= sizeof c->why)
                for (why.n = sizeof c->why - 1; why.n && (why.p[why.n] & 0xc0) == 0x80;)
                        why.n--;
        if (why.n)
                memcpy(c->why, why.p, why.n);
        c->why[why.n] = 0;
}

static void finish(Map *m, Pending *p, MapEnd end, Span output, Span why) {
        MapCall *c = p->call;

        forget(m, p);
        if (!c)
                return;
        c->end = end;
        c->output = output;
        say_why(c, why);
        c->own[0] = NULL;
        c->done(c);
}

static Leash *least_loaded(const Map *m, size_t below) {
        Leash *best = NULL;

        for (unsigned i = 0; i < m->limits.helpers; i++) {
                Leash *l = m->leashes[i];

                if (l && leash_load(l) < below && (!best || leash_load(l) < leash_load(best)))
                        best = l;
        }
        return best;
}

static void on_answered(void *arg, Pending *p, MapEnd end, Span output) {
        Map *m = arg;
        JsonFault fault;
        Span none = {NULL, 0};

        if (m->waiting.n && least_loaded(m, REFILL_BELOW))
                wake(m);
        if (end == MAP_OK && json_check(output, MAP_OUTPUT_MAX_BYTES, &fault) < 0)
                finish(m, p, MAP_FAILED, none, SPAN("the result is no JSON"));
        else if (end == MAP_OK)
                finish(m, p, end, output, none);
        else if (end == MAP_FAILED)
                finish(m, p, end, none, output);
        else
                finish(m, p, end, none,
                       end == MAP_LIMIT ? SPAN("the result is larger than 1 MiB") : none);
}

/* Ends in the next turn, for callers that must not be called back yet. */
static void finish_later(Map *m, Pending *p, MapEnd end, const char *why) {
        p->finished = true;
        if (p->call) {
                p->call->end = end;
                say_why(p->call, span_of(why));
        }
        list_push(&m->finished, &p->link);
        wake(m);
}

static void finish_finished(Map *m) {
        for (size_t n = m->finished.n; n > 0 && m->finished.n && !m->closing; n--) {
                Pending *p = pending_of(list_pop(&m->finished));
                MapCall *c = p->call;

                c->output = c->end == MAP_OK ? buf_span(&p->bytes) : (Span){NULL, 0};
                c->own[0] = NULL;
                c->done(c);
                forget(m, p);
        }
}

/* ---- helpers ---- */

static void start_missing(Map *m);

static void on_restart(uv_timer_t *t) {
        start_missing(t->data);
}

static void no_helpers(Map *m) {
        while (m->waiting.n)
                finish_later(m, pending_of(list_pop(&m->waiting)), MAP_LIMIT,
                             "no helper for jq programs can be started");
}

/* A start that came to nothing. */
static void miss(Map *m) {
        unsigned doublings = m->misses < 10 ? m->misses : 10;
        uint64_t pause = m->misses == 0 ? 0 : (uint64_t)PAUSE_MS << (doublings - 1);

        m->misses++;
        if (m->misses >= MISSES_MAX)
                no_helpers(m);
        if (m->misses % MISSES_MAX == 0)
                program_set_drop_nursery(m->set); /* perhaps it is the nursery that is ill */
        must(uv_timer_start(&m->restart, on_restart, pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS,
                            0) == 0);
}

static int start(Map *m, Leash **ret, Err *e) {
        int fd = -1, r = program_set_helper(m->set, &fd, e);

        if (r == 0)
                r = leash_new(m->loop, fd, program_set_start_ms(m->set), m->limits.wall_ms,
                              &m->owner, ret, e);
        if (r == 0)
                m->handles++;
        return r;
}

static void start_missing(Map *m) {
        for (unsigned i = 0; i < m->limits.helpers && !m->closing; i++)
                if (!m->leashes[i] && start(m, &m->leashes[i], NULL) < 0) {
                        miss(m);
                        return;
                }
        if (m->waiting.n)
                wake(m);
}

static void on_handle_closed(void *arg) {
        Map *m = arg;

        if (--m->handles > 0 || !m->closing)
                return;
        void (*closed)(void *arg) = m->closed;
        void *closed_arg = m->closed_arg;
        program_set_unref(m->set);
        free(m);
        if (closed)
                closed(closed_arg);
}

/* Those behind the first go back to where they came from. */
static void take_back(Map *m, Leash *l) {
        List back;

        list_init(&back);
        for (Pending *p; (p = leash_take(l));) {
                if (p->call)
                        list_push(&back, &p->link);
                else
                        forget(m, p);
        }
        while (back.n) {
                Link *last = back.head.prev;

                list_remove(&back, last);
                list_push_front(&m->waiting, last);
        }
}

static void on_ended(void *arg, Leash *l, LeashEnd end, const char *why) {
        Map *m = arg;
        Pending *first = leash_take(l);
        bool nursery_gone = end == LEASH_SILENT && program_set_nursery_gone(m->set);
        bool lost = end == LEASH_UNREAD || nursery_gone;
        bool innocent = end == LEASH_RESTED || end == LEASH_NO_START || lost;
        bool vain = leash_answers(l) == 0 && (innocent || !first);

        take_back(m, l);
        for (unsigned i = 0; i < m->limits.helpers; i++)
                if (m->leashes[i] == l)
                        m->leashes[i] = NULL;
        leash_close(l, on_handle_closed, m);
        if (first && first->call && innocent && (!lost || ++first->lost < LOST_MAX)) {
                list_push_front(&m->waiting, &first->link);
                first = NULL;
        }
        if (vain)
                miss(m);
        else {
                m->misses = 0;
                start_missing(m);
        }
        if (first)
                finish(m, first, MAP_LIMIT, (Span){NULL, 0},
                       why ? span_of(why) : SPAN("the helper for jq programs was killed"));
}

/* ---- handing out ---- */

/* A busy helper is filled up when half of its calls are done, not after each: one write for
 * many. */
static void hand_out(Map *m) {
        if (!least_loaded(m, REFILL_BELOW))
                return;
        for (Leash *l; m->waiting.n && (l = least_loaded(m, LEASH_LOAD_MAX));)
                leash_give(l, pending_of(list_pop(&m->waiting)));
        for (unsigned i = 0; i < m->limits.helpers; i++)
                if (m->leashes[i])
                        leash_flush(m->leashes[i]);
}

static void on_turn(uv_idle_t *idle) {
        Map *m = idle->data;

        finish_finished(m);
        if (m->closing)
                return;
        hand_out(m);
        if (m->finished.n == 0)
                (void)uv_idle_stop(idle);
}

/* ---- for everyone ---- */

int map_run(Map *m, MapCall *c, Err *e) {
        Pending *p = NULL;
        int r;

        must(!m->closing && c->program && c->done);
        if (m->calls >= m->limits.queue_max)
                return FAIL(e, -EBUSY, "%zu jq programs are waiting", m->calls);
        r = pending_new(c, &p, e);
        if (r < 0)
                return r;
        if (p->bytes.n > MAP_QUEUE_MAX_BYTES - m->bytes) {
                pending_free(p);
                return FAIL(e, -EBUSY, "the inputs of waiting jq programs are too large together");
        }
        m->calls++;
        m->bytes += p->bytes.n;
        c->own[0] = p;
        list_push(p->finished ? &m->finished : &m->waiting, &p->link);
        if (p->finished || least_loaded(m, REFILL_BELOW))
                wake(m); /* else the next answer does, or the next helper */
        return 0;
}

void map_cancel(Map *m, MapCall *c) {
        Pending *p = c->own[0];

        if (!p)
                return;
        c->own[0] = NULL;
        p->call = NULL; /* what is with a helper goes nowhere when it comes */
        if (!p->given) {
                list_remove(p->finished ? &m->finished : &m->waiting, &p->link);
                forget(m, p);
        }
}

static int start_first(Map *m, Err *e) {
        for (unsigned i = 0; i < m->limits.helpers; i++) {
                int r = start(m, &m->leashes[i], e);

                if (r < 0)
                        return r;
        }
        return 0;
}

int map_new(uv_loop_t *loop, ProgramSet *s, const MapLimits *limits, Map **ret, Err *e) {
        Map *m = must_alloc(sizeof *m);

        must(s->sealed);
        m->loop = loop;
        m->set = program_set_ref(s);
        m->limits = limits ? *limits : (MapLimits){0};
        if (m->limits.helpers == 0)
                m->limits.helpers = 1;
        if (m->limits.helpers > HELPERS_MAX)
                m->limits.helpers = HELPERS_MAX;
        if (s->texts_fd < 0)
                m->limits.helpers = 0; /* nothing to run */
        if (m->limits.queue_max == 0)
                m->limits.queue_max = QUEUE_MAX;
        if (m->limits.wall_ms <= 0)
                m->limits.wall_ms = WALL_MS;
        m->owner = (LeashOwner){on_answered, on_ended, m};
        list_init(&m->waiting);
        list_init(&m->finished);
        must(uv_idle_init(loop, &m->turn) == 0 && uv_timer_init(loop, &m->restart) == 0);
        m->turn.data = m->restart.data = m;
        m->handles = 2;
        int r = start_first(m, e);
        if (r < 0) {
                map_close(m, NULL, NULL);
                return r;
        }
        *ret = m;
        return 0;
}

static void on_own_handle_closed(uv_handle_t *h) {
        on_handle_closed(h->data);
}

void map_close(Map *m, void (*closed)(void *arg), void *arg) {
        must(!m->closing && m->waiting.n == 0 && m->finished.n == 0);
        m->closing = true;
        m->closed = closed;
        m->closed_arg = arg;
        for (unsigned i = 0; i < m->limits.helpers; i++) {
                if (!m->leashes[i])
                        continue;
                for (Pending *p; (p = leash_take(m->leashes[i]));) {
                        must(!p->call);
                        forget(m, p);
                }
                leash_close(m->leashes[i], on_handle_closed, m);
                m->leashes[i] = NULL;
        }
        uv_close((uv_handle_t *)&m->turn, on_own_handle_closed);
        uv_close((uv_handle_t *)&m->restart, on_own_handle_closed);
}

size_t map_helpers(const Map *m, int *pids, size_t max) {
        size_t n = 0;

        for (unsigned i = 0; i < m->limits.helpers && n < max; i++)
                if (m->leashes[i] && leash_pid(m->leashes[i]))
                        pids[n++] = leash_pid(m->leashes[i]);
        return n;
}
