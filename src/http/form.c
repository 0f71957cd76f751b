/* SPDX-License-Identifier: Apache-2.0 */
#include "http/form.h"

#include "http/bytes.h"

static int bad(FormFault *fault, size_t offset, const char *why) {
        *fault = (FormFault){offset, why};
        return -EBADMSG;
}

/* Into room that has one byte for each byte of `coded`. */
static const char *decode(Span coded, char *out, Span *ret) {
        size_t n = 0;

        if (http_percent_fault(coded) < coded.n)
                return "a percent sign is followed by two hexadecimal digits, not 00";
        for (size_t i = 0; i < coded.n; i++) {
                char c = coded.p[i];

                if (c <= ' ' || c > '~')
                        return "bytes other than printable ASCII are percent-encoded in a form";
                if (c == '%') {
                        c = (char)(http_hex(coded.p[i + 1]) << 4 | http_hex(coded.p[i + 2]));
                        i += 2;
                } else if (c == '+') {
                        c = ' ';
                }
                out[n++] = c;
        }
        *ret = (Span){out, n};
        return NULL;
}

static size_t count_pairs(Span text) {
        size_t n = text.n > 0;

        for (size_t i = 0; i < text.n; i++)
                n += text.p[i] == '&';
        return n;
}

int form_parse(Span text, Arena *a, FormPair **ret, size_t *ret_n, FormFault *fault) {
        size_t n = count_pairs(text), at = 0;

        *ret_n = 0;
        *fault = (FormFault){0, ""};
        if (text.n > FORM_MAX_BYTES || n > FORM_PAIRS_MAX)
                return bad(fault, 0, "the form is too large, or has more than 1000 fields");
        FormPair *pairs = arena_alloc(a, (n + 1) * sizeof *pairs);
        char *room = arena_alloc(a, text.n + 1);
        if (!pairs || !room)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                Span pair = span_from(text, at);

                pair.n = span_find(pair, '&');
                size_t sign = span_find(pair, '=');
                if (sign == 0)
                        return bad(fault, at, "a field of the form has no name");
                const char *why = decode((Span){pair.p, sign}, room, &pairs[i].name);
                room += sign;
                if (!why)
                        why = decode(span_from(pair, sign + 1), room, &pairs[i].value);
                room += pair.n - sign;
                if (why)
                        return bad(fault, at, why);
                at += pair.n + 1;
        }
        *ret = pairs;
        *ret_n = n;
        return 0;
}
