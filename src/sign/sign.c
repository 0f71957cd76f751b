/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of schemes, and the few steps that they have in common. A new scheme is a file with
 * one SignScheme in it and a row here. */
#include "sign/ed25519.h"
#include "sign/jwk.h"
#include "sign/scheme.h"
#include "sign/template.h"

enum { WINDOW_MAX_MS = 24 * 60 * 60 * 1000 };

const SignScheme *const sign_schemes[] = {
        &sign_standard, &sign_hmac,       &sign_github,   &sign_stripe, &sign_slack, &sign_shopify,
        &sign_zitadel,  &sign_customerio, &sign_keycloak, &sign_twilio, &sign_jwt,   &sign_basic,
        &sign_bearer,   &sign_member,     &sign_none,     NULL,
};

const SignScheme *sign_scheme_find(Span name) {
        for (const SignScheme *const *s = sign_schemes; *s; s++)
                if (span_eq(name, span_of((*s)->name)))
                        return *s;
        return NULL;
}

bool sign_scheme_uses(const SignScheme *scheme, Span option) {
        for (const char *const *u = scheme->uses; u && *u; u++)
                if (span_eq(option, span_of(*u)))
                        return true;
        return span_eq(option, SPAN("scheme")) || span_eq(option, SPAN("secret"));
}

SignVerdict sign_say(SignVerdict verdict, const char **why, const char *text) {
        *why = text;
        return verdict;
}

SignVerdict sign_check(const SignRule *rule, const SignInput *in, const char **why) {
        *why = "";
        if (!rule->scheme)
                return sign_say(SIGN_WRONG, why, "this source has no verification configured");
        return rule->scheme->check(rule, in, why);
}

void sign_rule_done(SignRule *rule) {
        for (size_t i = 0; i < SIGN_SECRETS_MAX; i++) {
                secret_done(&rule->secrets[i]);
                sign_key_free(rule->keys[i]);
                ed25519_free(rule->public_keys[i]);
        }
        sign_template_free(rule->covers);
        jwk_set_unref(rule->key_set);
        *rule = (SignRule){0};
}

SignVerdict sign_header(const SignInput *in, const char *name, Span *ret) {
        size_t count = 0;
        Span value = in->get(in->arg, name, &count);

        if (count > 1)
                return SIGN_MALFORMED;
        value = value.p ? span_trim(value, " \t") : value;
        if (count == 0 || value.n == 0)
                return SIGN_MISSING;
        *ret = value;
        return SIGN_OK;
}

bool sign_matches(const SignRule *rule, const Span *parts, size_t n_parts,
                  const SignDigests *given) {
        unsigned char mac[SIGN_DIGEST_MAX];
        bool is_match = false;

        /* The next key is tried only when the last did not fit: a right signature costs one MAC,
         * and which of the live secrets made it is no secret. */
        for (size_t k = 0; k < rule->n_secrets && !is_match; k++) {
                if (!rule->keys[k])
                        continue;
                size_t n = sign_key_digest_bytes(rule->keys[k]);
                sign_key_mac(rule->keys[k], parts, n_parts, mac);
                for (size_t i = 0; i < given->n; i++)
                        is_match |=
                                span_eq_secret(span_make(given->bytes[i], n), span_make(mac, n));
        }
        /* What the MAC of this body would have been must not stay behind on the stack. */
        explicit_bzero(mac, sizeof mac);
        return is_match;
}

bool sign_is_secret(const SignRule *rule, Span text) {
        bool is_match = false;

        for (size_t i = 0; i < rule->n_secrets; i++) {
                Span secret = secret_reveal(&rule->secrets[i]);

                is_match |= secret.n > 0 && span_eq_secret(text, secret);
        }
        return is_match;
}

int sign_secrets_check(const SignRule *rule, size_t min_bytes, Err *e) {
        if (rule->n_secrets == 0)
                return FAIL(e, -EINVAL, "scheme %s needs a secret", rule->scheme->name);
        if (rule->n_secrets > SIGN_SECRETS_MAX)
                return FAIL(e, -EINVAL, "more than %d secrets", SIGN_SECRETS_MAX);
        for (size_t i = 0; i < rule->n_secrets; i++)
                if (rule->secrets[i].n < min_bytes)
                        return FAIL(e, -EINVAL,
                                    "secret %zu has %zu bytes, scheme %s needs at least %zu", i + 1,
                                    rule->secrets[i].n, rule->scheme->name, min_bytes);
        return 0;
}

void sign_rule_set_key(SignRule *rule, size_t i, SignKey *key) {
        sign_key_free(rule->keys[i]);
        rule->keys[i] = key;
}

int sign_window_check(SignRule *rule, Err *e) {
        if (rule->window_ms == 0)
                rule->window_ms = SIGN_WINDOW_DEFAULT_MS;
        if (rule->window_ms < 1000 || rule->window_ms > WINDOW_MAX_MS)
                return FAIL(e, -EINVAL, "the window must be between a second and a day");
        return 0;
}

bool sign_is_fresh(const SignRule *rule, int64_t now_ms, int64_t time_ms) {
        /* Whole seconds on both sides: senders round down, so do we. */
        int64_t apart_ms = (now_ms / 1000 - time_ms / 1000) * 1000;

        return apart_ms <= rule->window_ms && apart_ms >= -rule->window_ms;
}

Span sign_no_message_id(const SignRule *rule, const SignInput *in) {
        (void)rule;
        (void)in;
        return (Span){NULL, 0};
}
