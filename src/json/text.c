/* SPDX-License-Identifier: Apache-2.0 */
#include "json/text.h"

#include "base/table.h"

enum { SURROGATE = 0xd800, SURROGATE_LOW = 0xdc00, SURROGATE_END = 0xe000 };

static unsigned hex_unit(const char *p) {
        unsigned v = 0;

        for (int i = 0; i < 4; i++) {
                char c = p[i];

                v = v << 4 | (json_is(c, JSON_DIGIT) ? (unsigned)(c - '0')
                                                     : (unsigned)((c | 0x20) - 'a') + 10);
        }
        return v;
}

/* Is there a \u escape at p? */
static bool unit_at(const JsonReader *r, const char *p) {
        return r->end - p >= 6 && p[0] == '\\' && p[1] == 'u';
}

/* The code point of the \u escape at r->p, its second half with it. */
static unsigned point_next(JsonReader *r) {
        unsigned v = hex_unit(r->p + 2), low;

        r->p += 6;
        if (v < SURROGATE || v >= SURROGATE_END)
                return v;
        if (v < SURROGATE_LOW && unit_at(r, r->p)) {
                low = hex_unit(r->p + 2);
                if (low >= SURROGATE_LOW && low < SURROGATE_END) {
                        r->p += 6;
                        return 0x10000 + ((v - SURROGATE) << 10) + (low - SURROGATE_LOW);
                }
        }
        r->is_lone = true;
        return v;
}

static void hold_point(JsonReader *r, unsigned v) {
        unsigned n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
        static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

        for (unsigned i = n; i-- > 1; v >>= 6)
                r->held[i] = (unsigned char)(0x80 | (v & 0x3f));
        r->held[0] = (unsigned char)(leads[n] | v);
        r->n_held = n;
        r->at_held = 0;
}

static int letter_of(char escape) {
        switch (escape) {
        case 'b':
                return '\b';
        case 'f':
                return '\f';
        case 'n':
                return '\n';
        case 'r':
                return '\r';
        case 't':
                return '\t';
        default:
                return escape;
        }
}

int json_reader_next(JsonReader *r) {
        if (r->at_held < r->n_held)
                return r->held[r->at_held++];
        if (r->p >= r->end)
                return -1;
        if (*r->p != '\\')
                return (unsigned char)*r->p++;
        if (unit_at(r, r->p)) {
                hold_point(r, point_next(r));
                return r->held[r->at_held++];
        }
        if (r->end - r->p < 2)
                return (unsigned char)*r->p++;
        r->p += 2;
        return letter_of(r->p[-1]);
}

static bool is_escaped(Span raw) {
        return raw.n && memchr(raw.p, '\\', raw.n);
}

bool json_raw_is(Span raw, Span text) {
        if (!is_escaped(raw))
                return span_eq(raw, text);
        JsonReader r = json_reader(raw);
        for (size_t i = 0; i < text.n; i++)
                if (json_reader_next(&r) != (unsigned char)text.p[i])
                        return false;
        return json_reader_next(&r) < 0;
}

bool json_raw_equal(Span raw, Span other) {
        JsonReader a, b;
        int c;

        if (span_eq(raw, other))
                return true;
        if (!is_escaped(raw))
                return json_raw_is(other, raw);
        a = json_reader(raw);
        b = json_reader(other);
        do {
                c = json_reader_next(&a);
                if (c != json_reader_next(&b))
                        return false;
        } while (c >= 0);
        return true;
}

uint64_t json_raw_hash(Span raw) {
        JsonReader r = json_reader(raw);
        uint64_t sum = 0;
        int c = 0;

        /* Pieces of one size, each hashed under the process's key with its turn in front, so
         * that plain and escaped spellings meet in one sum without a copy of the whole. */
        for (uint64_t turn = 0; c >= 0; turn++) {
                char piece[64];
                size_t n = sizeof turn;

                memcpy(piece, &turn, sizeof turn);
                while (n < sizeof piece && (c = json_reader_next(&r)) >= 0)
                        piece[n++] = (char)c;
                sum ^= hash_bytes((Span){piece, n});
        }
        return sum;
}

static int add_decoded(Span raw, Buf *out) {
        JsonReader r = json_reader(raw);
        size_t start = out->n;
        int fault = 0;

        while (fault == 0 && r.p < r.end) {
                const char *plain = memchr(r.p, '\\', (size_t)(r.end - r.p));
                char piece[4];
                size_t n = 0;

                if (!plain)
                        plain = r.end;
                fault = buf_add(out, (Span){r.p, (size_t)(plain - r.p)});
                r.p = plain;
                if (fault < 0 || r.p == r.end)
                        break;
                do
                        piece[n++] = (char)json_reader_next(&r);
                while (r.at_held < r.n_held);
                fault = r.is_lone ? -EINVAL : buf_add(out, (Span){piece, n});
        }
        if (fault < 0)
                out->n = start;
        return fault;
}

int json_key_text(Span raw_key, Buf *out) {
        return add_decoded(raw_key, out);
}

int json_text(Span value, Buf *out) {
        value = json_trim(value);
        switch (json_kind(value)) {
        case JSON_STRING:
                return add_decoded((Span){value.p + 1, value.n - 2}, out);
        case JSON_ARRAY:
        case JSON_OBJECT:
                return -EINVAL;
        case JSON_NULL:
                return 0;
        default:
                return buf_add(out, value);
        }
}
