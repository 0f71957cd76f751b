/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's side: calls wait in a queue, go to helpers a few at a time, and come back in the
 * order in which they went. A helper that dies takes the call that it was running with it; the
 * ones behind go back to the head of the queue. */
#include "map/map.h"

#include "base/list.h"
#include "map/program.h"
#include "map/wire.h"
#include "json/check.h"

#include <signal.h>
#include <unistd.h>

enum {
        IN_FLIGHT_MAX = 16, /* per helper */
        HELPERS_MAX = 16,
        SENT_MAX_BYTES = 1024 * 1024, /* unsent bytes of one helper; then calls wait */
        TICK_MS = 100,
};

typedef struct Pending {
        Link link;
        MapCall *call; /* NULL once cancelled */
        Buf input;     /* wire head and JSON */
        MapEnd end;    /* of those that need no helper */
        char *why;
} Pending;

typedef struct Helper {
        Map *map;
        uv_poll_t poll;
        int fd;
        int pid;
        bool open, polling_out;
        Buf in, out;
        size_t sent; /* of out */
        List running;
        int64_t busy_since_ms;
} Helper;

struct Map {
        uv_loop_t *loop;
        ProgramSet *set;
        MapLimits limits;
        Helper helpers[HELPERS_MAX];
        List waiting, finished;
        size_t queued;
        uv_timer_t tick;    /* watches over silent helpers */
        uv_timer_t at_once; /* ends calls that need no helper */
        unsigned handles;
        bool closing;
        void (*closed)(void *arg);
        void *closed_arg;
};

static void pump(Map *m);

/* ---- calls ---- */

static Pending *pending_of(const MapCall *c) {
        return c->own[0];
}

static void pending_free(Map *m, Pending *p) {
        m->queued--;
        buf_done(&p->input);
        free(p->why);
        free(p);
}

static void finish(Map *m, Pending *p, MapEnd end, Span output, const char *why) {
        MapCall *c = p->call;

        if (c) {
                c->end = end;
                c->output = output;
                (void)snprintf(c->why, sizeof c->why, "%s", why ? why : "");
                c->own[0] = NULL;
        }
        pending_free(m, p);
        if (c)
                c->done(c);
}

static int write_roots(Buf *b, const Program *p, const MapRoot *roots, size_t n) {
        bool first = true;
        int r = buf_add_char(b, '{');

        for (size_t i = 0; i < n && r == 0; i++) {
                if (!roots[i].value.p || !program_uses(p, roots[i].name))
                        continue;
                if (!first)
                        r = buf_add_char(b, ',');
                first = false;
                if (r == 0)
                        r = buf_add_json(b, roots[i].name);
                if (r == 0)
                        r = buf_add_char(b, ':');
                if (r == 0)
                        r = buf_add(b, roots[i].value);
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

static int write_input(Buf *b, const MapCall *c) {
        WireHead head = {0, c->program->number};
        int r = buf_add(b, (Span){(char *)&head, sizeof head});

        if (r == 0)
                r = c->bare ? buf_add(b, c->roots[0].value)
                            : write_roots(b, c->program, c->roots, c->n_roots);
        if (r == 0) {
                head.n = (uint32_t)(b->n - sizeof head);
                memcpy(b->p, &head, sizeof head);
        }
        return r;
}

/* Promise 7: what jq would round does not go to jq. */
static bool unsafe(const MapCall *c, Pending *p) {
        char pointer[JSON_POINTER_MAX_BYTES], text[JSON_POINTER_MAX_BYTES + 200];

        for (size_t i = 0; i < c->n_roots; i++) {
                if (!c->roots[i].value.p ||
                    (!c->bare && !program_uses(c->program, c->roots[i].name)) ||
                    json_unsafe_number(c->roots[i].value, pointer) == 0)
                        continue;
                (void)snprintf(text, sizeof text,
                               "the number at /" SPAN_FMT "%s is too large for jq to keep exact; "
                               "have it sent as text, or read it by a plain path",
                               SPAN_ARG(c->roots[i].name), pointer);
                p->why = must_dup(text);
                p->end = MAP_UNSAFE;
                return true;
        }
        return false;
}

static void on_at_once(uv_timer_t *t) {
        Map *m = t->data;

        for (Link *l; (l = list_pop(&m->finished));) {
                Pending *p = CONTAINER_OF(l, Pending, link);

                /* The output lies behind the place of the wire head, as in a helper's answer. */
                AUTO(freep)
                char *why = p->why ? must_dup(p->why) : NULL;
                Buf kept = p->input;
                p->input = (Buf){0};
                finish(m, p, p->end, buf_span(&kept), why);
                buf_done(&kept);
        }
}

int map_run(Map *m, MapCall *c, Err *e) {
        if (m->queued >= m->limits.queue_max)
                return FAIL(e, -EBUSY, "too many mappings are waiting");
        Pending *p = must_alloc(sizeof *p);
        p->call = c;
        p->input = BUF(WIRE_INPUT_MAX_BYTES);
        m->queued++;
        c->own[0] = p;
        if (c->program->is_path) {
                Span value = c->bare ? program_path_in(c->program, c->roots[0].value)
                                     : program_path_get(c->program, c->roots, c->n_roots);
                int r = value.p ? buf_add(&p->input, value) : buf_add(&p->input, SPAN("null"));

                p->end = r < 0 ? MAP_LIMIT : MAP_OK;
                list_push(&m->finished, &p->link);
        } else if (unsafe(c, p)) {
                list_push(&m->finished, &p->link);
        } else if (c->program->is_path || write_input(&p->input, c)) {
                p->end = MAP_LIMIT;
                p->why = must_dup("the input is too large for a mapping");
                list_push(&m->finished, &p->link);
        } else {
                list_push(&m->waiting, &p->link);
                pump(m);
        }
        if (m->finished.n && !uv_is_active((uv_handle_t *)&m->at_once))
                must(uv_timer_start(&m->at_once, on_at_once, 0, 0) == 0);
        return 0;
}

void map_cancel(Map *m, MapCall *c) {
        (void)m;
        Pending *p = pending_of(c);

        if (p)
                p->call = NULL; /* its answer, when it comes, goes nowhere */
        c->own[0] = NULL;
}

/* ---- helpers ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static int watch(Helper *h) {
        bool out = h->sent < h->out.n;

        h->polling_out = out;
        return uv_poll_start(&h->poll, UV_READABLE | (out ? UV_WRITABLE : 0), on_poll);
}

static void on_handle_closed(uv_handle_t *handle) {
        Map *m = handle->data;

        if (--m->handles == 0 && m->closing) {
                if (m->closed)
                        m->closed(m->closed_arg);
                program_set_unref(m->set);
                free(m);
        }
}

static void on_poll_closed(uv_handle_t *handle) {
        Helper *h = CONTAINER_OF((uv_poll_t *)handle, Helper, poll);

        close(h->fd);
        h->open = false;
        buf_done(&h->in);
        buf_done(&h->out);
        handle->data = h->map;
        Map *m = h->map;
        on_handle_closed(handle);
        if (m->handles && !m->closing)
                pump(m);
}

static int helper_start(Helper *h, Err *e) {
        Map *m = h->map;
        int r = program_set_helper(m->set, &h->fd, e);

        if (r < 0)
                return r;
        r = uv_poll_init(m->loop, &h->poll, h->fd);
        if (r < 0) {
                close(h->fd);
                return FAIL(e, r, "jq helper: %s", uv_strerror(r));
        }
        h->poll.data = h;
        h->open = true;
        h->pid = 0;
        h->sent = 0;
        h->in = BUF(MAP_OUTPUT_MAX_BYTES + 65536 + sizeof(WireHead));
        h->out = BUF(WIRE_INPUT_MAX_BYTES + SENT_MAX_BYTES + sizeof(WireHead));
        m->handles++;
        return watch(h);
}

static void helper_lost(Helper *h, const char *why) {
        Map *m = h->map;
        Pending *guilty = NULL;

        if (uv_is_closing((uv_handle_t *)&h->poll))
                return;
        uv_close((uv_handle_t *)&h->poll, on_poll_closed);
        if (list_first(&h->running))
                guilty = CONTAINER_OF(list_pop(&h->running), Pending, link);
        while (h->running.n) {
                Link *last = h->running.head.prev;

                list_remove(&h->running, last);
                list_push_front(&m->waiting, last);
        }
        if (guilty)
                finish(m, guilty, MAP_LIMIT, (Span){NULL, 0}, why);
}

static void helper_flush(Helper *h) {
        while (h->sent < h->out.n) {
                ssize_t n = write(h->fd, h->out.p + h->sent, h->out.n - h->sent);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        break; /* full: the poll tells when to go on; broken: reading tells */
                h->sent += (size_t)n;
        }
        if (h->sent == h->out.n) {
                buf_clear(&h->out);
                h->sent = 0;
        }
        if ((h->sent < h->out.n) != h->polling_out && watch(h) < 0)
                helper_lost(h, "the mapping's helper cannot be watched");
}

/* One frame of an answer. Returns false when the helper is of no use any more. */
static bool take_answer(Helper *h, WireHead head, Span payload) {
        Map *m = h->map;

        if (head.word == WIRE_HELLO) {
                if (payload.n == sizeof(uint32_t))
                        memcpy(&h->pid, payload.p, sizeof(uint32_t));
                return true;
        }
        if (head.word > WIRE_FAILED || !h->running.n) {
                helper_lost(h, head.word == WIRE_CPU
                                       ? "the expression took more than 1 s of CPU time"
                               : head.word == WIRE_MEMORY
                                       ? "the expression asked for too much memory"
                                       : "the expression crashed jq (nesting too deep?)");
                return false;
        }
        Pending *p = CONTAINER_OF(list_pop(&h->running), Pending, link);
        h->busy_since_ms = (int64_t)uv_now(m->loop);
        if (head.word == WIRE_FAILED) {
                char why[512];

                (void)snprintf(why, sizeof why, SPAN_FMT, SPAN_ARG(payload));
                finish(m, p, MAP_FAILED, (Span){NULL, 0}, why);
        } else
                finish(m, p, head.word == WIRE_OK ? MAP_OK : MAP_EMPTY, payload, NULL);
        return true;
}

static void take_answers(Helper *h) {
        size_t at = 0;

        while (h->open && h->in.n - at >= sizeof(WireHead)) {
                WireHead head;

                memcpy(&head, h->in.p + at, sizeof head);
                if (head.n > MAP_OUTPUT_MAX_BYTES + sizeof head) {
                        helper_lost(h, "the mapping's helper answered nonsense");
                        return;
                }
                if (h->in.n - at - sizeof head < head.n)
                        break;
                if (!take_answer(h, head, (Span){h->in.p + at + sizeof head, head.n}))
                        return;
                at += sizeof head + head.n;
        }
        buf_eat(&h->in, at);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        Helper *h = poll->data;
        Map *m = h->map;

        if (status < 0) {
                helper_lost(h, "the mapping's helper ended");
        } else {
                if (events & UV_WRITABLE)
                        helper_flush(h);
                if (events & UV_READABLE) {
                        char *at = NULL;
                        ssize_t n = -1;

                        if (buf_room(&h->in, 65536, &at) == 0)
                                n = read(h->fd, at, 65536);
                        if (n > 0) {
                                h->in.n += (size_t)n;
                                take_answers(h);
                        } else if (n == 0 || (errno != EINTR && errno != EAGAIN))
                                helper_lost(h, "the mapping's helper ended (killed, or out of "
                                               "memory)");
                }
        }
        if (!m->closing)
                pump(m);
}

static Helper *idlest(Map *m) {
        Helper *best = NULL;

        for (unsigned i = 0; i < m->limits.helpers; i++) {
                Helper *h = &m->helpers[i];

                if (!h->open) {
                        Err e = {0};

                        if (best && best->running.n == 0)
                                continue;
                        if (helper_start(h, &e) < 0)
                                continue;
                }
                if (uv_is_closing((uv_handle_t *)&h->poll) || h->running.n >= IN_FLIGHT_MAX ||
                    h->out.n - h->sent > SENT_MAX_BYTES)
                        continue;
                if (!best || h->running.n < best->running.n)
                        best = h;
        }
        return best;
}

static bool any_open(const Map *m) {
        for (unsigned i = 0; i < m->limits.helpers; i++)
                if (m->helpers[i].open)
                        return true;
        return false;
}

/* Hands waiting calls to helpers. */
static void pump(Map *m) {
        bool gave[HELPERS_MAX] = {false};

        while (m->waiting.n) {
                Helper *h = idlest(m);

                if (!h) {
                        if (any_open(m))
                                break; /* they will answer, or close and start anew */
                        finish(m, CONTAINER_OF(list_pop(&m->waiting), Pending, link), MAP_LIMIT,
                               (Span){NULL, 0}, "no helper for mappings could be started");
                        continue;
                }
                Link *l = list_pop(&m->waiting);
                Pending *p = CONTAINER_OF(l, Pending, link);

                if (!p->call) {
                        pending_free(m, p);
                        continue;
                }
                if (h->running.n == 0)
                        h->busy_since_ms = (int64_t)uv_now(m->loop);
                list_push(&h->running, l);
                if (buf_add(&h->out, buf_span(&p->input)) < 0) {
                        list_remove(&h->running, l);
                        finish(m, p, MAP_LIMIT, (Span){NULL, 0}, "no memory for the mapping");
                        continue;
                }
                gave[h - m->helpers] = true;
        }
        for (unsigned i = 0; i < m->limits.helpers; i++)
                if (gave[i] && m->helpers[i].open)
                        helper_flush(&m->helpers[i]);
}

static void on_tick(uv_timer_t *t) {
        Map *m = t->data;
        int64_t now = (int64_t)uv_now(m->loop);

        for (unsigned i = 0; i < m->limits.helpers; i++) {
                Helper *h = &m->helpers[i];

                if (h->open && h->pid && h->running.n &&
                    now - h->busy_since_ms > m->limits.wall_ms) {
                        kill(h->pid, SIGKILL);
                        helper_lost(h, "the expression took too long");
                }
        }
}

int map_new(uv_loop_t *loop, ProgramSet *s, const MapLimits *limits, Map **ret, Err *e) {
        Map *m = must_alloc(sizeof *m);

        must(s->sealed);
        m->loop = loop;
        m->set = program_set_ref(s);
        m->limits = limits ? *limits : (MapLimits){0};
        if (!m->limits.helpers)
                m->limits.helpers = 1;
        if (m->limits.helpers > HELPERS_MAX)
                m->limits.helpers = HELPERS_MAX;
        if (!m->limits.queue_max)
                m->limits.queue_max = 4096;
        if (!m->limits.wall_ms)
                m->limits.wall_ms = 5000;
        list_init(&m->waiting);
        list_init(&m->finished);
        must(uv_timer_init(loop, &m->tick) == 0 && uv_timer_init(loop, &m->at_once) == 0);
        m->tick.data = m->at_once.data = m;
        m->handles = 2;
        must(uv_timer_start(&m->tick, on_tick, TICK_MS, TICK_MS) == 0);
        for (unsigned i = 0; i < m->limits.helpers; i++) {
                m->helpers[i].map = m;
                list_init(&m->helpers[i].running);
                int r = s->nursery ? helper_start(&m->helpers[i], e) : 0;
                if (r < 0) {
                        map_close(m, NULL, NULL);
                        return r;
                }
        }
        *ret = m;
        return 0;
}

void map_close(Map *m, void (*closed)(void *arg), void *arg) {
        m->closing = true;
        m->closed = closed;
        m->closed_arg = arg;
        for (unsigned i = 0; i < m->limits.helpers; i++) {
                Helper *h = &m->helpers[i];

                while (h->running.n) /* of cancelled calls only */
                        pending_free(m, CONTAINER_OF(list_pop(&h->running), Pending, link));
                if (h->open && !uv_is_closing((uv_handle_t *)&h->poll))
                        uv_close((uv_handle_t *)&h->poll, on_poll_closed);
        }
        while (m->waiting.n)
                pending_free(m, CONTAINER_OF(list_pop(&m->waiting), Pending, link));
        while (m->finished.n)
                pending_free(m, CONTAINER_OF(list_pop(&m->finished), Pending, link));
        uv_close((uv_handle_t *)&m->tick, on_handle_closed);
        uv_close((uv_handle_t *)&m->at_once, on_handle_closed);
}

size_t map_helpers(const Map *m, int *pids, size_t max) {
        size_t n = 0;

        for (unsigned i = 0; i < m->limits.helpers && n < max; i++)
                if (m->helpers[i].open && m->helpers[i].pid)
                        pids[n++] = m->helpers[i].pid;
        return n;
}
