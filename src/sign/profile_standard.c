/* SPDX-License-Identifier: Apache-2.0
 *
 * Standard Webhooks 1.0.0: `id.time.body`, signed by each live key, v1 (HMAC-SHA256) and v1a
 * (ed25519) side by side; receivers take the entry that they can verify and skip the rest. On
 * request the same under the older svix- names too. */
#include "sign/profile_row.h"

enum { VALUE_MAX_BYTES = 2048 };

static int signatures(const Signer *s, const SignMessage *m, Buf *out, Err *e) {
        int64_t timestamp_s = m->time_ms / 1000;
        int r = 0;

        for (size_t i = 0; r == 0 && i < s->n_keys; i++) {
                const ProfileKey *k = s->keys[i];

                r = i > 0 ? buf_add_char(out, ' ') : 0;
                if (r == 0 && k->kind == PROFILE_HMAC)
                        r = sign_standard_make_with(k->hmac, m->id, timestamp_s, m->body, out);
                else if (r == 0)
                        r = sign_standard_make_v1a(k->ed25519, m->id, timestamp_s, m->body, out);
        }
        if (r == -EINVAL)
                return FAIL(e, r, "webhook-id must not hold a dot: dots part what is signed");
        return r;
}

static int add_family(const char *const names[3], const SignMessage *m, Span value, Arena *a,
                      SignHeaders *ret, Err *e) {
        int r = profile_add(ret, names[0], m->id, a, e);

        r = r < 0 ? r : profile_add_time(ret, names[1], m, a, e);
        return r < 0 ? r : profile_add(ret, names[2], value, a, e);
}

static int standard_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret,
                         Err *e) {
        static const char *const webhook[] = {"webhook-id", "webhook-timestamp",
                                              "webhook-signature"};
        static const char *const svix[] = {"svix-id", "svix-timestamp", "svix-signature"};
        AUTO(buf_done)
        Buf value = BUF(VALUE_MAX_BYTES);
        int r = signatures(s, m, &value, e);

        r = r < 0 ? r : add_family(webhook, m, buf_span(&value), a, ret, e);
        if (r == 0 && s->svix_names)
                r = add_family(svix, m, buf_span(&value), a, ret, e);
        return r;
}

const Profile profile_standard = {
        .name = "standard",
        .help = "Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature (v1, v1a)",
        .secrets = &secret_form_keys,
        .makes = {[PROFILE_HMAC] = true, [PROFILE_ED25519] = true},
        .sign = standard_sign,
};
