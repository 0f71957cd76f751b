/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/digest.h"

#include "json/check.h"
#include "json/number.h"
#include "json/value.h"

#include <openssl/evp.h>

typedef struct Digesting {
        EVP_MD_CTX *c;
        Arena *arena;
        const char *const *ignored;
        size_t n_ignored;
} Digesting;

typedef struct Member {
        Span key, value;
        size_t at; /* of two with one name the last counts */
} Member;

static void add(EVP_MD_CTX *c, const void *p, size_t n) {
        must(EVP_DigestUpdate(c, p, n) == 1);
}

static void add_text(EVP_MD_CTX *c, Span s) {
        uint64_t n = s.n;
        unsigned char length[8];

        for (size_t i = 0; i < sizeof length; i++)
                length[i] = (unsigned char)(n >> (8 * i));
        add(c, length, sizeof length);
        if (s.n)
                add(c, s.p, s.n);
}

/* 12, 12.0 and 1.2e1 are one. */
static void add_number(EVP_MD_CTX *c, Span text) {
        JsonNumber n = json_number(text);
        char head[40];
        size_t left = n.n;

        if (n.is_endless) {
                add_text(c, text);
                return;
        }
        (void)snprintf(head, sizeof head, "%c%" PRId64 " %zu ", n.is_negative && n.n ? '-' : '+',
                       n.n ? n.scale : 0, n.n);
        add(c, head, strlen(head));
        for (size_t i = 0; left && i < n.digits.n; i++)
                if (n.digits.p[i] != '.') {
                        add(c, &n.digits.p[i], 1);
                        left--;
                }
}

/* Without escapes; as it is when it has none, or says no text at all. */
static bool plain(Digesting *d, Span raw, Span *ret) {
        AUTO(buf_done)
        Buf text = BUF(64 * 1024 * 1024);

        *ret = raw;
        if (!raw.n || !memchr(raw.p, '\\', raw.n) || json_key_text(raw, &text) < 0)
                return true;
        *ret = arena_span(d->arena, text.n ? buf_span(&text) : SPAN(""));
        return ret->p != NULL;
}

static int by_key(const void *a, const void *b) {
        const Member *x = a, *y = b;
        size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
        int r = n ? memcmp(x->key.p, y->key.p, n) : 0;

        if (r == 0)
                r = (x->key.n > y->key.n) - (x->key.n < y->key.n);
        return r ? r : (x->at > y->at) - (x->at < y->at);
}

static bool is_ignored(const Digesting *d, Span key, unsigned depth) {
        for (size_t i = 0; depth == 0 && i < d->n_ignored; i++)
                if (span_eq(key, span_of(d->ignored[i])))
                        return true;
        return false;
}

static bool add_value(Digesting *d, Span value, unsigned depth);

static bool add_object(Digesting *d, Span object, unsigned depth) {
        size_t n = json_length(object), i = 0;
        Member *all = arena_alloc(d->arena, (n + 1) * sizeof *all);
        Span key, value;

        if (!all)
                return false;
        for (size_t pos = 0; i < n && json_next(object, &pos, &key, &value); i++) {
                all[i] = (Member){.value = value, .at = i};
                if (!plain(d, key, &all[i].key))
                        return false;
        }
        qsort(all, i, sizeof *all, by_key);
        for (size_t k = 0; k < i; k++) {
                if ((k + 1 < i && span_eq(all[k].key, all[k + 1].key)) ||
                    is_ignored(d, all[k].key, depth))
                        continue;
                add_text(d->c, all[k].key);
                if (!add_value(d, all[k].value, depth + 1))
                        return false;
        }
        return true;
}

/* What opens is closed, so that no two values look alike. */
static bool add_value(Digesting *d, Span value, unsigned depth) {
        static const char kinds[] = "nft1s[{";
        JsonKind kind = json_kind(value);
        Span key, inner;
        bool fits = true;

        value = json_trim(value);
        add(d->c, &kinds[kind], 1);
        if (kind == JSON_NUMBER)
                add_number(d->c, value);
        if (kind == JSON_STRING) {
                fits = plain(d, span_make(value.p + 1, value.n - 2), &inner);
                if (fits)
                        add_text(d->c, inner);
        }
        if (depth > JSON_DEPTH_MAX)
                return fits;
        if (kind == JSON_OBJECT)
                fits = add_object(d, value, depth);
        if (kind == JSON_ARRAY)
                for (size_t pos = 0; fits && json_next(value, &pos, &key, &inner);)
                        fits = add_value(d, inner, depth + 1);
        if (kind == JSON_ARRAY || kind == JSON_OBJECT)
                add(d->c, ".", 1);
        return fits;
}

static EVP_MD_CTX *begin(void) {
        EVP_MD_CTX *c = EVP_MD_CTX_new();

        must(c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1);
        return c;
}

static void end(EVP_MD_CTX *c, Digest *ret) {
        unsigned char md[EVP_MAX_MD_SIZE];

        must(EVP_DigestFinal_ex(c, md, NULL) == 1);
        EVP_MD_CTX_free(c);
        memcpy(ret->p, md, DIGEST_BYTES);
}

bool digest_json(Span value, const char *const *ignored, size_t n, Arena *a, Digest *ret) {
        Digesting d = {begin(), a, ignored, n};
        bool fits = add_value(&d, value, 0);

        end(d.c, ret);
        return fits;
}

void digest_texts(const Span *parts, size_t n, Digest *ret) {
        EVP_MD_CTX *c = begin();

        for (size_t i = 0; i < n; i++)
                add_text(c, parts[i]);
        end(c, ret);
}

void digest_print(const Digest *d, char ret[DIGEST_TEXT]) {
        for (size_t i = 0; i < DIGEST_BYTES; i++)
                (void)snprintf(ret + 2 * i, 3, "%02x", d->p[i]);
}
