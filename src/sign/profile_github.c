/* SPDX-License-Identifier: Apache-2.0
 *
 * As GitHub signs: HMAC-SHA256 of the body alone, in hexadecimal. No time is signed, so a receiver
 * cannot tell a repeat by age, only by X-GitHub-Delivery; and neither id nor type is signed.
 *
 * One signature, by the newest key: receivers compare the header as a whole with the one that they
 * make, so a second signature in it would make both wrong. Whoever changes the secret lets the
 * receiver know the new one first (@octokit/webhooks-methods: verifyWithFallback). */
#include "sign/encoding.h"
#include "sign/profile_row.h"

static int github_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret, Err *e) {
        unsigned char mac[SIGN_DIGEST_MAX];
        AUTO(buf_done)
        Buf value = BUF(256);
        size_t n = 0;
        int r = profile_key_sign(s->keys[0], &m->body, 1, mac, &n);

        r = r < 0 ? r : buf_add(&value, SPAN("sha256="));
        r = r < 0 ? r : hex_print(span_make(mac, n), &value);
        r = r < 0 ? r : profile_add(ret, "X-Hub-Signature-256", buf_span(&value), a, e);
        r = r < 0 ? r : profile_add_type(ret, "X-GitHub-Event", m, a, e);
        return r < 0 ? r : profile_add(ret, "X-GitHub-Delivery", m->id, a, e);
}

const Profile profile_github = {
        .name = "github",
        .help = "As GitHub: X-Hub-Signature-256, X-GitHub-Event, X-GitHub-Delivery",
        .secrets = &secret_form_text,
        .makes = {[PROFILE_HMAC] = true},
        .secret_prefix = "",
        .tells_type = true,
        .sign = github_sign,
};
