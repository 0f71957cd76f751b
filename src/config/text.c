/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text.h"

size_t utf8_at(Span s, size_t i, uint32_t *ret) {
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        unsigned char c = (unsigned char)s.p[i];
        size_t n = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : 4;
        uint32_t point = n == 1 ? c : c & (0x7fu >> n);

        if (n > s.n - i || (n == 4 && (c & 0xf8) != 0xf0))
                return 0;
        for (size_t k = 1; k < n; k++) {
                unsigned char d = (unsigned char)s.p[i + k];

                if ((d & 0xc0) != 0x80)
                        return 0;
                point = point << 6 | (d & 0x3f);
        }
        if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
                return 0;
        if (ret)
                *ret = point;
        return n;
}

Span text_without_mark(Span text) {
        return span_starts(text, SPAN("\xef\xbb\xbf")) ? span_from(text, 3) : text;
}

/* Why a character has no place in the file; NULL when it has. NEL, LS and PS end lines in YAML 1.1
 * and nowhere else, so an editor and the parser would count differently. */
static const char *refusal(uint32_t c) {
        if (c == 0)
                return "a NUL byte";
        if (c == 0x85 || c == 0x2028 || c == 0x2029)
                return "a line separator that is not a newline";
        if (c == 0xfeff)
                return "a byte order mark inside the text";
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7f && c < 0xa0))
                return "a control character";
        if (c == 0xfffe || c == 0xffff)
                return "a code point that is no character";
        return NULL;
}

int text_check(Span text, const char *file, Problems *problems) {
        Place at = {file, 1, 1};

        if (span_starts(text, SPAN("\xff\xfe")) || span_starts(text, SPAN("\xfe\xff")))
                return problem_add(problems, at, "the file is UTF-16; save it as UTF-8");
        for (size_t i = 0, n; i < text.n; i += n) {
                uint32_t c = 0;

                n = utf8_at(text, i, &c);
                if (n == 0)
                        return problem_add(problems, at,
                                           "byte 0x%02x is not UTF-8; save the file as UTF-8",
                                           (unsigned)(unsigned char)text.p[i]);
                const char *why = refusal(c);
                if (why)
                        return problem_add(problems, at, "%s (U+%04X) is not allowed here", why,
                                           (unsigned)c);
                if (c == '\r' && (i + 1 == text.n || text.p[i + 1] != '\n'))
                        return problem_add(problems, at,
                                           "a carriage return without a newline; end lines with "
                                           "LF or CRLF");
                at.column++;
                if (c == '\n') {
                        at.line++;
                        at.column = 1;
                }
        }
        return 0;
}

Span text_line(Span text, unsigned line) {
        for (unsigned i = 1; i < line && text.n; i++)
                text = span_from(text, span_find(text, '\n') + 1);
        text.n = span_find(text, '\n');
        if (text.n && text.p[text.n - 1] == '\r')
                text.n--;
        return text;
}
