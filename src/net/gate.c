/* SPDX-License-Identifier: Apache-2.0 */
#include "net/gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

void gate_init(Gate *g, const NetworkList *allow) {
        *g = (Gate){.allow = allow};
}

static bool judge(Gate *g, const struct sockaddr *to) {
        const char *refused = address_refused(to, g->allow);

        if (!refused) {
                address_print(to, g->dialled);
                return true;
        }
        /* The first one explains the call; a name with a hundred answers gets one sentence. */
        if (!g->refused) {
                g->refused = refused;
                address_print(to, g->refused_at);
        }
        return false;
}

static int set_flag(int fd, int option, int value) {
        return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value) < 0 ? -errno : 0;
}

int gate_open(Gate *g, const struct sockaddr *to, int kind, int protocol) {
        int fd, r;

        if (to->sa_family != AF_INET && to->sa_family != AF_INET6)
                return -EAFNOSUPPORT;
        if (!judge(g, to))
                return -EACCES;
        fd = socket(to->sa_family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
        if (fd < 0)
                return -errno;
        r = set_flag(fd, TCP_NODELAY, 1);
        if (r == 0) {
                r = set_flag(fd, TCP_USER_TIMEOUT, GATE_SILENCE_MS);
                /* Some sandboxes do not know it; the whole-call limit still ends every call. */
                if (r == -ENOPROTOOPT || r == -EOPNOTSUPP)
                        r = 0;
        }
        if (r < 0) {
                close(fd);
                return r;
        }
        g->opened++;
        return fd;
}

bool gate_passes(Gate *g, const char *ip, int port) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

        if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
                return judge(g, (const struct sockaddr *)&in);
        if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
                return judge(g, (const struct sockaddr *)&in6);
        return false;
}

void gate_why(const Gate *g, char *ret, size_t n) {
        const char *at = g->refused_at;
        const char *port = strrchr(at, ':');
        bool is_v6 = at[0] == '[';

        if (!g->refused || !port || (size_t)(port - at) < (is_v6 ? 2u : 0u)) {
                (void)snprintf(ret, n, "the address may not be dialled");
                return;
        }
        Span ip = is_v6 ? (Span){at + 1, (size_t)(port - at) - 2} : (Span){at, (size_t)(port - at)};
        (void)snprintf(ret, n, "%s is %s; allow it with outbound.allow: " SPAN_FMT "/%d", at,
                       g->refused, SPAN_ARG(ip), is_v6 ? 128 : 32);
}

curl_socket_t gate_on_open(void *gate, curlsocktype purpose, struct curl_sockaddr *to) {
        if (purpose != CURLSOCKTYPE_IPCXN)
                return CURL_SOCKET_BAD;
        int fd = gate_open(gate, &to->addr, to->socktype, to->protocol);
        return fd < 0 ? CURL_SOCKET_BAD : fd;
}
