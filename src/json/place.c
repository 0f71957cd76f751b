/* SPDX-License-Identifier: Apache-2.0 */
#include "json/place.h"

#include "json/text.h"

static int add_plain(Span raw, Buf *out) {
        JsonReader r = json_reader(raw);
        int c, fault = 0;

        while (fault == 0 && (c = json_reader_next(&r)) >= 0)
                fault = c == '~'   ? buf_add(out, SPAN("~0"))
                        : c == '/' ? buf_add(out, SPAN("~1"))
                                   : buf_add_char(out, (char)c);
        return fault;
}

/* An ASCII byte as the escape at `p` may spell it; -1 for all others. *ret_n is its length. */
static int ascii_at(Span raw, size_t *ret_n) {
        JsonReader r = json_reader(raw);
        int c = json_reader_next(&r);

        *ret_n = (size_t)(r.p - raw.p);
        return r.n_held > 1 || c >= 0x80 ? -1 : c;
}

static int add_raw(Span raw, Buf *out) {
        int fault = 0;

        for (size_t n; fault == 0 && raw.n; raw = span_from(raw, n)) {
                int c = ascii_at(raw, &n);

                fault = c == '~'   ? buf_add(out, SPAN("~0"))
                        : c == '/' ? buf_add(out, SPAN("~1"))
                                   : buf_add(out, (Span){raw.p, n});
        }
        return fault;
}

static int print(const JsonPlace *place, bool is_raw, Buf *out) {
        int r;

        if (!place)
                return 0;
        r = print(place->up, is_raw, out); /* as deep as the text, which json_check bounds */
        if (r == 0)
                r = buf_add_char(out, '/');
        if (r == 0 && !place->key.p)
                return buf_addf(out, "%zu", place->index);
        if (r == 0)
                r = is_raw ? add_raw(place->key, out) : add_plain(place->key, out);
        return r;
}

int json_place_print(const JsonPlace *place, Buf *out) {
        return print(place, false, out);
}

int json_place_print_raw(const JsonPlace *place, Buf *out) {
        return print(place, true, out);
}
