/* SPDX-License-Identifier: Apache-2.0 */
#include "api/caller.h"

#include "base/clock.h"
#include "base/random.h"
#include "sign/encoding.h"
#include "json/value.h"

#include <openssl/evp.h>

#define KEY_BYTES 32

static void print_hex(const unsigned char bytes[KEY_BYTES], char ret[KEY_HASH_TEXT]) {
        AUTO(buf_done)
        Buf b = BUF(KEY_HASH_TEXT);

        must(hex_print(span_make(bytes, KEY_BYTES), &b) == 0 && b.n == KEY_HASH_TEXT - 1);
        memcpy(ret, b.p, b.n);
        ret[b.n] = 0;
        explicit_bzero(b.p, b.n);
}

void key_hash(Span text, char ret[KEY_HASH_TEXT]) {
        unsigned char digest[KEY_BYTES];
        size_t n = 0;

        must(EVP_Q_digest(NULL, "SHA256", NULL, text.p, text.n, digest, &n) == 1 && n == KEY_BYTES);
        print_hex(digest, ret);
}

void key_make(int64_t id, char ret[KEY_TEXT], char ret_hash[KEY_HASH_TEXT]) {
        unsigned char bytes[KEY_BYTES];
        char letters[ID_TEXT], hex[KEY_HASH_TEXT];

        random_bytes(bytes, sizeof bytes);
        print_hex(bytes, hex);
        id_print("gk", id, letters);
        must(snprintf(ret, KEY_TEXT, "%.16s_%.64s", letters, hex) == KEY_TEXT - 1);
        key_hash(span_of(ret), ret_hash);
        explicit_bzero(bytes, sizeof bytes);
        explicit_bzero(hex, sizeof hex);
}

/* ---- reading a key ---- */

static int64_t number_of(Span text, const char *name) {
        Span v = json_member(text, span_of(name));
        uint64_t n;

        return v.p && span_to_u64(json_trim(v), INT64_MAX, &n) ? (int64_t)n : 0;
}

/* The text within the quotes: what we wrote ourselves has no escapes here. */
static Span plain_of(Span text, const char *name) {
        Span v = json_trim(json_member(text, span_of(name)));

        return v.p && v.n >= 2 && v.p[0] == '"' ? (Span){v.p + 1, v.n - 2} : (Span){NULL, 0};
}

static bool is_expired(Span text) {
        int64_t until = number_of(text, "expiresAt");

        return until && until <= clock_wall_ms();
}

static void find_key(const Admin *a, Span given, Caller *ret) {
        char hash[KEY_HASH_TEXT];
        int64_t id;
        Entry *e;

        if (given.n != KEY_TEXT - 1 || !id_parse("gk", (Span){given.p, 3 + ID_LETTERS}, &id))
                return;
        e = registry_by_id(a->parts.registry, OBJECT_KEY, id);
        if (!e)
                return;
        key_hash(given, hash);
        if (span_eq_secret(span_of(hash), plain_of(e->object.text, "hash")) &&
            !is_expired(e->object.text)) {
                Span role = plain_of(e->object.text, "role");

                ret->key = id;
                ret->application = e->object.owner;
                ret->is_read_only = json_member(e->object.text, SPAN("readOnly")).p != NULL;
                ret->role = e->object.owner                ? ROLE_APPLICATION
                            : span_eq(role, SPAN("admin")) ? ROLE_ADMIN
                                                           : ROLE_OPEN;
        }
        entry_unref(e);
}

/* Where no token is configured the listener is on this machine only, and whoever is here may do
 * all; but who shows a key of ours is held to it, so that one that was revoked is of no use. */
void caller_find(const Admin *a, const HttpHead *h, Caller *ret) {
        Span given = http_head_get(h, "authorization");
        const Secret *token = a->parts.token;
        size_t n = http_head_count(h, "authorization");

        *ret = (Caller){.role = ROLE_OPEN};
        if (n > 1)
                return;
        given = n && span_eq_nocase((Span){given.p, given.n < 7 ? given.n : 7}, SPAN("Bearer "))
                        ? span_trim(span_from(given, 7), " ")
                        : (Span){NULL, 0};
        if (span_starts(given, SPAN("gk_")))
                find_key(a, given, ret);
        else if (token->n == 0 || (given.n && span_eq_secret(given, secret_reveal(token))))
                ret->role = ROLE_ADMIN;
}

bool role_allows(Role wanted, const Caller *who) {
        return who->role >= wanted;
}

/* ---- pages in a browser ---- */

/* "host:port" as a name for this machine itself. */
static bool is_this_machine(Span host) {
        static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

        for (size_t i = 0; i < COUNT_OF(names); i++) {
                Span name = span_of(names[i]);

                if (host.n >= name.n && span_eq_nocase((Span){host.p, name.n}, name) &&
                    (host.n == name.n || host.p[name.n] == ':'))
                        return true;
        }
        for (size_t i = 0; i < host.n && host.p[i] != ':'; i++)
                if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9'))
                        return false;
        return span_starts(host, SPAN("127."));
}

/* Without a token the browser's user is trusted by mere presence, so pages must not borrow that: a
 * name that an attacker's DNS gave to this machine is not ours (DNS rebinding), and a page of
 * another origin says that it is one. */
const char *caller_forged(const Admin *a, const HttpHead *h) {
        Span origin = http_head_get(h, "origin"), site = http_head_get(h, "sec-fetch-site");

        if (a->parts.token->n == 0 && !is_this_machine(h->host))
                return "this listener answers to the names of this machine only";
        if (h->method == HTTP_GET || h->method == HTTP_HEAD)
                return NULL;
        if (site.n && !span_eq(site, SPAN("same-origin")) && !span_eq(site, SPAN("none")))
                return "requests from pages of other origins are refused";
        if (origin.n) {
                size_t scheme = span_starts(origin, SPAN("https://")) ? 8 : 7;

                if (!span_eq_nocase(span_from(origin, scheme), h->host))
                        return "requests from pages of other origins are refused";
        }
        return NULL;
}
