/* SPDX-License-Identifier: Apache-2.0
 *
 * A call becomes options of libcurl. A handle gets the options that never change once, when it is
 * made; every call after that sets only what differs. The header list points into one buffer. */
#include "http/bytes.h"
#include "net/client_parts.h"

#include <limits.h>

enum {
        CONNECT_MS = 5 * 1000,
        WHOLE_CALL_MS = 15 * 1000,
        NAME_KEPT_S = 60,
        IDLE_KEPT_S = 50, /* under the 60 s after which common servers close */
        CONNECTION_LIFE_S = 300,
        NAME_MAX_BYTES = 256,
        URL_LONGEST_BYTES = 8 * 1024,
};

/* The head of a message says where it ends; whoever writes these can say it wrongly. */
static const char *const ours[] = {
        "Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "TE", "Trailer"};

static bool is_token(Span s) {
        return s.n > 0 && http_run(s, 0, HTTP_TOKEN) == s.n;
}

static int check_header(const HttpHeader *h, Err *e) {
        if (!is_token(h->name) || h->name.n > NAME_MAX_BYTES)
                return FAIL(e, -EINVAL, "a header name holds a byte that no name may hold");
        if (http_field_run(h->value, 0) < h->value.n)
                return FAIL(e, -EINVAL, "the value of header " SPAN_FMT " holds a control byte",
                            SPAN_ARG(h->name));
        for (size_t i = 0; i < COUNT_OF(ours); i++)
                if (span_eq_nocase(h->name, span_of(ours[i])))
                        return FAIL(e, -EINVAL, "header %s is not the caller's to set", ours[i]);
        return 0;
}

int request_check(const ClientCall *call, Err *e) {
        size_t bytes = 0;

        if (!call->method || !is_token(span_of(call->method)) ||
            strlen(call->method) > METHOD_MAX_BYTES)
                return FAIL(e, -EINVAL, "the method is no HTTP method");
        if (!call->url || strlen(call->url) > URL_LONGEST_BYTES)
                return FAIL(e, -EINVAL, "the URL is missing or too long");
        if (call->connect_ms < 0 || call->connect_ms > INT_MAX || call->timeout_ms < 0 ||
            call->timeout_ms > INT_MAX)
                return FAIL(e, -EINVAL, "a time limit is out of range");
        if (call->n_headers > REQUEST_LINES_MAX)
                return FAIL(e, -EINVAL, "more than %d headers", REQUEST_LINES_MAX);
        for (size_t i = 0; i < call->n_headers; i++) {
                int r = check_header(&call->headers[i], e);

                if (r < 0)
                        return r;
                bytes += call->headers[i].name.n + call->headers[i].value.n + 4;
                if (bytes > REQUEST_HEAD_MAX_BYTES)
                        return FAIL(e, -EINVAL, "more than %d bytes of headers",
                                    REQUEST_HEAD_MAX_BYTES);
        }
        return 0;
}

static bool may_repeat(const ClientCall *call) {
        static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};

        for (size_t i = 0; i < COUNT_OF(idempotent); i++)
                if (strcmp(call->method, idempotent[i]) == 0)
                        return true;
        return call->repeatable;
}

/* Called whenever the request is about to leave, on whichever connection: a fresh one, a pooled
 * one, or, because a pooled one was dead, once more on the next. The last stop for all rules. */
static int on_leave(void *transfer, char *ip, char *local_ip, int port, int local_port) {
        Transfer *t = transfer;

        (void)local_ip;
        if (!gate_passes(&t->gate, ip, port)) {
                t->verdict = t->sends ? CLIENT_BROKEN : CLIENT_GATE;
                return CURL_PREREQFUNC_ABORT;
        }
        if (!poll_is_silent(t, local_port) && !t->is_afresh) {
                t->is_stale = true;
                return CURL_PREREQFUNC_ABORT;
        }
        if (t->sends > 0 && (t->sends > 1 || !may_repeat(t->call))) {
                t->verdict = CLIENT_BROKEN;
                (void)snprintf(t->why, sizeof t->why,
                               "the pooled connection closed before any answer%s",
                               t->sends > 1 ? ", twice" : "; not repeated");
                return CURL_PREREQFUNC_ABORT;
        }
        t->sends++;
        return CURL_PREREQFUNC_OK;
}

/* The options that are the same for every call. */
static CURLcode dress(Transfer *t) {
        Client *c = t->client;
        CURLcode bad = CURLE_OK;

#define SET(option, value) (bad = bad ? bad : curl_easy_setopt(t->easy, CURLOPT_##option, (value)))
        SET(NOSIGNAL, 1L);
        SET(QUICK_EXIT, 1L); /* a call that ends does not wait for its resolver thread */
        SET(PRIVATE, t);
        SET(ERRORBUFFER, t->error);
        SET(PROTOCOLS_STR, "http,https");
        SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        SET(HTTP09_ALLOWED, 0L);
        SET(FOLLOWLOCATION, 0L);
        SET(PROXY, "");
        SET(NOPROXY, "*");
        SET(NETRC, (long)CURL_NETRC_IGNORED);
        SET(DISALLOW_USERNAME_IN_URL, 1L);
        SET(PATH_AS_IS, 1L);
        SET(USERAGENT, c->agent);
        SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        /* The parsed bundle is shared between handshakes only while no directory is named. */
        SET(CAPATH, NULL);
        if (c->ca_file)
                SET(CAINFO, c->ca_file);
        SET(TCP_NODELAY, 0L); /* the gate has done it */
        SET(TCP_KEEPALIVE, 1L);
        SET(DNS_CACHE_TIMEOUT, (long)NAME_KEPT_S);
        SET(MAXAGE_CONN, (long)IDLE_KEPT_S);
        SET(MAXLIFETIME_CONN, (long)CONNECTION_LIFE_S);
        SET(OPENSOCKETFUNCTION, poll_on_open);
        SET(OPENSOCKETDATA, t);
        SET(CLOSESOCKETFUNCTION, poll_on_close);
        SET(CLOSESOCKETDATA, c);
        SET(PREREQFUNCTION, on_leave);
        SET(PREREQDATA, t);
        SET(HEADERFUNCTION, answer_on_header);
        SET(HEADERDATA, t);
        SET(WRITEFUNCTION, answer_on_body);
        SET(WRITEDATA, t);
#undef SET
        return bad;
}

static void add_line(Transfer *t, size_t at, Span name, const char *between, Span value) {
        char *line = t->lines_text.p + t->lines_text.n;
        size_t gap = strlen(between);

        memcpy(line, name.p, name.n);
        memcpy(line + name.n, between, gap);
        if (value.n)
                memcpy(line + name.n + gap, value.p, value.n);
        line[name.n + gap + value.n] = 0;
        t->lines_text.n += name.n + gap + value.n + 1;
        t->lines[at] = (struct curl_slist){line, NULL};
        if (at > 0)
                t->lines[at - 1].next = &t->lines[at];
}

/* libcurl's own Expect and Content-Type are taken away: we say nothing the caller did not say. */
static int make_lines(Transfer *t, Err *e) {
        const ClientCall *call = t->call;
        size_t bytes = 32, n = call->n_headers + 2, at = 0;
        bool has_type = false;
        char *room;

        for (size_t i = 0; i < call->n_headers; i++)
                bytes += call->headers[i].name.n + call->headers[i].value.n + 3;
        buf_clear(&t->lines_text);
        t->lines_text.max = bytes > t->lines_text.cap ? bytes : t->lines_text.cap;
        if (buf_room(&t->lines_text, bytes, &room) < 0)
                return FAIL(e, -ENOMEM, "no memory for the headers of a call");
        if (n > t->lines_cap) {
                free(t->lines);
                t->lines = must_alloc(n * sizeof *t->lines);
                t->lines_cap = n;
        }
        for (size_t i = 0; i < call->n_headers; i++) {
                const HttpHeader *h = &call->headers[i];
                Span value = span_trim(h->value, " \t");

                has_type = has_type || span_eq_nocase(h->name, SPAN("content-type"));
                /* "Name:" alone would take a header away; "Name;" sends it empty. */
                add_line(t, at++, h->name, value.n ? ": " : ";", value);
        }
        add_line(t, at++, SPAN("Expect"), ":", (Span){NULL, 0});
        if (!has_type)
                add_line(t, at++, SPAN("Content-Type"), ":", (Span){NULL, 0});
        return 0;
}

static CURLcode set_method(Transfer *t) {
        const ClientCall *call = t->call;
        bool is_head = strcmp(call->method, "HEAD") == 0;
        bool has_body = call->body.p || strcmp(call->method, "POST") == 0 ||
                        strcmp(call->method, "PUT") == 0 || strcmp(call->method, "PATCH") == 0;
        CURLcode bad = CURLE_OK;

        if (has_body) {
                /* With NULL libcurl would ask a read function for the bytes. */
                bad = curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
                if (!bad)
                        bad = curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                               (curl_off_t)call->body.n);
                if (!bad)
                        bad = curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS,
                                               call->body.p ? call->body.p : "");
        } else if (is_head) {
                bad = curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
        } else {
                bad = curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
        }
        if (!bad)
                bad = curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, call->method);
        return bad;
}

static CURLcode set_blob(Transfer *t, CURLoption option, Span pem) {
        struct curl_blob blob = {(void *)pem.p, pem.n, CURL_BLOB_COPY};

        return pem.p ? curl_easy_setopt(t->easy, option, &blob) : CURLE_OK;
}

/* libcurl shares a connection only among calls with the same certificates. */
static CURLcode set_tls(Transfer *t) {
        const ClientTls *tls = t->call->tls;
        CURLcode bad = CURLE_OK;

        t->has_tls = tls != NULL;
        if (!tls)
                return CURLE_OK;
        if (tls->ca.p)
                bad = curl_easy_setopt(t->easy, CURLOPT_CAINFO, NULL);
        if (!bad)
                bad = set_blob(t, CURLOPT_CAINFO_BLOB, tls->ca);
        if (!bad)
                bad = set_blob(t, CURLOPT_SSLCERT_BLOB, tls->certificate);
        return bad ? bad : set_blob(t, CURLOPT_SSLKEY_BLOB, tls->key);
}

int request_prepare(Transfer *t, Err *e) {
        const ClientCall *call = t->call;
        int64_t waited_ms = ((t->run_us = clock_mono_us()) - t->started_us) / 1000;
        int64_t left_ms = (call->timeout_ms ? call->timeout_ms : WHOLE_CALL_MS) - waited_ms;
        CURLcode bad = CURLE_OK;

        if (t->easy && t->has_tls) {
                curl_easy_cleanup(t->easy);
                t->easy = NULL;
        }
        if (!t->easy) {
                t->easy = curl_easy_init();
                if (!t->easy)
                        return FAIL(e, -ENOMEM, "no memory for a call");
                bad = dress(t);
        }
        int r = make_lines(t, e);
        if (r < 0)
                return r;
        answer_reset(t);
        if (!bad)
                bad = set_tls(t);
        if (!bad)
                bad = set_method(t);
        if (!bad)
                bad = curl_easy_setopt(t->easy, CURLOPT_URL, call->url);
        if (!bad)
                bad = curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->lines);
        if (!bad)
                bad = curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS,
                                       (long)(left_ms > 1 ? left_ms : 1));
        if (!bad)
                bad = curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                                       (long)(call->connect_ms ? call->connect_ms : CONNECT_MS));
        if (!bad)
                bad = curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, (long)t->is_afresh);
        if (bad)
                return FAIL(e, -EINVAL, "libcurl refuses the call: %s", curl_easy_strerror(bad));
        return 0;
}

void request_forget(Transfer *t) {
        if (!t->easy)
                return;
        /* They point into the caller's memory and the next call's buffer. */
        (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, NULL);
        (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
}
