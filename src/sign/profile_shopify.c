/* SPDX-License-Identifier: Apache-2.0
 *
 * As Shopify signs: HMAC-SHA256 of the body alone, in base64. X-Shopify-Triggered-At is when the
 * event happened, the same for each attempt; no time, id or type is signed.
 *
 * One signature, by the newest key: receivers compare the header as a whole with the one that they
 * make, so a second signature in it would make both wrong. Whoever changes the secret lets the
 * receiver know the new one first. */
#include "base/clock.h"
#include "sign/encoding.h"
#include "sign/profile_row.h"

static const int64_t YEAR_10000_MS = 253402300800000;

static int add_triggered_at(SignHeaders *ret, const SignMessage *m, Arena *a, Err *e) {
        char text[CLOCK_TEXT];

        if (m->event_ms < 0 || m->event_ms >= YEAR_10000_MS)
                return FAIL(e, -EINVAL, "the event's time is not within the years 1970 to 9999");
        clock_print(m->event_ms, text);
        return profile_add(ret, "X-Shopify-Triggered-At", span_of(text), a, e);
}

static int shopify_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret, Err *e) {
        unsigned char mac[SIGN_DIGEST_MAX];
        AUTO(buf_done)
        Buf value = BUF(256);
        size_t n = 0;
        int r = profile_key_sign(s->keys[0], &m->body, 1, mac, &n);

        r = r < 0 ? r : base64_print(span_make(mac, n), &value);
        r = r < 0 ? r : profile_add(ret, "X-Shopify-Hmac-SHA256", buf_span(&value), a, e);
        r = r < 0 ? r : profile_add_type(ret, "X-Shopify-Topic", m, a, e);
        r = r < 0 ? r : profile_add(ret, "X-Shopify-Webhook-Id", m->id, a, e);
        return r < 0 ? r : add_triggered_at(ret, m, a, e);
}

const Profile profile_shopify = {
        .name = "shopify",
        .help = "As Shopify: X-Shopify-Hmac-SHA256, -Topic, -Webhook-Id, -Triggered-At",
        .secrets = &secret_form_text,
        .makes = {[PROFILE_HMAC] = true},
        .secret_prefix = "",
        .tells_type = true,
        .sign = shopify_sign,
};
