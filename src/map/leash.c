/* SPDX-License-Identifier: Apache-2.0 */
#include "map/leash.h"

#include "map/wire.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        READ_BYTES = 64 * 1024,
        KEEP_BYTES = 256 * 1024, /* of the memory of a large answer */
};

struct Leash {
        const LeashOwner *owner;
        uv_poll_t poll;
        uv_timer_t timer;
        int fd, pid;
        int watched; /* events that the poll looks for */
        int64_t start_ms, wall_ms;
        uint64_t quiet_since; /* loop time; what is measured against the limits */
        List calls;           /* oldest first */
        Pending *unsent;      /* the first that is not written to its end */
        size_t unsent_at;     /* of its bytes */
        Buf in;
        uint64_t answers;
        bool ended;
        unsigned handles;
        void (*closed)(void *arg);
        void *closed_arg;
};

static void end(Leash *l, LeashEnd how, const char *why) {
        if (l->ended)
                return;
        l->ended = true;
        (void)uv_poll_stop(&l->poll);
        (void)uv_timer_stop(&l->timer);
        l->owner->ended(l->owner->arg, l, how, why);
}

/* Nothing of the first call was written: it is not the call's fault. */
static bool is_unasked(const Leash *l) {
        const Link *first = list_first(&l->calls);

        return first && l->unsent == CONTAINER_OF(first, Pending, link) && l->unsent_at == 0;
}

/* A UNIX socket is reset when what closed it left something unread. With one call on its way that
 * is its end, without which it does not begin; with several nobody knows. */
static void end_silent(Leash *l, bool is_reset) {
        if (!l->pid)
                end(l, LEASH_NO_START, NULL);
        else if (is_unasked(l))
                end(l, LEASH_RESTED, NULL);
        else
                end(l, is_reset && l->calls.n == 1 ? LEASH_UNREAD : LEASH_SILENT, NULL);
}

/* ---- time ---- */

/* Checked when it may be over and not set anew for each answer. */
static void on_timer(uv_timer_t *t) {
        Leash *l = t->data;
        uint64_t limit = (uint64_t)(l->pid ? l->wall_ms : l->start_ms);
        uint64_t quiet = uv_now(t->loop) - l->quiet_since;

        if (l->pid && l->calls.n == 0)
                return; /* the next call starts it again */
        if (quiet < limit)
                must(uv_timer_start(t, on_timer, limit - quiet, 0) == 0);
        else if (l->pid)
                end(l, LEASH_GUILTY, "the program took too long");
        else
                end_silent(l, false);
}

static void watch_time(Leash *l) {
        if (!uv_is_active((uv_handle_t *)&l->timer))
                must(uv_timer_start(&l->timer, on_timer,
                                    (uint64_t)(l->pid ? l->wall_ms : l->start_ms), 0) == 0);
}

/* ---- reading ---- */

static const char *last_word(uint32_t word) {
        switch (word) {
        case WIRE_CPU:
                return "the program used up its CPU time";
        case WIRE_MEMORY:
                return "the program used up its memory";
        case WIRE_CRASH:
                return "the program crashed jq";
        default:
                return "the helper for jq programs answered nonsense";
        }
}

static MapEnd end_of(uint32_t word) {
        static const MapEnd ends[] = {
                [WIRE_OK] = MAP_OK,
                [WIRE_EMPTY] = MAP_EMPTY,
                [WIRE_FAILED] = MAP_FAILED,
                [WIRE_LARGE] = MAP_LIMIT,
        };

        return ends[word];
}

/* The first frame was written before the helper read anything from outside: only that one's
 * process id can be believed. */
static bool read_hello(Leash *l, WireHead head, Span payload) {
        int32_t pid = 0;

        if (head.word != WIRE_HELLO || payload.n != sizeof pid)
                return false;
        memcpy(&pid, payload.p, sizeof pid);
        if (pid <= 1)
                return false;
        l->pid = pid;
        (void)uv_timer_stop(&l->timer);
        if (l->calls.n)
                watch_time(l);
        return true;
}

static void read_frame(Leash *l, WireHead head, Span payload) {
        l->quiet_since = uv_now(l->poll.loop);
        if (l->pid == 0) {
                if (!read_hello(l, head, payload))
                        end_silent(l, false);
                return;
        }
        bool answer = head.word == WIRE_OK || head.word == WIRE_EMPTY || head.word == WIRE_FAILED ||
                      head.word == WIRE_LARGE;
        bool asked = l->calls.n && pending_of(list_first(&l->calls)) != l->unsent;
        Pending *p = answer && asked ? leash_take(l) : NULL;
        if (head.word == WIRE_TIRED && l->answers)
                end(l, LEASH_RESTED, NULL);
        else if (!p)
                end(l, LEASH_GUILTY, last_word(head.word));
        if (!p)
                return;
        l->answers++;
        l->owner->answered(l->owner->arg, p, end_of(head.word), payload);
}

static void read_frames(Leash *l) {
        size_t at = 0;
        WireHead head;

        while (!l->ended && l->in.n - at >= sizeof head) {
                memcpy(&head, l->in.p + at, sizeof head);
                if (head.n > MAP_OUTPUT_MAX_BYTES) {
                        end(l, LEASH_GUILTY, last_word(UINT32_MAX));
                        return;
                }
                if (l->in.n - at - sizeof head < head.n)
                        break;
                read_frame(l, head, (Span){l->in.p + at + sizeof head, head.n});
                at += sizeof head + head.n;
        }
        buf_eat(&l->in, at);
        if (l->in.n == 0 && l->in.cap > KEEP_BYTES)
                buf_done(&l->in);
}

/* How much was there; 0 when there is no more to read, now or ever. */
static size_t read_some(Leash *l) {
        char *at = NULL;
        ssize_t n;

        if (l->ended)
                return 0;
        if (buf_room(&l->in, READ_BYTES, &at) < 0) {
                end(l, LEASH_GUILTY, "no memory for the result of the program");
                return 0;
        }
        n = recv(l->fd, at, READ_BYTES, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                end_silent(l, n < 0 && errno == ECONNRESET);
                return 0;
        }
        l->in.n += (size_t)n;
        read_frames(l);
        return (size_t)n;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        Leash *l = poll->data;

        if (status < 0) {
                /* It ended with inputs unread, which is an error, but may have said why before. */
                while (read_some(l) > 0)
                        ;
                end_silent(l, false);
                return;
        }
        if (events & UV_WRITABLE)
                leash_flush(l);
        /* Twice at most: others have their turn, too. */
        if ((events & UV_READABLE) && read_some(l) == READ_BYTES)
                (void)read_some(l);
}

/* ---- writing ---- */

static int watch(Leash *l) {
        int events = UV_READABLE | (l->unsent ? UV_WRITABLE : 0);

        if (events == l->watched)
                return 0;
        l->watched = events;
        return uv_poll_start(&l->poll, events, on_poll);
}

static Pending *next_of(Leash *l, Pending *p) {
        return p->link.next == &l->calls.head ? NULL : CONTAINER_OF(p->link.next, Pending, link);
}

static void sent(Leash *l, size_t n) {
        while (l->unsent && n >= l->unsent->bytes.n - l->unsent_at) {
                n -= l->unsent->bytes.n - l->unsent_at;
                l->unsent = next_of(l, l->unsent);
                l->unsent_at = 0;
        }
        l->unsent_at += n;
}

void leash_flush(Leash *l) {
        while (l->unsent && !l->ended) {
                struct iovec parts[LEASH_LOAD_MAX];
                struct msghdr m = {.msg_iov = parts};

                for (Pending *p = l->unsent; p && m.msg_iovlen < LEASH_LOAD_MAX;
                     p = next_of(l, p)) {
                        size_t from = p == l->unsent ? l->unsent_at : 0;

                        parts[m.msg_iovlen++] =
                                (struct iovec){p->bytes.p + from, p->bytes.n - from};
                }
                ssize_t n = sendmsg(l->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        break; /* full: the poll tells when to go on; broken: reading tells */
                sent(l, (size_t)n);
        }
        if (!l->ended)
                must(watch(l) == 0);
}

void leash_give(Leash *l, Pending *p) {
        must(!l->ended && l->calls.n < LEASH_LOAD_MAX);
        if (l->calls.n == 0) {
                if (l->pid)
                        l->quiet_since = uv_now(l->poll.loop);
                watch_time(l);
        }
        list_push(&l->calls, &p->link);
        p->given = true;
        if (!l->unsent)
                l->unsent = p;
}

Pending *leash_take(Leash *l) {
        Pending *p = pending_of(list_first(&l->calls));

        if (!p)
                return NULL;
        if (p == l->unsent) { /* only when it is taken back unread */
                l->unsent = next_of(l, p);
                l->unsent_at = 0;
        }
        list_remove(&l->calls, &p->link);
        p->given = false;
        return p;
}

size_t leash_load(const Leash *l) {
        return l->calls.n;
}

int leash_pid(const Leash *l) {
        return l->pid;
}

uint64_t leash_answers(const Leash *l) {
        return l->answers;
}

/* ---- birth and end ---- */

int leash_new(uv_loop_t *loop, int fd, int64_t start_ms, int64_t wall_ms, const LeashOwner *owner,
              Leash **ret, Err *e) {
        Leash *l = must_alloc(sizeof *l);
        int r = uv_poll_init(loop, &l->poll, fd);

        if (r < 0) {
                close(fd);
                free(l);
                return FAIL(e, r, "cannot watch a helper for jq programs: %s", uv_strerror(r));
        }
        must(uv_timer_init(loop, &l->timer) == 0);
        l->poll.data = l->timer.data = l;
        l->fd = fd;
        l->start_ms = start_ms;
        l->wall_ms = wall_ms;
        l->owner = owner;
        l->handles = 2;
        l->in = BUF(sizeof(WireHead) + MAP_OUTPUT_MAX_BYTES + READ_BYTES);
        l->quiet_since = uv_now(loop);
        list_init(&l->calls);
        must(watch(l) == 0);
        watch_time(l);
        *ret = l;
        return 0;
}

static void on_closed(uv_handle_t *h) {
        Leash *l = h->data;

        if (--l->handles > 0)
                return;
        void (*closed)(void *arg) = l->closed;
        void *arg = l->closed_arg;
        buf_done(&l->in);
        free(l);
        closed(arg);
}

void leash_close(Leash *l, void (*closed)(void *arg), void *arg) {
        must(l->calls.n == 0 && !l->closed);
        l->closed = closed;
        l->closed_arg = arg;
        l->ended = true;
        uv_close((uv_handle_t *)&l->poll, on_closed);
        uv_close((uv_handle_t *)&l->timer, on_closed);
        /* A living helper has its end of the stream open, so the id is its own still. */
        struct pollfd theirs = {l->fd, 0, 0};
        if (l->pid && poll(&theirs, 1, 0) == 0)
                (void)kill(l->pid, SIGKILL);
        close(l->fd);
}
