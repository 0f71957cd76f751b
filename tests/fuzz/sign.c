/* SPDX-License-Identifier: Apache-2.0
 *
 * What strangers may write into signature and credential headers. One input: a byte that picks
 * the rule (and by 0x40 a public key for the first), then header values, each ended by a line end,
 * then the body. Promises: nobody passes without the secret, every refusal says why, and what
 * decodes was spelt in the one right way. */
#include "sign/sign.h"
#include "base/random.h"
#include "sign/ed25519.h"
#include "sign/encoding.h"

enum { VALUES = 4, RULES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[VALUES] = {"webhook-id", "webhook-timestamp", "webhook-signature",
                                          "authorization"};

typedef struct Input {
        Span values[VALUES];
        bool twice;
} Input;

static Span get(const void *arg, const char *name, size_t *count) {
        const Input *in = arg;

        *count = 0;
        for (size_t i = 0; i < VALUES; i++)
                if (strcmp(names[i], name) == 0 && in->values[i].p) {
                        *count = in->twice ? 2 : 1;
                        return in->values[i];
                }
        return (Span){NULL, 0};
}

static SignRule rule_new(size_t which, bool is_public) {
        static const char *const schemes[RULES] = {
                "standard", "hmac", "hmac", "hmac", "basic",  "bearer", "hmac",       "bearer",
                "hmac",     "hmac", "hmac", "hmac", "stripe", "slack",  "customerio", "zitadel"};
        unsigned char random[32];
        AUTO(buf_done)
        Buf secret = BUF(100);
        SignRule rule = {
                .scheme = sign_scheme_find(span_of(schemes[which])),
                .window_ms = 24 * 60 * 60 * 1000,
                .form.header = which == 5 || which == 4 ? NULL : "authorization",
                .form.prefix = which == 1   ? "sha256="
                               : which == 2 ? "HMAC "
                                            : "",
                .form.encoding = which == 1 ? SIGN_HEX : SIGN_BASE64,
                .form.hash = which == 3   ? SIGN_SHA1
                             : which == 6 ? SIGN_SHA512
                                          : SIGN_SHA256,
                .user = "aladdin",
        };

        if (which == 8 || which == 9) { /* the time beside the signatures */
                rule.form.prefix = "v1=";
                rule.form.timestamp_entry = "t=";
                rule.form.covers = "{timestamp}.{body}";
                rule.form.unit = which == 8 ? SIGN_SECONDS : SIGN_RFC3339;
        } else if (which == 10 || which == 11) { /* an id and the time in headers of their own */
                rule.form.id = "webhook-id";
                rule.form.timestamp = "webhook-timestamp";
                rule.form.covers = "{id}.{timestamp}.{body}{header:Webhook-Signature}{method}";
                rule.form.unit = which == 10 ? SIGN_MILLISECONDS : SIGN_SECONDS;
                rule.form.encoding = SIGN_BASE64URL;
        }
        random_bytes(random, sizeof random);
        if (is_public) {
                AUTO(ed25519_freep)
                Ed25519Key *k = ed25519_new_private(span_make(random, sizeof random), NULL);

                ed25519_public(k, random);
                must(buf_add(&secret, SPAN("whpk_")) == 0);
        }
        must(base64_print(span_make(random, sizeof random), &secret) == 0);
        rule.secrets[rule.n_secrets++] = secret_copy(buf_span(&secret));
        must(rule.scheme->prepare(&rule, NULL) == 0);
        return rule;
}

static void decode(Span text) {
        unsigned char bytes[512];
        size_t n = 0;
        AUTO(buf_done)
        Buf again = BUF(1024);

        if (base64_parse(text, BASE64_PADDED, bytes, sizeof bytes, &n)) {
                must(base64_print(span_make(bytes, n), &again) == 0);
                must(span_eq(buf_span(&again), text));
        }
        if (base64_parse(text, BASE64_EITHER, bytes, sizeof bytes, &n)) {
                buf_clear(&again);
                must(base64_print(span_make(bytes, n), &again) == 0);
                must(span_starts(buf_span(&again), text) && again.n - text.n < 3);
        }
        if (hex_parse(text, bytes, sizeof bytes, &n))
                must(n * 2 == text.n);
        Secret key = {0};
        if (sign_standard_key(text, &key, NULL) == 0)
                must(key.n >= 24 && key.n <= 75);
        secret_done(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span rest = span_make(data, size);
        Input values = {0};

        if (size == 0)
                return 0;
        SignRule rule = rule_new(data[0] % RULES, data[0] % RULES == 0 && data[0] & 0x40);
        values.twice = data[0] & 0x80;
        rest = span_from(rest, 1);
        for (size_t i = 0; i < VALUES && rest.n > 0; i++) {
                size_t end = span_find(rest, '\n');

                values.values[i] = (Span){rest.p, end};
                decode(values.values[i]);
                rest = span_from(rest, end + 1);
        }
        SignInput in = {.get = get,
                        .arg = &values,
                        .body = rest,
                        .now_ms = 1614265330000,
                        .method = "POST"};
        const char *why = NULL;
        SignVerdict v = sign_check(&rule, &in, &why);
        must(v != SIGN_OK && why && why[0]);
        must(!values.twice || v == SIGN_MALFORMED || v == SIGN_MISSING);
        (void)rule.scheme->message_id(&rule, &in);
        sign_rule_done(&rule);
        return 0;
}
