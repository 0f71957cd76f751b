/* SPDX-License-Identifier: Apache-2.0 */
#include "http/list.h"

#include "http/bytes.h"

/* The offset after the quoted string that begins at `at`; s.n + 1 when it never ends. */
static size_t quoted_end(Span s, size_t at) {
        for (size_t i = at + 1; i < s.n; i++) {
                if (s.p[i] == '"')
                        return i + 1;
                if (s.p[i] == '\\')
                        i++;
        }
        return s.n + 1;
}

bool http_list_next(Span *rest, char between, Span *ret) {
        while (rest->n) {
                size_t i = 0;

                while (i < rest->n && rest->p[i] != between)
                        i = rest->p[i] == '"' ? quoted_end(*rest, i) : i + 1;
                if (i > rest->n)
                        i = rest->n;
                *ret = span_trim((Span){rest->p, i}, " \t");
                *rest = span_from(*rest, i + 1);
                if (ret->n)
                        return true;
        }
        return false;
}

bool http_parameter_read(Span item, Span *ret_name, Span *ret_value) {
        size_t n = http_run(item, 0, HTTP_TOKEN);
        Span value;

        if (n == 0)
                return false;
        *ret_name = (Span){item.p, n};
        *ret_value = (Span){NULL, 0};
        value = span_trim(span_from(item, n), " \t");
        if (value.n == 0)
                return true;
        if (value.p[0] != '=')
                return false;
        value = span_trim(span_from(value, 1), " \t");
        if (value.n && value.p[0] == '"') {
                if (quoted_end(value, 0) != value.n)
                        return false;
                *ret_value = (Span){value.p + 1, value.n - 2};
                return true;
        }
        *ret_value = value;
        return value.n && http_run(value, 0, HTTP_TOKEN) == value.n;
}
