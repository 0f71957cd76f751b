/* SPDX-License-Identifier: Apache-2.0
 *
 * A token signed by the source, or by whom it belongs to: Microsoft Entra, Microsoft Graph,
 * Keycloak, FusionAuth. What RFC 8725 warns of, in order: the configuration says which keys there
 * are and those say which algorithms count, never the token; `none` does not exist here; a public
 * key never makes an HMAC; keys that a token brings along (jwk, jku, x5c) are not looked at.
 *
 * The claims are judged before the signature, so that a stranger's token makes nobody fetch keys.
 */
#include "http/url.h"
#include "sign/encoding.h"
#include "sign/jwk.h"
#include "sign/jwt.h"
#include "sign/scheme.h"

enum { SECRET_MIN_BYTES = 32 /* RFC 7518 section 3.2 */ };

static bool is_url(Span text) {
        return span_starts(text, SPAN("https://")) || span_starts(text, SPAN("http://"));
}

const char *sign_rule_keys_at(const SignRule *rule, bool *ret_discover) {
        *ret_discover = !rule->jwt.keys;
        if (rule->scheme != &sign_jwt || rule->n_secrets > 0 || rule->key_set)
                return NULL;
        return rule->jwt.keys ? rule->jwt.keys : rule->jwt.issuer;
}

static SignVerdict check_secret(const SignRule *rule, const Jwt *t, const char **why) {
        SignDigests given = {.n = 1};
        size_t want = sign_key_digest_bytes(rule->keys[0]);

        if (!span_eq(t->alg, SPAN("HS256")))
                return sign_say(SIGN_WRONG, why, "the token's algorithm is not HS256");
        if (t->signature.n != want)
                return sign_say(SIGN_WRONG, why, "the token's signature is wrong");
        memcpy(given.bytes[0], t->signature.p, want);
        return sign_matches(rule, &t->signed_of, 1, &given)
                       ? SIGN_OK
                       : sign_say(SIGN_WRONG, why, "the token's signature is wrong");
}

static SignVerdict check_key(const SignRule *rule, const SignInput *in, const Jwt *t,
                             const char **why) {
        const JwkSet *set = rule->key_set ? rule->key_set : in->keys;

        if (!set)
                return sign_say(SIGN_NO_KEY, why, "the issuer's keys are not known");
        switch (jwk_set_verify(set, t->alg, t->kid, t->signed_of, t->signature)) {
        case JWK_VERIFIED:
                return SIGN_OK;
        case JWK_UNKNOWN:
                return sign_say(SIGN_NO_KEY, why,
                                "the token was signed by a key that is not known");
        default:
                return sign_say(SIGN_WRONG, why, "the token's signature is wrong");
        }
}

static SignVerdict jwt_check(const SignRule *rule, const SignInput *in, const char **why) {
        AUTO(arena_freep)
        Arena *a = NULL;
        bool has_secret = rule->n_secrets > 0;
        Span token = {0};
        Jwt t;

        if (has_secret ? !rule->keys[0] : !rule->jwt.keys && !rule->jwt.issuer)
                return sign_say(SIGN_WRONG, why, "this source's verification is not complete");
        SignVerdict v = sign_token(rule, in, &token, why);
        if (v != SIGN_OK)
                return v;
        a = arena_new(JWT_ARENA_MAX_BYTES);
        if (!jwt_parse(token, a, &t, why))
                return SIGN_MALFORMED;
        if (!has_secret && !jwk_alg_known(t.alg))
                return sign_say(SIGN_WRONG, why, "the token's algorithm is none that counts here");
        v = jwt_check_claims(rule, in, &t, why);
        if (v != SIGN_OK)
                return v;
        return has_secret ? check_secret(rule, &t, why) : check_key(rule, in, &t, why);
}

/* ---- the rule ---- */

static int prepare_secrets(SignRule *rule, Err *e) {
        int r = sign_secrets_check(rule, 1, e);

        if (r == 0 && rule->jwt.keys)
                return FAIL(e, -EINVAL,
                            "a token is signed by a secret (HS256) or under public keys: give "
                            "secret or keys");
        for (size_t i = 0; r == 0 && i < rule->n_secrets; i++)
                r = sign_make_key(rule, i, SIGN_SHA256, SECRET_MIN_BYTES, e);
        return r;
}

static int prepare_keys(SignRule *rule, Err *e) {
        const SignJwt *j = &rule->jwt;
        Span from = span_of(j->keys ? j->keys : j->issuer);
        Url url;

        if (!from.p)
                return FAIL(e, -EINVAL,
                            "scheme jwt needs keys (a URL, PEM or a JWK set), an issuer that tells "
                            "them, or a secret");
        /* Whoever has any token of that issuer could send it here. */
        if (!j->audience && !j->body_hash)
                return FAIL(e, -EINVAL,
                            "scheme jwt needs the audience that tokens for us have, or body_hash");
        if (j->keys && !is_url(from)) {
                jwk_set_unref(rule->key_set);
                rule->key_set = jwk_set_parse(from, e);
                return rule->key_set ? 0 : -EINVAL;
        }
        if (!is_url(from))
                return FAIL(e, -EINVAL, "an issuer that is no URL tells no keys: give keys too");
        if (url_parse(from, &url, e) < 0) {
                err_prefix(e, j->keys ? "keys" : "issuer");
                return -EINVAL;
        }
        if (!j->keys && url.query.p)
                return FAIL(e, -EINVAL, "issuer: it has no query");
        return 0;
}

static int jwt_prepare(SignRule *rule, Err *e) {
        int r = sign_window_check(rule, e);

        if (r < 0)
                return r;
        return rule->n_secrets > 0 ? prepare_secrets(rule, e) : prepare_keys(rule, e);
}

static const char *const jwt_uses[] = {
        "header",   "prefix", "window", "secret_encoding", "keys", "issuer",
        "audience", "party",  "claims", "body_hash",       NULL,
};

const SignScheme sign_jwt = {
        .name = "jwt",
        .help = "A signed token: keys or issuer, audience, party, claims, body_hash",
        .needs_secret = false,
        .uses = jwt_uses,
        .prepare = jwt_prepare,
        .check = jwt_check,
        .message_id = sign_no_message_id,
};
