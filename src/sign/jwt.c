/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/jwt.h"

#include "sign/encoding.h"
#include "sign/scheme.h"
#include "json/check.h"
#include "json/value.h"

#include <openssl/evp.h>

enum { CLAIM_MAX_BYTES = 4096, HASH_BYTES = 32, DATE_DIGITS_MAX = 12 };

/* ---- taking apart ---- */

/* A part in base64url; .p NULL when it is none. */
static Span decode(Span part, Arena *a) {
        unsigned char *bytes = arena_alloc(a, part.n + 1);
        size_t n = 0;

        if (!bytes || part.n == 0 || !base64url_parse(part, bytes, part.n, &n))
                return (Span){NULL, 0};
        return span_make(bytes, n);
}

static bool is_object(Span json) {
        JsonFault fault;

        return json.p && json_check(json, JSON_KEYS_MAX, &fault) == 0 &&
               json_kind(json) == JSON_OBJECT;
}

typedef enum Found { FOUND, FOUND_NOT, FOUND_BAD } Found;

/* A member that is there once. */
static Found find(Span object, const char *name, Span *ret) {
        size_t count = json_member_count(object, span_of(name));

        *ret = json_member(object, span_of(name));
        return count == 0 ? FOUND_NOT : count == 1 ? FOUND : FOUND_BAD;
}

static bool text_in(Span value, Arena *a, Span *ret) {
        AUTO(buf_done)
        Buf text = BUF(CLAIM_MAX_BYTES);

        if (json_kind(value) != JSON_STRING || json_text(value, &text) < 0)
                return false;
        *ret = arena_span(a, text.n ? buf_span(&text) : SPAN(""));
        return ret->p;
}

static Found find_text(Span object, const char *name, Arena *a, Span *ret) {
        Span value;
        Found f = find(object, name, &value);

        return f == FOUND && !text_in(value, a, ret) ? FOUND_BAD : f;
}

static bool read_header(Span header, Arena *a, Jwt *ret, const char **why) {
        if (!is_object(header)) {
                *why = "the token's header is no JSON object";
                return false;
        }
        if (find_text(header, "alg", a, &ret->alg) != FOUND ||
            find_text(header, "kid", a, &ret->kid) == FOUND_BAD) {
                *why = "the token's header has not one alg, and at most one kid";
                return false;
        }
        /* RFC 7515 section 4.1.11: what it names would have to be understood, and we know none. */
        if (json_member(header, SPAN("crit")).p) {
                *why = "the token wants extensions that are not known here";
                return false;
        }
        return true;
}

bool jwt_parse(Span token, Arena *a, Jwt *ret, const char **why) {
        size_t first = span_find(token, '.');
        size_t second = first + 1 + span_find(span_from(token, first + 1), '.');

        *ret = (Jwt){0};
        *why = "a token is three parts in base64url, divided by dots";
        if (token.n > JWT_MAX_BYTES) {
                *why = "the token is longer than 16 KiB";
                return false;
        }
        if (first >= token.n || second >= token.n)
                return false;
        Span header = decode((Span){token.p, first}, a);
        ret->claims = decode((Span){token.p + first + 1, second - first - 1}, a);
        ret->signature = decode(span_from(token, second + 1), a);
        ret->signed_of = (Span){token.p, second};
        if (!header.p || !ret->claims.p || !ret->signature.p)
                return false;
        if (ret->signature.n > JWT_SIGNATURE_MAX_BYTES)
                return false;
        if (!read_header(header, a, ret, why))
                return false;
        if (!is_object(ret->claims)) {
                *why = "the token's claims are no JSON object";
                return false;
        }
        *why = "";
        return true;
}

/* ---- time ---- */

/* A NumericDate (RFC 7519 section 2), its fraction left off. */
static Found find_date(Span claims, const char *name, int64_t *ret) {
        Span value;
        uint64_t n = 0;
        Found f = find(claims, name, &value);

        if (f != FOUND)
                return f;
        value = json_trim(value);
        Span whole = {value.p, span_find(value, '.')};
        Span rest = span_from(value, whole.n + 1);
        if (whole.n > DATE_DIGITS_MAX || !span_to_u64(whole, INT64_MAX, &n))
                return FOUND_BAD;
        for (size_t i = 0; i < rest.n; i++)
                if (rest.p[i] < '0' || rest.p[i] > '9')
                        return FOUND_BAD;
        *ret = (int64_t)n;
        return FOUND;
}

static SignVerdict check_time(const SignRule *rule, const SignInput *in, Span claims,
                              const char **why) {
        int64_t now = in->now_ms / 1000, exp = 0, nbf = 0, iat = 0;
        Found has_exp = find_date(claims, "exp", &exp), has_nbf = find_date(claims, "nbf", &nbf),
              has_iat = find_date(claims, "iat", &iat);

        if (has_exp == FOUND_BAD || has_nbf == FOUND_BAD || has_iat == FOUND_BAD)
                return sign_say(SIGN_MALFORMED, why, "the token's times are no plain numbers");
        if (has_exp == FOUND_NOT && has_iat == FOUND_NOT)
                return sign_say(SIGN_MALFORMED, why, "the token tells neither its end nor its age");
        if (has_exp == FOUND && now - JWT_LEEWAY_S >= exp)
                return sign_say(SIGN_STALE, why, "the token has expired");
        if (has_nbf == FOUND && now + JWT_LEEWAY_S < nbf)
                return sign_say(SIGN_STALE, why, "the token is not valid yet");
        if (has_iat == FOUND && now + JWT_LEEWAY_S < iat)
                return sign_say(SIGN_STALE, why, "the token was made in the future");
        if (has_exp == FOUND_NOT && !sign_is_fresh(rule, in->now_ms, iat * 1000))
                return sign_say(SIGN_STALE, why, "the token has no end and is outside the window");
        return SIGN_OK;
}

/* ---- the other claims ---- */

static bool is_text(Span value, Span text, Arena *a) {
        Span got;

        return text_in(value, a, &got) && span_eq(got, text);
}

/* A text, or a list of texts of which one is meant (RFC 7519 section 4.1.3). */
static bool holds_text(Span value, Span text, Arena *a) {
        Span key, item;

        if (json_kind(value) != JSON_ARRAY)
                return is_text(value, text, a);
        for (size_t pos = 0; json_next(value, &pos, &key, &item);)
                if (is_text(item, text, a))
                        return true;
        return false;
}

static bool is_issuer(const SignJwt *j, Span claims, Arena *a) {
        Span value;

        return !j->issuer ||
               (find(claims, "iss", &value) == FOUND && is_text(value, span_of(j->issuer), a));
}

static bool is_audience(const SignJwt *j, Span claims, Arena *a) {
        Span value;

        return !j->audience ||
               (find(claims, "aud", &value) == FOUND && holds_text(value, span_of(j->audience), a));
}

static bool is_party(const SignJwt *j, Span claims, Arena *a) {
        Span value;
        Found f = find(claims, "azp", &value);

        if (!j->party)
                return true;
        if (f == FOUND_NOT)
                f = find(claims, "appid", &value);
        return f == FOUND && is_text(value, span_of(j->party), a);
}

/* Numbers and truth values are compared as they are written. */
static bool is_claim(const SignClaim *want, Span claims) {
        AUTO(buf_done)
        Buf text = BUF(CLAIM_MAX_BYTES);
        Span value;

        if (find(claims, want->name, &value) != FOUND || json_kind(value) == JSON_NULL ||
            json_text(value, &text) < 0)
                return false;
        for (size_t i = 0; i < want->n_values; i++)
                if (span_eq(buf_span(&text), span_of(want->values[i])))
                        return true;
        return false;
}

/* In base64 of either alphabet, with its padding or without, or in hexadecimal. */
static bool read_hash(Span text, unsigned char ret[HASH_BYTES]) {
        size_t n = 0;

        if (text.n == 2 * HASH_BYTES)
                return hex_parse(text, ret, HASH_BYTES, &n) && n == HASH_BYTES;
        return (base64_parse(text, BASE64_EITHER, ret, HASH_BYTES, &n) ||
                base64url_parse(span_trim(text, "="), ret, HASH_BYTES, &n)) &&
               n == HASH_BYTES;
}

static bool is_body(const SignJwt *j, Span body, Span claims, Arena *a) {
        unsigned char given[HASH_BYTES], made[EVP_MAX_MD_SIZE];
        Span text;

        if (!j->body_hash)
                return true;
        if (find_text(claims, j->body_hash, a, &text) != FOUND || !read_hash(text, given))
                return false;
        must(EVP_Digest(body.n ? body.p : "", body.n, made, NULL, EVP_sha256(), NULL) == 1);
        return memcmp(given, made, HASH_BYTES) == 0;
}

SignVerdict jwt_check_claims(const SignRule *rule, const SignInput *in, const Jwt *t,
                             const char **why) {
        AUTO(arena_freep)
        Arena *a = arena_new(JWT_ARENA_MAX_BYTES);
        const SignJwt *j = &rule->jwt;
        SignVerdict v = check_time(rule, in, t->claims, why);

        if (v != SIGN_OK)
                return v;
        if (!is_issuer(j, t->claims, a))
                return sign_say(SIGN_WRONG, why, "the token comes from another issuer (iss)");
        if (!is_audience(j, t->claims, a))
                return sign_say(SIGN_WRONG, why, "the token is meant for another audience (aud)");
        if (!is_party(j, t->claims, a))
                return sign_say(SIGN_WRONG, why,
                                "the token was given to another party (azp, appid)");
        for (size_t i = 0; i < j->n_claims; i++)
                if (!is_claim(&j->claims[i], t->claims))
                        return sign_say(SIGN_WRONG, why, "a claim of the token is not as expected");
        if (!is_body(j, in->body, t->claims, a))
                return sign_say(SIGN_WRONG, why, "the token was made for another body");
        return SIGN_OK;
}
