/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/attempt_log.h"

#include "flow/endpoint.h"

static int add_headers(const Endpoint *p, Buf *b, const HttpHeader *headers, size_t n,
                       Span left_out) {
        int r = buf_add_char(b, '{');
        bool has_one = false;

        for (size_t i = 0; i < n && r == 0; i++) {
                if (left_out.n && span_eq(headers[i].name, left_out))
                        continue;
                r = has_one ? buf_add_char(b, ',') : 0;
                has_one = true;
                if (r == 0)
                        r = buf_add_json(b, headers[i].name);
                if (r == 0)
                        r = buf_add_char(b, ':');
                /* What opens doors is not for the log. */
                if (r == 0)
                        r = endpoint_hides(p, headers[i].name) ? buf_add(b, SPAN("\"***\""))
                                                               : buf_add_json(b, headers[i].value);
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

static int add_times(Buf *b, const ClientAnswer *a) {
        return buf_addf(b,
                        ",\"us\":{\"total\":%" PRId64 ",\"name\":%" PRId64 ",\"connect\":%" PRId64
                        ",\"tls\":%" PRId64 ",\"firstByte\":%" PRId64 "}",
                        a->total_us, a->name_us, a->connect_us, a->tls_us, a->first_byte_us);
}

static int add_response(const Endpoint *p, Buf *b, const ClientAnswer *a, size_t kept) {
        bool is_cut = a->body.n > kept || a->end == CLIENT_TOO_BIG;
        int r = buf_add(b, SPAN(",\"response\":{\"headers\":"));

        if (r == 0)
                r = add_headers(p, b, a->headers, a->n_headers, SPAN(""));
        if (r == 0)
                r = buf_add(b, SPAN(",\"body\":"));
        if (r == 0)
                r = buf_add_json(b, (Span){a->body.p, a->body.n > kept ? kept : a->body.n});
        return r == 0 ? buf_addf(b, ",\"truncated\":%s}", is_cut ? "true" : "false") : r;
}

static int write_what_happened(const AttemptLog *l, size_t kept, Buf *b) {
        const ClientAnswer *a = l->answer;
        int r = buf_add(b, SPAN("{\"url\":"));

        if (r == 0)
                r = buf_add_json(b, span_of(l->endpoint->shown_url));
        if (r == 0)
                r = buf_add(b, SPAN(",\"request\":{\"headers\":"));
        if (r == 0)
                r = add_headers(l->endpoint, b, l->headers, l->n_headers, span_of(l->left_out));
        if (r == 0)
                r = buf_addf(b, "},\"status\":%d,\"end\":\"%s\",\"address\":\"%s\"", a->status,
                             client_end_name(a->end), a->address);
        if (r == 0)
                r = add_times(b, a);
        if (r == 0 && l->batch.n)
                r = buf_addf(b, ",\"batch\":{\"id\":\"" SPAN_FMT "\",\"messages\":%zu}",
                             SPAN_ARG(l->batch), l->n_batch);
        if (r == 0 && a->status)
                r = add_response(l->endpoint, b, a, kept);
        if (r == 0 && a->why[0]) {
                r = buf_add(b, SPAN(",\"why\":"));
                if (r == 0)
                        r = buf_add_json(b, span_of(a->why));
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

/* Where it is too much, in JSON, the body gives way: control bytes take six times their room. */
void attempt_log_write(const AttemptLog *l, Buf *b) {
        const size_t kept[] = {l->kept, l->kept / 8, 0};

        for (size_t i = 0; i < COUNT_OF(kept); i++) {
                if (write_what_happened(l, kept[i], b) == 0)
                        return;
                buf_clear(b);
        }
}
