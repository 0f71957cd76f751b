/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens, key sets and secrets in bodies, as strangers may write them. One input: a byte that picks
 * what it is, then the text; for tokens, header and claims in plain, divided by a line end, so that
 * the fuzzer need not learn base64. Promises: nobody passes without the key, every refusal says
 * why, and no set that is accepted is empty. */
#include "sign/jwt.h"
#include "base/random.h"
#include "sign/encoding.h"
#include "sign/jwk.h"

enum { TOKEN, PLAIN_TOKEN, KEYS, MEMBER, KINDS };

static const char keys[] =
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\","
        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},{\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static Span get(const void *arg, const char *name, size_t *count) {
        (void)name;
        *count = 1;
        return *(const Span *)arg;
}

static int add64(Buf *out, Span bytes) {
        size_t from = out->n;
        int r = base64_print(bytes, out);

        while (r == 0 && out->n > from && out->p[out->n - 1] == '=')
                out->n--;
        for (size_t i = from; i < out->n; i++)
                out->p[i] = out->p[i] == '+' ? '-' : out->p[i] == '/' ? '_' : out->p[i];
        return r;
}

static void judge(SignRule *rule, const SignInput *in) {
        const char *why = NULL;

        must(rule->scheme->prepare(rule, NULL) == 0);
        must(sign_check(rule, in, &why) != SIGN_OK && why && why[0]);
        sign_rule_done(rule);
}

static void judge_token(Span token) {
        static const char *values[] = {"2.0"};
        static const SignClaim claim = {"ver", values, 1};
        SignInput in = {.get = get, .arg = &token, .now_ms = 1800000000000};
        SignRule open = {.scheme = sign_scheme_find(SPAN("jwt")),
                         .form = {.header = "x-token"},
                         .jwt = {.keys = keys, .audience = "us", .claims = &claim, .n_claims = 1}};
        SignRule hidden = {.scheme = open.scheme, .form = {.header = "x-token"}};
        unsigned char random[32];

        random_bytes(random, sizeof random);
        hidden.secrets[hidden.n_secrets++] = secret_copy(span_make(random, sizeof random));
        judge(&open, &in);
        judge(&hidden, &in);
}

static void judge_plain(Span text) {
        AUTO(buf_done)
        Buf token = BUF(1 << 20);
        size_t line = span_find(text, '\n');

        if (text.n > 100000)
                return;
        must(add64(&token, (Span){text.p, line}) == 0 && buf_add_char(&token, '.') == 0 &&
             add64(&token, span_from(text, line + 1)) == 0);
        /* A signature of 64 bytes, as ed25519 and P-256 have it. */
        must(buf_add_char(&token, '.') == 0);
        for (int i = 0; i < 86; i++)
                must(buf_add_char(&token, i == 85 ? 'A' : 'B') == 0);
        judge_token(buf_span(&token));
}

static void judge_keys(Span text) {
        Err e = {0};
        JwkSet *s = jwk_set_parse(text, &e);

        must(s ? jwk_set_size(s) > 0 && jwk_set_size(s) <= JWK_KEYS_MAX : e.text[0]);
        if (s)
                must(jwk_set_verify(s, SPAN("EdDSA"), SPAN("a"), text, span_make(keys, 64)) !=
                     JWK_VERIFIED);
        jwk_set_unref(s);
}

static void judge_member(Span text) {
        unsigned char random[32];
        SignRule rule = {.scheme = sign_scheme_find(SPAN("member")),
                         .path = ".value[].clientState"};
        SignInput in = {.get = get, .arg = &text, .body = text};

        random_bytes(random, sizeof random);
        rule.secrets[rule.n_secrets++] = secret_copy(span_make(random, sizeof random));
        judge(&rule, &in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span text = span_from((Span){(const char *)data, size}, 1);

        switch (size ? data[0] % KINDS : KINDS) {
        case TOKEN:
                judge_token(text);
                break;
        case PLAIN_TOKEN:
                judge_plain(text);
                break;
        case KEYS:
                judge_keys(text);
                break;
        case MEMBER:
                judge_member(text);
                break;
        default:
                break;
        }
        return 0;
}
