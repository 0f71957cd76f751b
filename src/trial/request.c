/* SPDX-License-Identifier: Apache-2.0 */
#include "trial/request.h"

#include "http/url.h"
#include "sign/make.h"
#include "trial/fixture.h"

typedef struct Adding {
        const RequestParts *parts;
        Buf *out;
        size_t proof; /* where the value of the last header begins */
        int fault;
} Adding;

static bool is_given(const RequestParts *p, Span name) {
        for (size_t i = 0; i < p->n_headers; i++)
                if (span_eq_nocase(p->headers[i].name, name))
                        return true;
        return false;
}

static int add_header(Buf *out, Span name, Span value) {
        return buf_addf(out, SPAN_FMT ": " SPAN_FMT "\r\n", SPAN_ARG(name), SPAN_ARG(value));
}

/* What the test gives itself goes before what would be made. */
static void on_header(void *arg, const char *name, Span value) {
        Adding *a = arg;

        if (a->fault || is_given(a->parts, span_of(name)))
                return;
        a->proof = a->out->n + strlen(name) + 2;
        a->fault = add_header(a->out, span_of(name), value);
}

/* One letter or digit in the middle of the proof becomes another. */
static void alter(Buf *out, size_t from) {
        for (size_t i = from + (out->n - from) / 2; i < out->n; i++) {
                char c = out->p[i];

                if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
                        out->p[i] = c == 'a' ? 'b' : 'a';
                        return;
                }
        }
}

static int add_proof(const RequestParts *p, Buf *out, Err *e) {
        Adding a = {.parts = p, .out = out};
        int r;

        if (p->how == SIGN_NOT || !p->source->verify.scheme)
                return 0;
        r = sign_make(&p->source->verify, p->id, p->signed_ms, p->body, on_header, &a, e);
        if (r < 0)
                return r;
        if (p->how == SIGN_ALTERED && a.proof)
                alter(out, a.proof);
        return a.fault;
}

int request_make(const RequestParts *p, Buf *out, Err *e) {
        int r = buf_add(out, SPAN("POST /in/"));

        if (r == 0)
                r = url_encode(out, span_of(p->name));
        if (r == 0)
                r = buf_addf(out,
                             " HTTP/1.1\r\nHost: grapnel.test\r\nConnection: close\r\n"
                             "Content-Length: %zu\r\n",
                             p->body.n);
        if (r == 0 && !is_given(p, SPAN("content-type")))
                r = buf_add(out, SPAN("Content-Type: application/json\r\n"));
        for (size_t i = 0; r == 0 && i < p->n_headers; i++)
                r = add_header(out, p->headers[i].name, p->headers[i].value);
        if (r == 0 && p->source)
                r = add_proof(p, out, e);
        if (r == 0)
                r = buf_add(out, SPAN("\r\n"));
        if (r == 0)
                r = buf_add(out, p->body);
        return r < 0 ? FAIL(e, r, "the request is too large") : 0;
}

int answer_read(Span text, Arena *a, int *ret_status, HttpHeader **ret_headers, size_t *ret_n,
                Span *ret_body) {
        const char *end = text.n ? memmem(text.p, text.n, "\r\n\r\n", 4) : NULL;
        uint64_t status;

        if (!end || text.n < 12 || !span_to_u64((Span){text.p + 9, 3}, 999, &status))
                return -EBADMSG;
        *ret_status = (int)status;
        *ret_body = span_from(text, (size_t)(end - text.p) + 4);
        *ret_headers = arena_alloc(a, HTTP_HEADERS_MAX * sizeof **ret_headers);
        *ret_n = 0;
        if (!*ret_headers)
                return -ENOMEM;
        for (Span rest = {text.p, (size_t)(end - text.p)}; rest.n;) {
                Span line = {rest.p, span_find(rest, '\n')};
                size_t colon;

                rest = span_from(rest, line.n + 1);
                line = span_trim(line, "\r");
                colon = span_find(line, ':');
                if (colon < line.n && *ret_n < HTTP_HEADERS_MAX &&
                    !span_starts(line, SPAN("HTTP/")))
                        (*ret_headers)[(*ret_n)++] = (HttpHeader){
                                {line.p, colon}, span_trim(span_from(line, colon + 1), " ")};
        }
        return 0;
}
