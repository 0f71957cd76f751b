/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP Message Signatures (RFC 9421), the making: from named components to the members of
 * Signature-Input and Signature. Which components a message needs is the caller's to say. */
#pragma once

#include "sign/profile.h"

typedef struct SignComponent {
        const char *name; /* "@path" or a field's name in lower case, as our code writes it */
        Span value;       /* one line of printable ASCII; blanks at its ends are taken off */
} SignComponent;

typedef struct MessageSignature {
        const char *label; /* lower-case letters and digits */
        const SignComponent *components;
        size_t n_components;
        int64_t created_s;
        Span keyid;      /* printable ASCII without '"' and '\' */
        const char *alg; /* NULL: not named */
} MessageSignature;

/* Appends `label=(...);created=...` to *input and `label=:base64:` to *signature, after a comma
 * where something is there already. -EINVAL with the sentence for a component or keyid that is
 * not as above; -EMSGSIZE when a Buf or the text to be signed is full; -ENOMEM. */
MUST_CHECK int message_signature_add(const MessageSignature *m, const ProfileKey *key, Buf *input,
                                     Buf *signature, Err *e);
