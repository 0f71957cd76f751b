/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer as it comes back. libcurl frames it, but is forgiving where two readers could differ
 * (RFC 9112 section 6.3); so each line of the head passes here first, and what is contradictory
 * ends the call, and with it the connection. Bodies are never decoded: we ask for no coding. */
#include "http/bytes.h"
#include "net/client_parts.h"

static int refuse(Transfer *t, ClientEnd verdict, const char *format, ...) PRINTF_LIKE(3, 4);

static int refuse(Transfer *t, ClientEnd verdict, const char *format, ...) {
        va_list ap;

        t->verdict = verdict;
        va_start(ap, format);
        (void)vsnprintf(t->why, sizeof t->why, format, ap);
        va_end(ap);
        return -EBADMSG;
}

static void head_reset(Transfer *t) {
        buf_clear(&t->head);
        t->n_lines = 0;
        t->line_status = 0;
        t->in_head = false;
        t->has_length = t->is_chunked = false;
}

void answer_reset(Transfer *t) {
        head_reset(t);
        buf_clear(&t->body);
        t->head.max = ANSWER_HEAD_MAX_BYTES;
        t->body.max = t->call->answer_max ? t->call->answer_max : 8u << 20;
        t->head_bytes = 0;
        t->interim = 0;
        t->status = 0;
        t->verdict = CLIENT_ANSWERED;
        t->why[0] = t->error[0] = 0;
}

static int on_status_line(Transfer *t, Span line) {
        uint64_t status;

        head_reset(t);
        if ((!span_starts(line, SPAN("HTTP/1.1 ")) && !span_starts(line, SPAN("HTTP/1.0 "))) ||
            line.n < 12 || !span_to_u64((Span){line.p + 9, 3}, 999, &status) ||
            (line.n > 12 && line.p[12] != ' '))
                return refuse(t, CLIENT_BAD_ANSWER, "the answer does not begin like HTTP/1.1");
        /* 101 would hand the connection to a protocol that we never asked for. */
        if (status < 100 || status == 101)
                return refuse(t, CLIENT_BAD_ANSWER, "status %u makes no sense here",
                              (unsigned)status);
        t->line_status = (int)status;
        t->in_head = true;
        return 0;
}

static int on_head_end(Transfer *t) {
        t->in_head = false;
        if (t->line_status < 200) {
                if (++t->interim > ANSWER_INTERIM_MAX)
                        return refuse(t, CLIENT_BAD_ANSWER, "more than %d interim answers",
                                      ANSWER_INTERIM_MAX);
                return 0;
        }
        if (t->has_length && t->is_chunked)
                return refuse(t, CLIENT_BAD_ANSWER,
                              "the answer has both Content-Length and Transfer-Encoding");
        t->status = t->line_status;
        return 0;
}

static int on_framing(Transfer *t, Span name, Span value) {
        uint64_t length;

        if (span_eq_nocase(name, SPAN("content-length"))) {
                if (!span_to_u64(value, INT64_MAX, &length))
                        return refuse(t, CLIENT_BAD_ANSWER, "Content-Length is no number");
                if (t->has_length && t->length != length)
                        return refuse(t, CLIENT_BAD_ANSWER,
                                      "the answer has two different Content-Lengths");
                t->has_length = true;
                t->length = length;
        } else if (span_eq_nocase(name, SPAN("transfer-encoding"))) {
                if (t->is_chunked || !span_eq_nocase(value, SPAN("chunked")))
                        return refuse(t, CLIENT_BAD_ANSWER,
                                      "Transfer-Encoding is something else than one \"chunked\"");
                t->is_chunked = true;
        }
        return 0;
}

static int on_line(Transfer *t, Span line) {
        size_t colon = span_find(line, ':');
        Span name = {line.p, colon}, value = span_trim(span_from(line, colon + 1), " \t");
        size_t at = t->head.n;
        int r;

        /* Also refuses folded lines: they begin with a blank. */
        if (colon == line.n || colon == 0 || http_run(name, 0, HTTP_TOKEN) < name.n ||
            http_field_run(value, 0) < value.n)
                return refuse(t, CLIENT_BAD_ANSWER, "header line %zu of the answer is malformed",
                              t->n_lines + 1);
        if (t->n_lines == ANSWER_LINES_MAX)
                return refuse(t, CLIENT_BAD_ANSWER, "more than %d header lines", ANSWER_LINES_MAX);
        r = on_framing(t, name, value);
        if (r < 0)
                return r;
        r = buf_add(&t->head, name);
        if (r == 0)
                r = buf_add(&t->head, value);
        if (r < 0)
                return refuse(t, CLIENT_FAULT, "no memory for the head of the answer");
        t->line[t->n_lines++] = (AnswerLine){(uint16_t)at, (uint16_t)name.n,
                                             (uint16_t)(at + name.n), (uint16_t)value.n};
        return 0;
}

size_t answer_on_header(char *p, size_t size, size_t n, void *transfer) {
        Transfer *t = transfer;
        Span line = {p, size * n};
        int r;

        t->head_bytes += line.n;
        if (t->head_bytes > ANSWER_HEAD_MAX_BYTES) {
                (void)refuse(t, CLIENT_BAD_ANSWER, "the head of the answer exceeds %d bytes",
                             ANSWER_HEAD_MAX_BYTES);
                return 0;
        }
        if (line.n && line.p[line.n - 1] == '\n')
                line.n--;
        if (line.n && line.p[line.n - 1] == '\r')
                line.n--;
        if (t->status) /* trailers count, but say nothing that we trust */
                r = 0;
        else if (!t->in_head)
                r = on_status_line(t, line);
        else if (line.n == 0)
                r = on_head_end(t);
        else
                r = on_line(t, line);
        return r < 0 ? 0 : size * n;
}

size_t answer_on_body(char *p, size_t size, size_t n, void *transfer) {
        Transfer *t = transfer;
        Span piece = {p, size * n};
        size_t room = t->body.max - t->body.n;
        bool is_too_big = piece.n > room;

        if (is_too_big)
                piece.n = room;
        if (buf_add(&t->body, piece) < 0) {
                (void)refuse(t, CLIENT_FAULT, "no memory for the body of the answer");
                return 0;
        }
        if (is_too_big) {
                (void)refuse(t, CLIENT_TOO_BIG, "the body of the answer exceeds %zu bytes",
                             t->body.max);
                return 0;
        }
        return size * n;
}

void answer_lend(Transfer *t, HttpHeader *headers, ClientAnswer *ret) {
        ret->status = t->status;
        if (t->status == 0)
                return;
        for (size_t i = 0; i < t->n_lines; i++) {
                const AnswerLine *l = &t->line[i];

                headers[i] = (HttpHeader){{t->head.p + l->name, l->name_n},
                                          {t->head.p + l->value, l->value_n}};
        }
        ret->headers = headers;
        ret->n_headers = t->n_lines;
        ret->body = buf_span(&t->body);
}

Span client_answer_get(const ClientAnswer *a, const char *name) {
        for (size_t i = 0; i < a->n_headers; i++)
                if (span_eq_nocase(a->headers[i].name, span_of(name)))
                        return a->headers[i].value;
        return (Span){NULL, 0};
}
