/* SPDX-License-Identifier: Apache-2.0
 *
 * As Slack signs: HMAC-SHA256 of `v0:time:body`, in hexadecimal. The id is not in any header; like
 * Slack's event_id it belongs into the body.
 *
 * One signature, by the newest key: Slack's own receivers compare the header as a whole with the
 * one that they make, so a second signature in it would make both wrong. Whoever changes the
 * secret lets the receiver know the new one first. */
#include "sign/encoding.h"
#include "sign/profile_row.h"

static int slack_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret, Err *e) {
        char seconds[PROFILE_SECONDS_BYTES];
        const Span parts[] = {SPAN("v0:"), profile_seconds(m, seconds), SPAN(":"), m->body};
        unsigned char mac[SIGN_DIGEST_MAX];
        AUTO(buf_done)
        Buf value = BUF(256);
        size_t n = 0;
        int r = profile_key_sign(s->keys[0], parts, COUNT_OF(parts), mac, &n);

        r = r < 0 ? r : buf_add(&value, SPAN("v0="));
        r = r < 0 ? r : hex_print(span_make(mac, n), &value);
        r = r < 0 ? r : profile_add_time(ret, "X-Slack-Request-Timestamp", m, a, e);
        return r < 0 ? r : profile_add(ret, "X-Slack-Signature", buf_span(&value), a, e);
}

const Profile profile_slack = {
        .name = "slack",
        .help = "As Slack: X-Slack-Signature, X-Slack-Request-Timestamp",
        .secrets = &secret_form_text,
        .makes = {[PROFILE_HMAC] = true},
        .secret_prefix = "",
        .sign = slack_sign,
};
