/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

static size_t find(Span in, Span what) {
        const char *at = memmem(in.p, in.n, what.p, what.n);

        return at ? (size_t)(at - in.p) : in.n;
}

static bool is_header(Span line, Span name) {
        return line.n > name.n && line.p[name.n] == ':' &&
               span_eq_nocase(span_make(line.p, name.n), name);
}

/* `lines` begins behind the first line. */
static int read_length(Span lines, uint64_t *ret) {
        *ret = 0;
        while (lines.n > 0) {
                size_t end = find(lines, SPAN("\r\n"));
                Span line = span_make(lines.p, end), length = SPAN("content-length");

                if (is_header(line, length) &&
                    !span_to_u64(span_trim(span_from(line, length.n + 1), " \t"),
                                 MESSAGE_BODY_MAX_BYTES, ret))
                        return -EBADMSG;
                if (is_header(line, SPAN("transfer-encoding")))
                        return -EBADMSG;
                lines = span_from(lines, end + 2);
        }
        return 0;
}

int message_read(Span in, Message *ret) {
        size_t head = find(in, SPAN("\r\n\r\n")), line;
        uint64_t length;

        if (head == in.n)
                return in.n > MESSAGE_HEAD_MAX_BYTES ? -EBADMSG : 0;
        line = find(in, SPAN("\r\n"));
        if (read_length(span_from(span_make(in.p, head), line + 2), &length) < 0)
                return -EBADMSG;
        head += 4;
        if (in.n - head < length)
                return 0;
        ret->line = span_make(in.p, line);
        ret->body = span_make(in.p + head, length);
        return (int)(head + length);
}

int message_status(Span line) {
        uint64_t status;

        if (!span_starts(line, SPAN("HTTP/1.1 ")) || line.n < 12 ||
            !span_to_u64(span_make(line.p + 9, 3), 999, &status))
                return 0;
        return (int)status;
}
