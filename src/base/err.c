/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

int err_set(Err *e, int code, const char *format, ...) {
        va_list ap;

        must(code < 0);
        if (e && e->code == 0) {
                e->code = code;
                va_start(ap, format);
                (void)vsnprintf(e->text, sizeof e->text, format, ap);
                va_end(ap);
        }
        return code;
}

void err_prefix(Err *e, const char *format, ...) {
        char head[sizeof e->text], tail[sizeof e->text];
        va_list ap;

        if (!e || e->code == 0)
                return;
        memcpy(tail, e->text, sizeof tail);
        va_start(ap, format);
        (void)vsnprintf(head, sizeof head, format, ap);
        va_end(ap);
        size_t n = strlen(head), m = strlen(tail);
        if (n > sizeof e->text - 3)
                n = sizeof e->text - 3;
        if (m > sizeof e->text - n - 3)
                m = sizeof e->text - n - 3;
        memcpy(e->text, head, n);
        memcpy(e->text + n, ": ", 2);
        memcpy(e->text + n + 2, tail, m);
        e->text[n + 2 + m] = 0;
}
