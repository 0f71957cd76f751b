/* SPDX-License-Identifier: Apache-2.0
 *
 * A token that both sides know: `Authorization: Bearer TOKEN` (RFC 6750), or, when the rule names
 * a header, that header's value behind the rule's prefix (an API key). Like basic it proves who
 * sent, not what. */
#include "sign/scheme.h"

enum { TOKEN_MIN_BYTES = 16, TOKEN_MAX_BYTES = 4096 };

static bool is_plain(Span s) {
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] <= ' ' || s.p[i] > '~')
                        return false;
        return s.n > 0;
}

static bool is_token(Span s) {
        return is_plain(s) && s.n <= TOKEN_MAX_BYTES;
}

/* Takes off what stands before the token; false when something else stands there. */
static bool take_prefix(const SignRule *rule, bool is_own_header, Span *value) {
        Span bearer = SPAN("bearer");

        if (is_own_header) {
                Span prefix = span_of(rule->form.prefix);

                if (!span_starts(*value, prefix))
                        return false;
                *value = span_trim(span_from(*value, prefix.n), " ");
                return true;
        }
        if (value->n <= bearer.n || value->p[bearer.n] != ' ' ||
            !span_eq_nocase((Span){value->p, bearer.n}, bearer))
                return false;
        *value = span_trim(span_from(*value, bearer.n), " ");
        return true;
}

SignVerdict sign_token(const SignRule *rule, const SignInput *in, Span *ret, const char **why) {
        bool is_own_header = span_of(rule->form.header).n > 0;
        Span value = {0};

        SignVerdict v =
                sign_header(in, is_own_header ? rule->form.header : "authorization", &value);
        if (v == SIGN_MALFORMED)
                return sign_say(v, why, "the token's header occurs twice");
        if (v == SIGN_MISSING || !take_prefix(rule, is_own_header, &value))
                return sign_say(SIGN_MISSING, why, "there is no token");
        if (!is_plain(value))
                return sign_say(SIGN_MALFORMED, why, "a token is printable ASCII without blanks");
        *ret = value;
        return SIGN_OK;
}

static SignVerdict bearer_check(const SignRule *rule, const SignInput *in, const char **why) {
        Span value = {0};
        SignVerdict v = sign_token(rule, in, &value, why);

        if (v != SIGN_OK)
                return v;
        if (!is_token(value))
                return sign_say(SIGN_MALFORMED, why, "the token is longer than any of ours");
        if (!sign_is_secret(rule, value))
                return sign_say(SIGN_WRONG, why, "the token is wrong");
        return SIGN_OK;
}

static int bearer_prepare(SignRule *rule, Err *e) {
        int r = sign_secrets_check(rule, TOKEN_MIN_BYTES, e);

        for (size_t i = 0; r == 0 && i < rule->n_secrets; i++)
                if (!is_token(secret_reveal(&rule->secrets[i])))
                        r = FAIL(e, -EINVAL,
                                 "a token is at most %d bytes of printable ASCII without blanks",
                                 TOKEN_MAX_BYTES);
        return r;
}

static const char *const bearer_uses[] = {"header", "prefix", NULL};

const SignScheme sign_bearer = {
        .name = "bearer",
        .help = "A token: Authorization: Bearer, or the header and prefix that are given",
        .needs_secret = true,
        .uses = bearer_uses,
        .prepare = bearer_prepare,
        .check = bearer_check,
        .message_id = sign_no_message_id,
};
