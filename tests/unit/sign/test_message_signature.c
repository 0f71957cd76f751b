/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/message_signature.h"
#include "unit.h"

enum { ROOM = 4096 };

/* RFC 9421 appendix B.1.5 and B.1.4, in our spelling: whsec_ and the secret, whsk_ and the seed
 * with its public key. */
static const char shared_secret[] =
        "whsec_uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMt"
        "DQ==";
static const char pair[] =
        "whsk_n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcUmtAuPk//z2JcRL368WCsjLb1yUX0IL+g8+zDdzkPRu"
        "w==";

typedef struct Made {
        Buf input, signature;
} Made;

static Made made_new(void) {
        return (Made){BUF(ROOM), BUF(ROOM)};
}

static void made_done(Made *m) {
        buf_done(&m->input);
        buf_done(&m->signature);
}

static ProfileKey *key_new(const char *secret) {
        ProfileKey *k = profile_key_new(profile_find(SPAN("rfc9421")), span_of(secret), NULL);

        assert_non_null(k);
        return k;
}

static void hmac_as_in_appendix_b_2_5(void **state) {
        const SignComponent components[] = {
                {"date", SPAN("Tue, 20 Apr 2021 02:07:55 GMT")},
                {"@authority", SPAN("example.com")},
                {"content-type", SPAN("application/json")},
        };
        const MessageSignature m = {
                .label = "sig-b25",
                .components = components,
                .n_components = COUNT_OF(components),
                .created_s = 1618884473,
                .keyid = SPAN("test-shared-secret"),
        };
        AUTO(profile_key_freep)
        ProfileKey *k = key_new(shared_secret);
        AUTO(made_done)
        Made got = made_new();

        (void)state;
        assert_int_equal(message_signature_add(&m, k, &got.input, &got.signature, NULL), 0);
        assert_true(span_eq(buf_span(&got.input),
                            SPAN("sig-b25=(\"date\" \"@authority\" \"content-type\");"
                                 "created=1618884473;keyid=\"test-shared-secret\"")));
        assert_true(span_eq(buf_span(&got.signature),
                            SPAN("sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:")));
}

static void ed25519_as_in_appendix_b_2_6(void **state) {
        const SignComponent components[] = {
                {"date", SPAN("Tue, 20 Apr 2021 02:07:55 GMT")},
                {"@method", SPAN("POST")},
                {"@path", SPAN("/foo")},
                {"@authority", SPAN("example.com")},
                {"content-type", SPAN("application/json")},
                {"content-length", SPAN("18")},
        };
        const MessageSignature m = {
                .label = "sig-b26",
                .components = components,
                .n_components = COUNT_OF(components),
                .created_s = 1618884473,
                .keyid = SPAN("test-key-ed25519"),
        };
        AUTO(profile_key_freep)
        ProfileKey *k = key_new(pair);
        AUTO(made_done)
        Made got = made_new();

        (void)state;
        assert_int_equal(message_signature_add(&m, k, &got.input, &got.signature, NULL), 0);
        assert_true(span_eq(buf_span(&got.input),
                            SPAN("sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" "
                                 "\"content-type\" \"content-length\");created=1618884473;"
                                 "keyid=\"test-key-ed25519\"")));
        assert_true(span_eq(buf_span(&got.signature),
                            SPAN("sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9"
                                 "EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:")));
}

static int sign_one(Span value, Span keyid, const char *alg, Made *ret, Err *e) {
        const SignComponent component = {"@path", value};
        const MessageSignature m = {.label = "sig1",
                                    .components = &component,
                                    .n_components = 1,
                                    .created_s = 1,
                                    .keyid = keyid,
                                    .alg = alg};
        AUTO(profile_key_freep)
        ProfileKey *k = key_new(shared_secret);

        return message_signature_add(&m, k, &ret->input, &ret->signature, e);
}

static void members_follow_each_other_after_a_comma(void **state) {
        AUTO(made_done)
        Made once = made_new(), twice = made_new();

        (void)state;
        assert_int_equal(sign_one(SPAN("/"), SPAN("k"), "hmac-sha256", &once, NULL), 0);
        assert_true(span_eq(buf_span(&once.input),
                            SPAN("sig1=(\"@path\");created=1;keyid=\"k\";alg=\"hmac-sha256\"")));
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(sign_one(SPAN("/"), SPAN("k"), "hmac-sha256", &twice, NULL), 0);
        assert_int_equal(twice.input.n, once.input.n * 2 + 2);
        assert_int_equal(twice.signature.n, once.signature.n * 2 + 2);
        assert_true(span_starts(span_from(buf_span(&twice.input), once.input.n), SPAN(", sig1=(")));
        assert_true(
                span_starts(span_from(buf_span(&twice.signature), once.signature.n), SPAN(", ")));
}

/* RFC 9421 section 2.1: blanks around a field's value do not count. */
static void blanks_at_the_ends_are_not_signed(void **state) {
        AUTO(made_done)
        Made plain = made_new(), blank = made_new();

        (void)state;
        assert_int_equal(sign_one(SPAN("a b"), SPAN("k"), NULL, &plain, NULL), 0);
        assert_int_equal(sign_one(SPAN(" \ta b\t "), SPAN("k"), NULL, &blank, NULL), 0);
        assert_true(span_eq(buf_span(&plain.signature), buf_span(&blank.signature)));
}

static void what_would_forge_a_line_is_refused(void **state) {
        static const struct {
                Span value, keyid;
        } bad[] = {
                {SPAN("/\n\"@method\": GET"), SPAN("k")},
                {SPAN("/\r"), SPAN("k")},
                {SPAN("/\0"), SPAN("k")},
                {SPAN("/\x7f"), SPAN("k")},
                {SPAN("/\xc3\xbc"), SPAN("k")},
                {SPAN("/"), SPAN("k\";alg=\"none")},
                {SPAN("/"), SPAN("k\\")},
                {SPAN("/"), SPAN("k\n")},
                {SPAN("/"), SPAN("k\t")},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                AUTO(made_done)
                Made got = made_new();
                Err e = {0};

                assert_int_equal(sign_one(bad[i].value, bad[i].keyid, NULL, &got, &e), -EINVAL);
                assert_true(e.text[0]);
                assert_int_equal(got.input.n + got.signature.n, 0);
        }
}

static void no_room_leaves_both_as_they_were(void **state) {
        (void)state;
        for (size_t room = 0; room < 80; room++) {
                AUTO(made_done)
                Made got = {BUF(room), BUF(ROOM)}, other = {BUF(ROOM), BUF(room)};
                int r = sign_one(SPAN("/"), SPAN("k"), NULL, &got, NULL);

                assert_true(r == 0 || (r == -EMSGSIZE && got.input.n + got.signature.n == 0));
                r = sign_one(SPAN("/"), SPAN("k"), NULL, &other, NULL);
                assert_true(r == 0 || (r == -EMSGSIZE && other.input.n + other.signature.n == 0));
                assert_true(room > 30 || r < 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hmac_as_in_appendix_b_2_5),
                cmocka_unit_test(ed25519_as_in_appendix_b_2_6),
                cmocka_unit_test(members_follow_each_other_after_a_comma),
                cmocka_unit_test(blanks_at_the_ends_are_not_signed),
                cmocka_unit_test(what_would_forge_a_line_is_refused),
                cmocka_unit_test(no_room_leaves_both_as_they_were),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
