/* SPDX-License-Identifier: Apache-2.0
 *
 * As Stripe signs: HMAC-SHA256 of `time.body`, in hexadecimal, one `v1=` for each live key. The
 * key is the whole text of the secret, a leading "whsec_" too: Stripe's libraries do not decode
 * it. The id is not in any header; like Stripe's it belongs into the body. */
#include "sign/encoding.h"
#include "sign/profile_row.h"

enum { VALUE_MAX_BYTES = 2048 };

static int stripe_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret, Err *e) {
        char seconds[PROFILE_SECONDS_BYTES];
        const Span parts[] = {profile_seconds(m, seconds), SPAN("."), m->body};
        AUTO(buf_done)
        Buf value = BUF(VALUE_MAX_BYTES);
        int r = buf_addf(&value, "t=%s", seconds);

        for (size_t i = 0; r == 0 && i < s->n_keys; i++) {
                unsigned char mac[SIGN_DIGEST_MAX];
                size_t n = 0;

                r = profile_key_sign(s->keys[i], parts, COUNT_OF(parts), mac, &n);
                r = r < 0 ? r : buf_add(&value, SPAN(",v1="));
                r = r < 0 ? r : hex_print(span_make(mac, n), &value);
        }
        return r < 0 ? r : profile_add(ret, "Stripe-Signature", buf_span(&value), a, e);
}

const Profile profile_stripe = {
        .name = "stripe",
        .help = "As Stripe: Stripe-Signature with t= and a v1= for each live secret",
        .secrets = &secret_form_text,
        .makes = {[PROFILE_HMAC] = true},
        .secret_prefix = "whsec_",
        .sign = stripe_sign,
};
