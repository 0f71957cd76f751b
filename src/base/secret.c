/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

Secret secret_copy(Span bytes) {
        Secret s = {must_alloc(bytes.n + 1), bytes.n};

        if (bytes.n)
                memcpy(s.hidden, bytes.p, bytes.n);
        return s;
}

void secret_done(Secret *s) {
        if (s->hidden)
                explicit_bzero(s->hidden, s->n);
        free(s->hidden);
        *s = (Secret){0};
}
