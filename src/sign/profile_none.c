/* SPDX-License-Identifier: Apache-2.0
 *
 * No signature: for receivers that trust the way a delivery comes (a private network, a client
 * certificate, a bearer token). The id stays, so that they can tell a repeat. */
#include "sign/profile_row.h"

static int none_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret, Err *e) {
        int r = profile_add(ret, "webhook-id", m->id, a, e);

        (void)s;
        return r < 0 ? r : profile_add_time(ret, "webhook-timestamp", m, a, e);
}

const Profile profile_none = {
        .name = "none",
        .help = "No signature: webhook-id and webhook-timestamp only",
        .sign = none_sign,
};
