/* SPDX-License-Identifier: Apache-2.0
 *
 * For sources whose events nobody sends: what a trigger notices, what a flow emits. From outside
 * nothing is taken. */
#include "sign/scheme.h"

static SignVerdict internal_check(const SignRule *rule, const SignInput *in, const char **why) {
        (void)rule;
        (void)in;
        return sign_say(SIGN_WRONG, why,
                        "nothing is sent to this source: its events come from inside");
}

static int internal_prepare(SignRule *rule, Err *e) {
        if (rule->n_secrets > 0)
                return FAIL(e, -EINVAL, "scheme internal checks no secret, but there is one");
        return 0;
}

const SignScheme sign_internal = {
        .name = "internal",
        .help = "Nothing is taken from outside: its events come from a trigger or a flow",
        .needs_secret = false,
        .prepare = internal_prepare,
        .check = internal_check,
        .message_id = sign_no_message_id,
};
