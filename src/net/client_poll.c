/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl says which sockets it waits for and when it wants to be called; libuv does the waiting.
 *
 * Between two calls on one connection libcurl takes its interest back and gives it again. Told to
 * libuv word for word, that would be four system calls per request; so a pooled socket stays armed
 * for reading while nobody waits for it, and is disarmed only when it really becomes readable
 * then, which means that the peer closed it. */
#include "net/client_parts.h"

#include <netinet/in.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 1 << 20 };

/* The last handle to close takes the client with it. */
void poll_closed(Client *c) {
        must(c->open_handles > 0);
        if (--c->open_handles > 0)
                return;
        void (*closed)(void *arg) = c->closed;
        void *arg = c->closed_arg;

        free(c->sockets);
        free(c->agent);
        free(c->ca_file);
        free(c);
        if (closed)
                closed(arg);
}

static Socket *socket_find(const Client *c, int fd) {
        return fd >= 0 && (size_t)fd < c->sockets_cap ? c->sockets[fd] : NULL;
}

static int make_place(Client *c, int fd) {
        size_t cap = c->sockets_cap ? c->sockets_cap : 64;

        if (fd < 0 || fd >= DESCRIPTORS_MAX)
                return -EMFILE;
        while (cap <= (size_t)fd)
                cap *= 2;
        if (cap == c->sockets_cap)
                return 0;
        Socket **sockets = realloc(c->sockets, cap * sizeof(Socket *));
        if (!sockets)
                return -ENOMEM;
        memset(sockets + c->sockets_cap, 0, (cap - c->sockets_cap) * sizeof(Socket *));
        c->sockets = sockets;
        c->sockets_cap = cap;
        return 0;
}

static void on_socket_closed(uv_handle_t *h) {
        Socket *s = h->data;
        Client *c = s->client;

        free(s);
        poll_closed(c);
}

static void socket_drop(Socket *s) {
        Client *c = s->client;

        c->sockets[s->fd] = NULL;
        if (s->local_port)
                list_remove(&c->ports[s->local_port % PORT_BUCKETS], &s->by_port);
        uv_close((uv_handle_t *)&s->poll, on_socket_closed);
}

static Socket *socket_add(Client *c, int fd, bool is_gated) {
        if (make_place(c, fd) < 0)
                return NULL;
        if (c->sockets[fd]) /* closed behind our back: the number is another's now */
                socket_drop(c->sockets[fd]);
        Socket *s = must_alloc(sizeof *s);
        s->client = c;
        s->fd = fd;
        s->is_gated = is_gated;
        s->poll.data = s;
        if (uv_poll_init(c->loop, &s->poll, fd) < 0) {
                free(s);
                return NULL;
        }
        c->open_handles++;
        c->sockets[fd] = s;
        return s;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static int socket_arm(Socket *s, int events) {
        int r = events ? uv_poll_start(&s->poll, events, on_poll) : uv_poll_stop(&s->poll);

        s->armed = r < 0 ? 0 : events;
        return r;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        Socket *s = poll->data;
        Client *c = s->client;
        int bits = 0, running;

        /* libuv saw an error on the socket and took it off. libcurl shall meet that error where it
         * reads or writes: told of it here, it would know less about it. */
        if (status < 0) {
                events = s->wanted;
                (void)socket_arm(s, s->wanted);
        }
        if ((events & s->wanted) == 0) {
                (void)socket_arm(s, s->wanted);
                return;
        }
        if (events & UV_READABLE)
                bits |= CURL_CSELECT_IN;
        if (events & UV_WRITABLE)
                bits |= CURL_CSELECT_OUT;
        (void)curl_multi_socket_action(c->multi, s->fd, bits, &running);
        client_drain(c);
}

/* Connecting waits for writing; who waits for reading, before any request was sent, is connected
 * and in a handshake. libcurl's own times do not tell the two apart. */
static void note_connected(CURL *easy, const Socket *s) {
        char *private = NULL;

        if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private) != CURLE_OK)
                return;
        Transfer *t = (Transfer *)(void *)private;
        if (t == s->opener)
                t->has_connected = true;
}

int poll_on_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *unused) {
        Client *c = client;
        Socket *s = socket_find(c, fd);

        (void)unused;
        if (what == CURL_POLL_REMOVE) {
                /* libcurl 7.88 closes a socket that is still connecting (the transfer is removed,
                 * or its time is up) by itself, without the function that we gave it. */
                if (s && (!s->is_gated || s->opener))
                        socket_drop(s);
                else if (s)
                        s->wanted = 0;
                return 0;
        }
        if (!s) /* the resolver's: libcurl wakes itself through a pair of sockets */
                s = socket_add(c, fd, false);
        if (!s)
                return -1;
        if (s->opener && what & CURL_POLL_IN)
                note_connected(easy, s);
        s->wanted =
                (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
        /* Reading may stay armed though unwanted; writing may not, it would never be quiet. */
        if ((s->armed | UV_READABLE) == (s->wanted | UV_READABLE) &&
            (s->armed & s->wanted) == s->wanted)
                return 0;
        return socket_arm(s, s->wanted) < 0 ? -1 : 0;
}

curl_socket_t poll_on_open(void *transfer, curlsocktype purpose, struct curl_sockaddr *to) {
        Transfer *t = transfer;
        Client *c = t->client;
        int64_t now_ms = clock_mono_ms();

        /* Addresses come and go; connections are rare enough to look again now and then. While it
         * fails, the list that we have is the best there is. */
        if (now_ms >= c->own_due_ms && own_addresses(&c->own, NULL) == 0)
                c->own_due_ms = now_ms + OWN_KEPT_MS;
        curl_socket_t fd = gate_on_open(&t->gate, purpose, to);

        if (fd == CURL_SOCKET_BAD)
                return fd;
        Socket *s = socket_add(c, fd, true);
        if (!s) {
                close(fd);
                return CURL_SOCKET_BAD;
        }
        s->opener = t;
        return fd;
}

static uint16_t local_port_of(int fd) {
        struct sockaddr_in6 a;
        socklen_t n = sizeof a;

        if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
                return 0;
        /* The port lies at the same place in both families. */
        return a.sin6_family == AF_INET || a.sin6_family == AF_INET6 ? ntohs(a.sin6_port) : 0;
}

static bool is_readable(int fd) {
        char byte;

        return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
               (errno != EAGAIN && errno != EINTR);
}

/* A connection that the transfer opened itself is new: the first to ask on it. */
static bool is_new(const Transfer *t, int local_port) {
        Client *c = t->client;

        if (t->gate.opened == 0)
                return false;
        for (size_t fd = 0; fd < c->sockets_cap; fd++) {
                Socket *s = c->sockets[fd];

                if (!s || s->opener != t || local_port_of((int)fd) != local_port)
                        continue;
                s->opener = NULL;
                s->local_port = (uint16_t)local_port;
                list_push(&c->ports[s->local_port % PORT_BUCKETS], &s->by_port);
                return true;
        }
        return false;
}

/* What came before we asked is no answer to us, and taken for one it would shift all answers after
 * it to the wrong calls. libcurl looks for the end of the stream only. Two sockets may share a
 * local port; then both must be silent. */
bool poll_is_silent(const Transfer *t, int local_port) {
        bool is_known = false;

        if (is_new(t, local_port))
                return true;
        LIST_EACH(&t->client->ports[(uint16_t)local_port % PORT_BUCKETS], link) {
                const Socket *s = CONTAINER_OF(link, Socket, by_port);

                if (s->local_port != local_port)
                        continue;
                if (is_readable(s->fd))
                        return false;
                is_known = true;
        }
        return is_known;
}

int poll_on_close(void *client, curl_socket_t fd) {
        Socket *s = socket_find(client, fd);

        /* Out of libuv first: the number may come back with the next socket. */
        if (s)
                socket_drop(s);
        return close(fd);
}

static void on_timer(uv_timer_t *timer) {
        Client *c = timer->data;
        int running;

        (void)curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        client_drain(c);
}

int poll_on_timer(CURLM *multi, long timeout_ms, void *client) {
        Client *c = client;

        (void)multi;
        if (c->is_closing)
                return 0;
        if (timeout_ms < 0)
                (void)uv_timer_stop(&c->timer);
        else if (uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0) < 0)
                return -1;
        return 0;
}

void poll_close_all(Client *c) {
        for (size_t fd = 0; fd < c->sockets_cap; fd++)
                if (c->sockets[fd])
                        socket_drop(c->sockets[fd]);
}
