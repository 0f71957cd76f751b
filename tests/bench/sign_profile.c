/* SPDX-License-Identifier: Apache-2.0
 *
 * What it costs to sign one delivery: for each profile and kind of key the microseconds from a
 * message of 1 KiB to its headers, with one and with two live keys, beside one prepared HMAC over
 * the same body as the measure of the machine.
 *
 *     build/tests/bench/bench_sign_profile [rounds] */
#include "base/clock.h"
#include "sign/key.h"
#include "sign/profile.h"

enum { BODY_BYTES = 1024, ROUNDS = 100000, ROOM = 64 * 1024 };

static const char *const kinds[] = {[PROFILE_HMAC] = "hmac", [PROFILE_ED25519] = "ed25519"};

static ProfileKey *key_new(const Profile *p, ProfileKind kind) {
        AUTO(buf_done)
        Buf secret = BUF(300);

        must(profile_secret_new(p, kind, &secret, NULL) == 0);
        ProfileKey *k = profile_key_new(p, buf_span(&secret), NULL);
        must(k);
        return k;
}

static void report(const char *profile, const char *kind, size_t n_keys, int64_t start_us,
                   uint64_t rounds) {
        printf("%-10s %-8s %zu  %8.2f us\n", profile, kind, n_keys,
               (double)(clock_mono_us() - start_us) / (double)rounds);
}

static void measure(const Signer *s, const char *kind, Span body, uint64_t rounds) {
        const SignMessage m = {
                .id = SPAN("msg_01j9zt4c2gq8vd1x5n7e3ka6wb"),
                .time_ms = 1700000000123,
                .event_ms = 1700000000000,
                .type = SPAN("user.updated"),
                .method = SPAN("POST"),
                .authority = SPAN("hooks.example.com"),
                .path = SPAN("/incoming/webhooks/grapnel"),
                .content_type = SPAN("application/json"),
                .body = body,
        };
        int64_t start_us = clock_mono_us();

        for (uint64_t i = 0; i < rounds; i++) {
                AUTO(arena_freep)
                Arena *a = arena_new(ROOM);
                SignHeaders h = {.n = 0};

                must(profile_sign(s, &m, a, &h, NULL) == 0);
        }
        report(s->profile->name, kind, s->n_keys, start_us, rounds);
}

static void measure_profile(const Profile *p, Span body, uint64_t rounds) {
        if (!p->secrets) {
                const Signer s = {.profile = p};

                measure(&s, "-", body, rounds);
        }
        for (ProfileKind kind = 0; kind < PROFILE_KINDS; kind++) {
                if (!p->makes[kind])
                        continue;
                AUTO(profile_key_freep)
                ProfileKey *newer = key_new(p, kind), *older = key_new(p, kind);
                Signer s = {.profile = p, .keys = {newer, older}};

                for (s.n_keys = 1; s.n_keys <= 2; s.n_keys++)
                        measure(&s, kinds[kind], body,
                                kind == PROFILE_ED25519 ? rounds / 10 + 1 : rounds);
        }
}

int main(int argc, char **argv) {
        uint64_t rounds = ROUNDS;
        static unsigned char bytes[BODY_BYTES];
        Span body = span_make(bytes, sizeof bytes);
        AUTO(sign_key_freep)
        SignKey *bare = sign_key_new(SIGN_SHA256, SPAN("the key of the bare measure"), NULL);

        if (argc > 1 && (!span_to_u64(span_of(argv[1]), 1000000000, &rounds) || rounds == 0))
                return 2;
        memset(bytes, 'x', sizeof bytes);
        must(bare);
        int64_t start_us = clock_mono_us();
        for (uint64_t i = 0; i < rounds; i++) {
                unsigned char mac[SIGN_DIGEST_MAX];

                sign_key_mac(bare, &body, 1, mac);
        }
        report("bare", "hmac", 1, start_us, rounds);
        for (const Profile *const *p = profiles; *p; p++)
                measure_profile(*p, body, rounds);
        return 0;
}
