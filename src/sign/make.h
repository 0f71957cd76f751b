/* SPDX-License-Identifier: Apache-2.0
 *
 * The sender's side of a source's verification: the headers that prove a delivery, made with the
 * source's own secret. For tests of flows, which verify what they send. */
#pragma once

#include "sign/sign.h"

typedef void SignAdd(void *arg, const char *name, Span value);

/* Tells the headers for `body`, the one that holds the proof last. `id` and `time_ms` are used
 * where the scheme signs them. By the rule's first secret. -EINVAL with the sentence when the
 * scheme cannot be signed here: the key is the sender's own, or there is no maker for it. */
MUST_CHECK int sign_make(const SignRule *rule, Span id, int64_t time_ms, Span body, SignAdd *add,
                         void *arg, Err *e);
