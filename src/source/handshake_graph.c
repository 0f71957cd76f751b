/* SPDX-License-Identifier: Apache-2.0
 *
 * Microsoft Graph, when a subscription is made or renewed: a POST with ?validationToken=..., which
 * wants the decoded token back as plain text within 10 s. A blank comes as '+', as in a form. */
#include "source/handshake.h"

#include "http/url.h"

static Span parameter(Span query, Span name) {
        while (query.n) {
                Span one = {query.p, span_find(query, '&')};
                size_t equals = span_find(one, '=');

                if (span_eq((Span){one.p, equals}, name))
                        return span_from(one, equals + 1);
                query = span_from(query, one.n + 1);
        }
        return (Span){NULL, 0};
}

static int answer(const HttpHead *head, Span body, HandshakeAnswer *ret) {
        AUTO(buf_done)
        Buf coded = BUF(HANDSHAKE_BODY_MAX_BYTES);
        Span token = parameter(head->query, SPAN("validationToken"));

        (void)body;
        if (!token.p)
                return HANDSHAKE_NONE;
        int r = token.n ? buf_add(&coded, token) : -EBADMSG;
        for (size_t i = 0; r == 0 && i < coded.n; i++)
                if (coded.p[i] == '+')
                        coded.p[i] = ' ';
        if (r == 0)
                r = url_decode(&ret->body, buf_span(&coded));
        ret->status = 200;
        /* What anyone may put there must not become a page. */
        ret->content_type = "text/plain; charset=utf-8";
        ret->headers[ret->n_headers++] =
                (HttpHeader){SPAN("X-Content-Type-Options"), SPAN("nosniff")};
        return r < 0 ? r : HANDSHAKE_ANSWERED;
}

const Handshake handshake_graph = {
        .name = "graph",
        .help = "a POST with `?validationToken=`: the decoded token is sent back as text",
        .method = HTTP_POST,
        .answer = answer,
};
