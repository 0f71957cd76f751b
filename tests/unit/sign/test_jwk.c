/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/encoding.h"
#include "sign/jwk.h"
#include "sign/jwt.h"
#include "unit.h"

#define P256_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define P256_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define P256   "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\""
#define ED_X   "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ED     "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\""

/* RFC 7515 appendix A.3 and RFC 8037 appendix A.4. */
static const char es256[] =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
        "LmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
        "F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
        "pmWQxfKTUJqPP3-Kg6NU1Q";
static const char eddsa[] =
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGc"
        "vMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

static JwkVerdict verdict(const char *keys, const char *alg, const char *id, const char *token) {
        AUTO(jwk_set_unrefp)
        JwkSet *s = jwk_set_parse(span_of(keys), NULL);
        unsigned char signature[100];
        const char *dot = strrchr(token, '.');
        size_t n = 0;

        assert_non_null(s);
        assert_true(base64url_parse(span_of(dot + 1), signature, sizeof signature, &n));
        return jwk_set_verify(s, span_of(alg), span_of(id), span_make(token, (size_t)(dot - token)),
                              span_make(signature, n));
}

static void the_vectors_of_the_rfcs_verify(void **state) {
        (void)state;
        assert_int_equal(verdict("{" P256 "}", "ES256", NULL, es256), JWK_VERIFIED);
        assert_int_equal(verdict("{" ED "}", "EdDSA", NULL, eddsa), JWK_VERIFIED);
        assert_int_equal(verdict("{\"keys\":[{" ED "},{" P256 "}]}", "ES256", "x", es256),
                         JWK_VERIFIED);
        assert_int_equal(verdict("{" ED "}", "ES256", NULL, es256), JWK_UNKNOWN);
        assert_int_equal(verdict("{" P256 "}", "ES384", NULL, es256), JWK_UNKNOWN);
        assert_int_equal(verdict("{" ED ",\"kid\":\"a\"}", "EdDSA", "a", es256), JWK_NOT_VERIFIED);
        assert_int_equal(verdict("{" ED ",\"kid\":\"a\"}", "EdDSA", "b", eddsa), JWK_UNKNOWN);
        assert_int_equal(verdict("{" ED ",\"alg\":\"ES256\"}", "EdDSA", NULL, eddsa), JWK_UNKNOWN);
        assert_int_equal(verdict("{" ED "}", "HS256", NULL, eddsa), JWK_UNKNOWN);
        assert_int_equal(verdict("{" ED "}", "none", NULL, eddsa), JWK_UNKNOWN);
}

/* Each of these is passed over: how many of the set are left. */
static void what_cannot_verify_is_passed_over(void **state) {
        static const struct {
                const char *key;
                size_t n;
        } cases[] = {
                {P256, 2},
                {P256 ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"d\":\"AQAB\"", 2},
                {P256 ",\"use\":\"enc\"", 1},
                {P256 ",\"use\":1", 1},
                {P256 ",\"key_ops\":[\"sign\"]", 1},
                {P256 ",\"key_ops\":\"verify\"", 1},
                {P256 ",\"kid\":1", 1},
                {P256 ",\"kid\":\"a\",\"kid\":\"b\"", 1},
                {P256 ",\"kty\":\"EC\"", 1},
                {P256 ",\"alg\":\"an algorithm of many letters\"", 1},
                {"\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"", 1},
                {"\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"",
                 1},
                {"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_X "\"", 1},
                {"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\"", 1},
                {"\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED_X "\"", 1},
                {"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"", 1},
                {"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
                 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
                 1},
                {"\"kty\":\"oct\",\"k\":\"" ED_X "\"", 1},
                {"\"kty\":\"RSA\",\"n\":\"" ED_X "\",\"e\":\"AQAB\"", 1},
                {"\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"", 1},
                {"\"kty\":\"rsa\"", 1},
                {"", 1},
        };
        char text[2000];

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                (void)snprintf(text, sizeof text, "{\"keys\":[{%s},1,null,[],{" ED "}]}",
                               cases[i].key);
                AUTO(jwk_set_unrefp)
                JwkSet *s = jwk_set_parse(span_of(text), NULL);

                assert_non_null(s);
                if (jwk_set_size(s) != cases[i].n)
                        fail_msg("%s: %zu keys", cases[i].key, jwk_set_size(s));
        }
}

static void what_is_no_set_is_refused(void **state) {
        static const char *const bad[] = {
                "",
                "[]",
                "{}",
                "{\"keys\":[]}",
                "{\"keys\":{" ED "}}",
                "{\"keys\":[{" ED "}],\"keys\":[]}",
                "{" ED "} x",
                "{" ED,
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                "-----BEGIN PRIVATE KEY-----\n"
                "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                "-----END PRIVATE KEY-----\n",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                Err e = {0};

                assert_null(jwk_set_parse(span_of(bad[i]), &e));
                assert_true(e.text[0]);
        }
}

static void a_set_has_64_keys_at_most(void **state) {
        AUTO(buf_done)
        Buf text = BUF(1 << 20);

        (void)state;
        assert_int_equal(buf_add(&text, SPAN("{\"keys\":[")), 0);
        for (int i = 0; i < 100; i++)
                assert_int_equal(buf_addf(&text, "%s{" ED ",\"kid\":\"%d\"}", i ? "," : "", i), 0);
        assert_int_equal(buf_add(&text, SPAN("]}")), 0);
        AUTO(jwk_set_unrefp)
        JwkSet *s = jwk_set_parse(buf_span(&text), NULL);
        assert_int_equal(jwk_set_size(s), JWK_KEYS_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_vectors_of_the_rfcs_verify),
                cmocka_unit_test(what_cannot_verify_is_passed_over),
                cmocka_unit_test(what_is_no_set_is_refused),
                cmocka_unit_test(a_set_has_64_keys_at_most),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
