/* SPDX-License-Identifier: Apache-2.0
 *
 * A server on loopback that does what a test tells it, however rude: one thread accepts, one per
 * connection serves. Everything it waits for is bounded by PEER_WAIT_S. */
#pragma once

#include "base/buf.h"
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PEER_WAIT_S = 20, PEER_CONNECTIONS_MAX = 512, PEER_REQUEST_MAX = 1 << 22 };

typedef struct Peer Peer;
typedef struct PeerLink {
        Peer *peer;
        int fd;
        unsigned nth; /* connection, from 0 */
        pthread_t thread;
        Buf in;     /* received, not yet taken */
        Buf wanted; /* the last request, whole */
        size_t body_at;
} PeerLink;

struct Peer {
        int fd, port;
        void (*serve)(PeerLink *l); /* closes nothing */
        const char *answer;         /* for the servers below */
        void *arg;
        pthread_t thread;
        atomic_uint connections, requests;
        pthread_mutex_t lock;
        Buf last; /* the last whole request of any connection */
        PeerLink links[PEER_CONNECTIONS_MAX];
};

static inline bool peer_fill(PeerLink *l) {
        char *at;

        if (buf_room(&l->in, 65536, &at) < 0)
                return false;
        ssize_t n = recv(l->fd, at, 65536, 0);
        if (n <= 0)
                return false;
        l->in.n += (size_t)n;
        return true;
}

/* Takes one whole request into l->wanted; false when the other side is gone. */
static inline bool peer_read(PeerLink *l) {
        const char *end;
        uint64_t length = 0;

        while (l->in.n == 0 || !(end = memmem(l->in.p, l->in.n, "\r\n\r\n", 4)))
                if (!peer_fill(l))
                        return false;
        size_t head = (size_t)(end - l->in.p) + 4;
        const char *field = memmem(l->in.p, head, "Content-Length: ", 16);
        if (field)
                length = strtoull(field + 16, NULL, 10);
        while (l->in.n < head + length)
                if (!peer_fill(l))
                        return false;
        buf_clear(&l->wanted);
        must(buf_add(&l->wanted, (Span){l->in.p, head + length}) == 0);
        l->body_at = head;
        buf_eat(&l->in, head + length);
        pthread_mutex_lock(&l->peer->lock);
        buf_clear(&l->peer->last);
        must(buf_add(&l->peer->last, buf_span(&l->wanted)) == 0);
        pthread_mutex_unlock(&l->peer->lock);
        atomic_fetch_add(&l->peer->requests, 1);
        return true;
}

static inline bool peer_send(PeerLink *l, Span s) {
        while (s.n > 0) {
                ssize_t n = send(l->fd, s.p, s.n, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                s = span_from(s, (size_t)n);
        }
        return true;
}

static inline void peer_reset(PeerLink *l) {
        struct linger now = {1, 0};

        must(setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
}

/* Answers every request with peer->answer, keeping the connection. */
static inline void peer_serve_answer(PeerLink *l) {
        while (peer_read(l) && peer_send(l, span_of(l->peer->answer)))
                ;
}

/* The same, but hangs up after each. */
static inline void peer_serve_once(PeerLink *l) {
        if (peer_read(l))
                (void)peer_send(l, span_of(l->peer->answer));
}

static inline void *peer_link_run(void *arg) {
        PeerLink *l = arg;

        l->peer->serve(l);
        /* Half a close first, and what is still coming read away: else unread bytes turn into a
         * reset that overtakes our answer. */
        struct linger is = {0, 0};
        socklen_t n = sizeof is;
        must(getsockopt(l->fd, SOL_SOCKET, SO_LINGER, &is, &n) == 0);
        if (!is.l_onoff) {
                shutdown(l->fd, SHUT_WR);
                while (buf_clear(&l->in), peer_fill(l))
                        ;
        }
        close(l->fd);
        buf_done(&l->in);
        buf_done(&l->wanted);
        return NULL;
}

static inline void *peer_accept(void *arg) {
        Peer *p = arg;

        for (;;) {
                int fd = accept(p->fd, NULL, NULL);
                struct timeval wait = {PEER_WAIT_S, 0};

                if (fd < 0)
                        return NULL;
                unsigned nth = atomic_load(&p->connections);
                must(nth < PEER_CONNECTIONS_MAX);
                must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0);
                must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0);
                PeerLink *l = &p->links[nth];
                *l = (PeerLink){.peer = p, .fd = fd, .nth = nth};
                l->in = l->wanted = BUF(PEER_REQUEST_MAX);
                /* Counted first: who has seen its request has to see it too. */
                atomic_fetch_add(&p->connections, 1);
                must(pthread_create(&l->thread, NULL, peer_link_run, l) == 0);
        }
}

static inline Peer *peer_new(void (*serve)(PeerLink *l), const char *answer, void *arg) {
        Peer *p = must_alloc(sizeof *p);
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof at;

        p->serve = serve;
        p->answer = answer;
        p->arg = arg;
        p->last = BUF(PEER_REQUEST_MAX);
        must(pthread_mutex_init(&p->lock, NULL) == 0);
        p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(p->fd >= 0 && bind(p->fd, (struct sockaddr *)&at, sizeof at) == 0 &&
             listen(p->fd, 512) == 0 && getsockname(p->fd, (struct sockaddr *)&at, &n) == 0);
        p->port = ntohs(at.sin_port);
        must(pthread_create(&p->thread, NULL, peer_accept, p) == 0);
        return p;
}

/* The clients must have closed their side; whoever has not is cut off. */
static inline void peer_free(Peer *p) {
        shutdown(p->fd, SHUT_RDWR);
        must(pthread_join(p->thread, NULL) == 0);
        close(p->fd);
        for (unsigned i = 0; i < atomic_load(&p->connections); i++)
                must(pthread_join(p->links[i].thread, NULL) == 0);
        pthread_mutex_destroy(&p->lock);
        buf_done(&p->last);
        free(p);
}
