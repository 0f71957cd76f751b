/* SPDX-License-Identifier: Apache-2.0
 *
 * No verification: for sources that cannot sign and come through a guarded network. Somebody has
 * to write it down; a source that says nothing refuses everything. */
#include "sign/scheme.h"

static SignVerdict none_check(const SignRule *rule, const SignInput *in, const char **why) {
        (void)rule;
        (void)in;
        *why = "";
        return SIGN_OK;
}

static int none_prepare(SignRule *rule, Err *e) {
        if (rule->n_secrets > 0)
                return FAIL(e, -EINVAL, "scheme none checks no secret, but there is one");
        return 0;
}

const SignScheme sign_none = {
        .name = "none",
        .help = "Everything is taken as sent: only behind another guard",
        .needs_secret = false,
        .prepare = none_prepare,
        .check = none_check,
        .message_id = sign_no_message_id,
};
