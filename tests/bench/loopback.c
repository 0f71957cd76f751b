/* SPDX-License-Identifier: Apache-2.0 */
#include "loopback.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, READ_BYTES = 16 * 1024 };

static struct sockaddr_in address(uint16_t port) {
        return (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void no_delay(int fd) {
        int on = 1;

        must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
}

int loopback_listen(uint16_t port, uint16_t *ret_port, Err *e) {
        struct sockaddr_in at = address(port);
        socklen_t n = sizeof at;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

        if (fd < 0)
                return FAIL(e, -errno, "socket: %s", strerror(errno));
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
            bind(fd, (struct sockaddr *)&at, n) < 0 || listen(fd, BACKLOG) < 0 ||
            getsockname(fd, (struct sockaddr *)&at, &n) < 0) {
                int r = FAIL(e, -errno, "cannot listen on port %u: %s", port, strerror(errno));

                close(fd);
                return r;
        }
        *ret_port = ntohs(at.sin_port);
        return fd;
}

/* On loopback a connection stands as soon as the other side's queue has room. */
int loopback_dial(uint16_t port, Err *e) {
        struct sockaddr_in at = address(port);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return FAIL(e, -errno, "socket: %s", strerror(errno));
        if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
            fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
                int r = FAIL(e, -errno, "cannot connect to port %u: %s", port, strerror(errno));

                close(fd);
                return r;
        }
        no_delay(fd);
        return fd;
}

int loopback_accept(int listener) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
                return -errno;
        no_delay(fd);
        return fd;
}

int loopback_read(int fd, Buf *in) {
        char *room = NULL;
        int r = buf_room(in, READ_BYTES, &room);

        if (r < 0)
                return r;
        ssize_t got = recv(fd, room, READ_BYTES, 0);
        if (got < 0)
                return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
        in->n += (size_t)got;
        return got > 0 ? 0 : -EPIPE;
}

int loopback_send(int fd, Span bytes) {
        return send(fd, bytes.p, bytes.n, MSG_NOSIGNAL) == (ssize_t)bytes.n ? 0 : -EPIPE;
}
