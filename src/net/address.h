/* SPDX-License-Identifier: Apache-2.0
 *
 * May Grapnel dial this address? The table of reference faults 4.1.1, judged in binary. */
#pragma once

#include "base/base.h"

#include <sys/socket.h>

enum { NETWORK_ALLOW_MAX = 64 };

typedef struct Network { /* an IPv4 network is kept as its v4-mapped IPv6 form */
        unsigned char bytes[16];
        unsigned prefix; /* in 128 bits */
} Network;

typedef struct NetworkList {
        Network item[NETWORK_ALLOW_MAX];
        size_t n;
} NetworkList;

/* "10.1.0.0/16", "::1", "127.0.0.1/32"; host bits must be zero. 0 or -EINVAL. */
MUST_CHECK int network_parse(Span text, Network *ret, Err *e);
/* NULL when the address may be dialled, else the class that refuses it, such as "loopback". */
const char *address_refused(const struct sockaddr *to, const NetworkList *allow);
/* Does the list name it? `list` may be NULL. */
bool address_in(const struct sockaddr *a, const NetworkList *list);
/* "127.0.0.1:8080" or "[::1]:8080". */
void address_print(const struct sockaddr *a, char ret[64]);
