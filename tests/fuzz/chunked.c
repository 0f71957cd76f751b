/* SPDX-License-Identifier: Apache-2.0
 *
 * A chunked body, whole and one byte at a time: one verdict, one body, within its maximum. The
 * first byte chooses the maximum. */
#include "http/chunked.h"
#include "base/buf.h"

typedef struct Decoded {
        Buf body;
        HttpRefusal refusal;
        size_t eaten;
        int r;
} Decoded;

static Decoded decode(Span in, size_t step, uint64_t body_max) {
        HttpChunked c = {.body_max = body_max};
        Decoded d = {.body = BUF(1 << 24)};

        while (d.r == 0 && d.eaten < in.n) {
                Span piece = span_from(in, d.eaten), body;

                piece.n = piece.n < step ? piece.n : step;
                size_t given = piece.n;
                d.r = http_chunked_next(&c, &piece, &body, &d.refusal);
                must(d.r != 0 || piece.n < given); /* it goes on, or it never ends */
                must(body.n == 0 || (body.p >= in.p && body.p + body.n <= in.p + in.n));
                if (d.r < 0)
                        d.refusal.offset += d.eaten;
                must(buf_add(&d.body, body) == 0);
                must(c.total == d.body.n && c.total <= body_max);
                d.eaten += given - piece.n;
        }
        return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0)
                return 0;
        Span in = {(const char *)data + 1, size - 1};
        uint64_t max = data[0] < 128 ? data[0] : UINT64_C(1) << (data[0] & 63);
        Decoded whole = decode(in, SIZE_MAX, max), slow = decode(in, 1, max);

        must(whole.r == slow.r && span_eq(buf_span(&whole.body), buf_span(&slow.body)));
        if (whole.r < 0)
                must(whole.refusal.status == slow.refusal.status &&
                     whole.refusal.offset == slow.refusal.offset && whole.refusal.offset < in.n);
        else
                must(whole.eaten == slow.eaten);
        buf_done(&whole.body);
        buf_done(&slow.body);
        return 0;
}
