/* SPDX-License-Identifier: Apache-2.0
 *
 * What one signature costs: checks and makes Standard Webhooks messages of 1 KiB and prints the
 * nanoseconds of each, beside OpenSSL's one-shot HMAC() as the measure of the machine.
 *
 *     build/tests/bench/bench_sign_check [rounds] */
#include "base/clock.h"
#include "sign/key.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { BODY_BYTES = 1024, ROUNDS = 200000 };

static const char secret_text[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
static const int64_t timestamp_s = 1614265330;

typedef struct Message {
        Span id, timestamp, signature;
} Message;

static Span get(const void *arg, const char *name, size_t *count) {
        const Message *m = arg;

        *count = 1;
        if (strcmp(name, "webhook-id") == 0)
                return m->id;
        if (strcmp(name, "webhook-timestamp") == 0)
                return m->timestamp;
        if (strcmp(name, "webhook-signature") == 0)
                return m->signature;
        *count = 0;
        return (Span){NULL, 0};
}

static void report(const char *what, int64_t start_us, uint64_t rounds) {
        printf("%-28s %6.0f ns\n", what,
               (double)(clock_mono_us() - start_us) * 1000 / (double)rounds);
}

int main(int argc, char **argv) {
        uint64_t rounds = ROUNDS;
        static unsigned char bytes[BODY_BYTES];
        Span body = span_make(bytes, sizeof bytes);
        AUTO(buf_done)
        Buf made = BUF(100);
        AUTO(secret_done)
        Secret key = {0};
        SignRule rule = {.scheme = sign_scheme_find(SPAN("standard")), .n_secrets = 1};
        const char *why = NULL;
        int64_t start_us;

        if (argc > 1 && (!span_to_u64(span_of(argv[1]), 1000000000, &rounds) || rounds == 0))
                return 2;
        memset(bytes, 'x', sizeof bytes);
        rule.secrets[0] = secret_copy(span_of(secret_text));
        must(rule.scheme->prepare(&rule, NULL) == 0);
        must(sign_standard_key(span_of(secret_text), &key, NULL) == 0);
        must(sign_standard_make(&key, SPAN("msg_1"), timestamp_s, body, &made) == 0);
        const Message message = {SPAN("msg_1"), SPAN("1614265330"), buf_span(&made)};
        const SignInput in = {get, &message, body, timestamp_s * 1000};

        start_us = clock_mono_us();
        for (uint64_t i = 0; i < rounds; i++)
                must(sign_check(&rule, &in, &why) == SIGN_OK);
        report("check", start_us, rounds);

        AUTO(buf_done)
        Buf out = BUF(100);
        start_us = clock_mono_us();
        for (uint64_t i = 0; i < rounds; i++) {
                buf_clear(&out);
                must(sign_standard_make_with(rule.keys[0], SPAN("msg_1"), timestamp_s, body,
                                             &out) == 0);
        }
        report("make, key prepared", start_us, rounds);

        start_us = clock_mono_us();
        for (uint64_t i = 0; i < rounds; i++) {
                buf_clear(&out);
                must(sign_standard_make(&key, SPAN("msg_1"), timestamp_s, body, &out) == 0);
        }
        report("make, key from its bytes", start_us, rounds);

        start_us = clock_mono_us();
        for (uint64_t i = 0; i < rounds; i++) {
                unsigned char mac[SIGN_DIGEST_MAX];

                must(HMAC(EVP_sha256(), key.hidden, (int)key.n, bytes, sizeof bytes, mac, NULL));
        }
        report("OpenSSL's HMAC() alone", start_us, rounds);
        sign_rule_done(&rule);
        return 0;
}
