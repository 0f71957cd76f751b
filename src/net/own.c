/* SPDX-License-Identifier: Apache-2.0 */
#include "net/own.h"

#include <ifaddrs.h>

static int add(NetworkList *list, const struct sockaddr *a, Err *e) {
        char text[64];

        address_print(a, text);
        /* Without the port, and without the brackets of IPv6. */
        bool is_v6 = text[0] == '[';
        const char *end = strrchr(text, is_v6 ? ']' : ':');
        must(end);
        Span ip = {text + is_v6, (size_t)(end - text) - is_v6};
        int r = network_parse(ip, &list->item[list->n], e);
        if (r == 0)
                list->n++;
        return r;
}

int own_addresses(NetworkList *ret, Err *e) {
        NetworkList found = {.n = 0};
        struct ifaddrs *all;
        int r = 0;

        if (getifaddrs(&all) < 0)
                return FAIL(e, -errno, "the addresses of this host cannot be listed: %s",
                            strerror(errno));
        for (const struct ifaddrs *i = all; i && r == 0 && found.n < NETWORK_ALLOW_MAX;
             i = i->ifa_next)
                if (i->ifa_addr && !address_refused(i->ifa_addr, NULL))
                        r = add(&found, i->ifa_addr, e);
        freeifaddrs(all);
        if (r == 0)
                *ret = found;
        return r;
}
