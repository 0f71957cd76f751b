/* SPDX-License-Identifier: Apache-2.0
 *
 * Standard Webhooks 1.0.0, version v1: HMAC-SHA256 over `id.timestamp.body`, sent in webhook-id,
 * webhook-timestamp and webhook-signature, or under the older svix- names. One message, one
 * family of names: an id read from one family and a signature from the other would let a replayed
 * message pass for a new one. Entries of other versions (v1a: ed25519) are skipped, never taken
 * for v1. */
#include "sign/encoding.h"
#include "sign/scheme.h"

enum {
        ID_MAX_BYTES = 255,
        KEY_MIN_BYTES = 24,
        KEY_MAX_BYTES = 64,
        DIGEST_BYTES = 32,
        WINDOW_MAX_MS = 24 * 60 * 60 * 1000,
};

static const uint64_t TIMESTAMP_MAX_S = 999999999999; /* keeps the milliseconds within 63 bits */

typedef struct Family {
        const char *id, *timestamp, *signature;
} Family;

static const Family families[] = {
        {"webhook-id", "webhook-timestamp", "webhook-signature"},
        {"svix-id", "svix-timestamp", "svix-signature"},
};

static bool has_header(const SignInput *in, const char *name) {
        size_t count = 0;

        (void)in->get(in->arg, name, &count);
        return count > 0;
}

/* The first family of which any header is there. */
static const Family *family_of(const SignInput *in) {
        for (size_t i = 0; i < COUNT_OF(families); i++) {
                const Family *f = &families[i];

                if (has_header(in, f->id) || has_header(in, f->timestamp) ||
                    has_header(in, f->signature))
                        return f;
        }
        return &families[0];
}

/* A dot would let bytes move between id, timestamp and body under one signature. */
static bool id_is_plain(Span id) {
        if (id.n == 0 || id.n > ID_MAX_BYTES)
                return false;
        for (size_t i = 0; i < id.n; i++)
                if (id.p[i] <= ' ' || id.p[i] > '~' || id.p[i] == '.')
                        return false;
        return true;
}

static bool is_fresh(int64_t now_ms, int64_t timestamp_s, int64_t window_ms) {
        /* Whole seconds on both sides: the sender rounded down, so do we. */
        int64_t apart_ms = (now_ms / 1000 - timestamp_s) * 1000;

        return apart_ms <= window_ms && apart_ms >= -window_ms;
}

/* Reads the v1 entries of a space-separated list; those of other versions do not count. */
static SignVerdict read_signatures(Span list, SignDigests *ret, const char **why) {
        size_t n_entries = 0, n_bad = 0;

        for (size_t end; list.n > 0; list = span_from(list, end + 1)) {
                size_t n = 0;

                end = span_find(list, ' ');
                Span entry = {list.p, end};
                if (entry.n == 0)
                        continue;
                if (++n_entries > SIGN_SIGNATURES_MAX)
                        return sign_say(SIGN_MALFORMED, why, "there are too many signatures");
                if (!span_starts(entry, SPAN("v1,")))
                        continue;
                if (base64_parse(span_from(entry, 3), BASE64_PADDED, ret->bytes[ret->n],
                                 SIGN_DIGEST_MAX, &n) &&
                    n == DIGEST_BYTES)
                        ret->n++;
                else
                        n_bad++;
        }
        if (ret->n > 0)
                return SIGN_OK;
        if (n_bad > 0)
                return sign_say(SIGN_MALFORMED, why, "a v1 signature is 32 bytes in base64");
        return sign_say(SIGN_WRONG, why, "there is no signature of version v1");
}

static SignVerdict read_headers(const SignInput *in, Span *id, Span *timestamp, Span *signature,
                                const char **why) {
        const Family *f = family_of(in);
        SignVerdict v[] = {
                sign_header(in, f->id, id),
                sign_header(in, f->timestamp, timestamp),
                sign_header(in, f->signature, signature),
        };

        for (size_t i = 0; i < COUNT_OF(v); i++)
                if (v[i] == SIGN_MALFORMED)
                        return sign_say(v[i], why, "a webhook- header occurs twice");
        if (v[0] == SIGN_MISSING)
                return sign_say(SIGN_MISSING, why, "the header webhook-id is missing");
        if (v[1] == SIGN_MISSING)
                return sign_say(SIGN_MISSING, why, "the header webhook-timestamp is missing");
        if (v[2] == SIGN_MISSING)
                return sign_say(SIGN_MISSING, why, "the header webhook-signature is missing");
        return SIGN_OK;
}

static SignVerdict standard_check(const SignRule *rule, const SignInput *in, const char **why) {
        Span id = {0}, timestamp = {0}, signature = {0};
        SignDigests given;
        uint64_t timestamp_s = 0;

        SignVerdict v = read_headers(in, &id, &timestamp, &signature, why);
        if (v != SIGN_OK)
                return v;
        if (!id_is_plain(id))
                return sign_say(SIGN_MALFORMED, why, "webhook-id holds a dot, a blank or too much");
        if (!span_to_u64(timestamp, TIMESTAMP_MAX_S, &timestamp_s))
                return sign_say(SIGN_MALFORMED, why, "webhook-timestamp is no plain number");
        given.n = 0;
        v = read_signatures(signature, &given, why);
        if (v != SIGN_OK)
                return v;
        if (!is_fresh(in->now_ms, (int64_t)timestamp_s, rule->window_ms))
                return sign_say(SIGN_STALE, why, "webhook-timestamp is outside the window");

        const Span parts[] = {id, SPAN("."), timestamp, SPAN("."), in->body};
        if (!sign_matches(rule, parts, COUNT_OF(parts), &given))
                return sign_say(SIGN_WRONG, why, "no signature matches");
        return SIGN_OK;
}

static Span standard_message_id(const SignInput *in) {
        Span id = {0};

        if (sign_header(in, family_of(in)->id, &id) != SIGN_OK || !id_is_plain(id))
                return (Span){NULL, 0};
        return id;
}

static int standard_prepare(SignRule *rule, Err *e) {
        int r = sign_secrets_check(rule, 1, e);

        if (r < 0)
                return r;
        if (rule->window_ms == 0)
                rule->window_ms = SIGN_WINDOW_DEFAULT_MS;
        if (rule->window_ms < 1000 || rule->window_ms > WINDOW_MAX_MS)
                return FAIL(e, -EINVAL, "the window must be between a second and a day");
        for (size_t i = 0; i < rule->n_secrets; i++) {
                AUTO(secret_done)
                Secret decoded = {0};

                r = sign_standard_key(secret_reveal(&rule->secrets[i]), &decoded, e);
                if (r < 0) {
                        err_prefix(e, "secret %zu", i + 1);
                        return r;
                }
                SignKey *key = sign_key_new(SIGN_SHA256, secret_reveal(&decoded), e);
                if (!key)
                        return -EINVAL;
                sign_rule_set_key(rule, i, key);
        }
        return 0;
}

const SignScheme sign_standard = {
        .name = "standard",
        .help = "Standard Webhooks v1: webhook-id, webhook-timestamp, webhook-signature (or svix-)",
        .needs_secret = true,
        .prepare = standard_prepare,
        .check = standard_check,
        .message_id = standard_message_id,
};

int sign_standard_make_with(const SignKey *key, Span id, int64_t timestamp_s, Span body, Buf *out) {
        unsigned char mac[SIGN_DIGEST_MAX];
        char timestamp[24];

        if (!id_is_plain(id) || timestamp_s < 0 || (uint64_t)timestamp_s > TIMESTAMP_MAX_S)
                return -EINVAL;
        must(sign_key_digest_bytes(key) == DIGEST_BYTES);
        (void)snprintf(timestamp, sizeof timestamp, "%" PRId64, timestamp_s);
        const Span parts[] = {id, SPAN("."), span_of(timestamp), SPAN("."), body};
        sign_key_mac(key, parts, COUNT_OF(parts), mac);

        size_t before = out->n;
        int r = buf_add(out, SPAN("v1,"));
        r = r < 0 ? r : base64_print(span_make(mac, DIGEST_BYTES), out);
        if (r < 0)
                out->n = before;
        return r;
}

int sign_standard_make(const Secret *key, Span id, int64_t timestamp_s, Span body, Buf *out) {
        AUTO(sign_key_freep)
        SignKey *ready = sign_key_new(SIGN_SHA256, secret_reveal(key), NULL);

        return ready ? sign_standard_make_with(ready, id, timestamp_s, body, out) : -EINVAL;
}

int sign_standard_key(Span text, Secret *ret, Err *e) {
        unsigned char key[KEY_MAX_BYTES + 3];
        size_t n = 0;

        if (span_starts(text, SPAN("whsk_")) || span_starts(text, SPAN("whpk_")))
                return FAIL(e, -EINVAL,
                            "this is a key of version v1a (ed25519); v1 needs one of whsec_");
        if (span_starts(text, SPAN("whsec_")))
                text = span_from(text, 6);
        bool is_base64 = base64_parse(text, BASE64_EITHER, key, sizeof key, &n);
        bool is_key = is_base64 && n >= KEY_MIN_BYTES && n <= KEY_MAX_BYTES;
        if (is_key)
                *ret = secret_copy(span_make(key, n));
        explicit_bzero(key, sizeof key);
        if (is_key)
                return 0;
        if (is_base64 && n < KEY_MIN_BYTES)
                return FAIL(e, -EINVAL, "the secret holds %zu bytes, at least %d are needed", n,
                            KEY_MIN_BYTES);
        return FAIL(e, -EINVAL, "the secret must be whsec_ and base64 of %d to %d bytes",
                    KEY_MIN_BYTES, KEY_MAX_BYTES);
}
