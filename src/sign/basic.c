/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP Basic (RFC 7617): a user name and one of several live passwords. It proves who sent, not
 * what: without TLS anyone on the way can read and alter both. */
#include "sign/encoding.h"
#include "sign/scheme.h"

enum { PASSWORD_MIN_BYTES = 8, CREDENTIALS_MAX_BYTES = 512 };

/* Takes the scheme's name and the blanks after it off; false when it is another scheme. */
static bool take_scheme(Span *value) {
        Span name = SPAN("basic");

        if (value->n <= name.n || value->p[name.n] != ' ' ||
            !span_eq_nocase((Span){value->p, name.n}, name))
                return false;
        *value = span_trim(span_from(*value, name.n), " ");
        return true;
}

static bool is_known(const SignRule *rule, Span credentials, size_t colon) {
        Span user = {credentials.p, colon}, password = span_from(credentials, colon + 1);
        bool is_user = span_eq_secret(user, span_of(rule->user));
        bool is_password = sign_is_secret(rule, password);

        return is_user & is_password; /* both always, so that time tells not which */
}

static SignVerdict basic_check(const SignRule *rule, const SignInput *in, const char **why) {
        unsigned char plain[CREDENTIALS_MAX_BYTES];
        Span value = {0};
        size_t n = 0;

        SignVerdict v = sign_header(in, "authorization", &value);
        if (v == SIGN_MALFORMED)
                return sign_say(v, why, "the header authorization occurs twice");
        if (v == SIGN_MISSING || !take_scheme(&value))
                return sign_say(SIGN_MISSING, why, "there are no Basic credentials");
        if (!base64_parse(value, BASE64_PADDED, plain, sizeof plain, &n)) {
                explicit_bzero(plain, sizeof plain);
                return sign_say(SIGN_MALFORMED, why, "the credentials are no base64, or too long");
        }
        Span credentials = span_make(plain, n);
        size_t colon = span_find(credentials, ':');
        bool is_pair = colon < n;
        bool is_right = is_pair && is_known(rule, credentials, colon);
        explicit_bzero(plain, sizeof plain);
        if (!is_pair)
                return sign_say(SIGN_MALFORMED, why, "the credentials are no user:password");
        if (!is_right)
                return sign_say(SIGN_WRONG, why, "user or password is wrong");
        return SIGN_OK;
}

static int basic_prepare(SignRule *rule, Err *e) {
        Span user = span_of(rule->user);
        int r = sign_secrets_check(rule, PASSWORD_MIN_BYTES, e);

        if (r < 0)
                return r;
        if (user.n == 0)
                return FAIL(e, -EINVAL, "scheme basic needs a user");
        if (span_find(user, ':') < user.n)
                return FAIL(e, -EINVAL, "a user name of scheme basic holds no colon");
        for (size_t i = 0; i < rule->n_secrets; i++)
                if (user.n + 1 + rule->secrets[i].n > CREDENTIALS_MAX_BYTES)
                        return FAIL(e, -EINVAL, "user and password are longer than %d bytes",
                                    CREDENTIALS_MAX_BYTES - 1);
        return 0;
}

static const char *const basic_uses[] = {"user", NULL};

const SignScheme sign_basic = {
        .name = "basic",
        .help = "HTTP Basic credentials: user, and the password as the secret",
        .needs_secret = true,
        .uses = basic_uses,
        .prepare = basic_prepare,
        .check = basic_check,
        .message_id = sign_no_message_id,
};
