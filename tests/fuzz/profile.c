/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets and messages that strangers choose. One input: a byte that picks the profile, then the
 * secret, id, type, method, authority, path, query and content type, each ended by a line feed
 * that follows a NUL (so that both bytes may stand in a value alone), then the body. Promises: a
 * secret is judged and made into a key alike, a refusal says why, and no header holds anything but
 * printable ASCII; a pair's public key is one that sources take. */
#include "sign/profile.h"
#include "sign/sign.h"

enum { FIELDS = 8, ROOM = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What stands before the next divider. */
static Span take(Span *rest) {
        for (size_t i = 0; i + 1 < rest->n; i++)
                if (rest->p[i] == 0 && rest->p[i + 1] == '\n') {
                        Span field = {rest->p, i};

                        *rest = span_from(*rest, i + 2);
                        return field;
                }
        Span all = *rest;
        *rest = span_from(*rest, rest->n);
        return all;
}

static void check_public_key(Span secret) {
        AUTO(buf_done)
        Buf public = BUF(100);
        Err e = {0};

        if (profile_public_key(secret, &public, &e) < 0) {
                must(e.code == -EINVAL && e.text[0] && public.n == 0);
                return;
        }
        SignRule rule = {.scheme = sign_scheme_find(SPAN("standard")), .n_secrets = 1};
        rule.secrets[0] = secret_copy(buf_span(&public));
        must(rule.scheme->prepare(&rule, &e) == 0 && rule.public_keys[0]);
        sign_rule_done(&rule);
}

static void check_headers(const Signer *s, const SignMessage *m) {
        AUTO(arena_freep)
        Arena *a = arena_new(ROOM);
        SignHeaders h = {.n = 0};
        Err e = {0};
        int r = profile_sign(s, m, a, &h, &e);

        must(r == 0 || (r == -EINVAL && e.text[0] && h.n == 0));
        for (size_t i = 0; i < h.n; i++) {
                Span v = h.at[i].value;

                must(v.n > 0 && v.p[0] != ' ' && v.p[v.n - 1] != ' ' && v.p[v.n] == 0);
                for (size_t k = 0; k < v.n; k++)
                        must(v.p[k] >= ' ' && v.p[k] <= '~');
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char good[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        Span rest = span_make(data, size), field[FIELDS];
        size_t n_profiles = 0;

        if (size == 0)
                return 0;
        while (profiles[n_profiles])
                n_profiles++;
        const Profile *p = profiles[data[0] % n_profiles];
        rest = span_from(rest, 1);
        for (size_t i = 0; i < FIELDS; i++)
                field[i] = take(&rest);

        Err e = {0}, f = {0};
        int r = profile_secret_check(p, field[0], &e);
        AUTO(profile_key_freep)
        ProfileKey *k = profile_key_new(p, field[0], &f), *other = NULL;
        must(r == 0 ? k != NULL : r == -EINVAL && !k && e.text[0]);
        must(strcmp(e.text, f.text) == 0);
        check_public_key(field[0]);

        Signer s = {.profile = p, .svix_names = data[0] & 0x80};
        if (k)
                s.keys[s.n_keys++] = k;
        other = profile_key_new(p, span_of(good), NULL);
        if (other)
                s.keys[s.n_keys++] = other;
        const SignMessage m = {
                .id = field[1],
                .time_ms = 1700000000000,
                .event_ms = 1700000000000,
                .type = field[2],
                .method = field[3],
                .authority = field[4],
                .path = field[5],
                .query = field[6],
                .content_type = field[7],
                .body = rest,
        };
        check_headers(&s, &m);
        return 0;
}
