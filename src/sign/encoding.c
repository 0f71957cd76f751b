/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/encoding.h"

/* By comparisons rather than a table: a secret leaves no trace in the cache. */
static int base64_digit(char c, char last_but_one, char last) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == last_but_one ? 62 : c == last ? 63 : -1;
}

/* How many of the characters carry bits, or SIZE_MAX where the padding is not as agreed. */
static size_t base64_carriers(Span text, Base64Padding padding) {
        size_t n = text.n;

        while (n > 0 && text.n - n < 2 && text.p[n - 1] == '=')
                n--;
        bool is_full = text.n % 4 == 0;
        bool is_bare = padding == BASE64_EITHER && n == text.n;
        return n % 4 != 1 && (is_full || is_bare) ? n : SIZE_MAX;
}

static bool parse(Span text, const char *last_two, size_t carriers, unsigned char *ret, size_t room,
                  size_t *ret_n) {
        unsigned bits = 0, held = 0;
        size_t n = 0;

        if (carriers == SIZE_MAX || carriers / 4 * 3 + carriers % 4 * 3 / 4 > room)
                return false;
        for (size_t i = 0; i < carriers; i++) {
                int digit = base64_digit(text.p[i], last_two[0], last_two[1]);

                if (digit < 0)
                        return false;
                bits = bits << 6 | (unsigned)digit;
                held += 6;
                if (held >= 8) {
                        held -= 8;
                        ret[n++] = (unsigned char)(bits >> held);
                        bits &= (1u << held) - 1;
                }
        }
        /* What is left over carries nothing; anything but zeros there would be a second spelling.
         */
        if (bits != 0)
                return false;
        *ret_n = n;
        return true;
}

bool base64_parse(Span text, Base64Padding padding, unsigned char *ret, size_t room,
                  size_t *ret_n) {
        return parse(text, "+/", base64_carriers(text, padding), ret, room, ret_n);
}

bool base64url_parse(Span text, unsigned char *ret, size_t room, size_t *ret_n) {
        return parse(text, "-_", text.n % 4 == 1 ? SIZE_MAX : text.n, ret, room, ret_n);
}

int base64_print(Span bytes, Buf *out) {
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char *at = NULL;

        if (bytes.n > SIZE_MAX / 2)
                return -EMSGSIZE;
        size_t n = (bytes.n + 2) / 3 * 4;
        int r = n ? buf_room(out, n, &at) : 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < bytes.n; i += 3) {
                size_t left = bytes.n - i;
                unsigned v = (unsigned)(unsigned char)bytes.p[i] << 16;

                if (left > 1)
                        v |= (unsigned)(unsigned char)bytes.p[i + 1] << 8;
                if (left > 2)
                        v |= (unsigned char)bytes.p[i + 2];
                *at++ = digits[v >> 18];
                *at++ = digits[v >> 12 & 63];
                *at++ = left > 1 ? digits[v >> 6 & 63] : '=';
                *at++ = left > 2 ? digits[v & 63] : '=';
        }
        out->n += n;
        return 0;
}

int hex_print(Span bytes, Buf *out) {
        static const char digits[] = "0123456789abcdef";
        char *at = NULL;

        if (bytes.n > SIZE_MAX / 2)
                return -EMSGSIZE;
        int r = bytes.n ? buf_room(out, bytes.n * 2, &at) : 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < bytes.n; i++) {
                *at++ = digits[(unsigned char)bytes.p[i] >> 4];
                *at++ = digits[(unsigned char)bytes.p[i] & 15];
        }
        out->n += bytes.n * 2;
        return 0;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_parse(Span text, unsigned char *ret, size_t room, size_t *ret_n) {
        if (text.n % 2 != 0 || text.n / 2 > room)
                return false;
        for (size_t i = 0; i < text.n; i += 2) {
                int high = hex_digit(text.p[i]), low = hex_digit(text.p[i + 1]);

                if (high < 0 || low < 0)
                        return false;
                ret[i / 2] = (unsigned char)(high << 4 | low);
        }
        *ret_n = text.n / 2;
        return true;
}
