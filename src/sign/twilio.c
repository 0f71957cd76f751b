/* SPDX-License-Identifier: Apache-2.0
 *
 * Twilio: HMAC-SHA1 under the account's token, over the URL as Twilio wrote it and, for forms, each
 * field's name and value, sorted by name. A body that is no form is covered by its SHA-256 in the
 * query, bodySHA256, and so by the URL.
 *
 * Twilio's own library takes a URL with and without its port; so do we. */
#include "http/form.h"
#include "http/url.h"
#include "sign/encoding.h"
#include "sign/scheme.h"

#include <openssl/evp.h>

enum {
        TOKEN_MIN_BYTES = 16,
        DIGEST_BYTES = 20,
        HASH_BYTES = 32,
        URL_PARTS = 7,
        ARENA_MAX_BYTES = 64 << 20,
};

static int compare_spans(Span a, Span b) {
        int r = memcmp(a.n ? a.p : "", b.n ? b.p : "", a.n < b.n ? a.n : b.n);

        return r ? r : (a.n > b.n) - (a.n < b.n);
}

static int compare_pairs(const void *one, const void *other) {
        const FormPair *a = one, *b = other;
        int r = compare_spans(a->name, b->name);

        return r ? r : compare_spans(a->value, b->value);
}

/* Name and value of each pair, sorted; a pair that occurs again is left out, as Twilio does. */
static size_t join_pairs(FormPair *pairs, size_t n, Span *parts) {
        size_t n_parts = 0;

        if (n > 0)
                qsort(pairs, n, sizeof *pairs, compare_pairs);
        for (size_t i = 0; i < n; i++) {
                if (i > 0 && compare_pairs(&pairs[i], &pairs[i - 1]) == 0)
                        continue;
                parts[n_parts++] = pairs[i].name;
                parts[n_parts++] = pairs[i].value;
        }
        return n_parts;
}

/* ---- the body ---- */

/* The raw value of bodySHA256 in the query; SIGN_MISSING when there is none. */
static SignVerdict find_hash(Span query, Span *ret) {
        Span name = SPAN("bodySHA256=");
        size_t count = 0;

        for (size_t end; query.n > 0; query = span_from(query, end + 1)) {
                end = span_find(query, '&');
                if (!span_starts((Span){query.p, end}, name))
                        continue;
                *ret = span_from((Span){query.p, end}, name.n);
                count++;
        }
        return count == 0 ? SIGN_MISSING : count == 1 ? SIGN_OK : SIGN_MALFORMED;
}

static SignVerdict check_hash(Span hash, Span body, const char **why) {
        unsigned char given[HASH_BYTES], made[EVP_MAX_MD_SIZE];
        size_t n = 0;

        if (!hex_parse(hash, given, sizeof given, &n) || n != sizeof given)
                return sign_say(SIGN_MALFORMED, why, "bodySHA256 is no SHA-256 in hexadecimal");
        must(EVP_Digest(body.n ? body.p : "", body.n, made, NULL, EVP_sha256(), NULL) == 1);
        if (memcmp(given, made, HASH_BYTES) != 0)
                return sign_say(SIGN_WRONG, why, "bodySHA256 is the hash of another body");
        return SIGN_OK;
}

static bool is_form(const SignInput *in) {
        Span type = {0}, form = SPAN("application/x-www-form-urlencoded");

        if (sign_header(in, "content-type", &type) != SIGN_OK)
                return false;
        type.n = span_find(type, ';');
        return span_eq_nocase(span_trim(type, " \t"), form);
}

/* What is signed behind the URL. *parts is in `a`, with URL_PARTS free places before what it says.
 */
static SignVerdict read_body(const SignInput *in, Arena *a, Span **parts, size_t *n_parts,
                             const char **why) {
        FormPair *pairs = NULL;
        FormFault fault = {0, "there is no room for the form"};
        Span hash = {0};
        size_t n = 0;
        SignVerdict v = find_hash(in->query, &hash);

        if (v == SIGN_MALFORMED)
                return sign_say(v, why, "bodySHA256 is given twice");
        if (v == SIGN_OK)
                v = check_hash(hash, in->body, why);
        else if (is_form(in) || in->body.n == 0)
                v = form_parse(in->body, a, &pairs, &n, &fault) == 0
                            ? SIGN_OK
                            : sign_say(SIGN_MALFORMED, why, fault.why);
        else
                v = sign_say(SIGN_MISSING, why,
                             "the body is no form, and the URL has no bodySHA256");
        if (v != SIGN_OK)
                return v;
        *parts = arena_alloc(a, (URL_PARTS + 2 * n) * sizeof **parts);
        if (!*parts)
                return sign_say(SIGN_MALFORMED, why, "there is no room for the form");
        *n_parts = join_pairs(pairs, n, *parts + URL_PARTS);
        return SIGN_OK;
}

/* ---- the URL ---- */

/* The public base up to its host, and what of it stands behind the port. */
static void split_base(const SignRule *rule, Span *origin, Span *path, bool *is_https) {
        Span base = span_of(rule->public_url);
        Url url = {0};

        must(url_parse(base, &url, NULL) == 0); /* twilio_prepare */
        *is_https = url.https;
        size_t host_end =
                (size_t)(url.host.p + url.host.n - base.p) + (url.host_kind == URL_IPV6 ? 1 : 0);
        *origin = (Span){base.p, host_end};
        *path = url.path.n ? url.path : (Span){"", 0};
}

/* Fills the places before `end`, and returns the first of them. */
static Span *put_url(const SignRule *rule, const SignInput *in, bool with_port, Span *end) {
        static const char standard_ports[2][5] = {":80", ":443"};
        Span origin, path, base = span_of(rule->public_url), port;
        bool is_https;

        split_base(rule, &origin, &path, &is_https);
        port = span_from(base, origin.n);
        port.n -= path.n;
        if (port.n == 0)
                port = span_of(standard_ports[is_https]);
        if (in->query.p) {
                *--end = in->query;
                *--end = SPAN("?");
        }
        *--end = in->path;
        *--end = path;
        if (with_port)
                *--end = port;
        *--end = origin;
        return end;
}

static SignVerdict twilio_check(const SignRule *rule, const SignInput *in, const char **why) {
        AUTO(arena_freep)
        Arena *a = arena_new(ARENA_MAX_BYTES);
        SignDigests given = {.n = 1};
        Span value = {0}, *parts = NULL;
        size_t n = 0, n_parts = 0;

        if (rule->n_secrets == 0 || !rule->keys[0] || !rule->public_url)
                return sign_say(SIGN_WRONG, why, "this source's verification is not complete");
        SignVerdict v = sign_header(in, "x-twilio-signature", &value);
        if (v == SIGN_MISSING)
                return sign_say(v, why, "the header x-twilio-signature is missing");
        if (v == SIGN_MALFORMED)
                return sign_say(v, why, "the header x-twilio-signature occurs twice");
        if (!base64_parse(value, BASE64_PADDED, given.bytes[0], SIGN_DIGEST_MAX, &n) ||
            n != DIGEST_BYTES)
                return sign_say(SIGN_MALFORMED, why, "a signature is 20 bytes in base64");
        v = read_body(in, a, &parts, &n_parts, why);
        if (v != SIGN_OK)
                return v;
        for (int with_port = 0; with_port < 2; with_port++) {
                Span *first = put_url(rule, in, with_port, parts + URL_PARTS);
                size_t all = (size_t)(parts + URL_PARTS - first) + n_parts;

                if (sign_matches(rule, first, all, &given))
                        return SIGN_OK;
        }
        return sign_say(SIGN_WRONG, why,
                        "no signature matches; is public_url what Twilio has as the URL?");
}

static int twilio_prepare(SignRule *rule, Err *e) {
        int r = sign_secrets_check(rule, TOKEN_MIN_BYTES, e);
        Url url;

        if (r < 0)
                return r;
        if (!rule->public_url)
                return FAIL(e, -EINVAL,
                            "the URL is signed: public_url must tell how the sender writes it");
        if (url_parse(span_of(rule->public_url), &url, e) < 0 || url.query.p)
                return FAIL(e, -EINVAL, "public_url: a base has no query");
        for (size_t i = 0; i < rule->n_secrets; i++) {
                SignKey *key = sign_key_new(SIGN_SHA1, secret_reveal(&rule->secrets[i]), e);

                if (!key)
                        return -EINVAL;
                sign_rule_set_key(rule, i, key);
        }
        return 0;
}

static const char *const twilio_uses[] = {"public_url", NULL};

const SignScheme sign_twilio = {
        .name = "twilio",
        .help = "Twilio: X-Twilio-Signature over the URL and the form, or bodySHA256",
        .needs_secret = true,
        .uses = twilio_uses,
        .prepare = twilio_prepare,
        .check = twilio_check,
        .message_id = sign_no_message_id,
};
