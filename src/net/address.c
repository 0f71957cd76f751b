/* SPDX-License-Identifier: Apache-2.0
 *
 * Judges addresses as 16 bytes, never as text: IPv4 in its v4-mapped form, so that an address and
 * its mapped spelling get one verdict. The rows follow the two special-purpose registries of
 * IANA (RFC 6890), and deny more than those call unreachable: addresses that carry another one
 * inside (NAT64, 6to4, Teredo), services that the nearest network answers (AS112, relays), and
 * metadata that a cloud keeps on a public address. First match counts. What is in no row may be
 * dialled when it is IPv4 or lies in 2000::/3, the only space given out for IPv6.
 *
 * The addresses of this very host are not known here: whoever dials adds them. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { ADDRESS_BYTES = 16, MAPPED_BITS = 96, TEXT_MAX_BYTES = 63 };

typedef struct Class {
        const char *name;
        unsigned char bytes[ADDRESS_BYTES];
        unsigned prefix;
} Class;

#define V4(a, b, c, d)                                                                             \
        { [10] = 0xff, 0xff, a, b, c, d }
#define V4_BITS(n) (MAPPED_BITS + (n))

static const Class refused[] = {
        {"this-network", V4(0, 0, 0, 0), V4_BITS(8)},
        {"private", V4(10, 0, 0, 0), V4_BITS(8)},
        {"carrier-nat", V4(100, 64, 0, 0), V4_BITS(10)},
        {"loopback", V4(127, 0, 0, 0), V4_BITS(8)},
        {"cloud-metadata", V4(168, 63, 129, 16), V4_BITS(32)},
        {"link-local", V4(169, 254, 0, 0), V4_BITS(16)},
        {"private", V4(172, 16, 0, 0), V4_BITS(12)},
        {"protocol", V4(192, 0, 0, 0), V4_BITS(24)},
        {"documentation", V4(192, 0, 2, 0), V4_BITS(24)},
        {"anycast-service", V4(192, 31, 196, 0), V4_BITS(24)},
        {"anycast-service", V4(192, 52, 193, 0), V4_BITS(24)},
        {"6to4-relay", V4(192, 88, 99, 0), V4_BITS(24)},
        {"private", V4(192, 168, 0, 0), V4_BITS(16)},
        {"anycast-service", V4(192, 175, 48, 0), V4_BITS(24)},
        {"benchmark", V4(198, 18, 0, 0), V4_BITS(15)},
        {"documentation", V4(198, 51, 100, 0), V4_BITS(24)},
        {"documentation", V4(203, 0, 113, 0), V4_BITS(24)},
        {"multicast", V4(224, 0, 0, 0), V4_BITS(4)},
        {"broadcast", V4(255, 255, 255, 255), V4_BITS(32)},
        {"reserved", V4(240, 0, 0, 0), V4_BITS(4)},

        {"unspecified", {0}, 128},
        {"loopback", {[15] = 1}, 128},
        {"nat64", {0x00, 0x64, 0xff, 0x9b}, 96},
        {"nat64", {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48},
        {"discard", {0x01, 0x00}, 64},
        {"teredo", {0x20, 0x01, 0x00, 0x00}, 32},
        {"protocol", {0x20, 0x01, 0x00, 0x00}, 23},
        {"documentation", {0x20, 0x01, 0x0d, 0xb8}, 32},
        {"6to4", {0x20, 0x02}, 16},
        {"anycast-service", {0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48},
        {"documentation", {0x3f, 0xff, 0x00}, 20},
        {"segment-routing", {0x5f, 0x00}, 16},
        {"unique-local", {0xfc}, 7},
        {"link-local", {0xfe, 0x80}, 10},
        {"site-local", {0xfe, 0xc0}, 10},
        {"multicast", {0xff}, 8},
};

static const unsigned char mapped[ADDRESS_BYTES] = V4(0, 0, 0, 0);
static const unsigned char given_out[ADDRESS_BYTES] = {0x20}; /* 2000::/3 */

static bool is_within(const unsigned char *address, const unsigned char *network, unsigned prefix) {
        unsigned whole = prefix / 8, rest = prefix % 8;

        if (memcmp(address, network, whole) != 0)
                return false;
        return rest == 0 || (address[whole] ^ network[whole]) >> (8 - rest) == 0;
}

static bool is_ipv4(const unsigned char *address) {
        return is_within(address, mapped, MAPPED_BITS);
}

/* The 16 bytes of the address; false for families that are neither IPv4 nor IPv6. Copies out of
 * `a`, which need not be aligned for its real type. */
static bool address_bytes(const struct sockaddr *a, unsigned char ret[ADDRESS_BYTES]) {
        if (a->sa_family == AF_INET) {
                struct sockaddr_in v4;

                memcpy(&v4, a, sizeof v4);
                memcpy(ret, mapped, ADDRESS_BYTES);
                memcpy(ret + 12, &v4.sin_addr, 4);
                return true;
        }
        if (a->sa_family == AF_INET6) {
                struct sockaddr_in6 v6;

                memcpy(&v6, a, sizeof v6);
                memcpy(ret, &v6.sin6_addr, ADDRESS_BYTES);
                return true;
        }
        return false;
}

static const char *class_of(const unsigned char *address) {
        for (size_t i = 0; i < COUNT_OF(refused); i++)
                if (is_within(address, refused[i].bytes, refused[i].prefix))
                        return refused[i].name;
        if (is_ipv4(address) || is_within(address, given_out, 3))
                return NULL;
        return "reserved";
}

/* A network wider than all of IPv4 was written as IPv6 ("::/0") and means IPv6 alone. */
static bool network_has(const Network *n, const unsigned char *address) {
        if (is_ipv4(address) && n->prefix < MAPPED_BITS)
                return false;
        return is_within(address, n->bytes, n->prefix);
}

static bool list_has(const NetworkList *list, const unsigned char *address) {
        for (size_t i = 0; list && i < list->n; i++)
                if (network_has(&list->item[i], address))
                        return true;
        return false;
}

bool address_in(const struct sockaddr *a, const NetworkList *list) {
        unsigned char address[ADDRESS_BYTES];

        return address_bytes(a, address) && list_has(list, address);
}

const char *address_refused(const struct sockaddr *to, const NetworkList *allow) {
        unsigned char address[ADDRESS_BYTES];

        if (!address_bytes(to, address))
                return "not-internet";
        const char *class = class_of(address);
        return class && list_has(allow, address) ? NULL : class;
}

void address_print(const struct sockaddr *a, char ret[64]) {
        char text[INET6_ADDRSTRLEN] = "";

        if (a->sa_family == AF_INET) {
                struct sockaddr_in v4;

                memcpy(&v4, a, sizeof v4);
                (void)inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
                (void)snprintf(ret, 64, "%s:%u", text, ntohs(v4.sin_port));
        } else if (a->sa_family == AF_INET6) {
                struct sockaddr_in6 v6;

                memcpy(&v6, a, sizeof v6);
                (void)inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
                (void)snprintf(ret, 64, "[%s]:%u", text, ntohs(v6.sin6_port));
        } else {
                (void)snprintf(ret, 64, "%s", a->sa_family == AF_UNIX ? "unix" : "unknown");
        }
}

/* Reads one address in its plain spelling: four decimal octets without leading zeros, or IPv6
 * without zone. */
static bool parse_bytes(Span text, unsigned char ret[ADDRESS_BYTES], bool *is_v4) {
        char copy[TEXT_MAX_BYTES + 1];

        if (text.n == 0 || text.n > TEXT_MAX_BYTES || memchr(text.p, 0, text.n))
                return false;
        memcpy(copy, text.p, text.n);
        copy[text.n] = 0;
        *is_v4 = inet_pton(AF_INET, copy, ret + 12) == 1;
        if (*is_v4)
                memcpy(ret, mapped, 12);
        return *is_v4 || inet_pton(AF_INET6, copy, ret) == 1;
}

static bool host_bits_are_zero(const Network *n) {
        for (unsigned bit = n->prefix; bit < ADDRESS_BYTES * 8; bit++)
                if (n->bytes[bit / 8] & 0x80u >> bit % 8)
                        return false;
        return true;
}

int network_parse(Span text, Network *ret, Err *e) {
        size_t slash = span_find(text, '/');
        Span prefix = span_from(text, slash + 1);
        Network n = {.prefix = ADDRESS_BYTES * 8};
        bool is_v4 = false;

        if (!parse_bytes((Span){text.p, slash}, n.bytes, &is_v4))
                return FAIL(e, -EINVAL,
                            "\"" SPAN_FMT "\" is no network such as 10.1.0.0/16 or fd00::/8",
                            (int)(text.n > TEXT_MAX_BYTES ? TEXT_MAX_BYTES : text.n), text.p);
        if (slash < text.n) {
                uint64_t bits = 0, max = is_v4 ? 32 : 128;
                bool is_padded = prefix.n > 1 && prefix.p[0] == '0';

                if (is_padded || !span_to_u64(prefix, max, &bits))
                        return FAIL(e, -EINVAL, "the prefix behind the slash must be 0 to %" PRIu64,
                                    max);
                n.prefix = (unsigned)bits + (is_v4 ? MAPPED_BITS : 0);
        }
        if (!host_bits_are_zero(&n))
                return FAIL(e, -EINVAL,
                            "\"" SPAN_FMT "\" names a host, not a network: bits are set behind "
                            "the prefix",
                            SPAN_ARG(text));
        *ret = n;
        return 0;
}
