/* SPDX-License-Identifier: Apache-2.0
 *
 * A head, whole and cut where its last byte says: one verdict. What is accepted is written out
 * again and read back as the same. */
#include "http/head.h"
#include "base/buf.h"

static void print(const HttpHead *h, Buf *out) {
        must(buf_addf(out, "%s ", http_method_name(h->method)) == 0);
        must(buf_add(out, h->target) == 0);
        must(buf_addf(out, " HTTP/1.%d\r\n", h->minor) == 0);
        for (size_t i = 0; i < h->n_headers; i++) {
                must(buf_add(out, h->headers[i].name) == 0);
                must(buf_add(out, SPAN(": ")) == 0);
                must(buf_add(out, h->headers[i].value) == 0);
                must(buf_add(out, SPAN("\r\n")) == 0);
        }
        must(buf_add(out, SPAN("\r\n")) == 0);
}

static bool same(const HttpHead *a, const HttpHead *b) {
        if (a->method != b->method || a->minor != b->minor || a->framing != b->framing ||
            a->length != b->length || a->keep_alive != b->keep_alive ||
            a->expects_continue != b->expects_continue || a->n_headers != b->n_headers ||
            !span_eq(a->path, b->path) || !span_eq(a->query, b->query) ||
            !a->query.p != !b->query.p || !span_eq(a->host, b->host))
                return false;
        for (size_t i = 0; i < a->n_headers; i++)
                if (!span_eq(a->headers[i].name, b->headers[i].name) ||
                    !span_eq(a->headers[i].value, b->headers[i].value))
                        return false;
        return true;
}

static void check_accepted(const HttpHead *h, Span in, size_t used) {
        AUTO(buf_done)
        Buf out = BUF(4 * HTTP_HEAD_MAX_BYTES);
        HttpRefusal refusal;
        HttpHead again;

        must(used <= in.n && used <= HTTP_HEAD_MAX_BYTES && h->path.n > 0);
        must(h->minor == 0 || h->host.p);
        must(http_head_count(h, "Transfer-Encoding") + http_head_count(h, "Content-Length") <= 1);
        for (size_t i = 0; i < h->n_headers; i++)
                must(!h->headers[i].value.n ||
                     (!memchr(h->headers[i].value.p, '\n', h->headers[i].value.n) &&
                      !memchr(h->headers[i].value.p, 0, h->headers[i].value.n)));
        print(h, &out);
        if (out.n > HTTP_HEAD_MAX_BYTES || (h->host.p && !http_head_count(h, "Host")))
                return; /* the blanks made it too long, or the target's host is not written */
        must(http_head_parse(buf_span(&out), &again, &refusal) == (int)out.n);
        must(same(h, &again));
}

/* The first piece lies elsewhere, and is gone when the second comes. */
static int parse_in_two(Span in, size_t cut, HttpHead *head, HttpRefusal *refusal) {
        char *first = must_alloc(cut + 1);
        HttpHeadMark mark = {0};
        int r;

        if (cut)
                memcpy(first, in.p, cut);
        r = http_head_parse_more((Span){first, cut}, &mark, head, refusal);
        free(first);
        if (r > 0) /* all of it was in the first piece: the same once more, to be looked at */
                return http_head_parse((Span){in.p, cut}, head, refusal);
        return r == 0 ? http_head_parse_more(in, &mark, head, refusal) : r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span in = {(const char *)data, size};
        HttpRefusal refusal = {0}, other = {0};
        HttpHead head, cut_head;
        int r = http_head_parse(in, &head, &refusal), c;

        c = parse_in_two(in, size ? data[size - 1] * size / 256 : 0, &cut_head, &other);
        must(c == r);
        if (r < 0) {
                must(refusal.why && refusal.status >= 400 && refusal.offset <= size);
                must(other.status == refusal.status && other.offset == refusal.offset);
        } else if (r > 0) {
                must(same(&head, &cut_head));
                check_accepted(&head, in, (size_t)r);
        }
        return 0;
}
