/* SPDX-License-Identifier: Apache-2.0
 *
 * HMAC as nearly all senders make it, described by a SignForm: which parts of the request are
 * signed, where signature, time and id stand, how they are written. A header may hold several
 * signatures, divided by commas or blanks, while its sender changes secrets; entries that do not
 * begin with the form's prefix are passed over.
 *
 * What comes from outside never moves the border between two signed parts: a value that holds the
 * byte with which the text behind it begins is refused. */
#include "base/clock.h"
#include "sign/encoding.h"
#include "sign/scheme.h"
#include "sign/template.h"

enum {
        SECRET_MIN_BYTES = 16,
        KEY_MAX_BYTES = 256,
        PREFIX_MAX_BYTES = 64,
        HEADER_MAX_BYTES = 128,
        ID_MAX_BYTES = 255,
        SIGNED_PARTS_MAX = SIGN_TEMPLATE_PARTS_MAX + 5, /* a URL is made of up to four */
};

static const uint64_t TIME_MAX_S = 999999999999; /* keeps the milliseconds within 63 bits */

/* What one request brings. */
typedef struct Given {
        SignDigests digests;
        Span timestamp, id;
        int64_t time_ms;
} Given;

static bool is_divider(char c) {
        return c == ',' || c == ' ' || c == '\t';
}

static Span skip_dividers(Span s) {
        while (s.n > 0 && is_divider(s.p[0]))
                s = span_from(s, 1);
        return s;
}

/* Takes the entry off the list. Its prefix is taken off before its end is looked for, because the
 * prefix may hold a blank itself ("HMAC "). */
static Span take_entry(Span *list, size_t prefix_bytes) {
        Span rest = span_from(*list, prefix_bytes);
        size_t end = 0;

        while (end < rest.n && !is_divider(rest.p[end]))
                end++;
        *list = span_from(rest, end);
        return (Span){rest.p, end};
}

static bool decode(SignEncoding encoding, Span text, unsigned char *ret, size_t room, size_t *n) {
        if (encoding == SIGN_HEX)
                return hex_parse(text, ret, room, n);
        if (encoding == SIGN_BASE64URL)
                return base64url_parse(text, ret, room, n);
        return base64_parse(text, BASE64_PADDED, ret, room, n);
}

static SignVerdict read_signatures(const SignRule *rule, Span list, Given *ret, const char **why) {
        Span prefix = span_of(rule->form.prefix), stamp = span_of(rule->form.timestamp_entry);
        size_t want = sign_key_digest_bytes(rule->keys[0]), n_entries = 0, n_bad = 0;
        SignDigests *digests = &ret->digests;

        for (list = skip_dividers(list); list.n > 0; list = skip_dividers(list)) {
                bool is_ours = span_starts(list, prefix);
                size_t n = 0;

                if (stamp.n > 0 && span_starts(list, stamp)) {
                        if (ret->timestamp.p)
                                return sign_say(SIGN_MALFORMED, why, "the time is given twice");
                        ret->timestamp = take_entry(&list, stamp.n);
                        continue;
                }
                if (++n_entries > SIGN_SIGNATURES_MAX)
                        return sign_say(SIGN_MALFORMED, why, "there are too many signatures");
                Span entry = take_entry(&list, is_ours ? prefix.n : 0);
                if (is_ours &&
                    decode(rule->form.encoding, entry, digests->bytes[digests->n], SIGN_DIGEST_MAX,
                           &n) &&
                    n == want)
                        digests->n++;
                else if (is_ours)
                        n_bad++;
        }
        if (digests->n > 0)
                return SIGN_OK;
        if (n_bad > 0)
                return sign_say(SIGN_MALFORMED, why,
                                "the signature has not the length or encoding of this hash");
        return sign_say(SIGN_MALFORMED, why, "no signature begins with the expected prefix");
}

static SignVerdict find_signatures(const SignRule *rule, const SignInput *in, Given *ret,
                                   const char **why) {
        Span value = {0};
        SignVerdict v = sign_header(in, rule->form.header, &value);

        if (v == SIGN_MISSING)
                return sign_say(v, why, "the signature header is missing");
        if (v == SIGN_MALFORMED)
                return sign_say(v, why, "the signature header occurs twice");
        return read_signatures(rule, value, ret, why);
}

/* ---- the time ---- */

static bool parse_time(SignUnit unit, Span text, int64_t *ret_ms) {
        uint64_t n = 0;

        if (unit == SIGN_RFC3339)
                return clock_parse(text, ret_ms);
        if (!span_to_u64(text, unit == SIGN_SECONDS ? TIME_MAX_S : TIME_MAX_S * 1000, &n))
                return false;
        *ret_ms = (int64_t)n * (unit == SIGN_SECONDS ? 1000 : 1);
        return true;
}

static SignVerdict find_time(const SignRule *rule, const SignInput *in, Given *ret,
                             const char **why) {
        const SignForm *f = &rule->form;

        if (!f->timestamp && !f->timestamp_entry)
                return SIGN_OK;
        if (f->timestamp) {
                SignVerdict v = sign_header(in, f->timestamp, &ret->timestamp);

                if (v == SIGN_MALFORMED)
                        return sign_say(v, why, "the header of the time occurs twice");
                if (v != SIGN_OK)
                        return sign_say(v, why, "the header of the time is missing");
        } else if (!ret->timestamp.p) {
                return sign_say(SIGN_MISSING, why, "there is no time beside the signatures");
        }
        if (!parse_time(f->unit, ret->timestamp, &ret->time_ms))
                return sign_say(SIGN_MALFORMED, why, "the time is not written as expected");
        return SIGN_OK;
}

/* ---- what is signed ---- */

static bool is_plain(Span s) {
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] <= ' ' || s.p[i] > '~')
                        return false;
        return s.n > 0 && s.n <= ID_MAX_BYTES;
}

/* May this value stand before that part? */
static bool stays_apart(Span value, const struct SignPart *next) {
        return !next || next->hole != HOLE_NONE || span_find(value, next->literal.p[0]) == value.n;
}

static SignVerdict find_id(const SignRule *rule, const SignInput *in, Given *ret,
                           const char **why) {
        if (!rule->form.id)
                return SIGN_OK;
        SignVerdict v = sign_header(in, rule->form.id, &ret->id);
        if (v == SIGN_MALFORMED)
                return sign_say(v, why, "the header of the id occurs twice");
        if (v == SIGN_MISSING)
                return sign_say(v, why, "the header of the id is missing");
        if (!is_plain(ret->id))
                return sign_say(SIGN_MALFORMED, why, "the id is no plain word");
        return SIGN_OK;
}

static size_t add_url(const SignRule *rule, const SignInput *in, Span *parts) {
        size_t n = 0;

        parts[n++] = span_of(rule->public_url);
        parts[n++] = in->path;
        if (in->query.p) {
                parts[n++] = SPAN("?");
                parts[n++] = in->query;
        }
        return n;
}

static SignVerdict add_value(const SignRule *rule, const SignInput *in, const Given *given,
                             size_t at, Span *ret, const char **why) {
        const SignTemplate *t = rule->covers;
        const struct SignPart *part = &t->parts[at];

        if (part->hole == HOLE_TIMESTAMP)
                *ret = given->timestamp;
        else if (part->hole == HOLE_ID)
                *ret = given->id;
        else if (part->hole == HOLE_METHOD)
                *ret = span_of(in->method);
        else if (sign_header(in, part->header, ret) != SIGN_OK)
                return sign_say(SIGN_MALFORMED, why, "a header that is signed is not there once");
        if (!stays_apart(*ret, at + 1 < t->n ? part + 1 : NULL))
                return sign_say(SIGN_MALFORMED, why, "what is signed could be read in two ways");
        return SIGN_OK;
}

static SignVerdict add_parts(const SignRule *rule, const SignInput *in, const Given *given,
                             Span parts[SIGNED_PARTS_MAX], size_t *ret_n, const char **why) {
        const SignTemplate *t = rule->covers;
        bool has_url = false;
        size_t n = 0;

        for (size_t i = 0; i < t->n; i++) {
                SignHole hole = t->parts[i].hole;

                if (hole == HOLE_NONE) {
                        parts[n++] = t->parts[i].literal;
                } else if (hole == HOLE_BODY) {
                        parts[n++] = in->body;
                } else if (hole == HOLE_URL) {
                        must(!has_url); /* hmac_prepare */
                        has_url = true;
                        n += add_url(rule, in, parts + n);
                } else {
                        SignVerdict v = add_value(rule, in, given, i, &parts[n++], why);

                        if (v != SIGN_OK)
                                return v;
                }
        }
        *ret_n = n;
        return SIGN_OK;
}

static SignVerdict hmac_check(const SignRule *rule, const SignInput *in, const char **why) {
        Span parts[SIGNED_PARTS_MAX];
        Given given = {0};
        size_t n = 0;

        if (!rule->form.header || rule->n_secrets == 0 || !rule->keys[0] || !rule->covers)
                return sign_say(SIGN_WRONG, why, "this source's verification is not complete");
        SignVerdict v = find_signatures(rule, in, &given, why);
        v = v != SIGN_OK ? v : find_time(rule, in, &given, why);
        v = v != SIGN_OK ? v : find_id(rule, in, &given, why);
        v = v != SIGN_OK ? v : add_parts(rule, in, &given, parts, &n, why);
        if (v != SIGN_OK)
                return v;
        if (given.timestamp.p && !sign_is_fresh(rule, in->now_ms, given.time_ms))
                return sign_say(SIGN_STALE, why, "the time is outside the window");
        if (!sign_matches(rule, parts, n, &given.digests))
                return sign_say(SIGN_WRONG, why, "no signature matches");
        return SIGN_OK;
}

static Span hmac_message_id(const SignRule *rule, const SignInput *in) {
        Given given = {0};
        const char *why;

        return rule->form.id && find_id(rule, in, &given, &why) == SIGN_OK ? given.id
                                                                           : (Span){NULL, 0};
}

/* ---- the rule ---- */

int sign_make_key(SignRule *rule, size_t i, SignHash hash, size_t min_bytes, Err *e) {
        static const SignEncoding encodings[] = {
                [SIGN_SECRET_HEX] = SIGN_HEX,
                [SIGN_SECRET_BASE64] = SIGN_BASE64,
                [SIGN_SECRET_BASE64URL] = SIGN_BASE64URL,
        };
        Span key = secret_reveal(&rule->secrets[i]);
        unsigned char bytes[KEY_MAX_BYTES];
        SignKey *made = NULL;
        size_t n = 0;

        if (rule->form.secret != SIGN_TEXT) {
                if (!decode(encodings[rule->form.secret], key, bytes, sizeof bytes, &n))
                        return FAIL(e, -EINVAL, "secret %zu is not written as secret_encoding says",
                                    i + 1);
                key = span_make(bytes, n);
        }
        if (key.n < min_bytes)
                (void)FAIL(e, -EINVAL, "secret %zu holds %zu bytes, at least %zu are needed", i + 1,
                           key.n, min_bytes);
        else
                made = sign_key_new(hash, key, e);
        explicit_bzero(bytes, n);
        if (!made)
                return -EINVAL;
        sign_rule_set_key(rule, i, made);
        return 0;
}

/* What is signed, and where it comes from, must fit to each other: a time that nobody signs is no
 * protection. */
static int check_covers(const SignRule *rule, Err *e) {
        const SignForm *f = &rule->form;
        const SignTemplate *t = rule->covers;
        size_t n_urls = 0;

        if (f->timestamp && f->timestamp_entry)
                return FAIL(e, -EINVAL,
                            "the time stands in a header or beside the signatures, not "
                            "in both");
        if (sign_template_has(t, HOLE_TIMESTAMP) != (f->timestamp || f->timestamp_entry))
                return FAIL(e, -EINVAL,
                            "a time is signed by {timestamp} in what is signed, and where it "
                            "stands is told by timestamp or timestamp_entry: both or none");
        if (sign_template_has(t, HOLE_ID) != !!f->id)
                return FAIL(e, -EINVAL,
                            "an id is signed by {id} in what is signed, and the header that it "
                            "stands in is told by id: both or none");
        for (size_t i = 0; i < t->n; i++)
                n_urls += t->parts[i].hole == HOLE_URL;
        if (n_urls > 1)
                return FAIL(e, -EINVAL, "what is signed holds {url} once at most");
        if (n_urls == 1 && !rule->public_url)
                return FAIL(e, -EINVAL,
                            "the URL is signed: public_url must tell how the sender writes it");
        return 0;
}

static int hmac_prepare(SignRule *rule, Err *e) {
        if (rule->scheme->form)
                rule->form = *rule->scheme->form;
        const SignForm *f = &rule->form;
        int r = sign_secrets_check(rule, SECRET_MIN_BYTES, e);

        if (r < 0)
                return r;
        if (span_of(f->header).n == 0 || span_of(f->header).n > HEADER_MAX_BYTES)
                return FAIL(e, -EINVAL, "scheme hmac needs the header that holds the signature");
        if (span_of(f->prefix).n > PREFIX_MAX_BYTES ||
            span_of(f->timestamp_entry).n > PREFIX_MAX_BYTES)
                return FAIL(e, -EINVAL, "the prefix is longer than %d bytes", PREFIX_MAX_BYTES);
        sign_template_free(rule->covers);
        rule->covers = sign_template_new(f->covers ? span_of(f->covers) : SPAN("{body}"), e);
        if (!rule->covers)
                return -EINVAL;
        r = check_covers(rule, e);
        r = r < 0 ? r : sign_window_check(rule, e);
        for (size_t i = 0; r == 0 && i < rule->n_secrets; i++)
                r = sign_make_key(rule, i, f->hash, SECRET_MIN_BYTES, e);
        return r;
}

static const char *const hmac_uses[] = {
        "header", "prefix",     "signed", "timestamp",       "timestamp_entry", "unit", "id",
        "window", "public_url", "hash",   "secret_encoding", "encoding",        NULL,
};

const SignScheme sign_hmac = {
        .name = "hmac",
        .help = "HMAC in a header, however it is made: header, prefix, signed, timestamp, id, "
                "encoding, hash",
        .needs_secret = true,
        .uses = hmac_uses,
        .prepare = hmac_prepare,
        .check = hmac_check,
        .message_id = hmac_message_id,
};

/* ---- vendors' forms: data ---- */

#define VENDOR(scheme, text, used, ...)                                                            \
        const SignScheme sign_##scheme = {                                                         \
                .name = #scheme,                                                                   \
                .help = (text),                                                                    \
                .needs_secret = true,                                                              \
                .uses = (used),                                                                    \
                .form = &(const SignForm){__VA_ARGS__},                                            \
                .prepare = hmac_prepare,                                                           \
                .check = hmac_check,                                                               \
                .message_id = hmac_message_id,                                                     \
        }

static const char *const time_uses[] = {"window", NULL};

VENDOR(github, "GitHub: X-Hub-Signature-256", NULL, .header = "x-hub-signature-256",
       .prefix = "sha256=", .hash = SIGN_SHA256);

VENDOR(stripe, "Stripe: Stripe-Signature with t and v1", time_uses, .header = "stripe-signature",
       .prefix = "v1=", .timestamp_entry = "t=", .covers = "{timestamp}.{body}",
       .hash = SIGN_SHA256);

VENDOR(slack, "Slack: X-Slack-Signature, X-Slack-Request-Timestamp", time_uses,
       .header = "x-slack-signature", .prefix = "v0=", .timestamp = "x-slack-request-timestamp",
       .covers = "v0:{timestamp}:{body}", .hash = SIGN_SHA256);

VENDOR(shopify, "Shopify: X-Shopify-Hmac-SHA256", NULL, .header = "x-shopify-hmac-sha256",
       .encoding = SIGN_BASE64, .hash = SIGN_SHA256);

VENDOR(zitadel, "Zitadel actions: ZITADEL-Signature with t and v1", time_uses,
       .header = "zitadel-signature",
       .prefix = "v1=", .timestamp_entry = "t=", .covers = "{timestamp}.{body}",
       .hash = SIGN_SHA256);

VENDOR(customerio, "Customer.io: X-CIO-Signature, X-CIO-Timestamp", time_uses,
       .header = "x-cio-signature", .timestamp = "x-cio-timestamp",
       .covers = "v0:{timestamp}:{body}", .hash = SIGN_SHA256);

VENDOR(keycloak, "Keycloak's events extension: X-Keycloak-Signature", NULL,
       .header = "x-keycloak-signature", .hash = SIGN_SHA256);
