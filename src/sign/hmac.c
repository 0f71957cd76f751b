/* SPDX-License-Identifier: Apache-2.0
 *
 * HMAC over the raw body in one header: GitHub, Shopify and most home-made senders. Header,
 * prefix, hash and encoding come from the rule; the key is the secret's text as it stands. A
 * header may hold several signatures, divided by commas or blanks, while its sender changes
 * secrets. Nothing here is signed but the body: no window, no message id. */
#include "sign/encoding.h"
#include "sign/scheme.h"

enum { SECRET_MIN_BYTES = 16, PREFIX_MAX_BYTES = 64, HEADER_MAX_BYTES = 128 };

static bool is_divider(char c) {
        return c == ',' || c == ' ' || c == '\t';
}

static Span skip_dividers(Span s) {
        while (s.n > 0 && is_divider(s.p[0]))
                s = span_from(s, 1);
        return s;
}

static bool decode(const SignRule *rule, Span text, unsigned char *ret, size_t *ret_n) {
        if (rule->encoding == SIGN_HEX)
                return hex_parse(text, ret, SIGN_DIGEST_MAX, ret_n);
        return base64_parse(text, BASE64_PADDED, ret, SIGN_DIGEST_MAX, ret_n);
}

/* Reads the entries that begin with the rule's prefix. The prefix is taken off before the entry's
 * end is looked for, because it may hold a blank itself ("HMAC "). */
static SignVerdict read_signatures(const SignRule *rule, Span list, SignDigests *ret,
                                   const char **why) {
        Span prefix = span_of(rule->prefix);
        size_t want = sign_key_digest_bytes(rule->keys[0]), n_entries = 0, n_bad = 0;

        for (list = skip_dividers(list); list.n > 0; list = skip_dividers(list)) {
                bool is_ours = span_starts(list, prefix);
                size_t end = 0, n = 0;

                if (++n_entries > SIGN_SIGNATURES_MAX)
                        return sign_say(SIGN_MALFORMED, why, "there are too many signatures");
                list = span_from(list, is_ours ? prefix.n : 0);
                while (end < list.n && !is_divider(list.p[end]))
                        end++;
                if (is_ours && decode(rule, (Span){list.p, end}, ret->bytes[ret->n], &n) &&
                    n == want)
                        ret->n++;
                else if (is_ours)
                        n_bad++;
                list = span_from(list, end);
        }
        if (ret->n > 0)
                return SIGN_OK;
        if (n_bad > 0)
                return sign_say(SIGN_MALFORMED, why,
                                "the signature has not the length or encoding of this hash");
        return sign_say(SIGN_MALFORMED, why, "no signature begins with the expected prefix");
}

static SignVerdict hmac_check(const SignRule *rule, const SignInput *in, const char **why) {
        SignDigests given;
        Span value = {0};

        if (!rule->header || rule->n_secrets == 0 || !rule->keys[0])
                return sign_say(SIGN_WRONG, why, "this source's verification is not complete");
        SignVerdict v = sign_header(in, rule->header, &value);
        if (v == SIGN_MISSING)
                return sign_say(v, why, "the signature header is missing");
        if (v == SIGN_MALFORMED)
                return sign_say(v, why, "the signature header occurs twice");
        given.n = 0;
        v = read_signatures(rule, value, &given, why);
        if (v != SIGN_OK)
                return v;
        if (!sign_matches(rule, &in->body, 1, &given))
                return sign_say(SIGN_WRONG, why, "no signature matches");
        return SIGN_OK;
}

static int hmac_prepare(SignRule *rule, Err *e) {
        int r = sign_secrets_check(rule, SECRET_MIN_BYTES, e);

        if (r < 0)
                return r;
        if (span_of(rule->header).n == 0 || span_of(rule->header).n > HEADER_MAX_BYTES)
                return FAIL(e, -EINVAL, "scheme hmac needs the header that holds the signature");
        if (span_of(rule->prefix).n > PREFIX_MAX_BYTES)
                return FAIL(e, -EINVAL, "the prefix is longer than %d bytes", PREFIX_MAX_BYTES);
        for (size_t i = 0; i < rule->n_secrets; i++) {
                SignKey *key = sign_key_new(rule->hash, secret_reveal(&rule->secrets[i]), e);

                if (!key)
                        return -EINVAL;
                sign_rule_set_key(rule, i, key);
        }
        return 0;
}

const SignScheme sign_hmac = {
        .name = "hmac",
        .help = "HMAC of the body in a header: header, prefix, encoding (hex, base64), hash",
        .needs_secret = true,
        .prepare = hmac_prepare,
        .check = hmac_check,
        .message_id = sign_no_message_id,
};
