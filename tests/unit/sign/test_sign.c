/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/encoding.h"
#include "sign/key.h"
#include "sign/profile.h"
#include "unit.h"

#include <pthread.h>

typedef struct Headers {
        const char *name[4], *value[4];
} Headers;

static Span get(const void *arg, const char *name, size_t *count) {
        const Headers *h = arg;
        Span found = {NULL, 0};

        *count = 0;
        for (size_t i = 0; i < COUNT_OF(h->name) && h->name[i]; i++)
                if (strcmp(h->name[i], name) == 0) {
                        found = span_of(h->value[i]);
                        ++*count;
                }
        return found;
}

static const char secret_text[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
static const char public_text[] = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
static const char pair_text[] = /* from the manual of Svix, its public half is the one above */
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kv"
        "g==";
static const char message_id[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
static const int64_t message_s = 1614265330;
static const char message_body[] = "{\"test\": 2432232314}";
static const char message_signature[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

static SignRule rule_new(const char *scheme, const char *secret) {
        SignRule rule = {.scheme = sign_scheme_find(span_of(scheme))};

        assert_non_null(rule.scheme);
        if (secret)
                rule.secrets[rule.n_secrets++] = secret_copy(span_of(secret));
        return rule;
}

static SignVerdict check(const SignRule *rule, const char *signature, const char *body) {
        const Headers h = {{"webhook-id", "webhook-timestamp", "webhook-signature"},
                           {message_id, "1614265330", signature}};
        const SignInput in = {get, &h, span_of(body), message_s * 1000};
        const char *why = NULL;

        return sign_check(rule, &in, &why);
}

static void what_we_make_is_the_vector_and_passes(void **state) {
        AUTO(buf_done)
        Buf out = BUF(60);
        AUTO(secret_done)
        Secret key = {0};
        Span id = span_of(message_id), body = span_of(message_body);

        (void)state;
        assert_int_equal(sign_standard_key(span_of(secret_text), &key, NULL), 0);
        assert_int_equal(sign_standard_make(&key, id, message_s, body, &out), 0);
        assert_true(span_eq(buf_span(&out), span_of(message_signature)));

        AUTO(sign_key_freep)
        SignKey *ready = sign_key_new(SIGN_SHA256, secret_reveal(&key), NULL);
        assert_int_equal(sign_standard_make_with(ready, id, message_s, body, &out), -EMSGSIZE);
        assert_int_equal(out.n, sizeof message_signature - 1);
        buf_clear(&out);
        assert_int_equal(sign_standard_make_with(ready, id, message_s, body, &out), 0);
        assert_true(span_eq(buf_span(&out), span_of(message_signature)));
        assert_int_equal(sign_standard_make_with(ready, SPAN("a.b"), 1, body, &out), -EINVAL);
        assert_int_equal(sign_standard_make_with(ready, SPAN(""), 1, body, &out), -EINVAL);
        assert_int_equal(sign_standard_make_with(ready, id, -1, body, &out), -EINVAL);
}

static void a_standard_secret_has_24_to_75_bytes(void **state) {
        static const char *const bad[] = {
                "",
                "whsec_",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",   /* 22 bytes and bits left over */
                "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",   /* 23 */
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",    /* cut short */
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=",  /* too much padding */
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La LaSw",  /* a blank */
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", /* a line end */
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",   /* another alphabet */
                "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        };
        Secret key = {0};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                Err e = {0};

                assert_int_equal(sign_standard_key(span_of(bad[i]), &key, &e), -EINVAL);
                assert_int_equal(e.code, -EINVAL);
                assert_null(key.hidden);
                /* The sentence goes to logs: nothing of the secret may. */
                assert_null(strstr(e.text, "MfKQ"));
        }
        assert_int_equal(sign_standard_key(span_of(secret_text + 6), &key, NULL), 0);
        assert_int_equal(key.n, 24);
        secret_done(&key);
        for (size_t n = 20; n <= 80; n++) {
                static const unsigned char bytes[80] = {1};
                AUTO(buf_done)
                Buf text = BUF(200);
                int r = buf_add(&text, SPAN("whsec_"));

                assert_int_equal(r, 0);
                assert_int_equal(base64_print(span_make(bytes, n), &text), 0);
                r = sign_standard_key(buf_span(&text), &key, NULL);
                assert_int_equal(r, n >= 24 && n <= 75 ? 0 : -EINVAL);
                assert_int_equal(key.n, r == 0 ? n : 0);
                secret_done(&key);
        }
}

/* What must never happen: a rule that is not whole lets something pass (S-20). */
static void a_rule_that_is_not_whole_refuses_everything(void **state) {
        static const char *const schemes[] = {"standard", "hmac", "basic", "bearer"};
        const Headers h = {
                {"webhook-id", "webhook-timestamp", "webhook-signature", "authorization"},
                {message_id, "1614265330", message_signature, "Basic Og=="}};
        const Headers empty_bearer = {{"authorization"}, {"Bearer "}};
        const SignInput in = {get, &h, span_of(message_body), message_s * 1000};
        const SignInput bearer = {get, &empty_bearer, span_of(""), 0};
        const char *why = NULL;

        (void)state;
        SignRule nothing = {0};
        assert_int_equal(sign_check(&nothing, &in, &why), SIGN_WRONG);
        for (size_t i = 0; i < COUNT_OF(schemes); i++) {
                SignRule rule = rule_new(schemes[i], NULL), hollow = rule_new(schemes[i], "");
                Err e = {0}, f = {0};

                assert_true(rule.scheme->needs_secret);
                assert_int_equal(rule.scheme->prepare(&rule, &e), -EINVAL);
                assert_non_null(strstr(e.text, "needs a secret"));
                assert_int_equal(hollow.scheme->prepare(&hollow, &f), -EINVAL);
                rule.window_ms = hollow.window_ms = SIGN_WINDOW_DEFAULT_MS;
                rule.form.header = hollow.form.header = "webhook-signature";
                assert_int_not_equal(sign_check(&rule, &in, &why), SIGN_OK);
                assert_int_not_equal(sign_check(&hollow, &in, &why), SIGN_OK);
                rule.form.header = hollow.form.header = NULL;
                assert_int_not_equal(sign_check(&rule, &bearer, &why), SIGN_OK);
                assert_int_not_equal(sign_check(&hollow, &bearer, &why), SIGN_OK);
                sign_rule_done(&rule);
                sign_rule_done(&hollow);
        }
        assert_null(sign_scheme_find(SPAN("")));
        assert_null(sign_scheme_find(SPAN("Standard")));
}

static void assert_unfit(SignRule rule, const char *word) {
        Err e = {0};

        assert_int_equal(rule.scheme->prepare(&rule, &e), -EINVAL);
        if (!strstr(e.text, word))
                fail_msg("\"%s\" says nothing of \"%s\"", e.text, word);
        sign_rule_done(&rule);
}

static void rules_are_checked_before_they_are_used(void **state) {
        SignRule r;

        (void)state;
        assert_unfit(rule_new("standard", "whsec_c2hvcnQ="), "secret 1: the secret holds 5 bytes");
        assert_unfit(rule_new("standard", pair_text), "whpk_");
        assert_unfit(rule_new("standard", "whpk_"), "base64 of 32 bytes");
        assert_unfit(rule_new("standard", "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                     "anybody could sign");
        assert_unfit(rule_new("standard", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOig=="),
                     "secret 1: after whpk_ stands base64 of 32 bytes");
        assert_unfit(rule_new("standard", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir7-"),
                     "base64 of 32 bytes");
        r = rule_new("standard", secret_text);
        r.window_ms = -1;
        assert_unfit(r, "window");
        r = rule_new("standard", secret_text);
        r.window_ms = INT64_MAX;
        assert_unfit(r, "window");
        assert_unfit(rule_new("hmac", "It's a Secret to Everybody"), "header");
        r = rule_new("hmac", "fifteen bytes..");
        r.form.header = "x-signature";
        assert_unfit(r, "at least 16");
        assert_unfit(rule_new("basic", "open sesame"), "user");
        r = rule_new("basic", "open sesame");
        r.user = "ala:ddin";
        assert_unfit(r, "colon");
        r = rule_new("basic", "1234567");
        r.user = "aladdin";
        assert_unfit(r, "at least 8");
        assert_unfit(rule_new("bearer", "a token with blanks"), "blanks");
        assert_unfit(rule_new("bearer", "tooshort"), "at least 16");
        assert_unfit(rule_new("none", "a secret for nothing"), "none");

        r = rule_new("standard", secret_text);
        assert_int_equal(r.scheme->prepare(&r, NULL), 0);
        assert_true(r.window_ms == SIGN_WINDOW_DEFAULT_MS);
        assert_int_equal(r.scheme->prepare(&r, NULL), 0); /* twice is harmless */
        assert_int_equal(check(&r, message_signature, message_body), SIGN_OK);
        sign_rule_done(&r);
        assert_null(r.keys[0]);
        assert_null(r.secrets[0].hidden);

        r = rule_new("standard", public_text);
        assert_int_equal(r.scheme->prepare(&r, NULL), 0);
        assert_int_equal(r.scheme->prepare(&r, NULL), 0);
        sign_rule_done(&r);
        assert_null(r.public_keys[0]);
}

/* What the profile makes the scheme takes, and only that (S-25: no downgrade, no mixing up). */
static void what_is_signed_by_ed25519_passes_under_its_public_key(void **state) {
        AUTO(profile_key_freep)
        ProfileKey *pair = profile_key_new(profile_find(SPAN("standard")), span_of(pair_text),
                                           NULL),
                   *plain = profile_key_new(profile_find(SPAN("standard")), span_of(secret_text),
                                            NULL);
        Signer s = {profile_find(SPAN("standard")), {pair, plain}, 2, false};
        const SignMessage m = {.id = span_of(message_id),
                               .time_ms = message_s * 1000,
                               .body = span_of(message_body)};
        AUTO(arena_freep)
        Arena *a = arena_new(4096);
        SignHeaders h = {.n = 0};
        static const char *const secrets[] = {public_text, secret_text};

        (void)state;
        assert_int_equal(profile_sign(&s, &m, a, &h, NULL), 0);
        assert_string_equal(h.at[2].name, "webhook-signature");
        for (size_t i = 0; i < COUNT_OF(secrets); i++) {
                SignRule r = rule_new("standard", secrets[i]);

                assert_int_equal(r.scheme->prepare(&r, NULL), 0);
                assert_int_equal(check(&r, h.at[2].value.p, message_body), SIGN_OK);
                assert_int_equal(check(&r, h.at[2].value.p, "{}"), SIGN_WRONG);
                assert_int_equal(check(&r, h.at[2].value.p + 1, message_body),
                                 i == 0 ? SIGN_WRONG : SIGN_OK);
                sign_rule_done(&r);
        }
}

/* Every single part of a digest must count: no prefix of it, no byte of it altered (S-21). */
static void every_byte_of_a_signature_counts(void **state) {
        SignRule r = rule_new("standard", secret_text);
        unsigned char digest[33];
        size_t n = 0;

        (void)state;
        assert_int_equal(r.scheme->prepare(&r, NULL), 0);
        assert_true(base64_parse(span_of(message_signature + 3), BASE64_PADDED, digest,
                                 sizeof digest, &n));
        assert_int_equal(n, 32);
        digest[32] = 0;
        for (size_t i = 0; i < 33; i++) {
                AUTO(buf_done)
                Buf cut = BUF(100);

                assert_int_equal(buf_add(&cut, SPAN("v1,")), 0);
                assert_int_equal(base64_print(span_make(digest, i == 32 ? 33 : i), &cut), 0);
                assert_int_equal(buf_add(&cut, SPAN("\0")), 0);
                assert_int_equal(check(&r, cut.p, message_body), SIGN_MALFORMED);
        }
        for (size_t bit = 0; bit < 256; bit++) {
                AUTO(buf_done)
                Buf altered = BUF(100);

                digest[bit / 8] ^= (unsigned char)(1u << bit % 8);
                assert_int_equal(buf_add(&altered, SPAN("v1,")), 0);
                assert_int_equal(base64_print(span_make(digest, 32), &altered), 0);
                assert_int_equal(buf_add(&altered, SPAN("\0")), 0);
                assert_int_equal(check(&r, altered.p, message_body), SIGN_WRONG);
                digest[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        assert_int_equal(check(&r, message_signature, message_body), SIGN_OK);
        sign_rule_done(&r);
}

static void a_thousand_signatures_are_refused(void **state) {
        SignRule r = rule_new("standard", secret_text);
        AUTO(buf_done)
        Buf list = BUF(100000);

        (void)state;
        assert_int_equal(r.scheme->prepare(&r, NULL), 0);
        for (size_t i = 0; i < 1000; i++)
                assert_int_equal(buf_addf(&list, "%s ", message_signature), 0);
        assert_int_equal(buf_add(&list, SPAN("\0")), 0);
        assert_int_equal(check(&r, list.p, message_body), SIGN_MALFORMED);
        sign_rule_done(&r);
}

/* S-26: while two secrets live both pass; when the older leaves the rule, it ends. */
static void secrets_change_hands(void **state) {
        static const char older[] = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        AUTO(secret_done)
        Secret old_key = {0}, new_key = {0};
        AUTO(buf_done)
        Buf both = BUF(200), old_only = BUF(100);
        Span id = span_of(message_id), body = span_of(message_body);

        (void)state;
        assert_int_equal(sign_standard_key(span_of(older), &old_key, NULL), 0);
        assert_int_equal(sign_standard_key(span_of(secret_text), &new_key, NULL), 0);
        assert_int_equal(sign_standard_make(&old_key, id, message_s, body, &old_only), 0);
        assert_int_equal(sign_standard_make(&old_key, id, message_s, body, &both), 0);
        assert_int_equal(buf_add(&both, SPAN(" ")), 0);
        assert_int_equal(sign_standard_make(&new_key, id, message_s, body, &both), 0);
        assert_int_equal(buf_add(&both, SPAN("\0")), 0);
        assert_int_equal(buf_add(&old_only, SPAN("\0")), 0);

        SignRule during = rule_new("standard", secret_text),
                 after = rule_new("standard", secret_text);
        during.secrets[during.n_secrets++] = secret_copy(span_of(older));
        assert_int_equal(during.scheme->prepare(&during, NULL), 0);
        assert_int_equal(after.scheme->prepare(&after, NULL), 0);
        assert_int_equal(check(&during, old_only.p, message_body), SIGN_OK);
        assert_int_equal(check(&during, both.p, message_body), SIGN_OK);
        assert_int_equal(check(&after, both.p, message_body), SIGN_OK);
        assert_int_equal(check(&after, old_only.p, message_body), SIGN_WRONG);
        sign_rule_done(&during);
        sign_rule_done(&after);
}

/* The delivery's key must be the id that was signed, whichever names the message bears. */
static void the_message_id_is_the_one_that_was_signed(void **state) {
        const SignScheme *standard = sign_scheme_find(SPAN("standard"));
        const Headers webhook = {{"webhook-id"}, {"msg_1"}}, svix = {{"svix-id"}, {"msg_2"}};
        const Headers both = {{"svix-id", "webhook-id"}, {"msg_2", "msg_1"}};
        const Headers mixed = {{"svix-id", "webhook-signature"}, {"msg_2", "v1,"}};
        const Headers twice = {{"webhook-id", "webhook-id"}, {"msg_1", "msg_1"}};
        const Headers dotted = {{"webhook-id"}, {"msg.1"}};
        SignInput in = {.get = get};

        const SignRule rule = {0};

        (void)state;
        in.arg = &webhook;
        assert_true(span_eq(standard->message_id(&rule, &in), SPAN("msg_1")));
        in.arg = &svix;
        assert_true(span_eq(standard->message_id(&rule, &in), SPAN("msg_2")));
        in.arg = &both;
        assert_true(span_eq(standard->message_id(&rule, &in), SPAN("msg_1")));
        const Headers *const none[] = {&mixed, &twice, &dotted};
        for (size_t i = 0; i < COUNT_OF(none); i++) {
                in.arg = none[i];
                assert_null(standard->message_id(&rule, &in).p);
        }
        in.arg = &webhook;
        assert_null(sign_scheme_find(SPAN("hmac"))->message_id(&rule, &in).p);
}

static void *check_often(void *arg) {
        size_t wrong = 0;

        for (size_t i = 0; i < 2000; i++) {
                wrong += check(arg, message_signature, message_body) != SIGN_OK;
                wrong += check(arg, message_signature, "{}") != SIGN_WRONG;
        }
        return wrong ? arg : NULL;
}

static void one_rule_serves_several_threads(void **state) {
        SignRule r = rule_new("standard", secret_text);
        pthread_t threads[4];

        (void)state;
        assert_int_equal(r.scheme->prepare(&r, NULL), 0);
        for (size_t i = 0; i < COUNT_OF(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, check_often, &r), 0);
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
                void *failed = NULL;

                assert_int_equal(pthread_join(threads[i], &failed), 0);
                assert_null(failed);
        }
        sign_rule_done(&r);
}

/* RFC 4648 section 10, and RFC 4231 cases 1, 2 and 6 for the MACs. */
static void base64_and_hex_are_read_to_the_letter(void **state) {
        static const struct {
                const char *plain, *coded;
        } good[] = {{"", ""},
                    {"f", "Zg=="},
                    {"fo", "Zm8="},
                    {"foo", "Zm9v"},
                    {"foob", "Zm9vYg=="},
                    {"fooba", "Zm9vYmE="},
                    {"foobar", "Zm9vYmFy"}};
        static const char *const bad[] = {"Z",     "Zg",   "Zg=",  "Zh==",  "Zm9=",     "Zg==Zg==",
                                          "=",     "==",   "====", "Zg===", "Zm8=\n",   " Zm8=",
                                          "Zm8\t", "Zm-_", "Z=g=", "Zm9v=", "Zm9v====", "A==="};
        static const char *const bad_bare[] = {"Z", "Zg=", "Zh", "Zm9", "Zm8==", "Z g"};
        unsigned char bytes[8];
        size_t n;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(good); i++) {
                AUTO(buf_done)
                Buf b = BUF(20);
                Span plain = span_of(good[i].plain), coded = span_of(good[i].coded);

                assert_int_equal(base64_print(plain, &b), 0);
                assert_true(span_eq(buf_span(&b), coded));
                assert_true(base64_parse(coded, BASE64_PADDED, bytes, sizeof bytes, &n));
                assert_true(span_eq(span_make(bytes, n), plain));
                while (coded.n && coded.p[coded.n - 1] == '=')
                        coded.n--;
                assert_true(base64_parse(coded, BASE64_EITHER, bytes, plain.n, &n));
                assert_true(span_eq(span_make(bytes, n), plain));
                if (plain.n > 0)
                        assert_false(base64_parse(coded, BASE64_EITHER, bytes, plain.n - 1, &n));
        }
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_false(base64_parse(span_of(bad[i]), BASE64_PADDED, bytes, sizeof bytes, &n));
        for (size_t i = 0; i < COUNT_OF(bad_bare); i++)
                assert_false(
                        base64_parse(span_of(bad_bare[i]), BASE64_EITHER, bytes, sizeof bytes, &n));
        AUTO(buf_done)
        Buf hex = BUF(8);
        assert_int_equal(hex_print(SPAN("\x00\xff\xab\x09"), &hex), 0);
        assert_true(span_eq(buf_span(&hex), SPAN("00ffab09")));
        assert_int_equal(hex_print(SPAN("\x00"), &hex), -EMSGSIZE);
        assert_int_equal(hex_print(SPAN(""), &hex), 0);
        assert_int_equal(hex.n, 8);
        assert_true(hex_parse(SPAN("00fFAb09"), bytes, 4, &n));
        assert_int_equal(n, 4);
        assert_memory_equal(bytes, "\x00\xff\xab\x09", 4);
        assert_false(hex_parse(SPAN("00fFAb09"), bytes, 3, &n));
        assert_false(hex_parse(SPAN("0"), bytes, 8, &n));
        assert_false(hex_parse(SPAN("0g"), bytes, 8, &n));
        assert_false(hex_parse(SPAN("0x12"), bytes, 8, &n));
}

static void assert_mac(SignHash hash, Span key, Span message, const char *hex) {
        unsigned char want[SIGN_DIGEST_MAX], mac[SIGN_DIGEST_MAX];
        const Span halves[] = {{message.p, message.n / 2}, span_from(message, message.n / 2)};
        size_t n = 0;
        AUTO(sign_key_freep)
        SignKey *k = sign_key_new(hash, key, NULL);

        assert_true(hex_parse(span_of(hex), want, sizeof want, &n));
        assert_int_equal(n, sign_key_digest_bytes(k));
        sign_key_mac(k, &message, 1, mac);
        assert_memory_equal(mac, want, n);
        sign_key_mac(k, halves, 2, mac);
        assert_memory_equal(mac, want, n);
}

static void macs_are_those_of_the_standards(void **state) {
        unsigned char long_key[131];

        (void)state;
        memset(long_key, 0xaa, sizeof long_key);
        assert_mac(SIGN_SHA256, SPAN("Jefe"), SPAN("what do ya want for nothing?"),
                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_mac(SIGN_SHA512, SPAN("Jefe"), SPAN("what do ya want for nothing?"),
                   "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                   "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
        assert_mac(SIGN_SHA1, SPAN("Jefe"), SPAN("what do ya want for nothing?"),
                   "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_mac(SIGN_SHA256, span_make(long_key, sizeof long_key),
                   SPAN("Test Using Larger Than Block-Size Key - Hash Key First"),
                   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        assert_null(sign_key_new(SIGN_SHA256, SPAN(""), NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_we_make_is_the_vector_and_passes),
                cmocka_unit_test(a_standard_secret_has_24_to_75_bytes),
                cmocka_unit_test(a_rule_that_is_not_whole_refuses_everything),
                cmocka_unit_test(rules_are_checked_before_they_are_used),
                cmocka_unit_test(what_is_signed_by_ed25519_passes_under_its_public_key),
                cmocka_unit_test(every_byte_of_a_signature_counts),
                cmocka_unit_test(a_thousand_signatures_are_refused),
                cmocka_unit_test(secrets_change_hands),
                cmocka_unit_test(the_message_id_is_the_one_that_was_signed),
                cmocka_unit_test(one_rule_serves_several_threads),
                cmocka_unit_test(base64_and_hex_are_read_to_the_letter),
                cmocka_unit_test(macs_are_those_of_the_standards),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
