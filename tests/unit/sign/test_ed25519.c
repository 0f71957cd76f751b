/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/ed25519.h"
#include "sign/encoding.h"
#include "unit.h"

/* RFC 8032 section 7.1, tests 1 to 3. */
static const struct {
        const char *seed, *point, *message, *signature;
} vectors[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "c"
         "f9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0"
         "f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "8"
         "4dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

typedef struct Bytes {
        unsigned char p[64];
        size_t n;
} Bytes;

static Bytes bytes_of(const char *hex) {
        Bytes b = {.n = 0};

        assert_true(hex_parse(span_of(hex), b.p, sizeof b.p, &b.n));
        return b;
}

static Span span_bytes(const Bytes *b) {
        return span_make(b->p, b->n);
}

static Ed25519Key *private_of(size_t i) {
        Bytes seed = bytes_of(vectors[i].seed);
        Ed25519Key *k = ed25519_new_private(span_bytes(&seed), NULL);

        assert_non_null(k);
        return k;
}

static Ed25519Key *public_of(size_t i) {
        Bytes point = bytes_of(vectors[i].point);
        Ed25519Key *k = ed25519_new_public(span_bytes(&point), NULL);

        assert_non_null(k);
        return k;
}

static void signatures_are_those_of_the_standard(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT_OF(vectors); i++) {
                AUTO(ed25519_freep)
                Ed25519Key *own = private_of(i), *public = public_of(i);
                Bytes message = bytes_of(vectors[i].message), point = bytes_of(vectors[i].point),
                      want = bytes_of(vectors[i].signature);
                unsigned char made[ED25519_SIGNATURE_BYTES], told[ED25519_PUBLIC_BYTES];
                Span whole = span_bytes(&message);
                const Span parts[] = {
                        {whole.p, whole.n / 2}, {NULL, 0}, span_from(whole, whole.n / 2)};

                assert_int_equal(ed25519_sign(own, &whole, 1, made), 0);
                assert_memory_equal(made, want.p, sizeof made);
                assert_int_equal(ed25519_sign(own, parts, COUNT_OF(parts), made), 0);
                assert_memory_equal(made, want.p, sizeof made);
                ed25519_public(own, told);
                assert_memory_equal(told, point.p, sizeof told);
                assert_int_equal(ed25519_verify(public, &whole, 1, want.p), 0);
                assert_int_equal(ed25519_verify(public, parts, COUNT_OF(parts), want.p), 0);
                assert_int_equal(ed25519_verify(own, &whole, 1, want.p), 0);
        }
}

static void every_bit_counts(void **state) {
        AUTO(ed25519_freep)
        Ed25519Key *public = public_of(2), *another = public_of(1);
        Bytes message = bytes_of(vectors[2].message), signature = bytes_of(vectors[2].signature);
        Span whole = span_bytes(&message);

        (void)state;
        for (size_t bit = 0; bit < signature.n * 8; bit++) {
                signature.p[bit / 8] ^= (unsigned char)(1u << bit % 8);
                assert_int_equal(ed25519_verify(public, &whole, 1, signature.p), -EKEYREJECTED);
                signature.p[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < message.n * 8; bit++) {
                message.p[bit / 8] ^= (unsigned char)(1u << bit % 8);
                assert_int_equal(ed25519_verify(public, &whole, 1, signature.p), -EKEYREJECTED);
                message.p[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        assert_int_equal(ed25519_verify(another, &whole, 1, signature.p), -EKEYREJECTED);
        assert_int_equal(ed25519_verify(public, NULL, 0, signature.p), -EKEYREJECTED);
        assert_int_equal(ed25519_verify(public, &whole, 1, signature.p), 0);
}

/* Under the neutral point any message has the signature (neutral point, 0): a placeholder of a
 * key must not verify the world. */
static void keys_that_would_verify_anything_are_refused(void **state) {
        static const char *const points[] = {
                "0000000000000000000000000000000000000000000000000000000000000000",
                "0000000000000000000000000000000000000000000000000000000000000080",
                "0100000000000000000000000000000000000000000000000000000000000000",
                "0100000000000000000000000000000000000000000000000000000000000080",
                "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(points); i++) {
                Bytes point = bytes_of(points[i]);
                Err e = {0};

                assert_null(ed25519_new_public(span_bytes(&point), &e));
                assert_non_null(strstr(e.text, "anybody could sign"));
        }
}

static void keys_have_32_bytes(void **state) {
        static const unsigned char bytes[33] = {9};
        static const size_t lengths[] = {0, 1, 31, 33};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(lengths); i++) {
                Err e = {0}, f = {0};

                assert_null(ed25519_new_private(span_make(bytes, lengths[i]), &e));
                assert_non_null(strstr(e.text, "32 bytes"));
                assert_null(ed25519_new_public(span_make(bytes, lengths[i]), &f));
                assert_non_null(strstr(f.text, "32 bytes"));
        }
        assert_null(ed25519_free(NULL));
}

static void a_message_may_be_long(void **state) {
        enum { LONG = 1 << 20 };
        AUTO(freep)
        char *bytes = must_alloc(LONG);
        AUTO(ed25519_freep)
        Ed25519Key *k = private_of(0);
        const Span parts[] = {SPAN("a."), span_make(bytes, LONG)};
        unsigned char made[ED25519_SIGNATURE_BYTES];

        (void)state;
        assert_int_equal(ed25519_sign(k, parts, COUNT_OF(parts), made), 0);
        assert_int_equal(ed25519_verify(k, parts, COUNT_OF(parts), made), 0);
        bytes[LONG - 1] ^= 1;
        assert_int_equal(ed25519_verify(k, parts, COUNT_OF(parts), made), -EKEYREJECTED);
        const Span too_long[] = {{bytes, SIZE_MAX}, {bytes, 1}};
        assert_int_equal(ed25519_sign(k, too_long, COUNT_OF(too_long), made), -ENOMEM);
        assert_int_equal(ed25519_verify(k, too_long, COUNT_OF(too_long), made), -ENOMEM);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(signatures_are_those_of_the_standard),
                cmocka_unit_test(every_bit_counts),
                cmocka_unit_test(keys_that_would_verify_anything_are_refused),
                cmocka_unit_test(keys_have_32_bytes),
                cmocka_unit_test(a_message_may_be_long),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
