/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a refusal tell by its time where a signature goes wrong? Takes turns, at random, between a
 * digest that is wrong in its first byte and one that is wrong in its last, and prints Welch's t
 * of the two times; beyond 4.5 either way they differ. Run it on a quiet machine.
 *
 *     build/tests/bench/bench_sign_timing [samples] */
#include "base/random.h"
#include "sign/encoding.h"
#include "sign/key.h"

#include <math.h>
#include <time.h>

enum { SAMPLES = 1000000, CUT_NS = 20000 };

typedef struct Header {
        const char *text;
} Header;

typedef struct Times { /* Welford's running mean and variance */
        double n, mean, squares;
} Times;

static Span get(const void *arg, const char *name, size_t *count) {
        const Header *h = arg;
        bool is_ours = strcmp(name, "x-signature") == 0;

        *count = is_ours;
        return is_ours ? span_of(h->text) : (Span){NULL, 0};
}

static int64_t now_ns(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void times_add(Times *t, double ns) {
        double delta = ns - t->mean;

        t->n++;
        t->mean += delta / t->n;
        t->squares += delta * (ns - t->mean);
}

int main(int argc, char **argv) {
        static const char secret[] = "It's a Secret to Everybody";
        SignRule rule = {.scheme = sign_scheme_find(SPAN("hmac")),
                         .n_secrets = 1,
                         .form.header = "x-signature",
                         .form.prefix = "",
                         .form.encoding = SIGN_BASE64,
                         .form.hash = SIGN_SHA256};
        uint64_t samples = SAMPLES;
        unsigned char mac[SIGN_DIGEST_MAX];
        Span body = SPAN("Hello, World!");
        Buf wrong[2] = {BUF(100), BUF(100)};
        Times times[2] = {0};
        const char *why = NULL;
        Rng rng = {1};

        if (argc > 1 && !span_to_u64(span_of(argv[1]), 1000000000, &samples))
                return 2;
        rule.secrets[0] = secret_copy(span_of(secret));
        must(rule.scheme->prepare(&rule, NULL) == 0);
        sign_key_mac(rule.keys[0], &body, 1, mac);
        for (size_t i = 0; i < 2; i++) {
                size_t at = i == 0 ? 0 : 31;

                mac[at] ^= 1;
                must(base64_print(span_make(mac, 32), &wrong[i]) == 0);
                must(buf_add(&wrong[i], SPAN("\0")) == 0);
                mac[at] ^= 1;
        }
        for (uint64_t i = 0; i < samples; i++) {
                size_t which = rng_below(&rng, 2);
                const Header h = {wrong[which].p};
                const SignInput in = {get, &h, body, 0};
                int64_t start = now_ns();

                must(sign_check(&rule, &in, &why) == SIGN_WRONG);
                int64_t took = now_ns() - start;
                if (took < CUT_NS) /* longer ones tell of the machine */
                        times_add(&times[which], (double)took);
        }
        double spread = times[0].squares / times[0].n / (times[0].n - 1) +
                        times[1].squares / times[1].n / (times[1].n - 1);
        printf("first byte wrong %.1f ns, last byte wrong %.1f ns, t = %.2f\n", times[0].mean,
               times[1].mean, (times[0].mean - times[1].mean) / sqrt(spread));
        for (size_t i = 0; i < 2; i++)
                buf_done(&wrong[i]);
        sign_rule_done(&rule);
        return 0;
}
