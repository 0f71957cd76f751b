/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place in the program where outbound sockets are opened. Whatever a name resolved to,
 * however a URL was spelled, here stands the numeric address that is about to be dialled, and
 * here it is judged. A pooled connection was judged for the call that opened it, not for the one
 * that finds it: gate_passes judges it again. */
#pragma once

#include "net/address.h"

#include <curl/curl.h>

enum {
        GATE_ADDRESS_TEXT = 64,
        GATE_SILENCE_MS = 30 * 1000, /* sent bytes unacknowledged for so long end a connection */
};

typedef struct Gate { /* one call's passage */
        const NetworkList *allow;
        const char *refused;                /* the class of the first address refused, or NULL */
        char refused_at[GATE_ADDRESS_TEXT]; /* that address */
        char dialled[GATE_ADDRESS_TEXT];    /* the last address dialled or reused, or "" */
        unsigned opened;                    /* sockets */
} Gate;

void gate_init(Gate *g, const NetworkList *allow);
/* A connected socket's way out: a new descriptor, not blocking, closed on exec, or -EACCES when
 * the address is refused (g->refused tells the class), or another negative errno. */
MUST_CHECK int gate_open(Gate *g, const struct sockaddr *to, int kind, int protocol);
/* Judges a connection that is open already, by the numeric address that it leads to. False for
 * a refused address and for text that is no address. */
bool gate_passes(Gate *g, const char *ip, int port);
/* "127.0.0.1:80 is loopback; allow it with outbound.allow: 127.0.0.1/32" */
void gate_why(const Gate *g, char *ret, size_t n);

/* CURLOPT_OPENSOCKETFUNCTION, with a Gate as its data. */
curl_socket_t gate_on_open(void *gate, curlsocktype purpose, struct curl_sockaddr *to);
