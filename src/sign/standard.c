/* SPDX-License-Identifier: Apache-2.0
 *
 * Standard Webhooks 1.0.0: `id.timestamp.body`, signed by HMAC-SHA256 (version v1) or ed25519
 * (v1a), sent in webhook-id, webhook-timestamp and webhook-signature, or under the older svix-
 * names. One message, one family of names: an id read from one family and a signature from the
 * other would let a replayed message pass for a new one.
 *
 * Each secret verifies its own version: "whsec_" entries of v1, "whpk_", the sender's public key,
 * entries of v1a. Entries of a version that has no secret are skipped and never taken for another
 * one, so whoever configures a public key alone cannot be talked down to v1. */
#include "sign/ed25519.h"
#include "sign/encoding.h"
#include "sign/scheme.h"

enum {
        ID_MAX_BYTES = 255,
        KEY_MIN_BYTES = 24,
        KEY_MAX_BYTES = 75, /* Standard Webhooks says 64, Svix takes up to 75 */
        DIGEST_BYTES = 32,
        V1A_ENTRIES_MAX = 4, /* each costs as much as a hundred MACs, and strangers send them */
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

/* The signatures of one header that the rule has keys for, by version. */
typedef struct Given {
        SignDigests v1, v1a;
} Given;

static bool has_keys(const SignRule *rule, bool is_v1a) {
        for (size_t i = 0; i < rule->n_secrets; i++)
                if (is_v1a ? (bool)rule->public_keys[i] : (bool)rule->keys[i])
                        return true;
        return false;
}

/* False when the entry is of that version and no signature. */
static bool read_entry(Span entry, Span version, size_t bytes, SignDigests *ret) {
        size_t n = 0;

        if (!span_starts(entry, version))
                return true;
        if (!base64_parse(span_from(entry, version.n), BASE64_PADDED, ret->bytes[ret->n],
                          SIGN_DIGEST_MAX, &n) ||
            n != bytes)
                return false;
        ret->n++;
        return true;
}

/* Reads a space-separated list; entries of versions that the rule has no key for do not count. */
static SignVerdict read_signatures(const SignRule *rule, Span list, Given *ret, const char **why) {
        bool wants_v1 = has_keys(rule, false), wants_v1a = has_keys(rule, true);
        size_t n_entries = 0, n_bad = 0;

        ret->v1.n = ret->v1a.n = 0;
        for (size_t end; list.n > 0; list = span_from(list, end + 1)) {
                end = span_find(list, ' ');
                Span entry = {list.p, end};
                if (entry.n == 0)
                        continue;
                if (++n_entries > SIGN_SIGNATURES_MAX)
                        return sign_say(SIGN_MALFORMED, why, "there are too many signatures");
                if (wants_v1)
                        n_bad += !read_entry(entry, SPAN("v1,"), DIGEST_BYTES, &ret->v1);
                if (wants_v1a)
                        n_bad += !read_entry(entry, SPAN("v1a,"), ED25519_SIGNATURE_BYTES,
                                             &ret->v1a);
        }
        if (ret->v1a.n > V1A_ENTRIES_MAX)
                return sign_say(SIGN_MALFORMED, why, "there are too many signatures");
        if (ret->v1.n + ret->v1a.n > 0)
                return SIGN_OK;
        if (n_bad > 0)
                return sign_say(SIGN_MALFORMED, why,
                                wants_v1a ? "a v1a signature is 64 bytes in base64, a v1 one 32"
                                          : "a v1 signature is 32 bytes in base64");
        return sign_say(SIGN_WRONG, why,
                        wants_v1a ? "there is no signature of version v1a"
                                  : "there is no signature of version v1");
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

static SignVerdict check_v1a(const SignRule *rule, const Span *parts, size_t n_parts,
                             const SignDigests *given, const char **why) {
        for (size_t k = 0; k < rule->n_secrets; k++)
                for (size_t i = 0; rule->public_keys[k] && i < given->n; i++) {
                        int r = ed25519_verify(rule->public_keys[k], parts, n_parts,
                                               given->bytes[i]);

                        if (r == 0)
                                return SIGN_OK;
                        if (r == -ENOMEM)
                                return sign_say(SIGN_WRONG, why, "no memory to verify it in");
                }
        return sign_say(SIGN_WRONG, why, "no signature matches");
}

static SignVerdict standard_check(const SignRule *rule, const SignInput *in, const char **why) {
        Span id = {0}, timestamp = {0}, signature = {0};
        uint64_t timestamp_s = 0;
        Given given;

        SignVerdict v = read_headers(in, &id, &timestamp, &signature, why);
        if (v != SIGN_OK)
                return v;
        if (!id_is_plain(id))
                return sign_say(SIGN_MALFORMED, why, "webhook-id holds a dot, a blank or too much");
        if (!span_to_u64(timestamp, TIMESTAMP_MAX_S, &timestamp_s))
                return sign_say(SIGN_MALFORMED, why, "webhook-timestamp is no plain number");
        v = read_signatures(rule, signature, &given, why);
        if (v != SIGN_OK)
                return v;
        if (!sign_is_fresh(rule, in->now_ms, (int64_t)timestamp_s * 1000))
                return sign_say(SIGN_STALE, why, "webhook-timestamp is outside the window");

        const Span parts[] = {id, SPAN("."), timestamp, SPAN("."), in->body};
        if (given.v1.n > 0 && sign_matches(rule, parts, COUNT_OF(parts), &given.v1))
                return SIGN_OK;
        return given.v1a.n > 0 ? check_v1a(rule, parts, COUNT_OF(parts), &given.v1a, why)
                               : sign_say(SIGN_WRONG, why, "no signature matches");
}

static Span standard_message_id(const SignRule *rule, const SignInput *in) {
        Span id = {0};

        (void)rule;
        if (sign_header(in, family_of(in)->id, &id) != SIGN_OK || !id_is_plain(id))
                return (Span){NULL, 0};
        return id;
}

static int prepare_v1(SignRule *rule, size_t i, Err *e) {
        AUTO(secret_done)
        Secret decoded = {0};
        int r = sign_standard_key(secret_reveal(&rule->secrets[i]), &decoded, e);

        if (r < 0)
                return r;
        SignKey *key = sign_key_new(SIGN_SHA256, secret_reveal(&decoded), e);
        if (!key)
                return -EINVAL;
        sign_rule_set_key(rule, i, key);
        return 0;
}

static int prepare_v1a(SignRule *rule, size_t i, Err *e) {
        unsigned char point[ED25519_PUBLIC_BYTES];
        size_t n = 0;

        if (!base64_parse(span_from(secret_reveal(&rule->secrets[i]), 5), BASE64_EITHER, point,
                          sizeof point, &n) ||
            n != sizeof point)
                return FAIL(e, -EINVAL, "after whpk_ stands base64 of %zu bytes", sizeof point);
        Ed25519Key *key = ed25519_new_public(span_make(point, n), e);
        if (!key)
                return -EINVAL;
        ed25519_free(rule->public_keys[i]);
        rule->public_keys[i] = key;
        return 0;
}

static int standard_prepare(SignRule *rule, Err *e) {
        int r = sign_secrets_check(rule, 1, e);

        if (r < 0)
                return r;
        r = sign_window_check(rule, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < rule->n_secrets; i++) {
                bool is_public = span_starts(secret_reveal(&rule->secrets[i]), SPAN("whpk_"));

                r = is_public ? prepare_v1a(rule, i, e) : prepare_v1(rule, i, e);
                if (r < 0) {
                        err_prefix(e, "secret %zu", i + 1);
                        return r;
                }
        }
        return 0;
}

static const char *const standard_uses[] = {"window", NULL};

const SignScheme sign_standard = {
        .name = "standard",
        .help = "Standard Webhooks v1, v1a: webhook-id, webhook-timestamp, webhook-signature (or "
                "svix-)",
        .needs_secret = true,
        .uses = standard_uses,
        .prepare = standard_prepare,
        .check = standard_check,
        .message_id = standard_message_id,
};

enum { TIMESTAMP_BYTES = 24, SIGNED_PARTS = 5 };

static int signed_parts(Span id, int64_t timestamp_s, Span body, char timestamp[TIMESTAMP_BYTES],
                        Span ret[SIGNED_PARTS]) {
        if (!id_is_plain(id) || timestamp_s < 0 || (uint64_t)timestamp_s > TIMESTAMP_MAX_S)
                return -EINVAL;
        (void)snprintf(timestamp, TIMESTAMP_BYTES, "%" PRId64, timestamp_s);
        ret[0] = id;
        ret[1] = ret[3] = SPAN(".");
        ret[2] = span_of(timestamp);
        ret[4] = body;
        return 0;
}

static int add_entry(Buf *out, Span version, Span signature) {
        size_t before = out->n;
        int r = buf_add(out, version);

        r = r < 0 ? r : base64_print(signature, out);
        if (r < 0)
                out->n = before;
        return r;
}

int sign_standard_make_with(const SignKey *key, Span id, int64_t timestamp_s, Span body, Buf *out) {
        unsigned char mac[SIGN_DIGEST_MAX];
        char timestamp[TIMESTAMP_BYTES];
        Span parts[SIGNED_PARTS];
        int r = signed_parts(id, timestamp_s, body, timestamp, parts);

        if (r < 0)
                return r;
        must(sign_key_digest_bytes(key) == DIGEST_BYTES);
        sign_key_mac(key, parts, COUNT_OF(parts), mac);
        return add_entry(out, SPAN("v1,"), span_make(mac, DIGEST_BYTES));
}

int sign_standard_make_v1a(const Ed25519Key *key, Span id, int64_t timestamp_s, Span body,
                           Buf *out) {
        unsigned char signature[ED25519_SIGNATURE_BYTES];
        char timestamp[TIMESTAMP_BYTES];
        Span parts[SIGNED_PARTS];
        int r = signed_parts(id, timestamp_s, body, timestamp, parts);

        r = r < 0 ? r : ed25519_sign(key, parts, COUNT_OF(parts), signature);
        return r < 0 ? r : add_entry(out, SPAN("v1a,"), span_make(signature, sizeof signature));
}

int sign_standard_make(const Secret *key, Span id, int64_t timestamp_s, Span body, Buf *out) {
        AUTO(sign_key_freep)
        SignKey *ready = sign_key_new(SIGN_SHA256, secret_reveal(key), NULL);

        return ready ? sign_standard_make_with(ready, id, timestamp_s, body, out) : -EINVAL;
}

int sign_standard_key(Span text, Secret *ret, Err *e) {
        unsigned char key[KEY_MAX_BYTES + 3];
        size_t n = 0;

        if (span_starts(text, SPAN("whsk_")))
                return FAIL(e, -EINVAL,
                            "this is the sender's own key; verifying needs whsec_ or whpk_");
        if (span_starts(text, SPAN("whpk_")))
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
