/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

_Noreturn void must_failed(const char *file, int line, const char *what) {
        fprintf(stderr, "grapnel: broken promise at %s:%d: %s\n", file, line, what);
        abort();
}

void *must_alloc(size_t n) {
        void *p = calloc(1, n ? n : 1);

        if (!p) {
                fprintf(stderr, "grapnel: out of memory for %zu bytes\n", n);
                abort();
        }
        return p;
}

char *must_dup(const char *s) {
        size_t n = strlen(s) + 1;

        return memcpy(must_alloc(n), s, n);
}
