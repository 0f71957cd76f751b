/* SPDX-License-Identifier: Apache-2.0
 *
 * What the end of a transfer means for the caller. The question that matters is whether the
 * receiver may have seen the request: libcurl's code alone does not tell, so each row says what a
 * code means before the request went to a connection, and after. */
#include "net/client_parts.h"

/* Its name came with libcurl 8.6. */
#define CURLE_TOO_LARGE_LATER ((CURLcode)100)

static const struct {
        CURLcode code;
        ClientEnd before, after;
} ends[] = {
        {CURLE_OK, CLIENT_ANSWERED, CLIENT_ANSWERED},
        {CURLE_COULDNT_RESOLVE_HOST, CLIENT_NAME, CLIENT_NAME},
        {CURLE_COULDNT_RESOLVE_PROXY, CLIENT_NAME, CLIENT_NAME},
        {CURLE_COULDNT_CONNECT, CLIENT_CONNECT, CLIENT_BROKEN},
        {CURLE_NO_CONNECTION_AVAILABLE, CLIENT_CONNECT, CLIENT_BROKEN},
        {CURLE_INTERFACE_FAILED, CLIENT_CONNECT, CLIENT_BROKEN},
        {CURLE_SEND_ERROR, CLIENT_CONNECT, CLIENT_BROKEN},
        {CURLE_RECV_ERROR, CLIENT_CONNECT, CLIENT_BROKEN},
        {CURLE_GOT_NOTHING, CLIENT_CONNECT, CLIENT_BROKEN},
        {CURLE_PARTIAL_FILE, CLIENT_CONNECT, CLIENT_BROKEN},
        {CURLE_OPERATION_TIMEDOUT, CLIENT_CONNECT, CLIENT_TIMEOUT},
        {CURLE_SSL_CONNECT_ERROR, CLIENT_TLS, CLIENT_BROKEN},
        {CURLE_PEER_FAILED_VERIFICATION, CLIENT_TLS, CLIENT_BROKEN},
        {CURLE_SSL_CIPHER, CLIENT_TLS, CLIENT_BROKEN},
        {CURLE_SSL_CERTPROBLEM, CLIENT_TLS, CLIENT_BROKEN},
        {CURLE_SSL_ISSUER_ERROR, CLIENT_TLS, CLIENT_BROKEN},
        {CURLE_SSL_INVALIDCERTSTATUS, CLIENT_TLS, CLIENT_BROKEN},
        {CURLE_SSL_CLIENTCERT, CLIENT_TLS, CLIENT_BROKEN},
        {CURLE_WEIRD_SERVER_REPLY, CLIENT_FAULT, CLIENT_BAD_ANSWER},
        {CURLE_UNSUPPORTED_PROTOCOL, CLIENT_FAULT, CLIENT_BAD_ANSWER}, /* HTTP/0.9, HTTP/2 */
        {CURLE_HTTP_RETURNED_ERROR, CLIENT_FAULT, CLIENT_BAD_ANSWER},
        {CURLE_BAD_CONTENT_ENCODING, CLIENT_FAULT, CLIENT_BAD_ANSWER},
        {CURLE_RANGE_ERROR, CLIENT_FAULT, CLIENT_BAD_ANSWER},
        {CURLE_OUT_OF_MEMORY, CLIENT_FAULT, CLIENT_BAD_ANSWER}, /* a header line without end */
        {CURLE_TOO_LARGE_LATER, CLIENT_FAULT, CLIENT_BAD_ANSWER},
        {CURLE_FILESIZE_EXCEEDED, CLIENT_FAULT, CLIENT_TOO_BIG},
};

static const char *const names[] = {
        [CLIENT_ANSWERED] = "answered", [CLIENT_GATE] = "gate",
        [CLIENT_NAME] = "name",         [CLIENT_CONNECT] = "connect",
        [CLIENT_TLS] = "tls",           [CLIENT_TIMEOUT] = "timeout",
        [CLIENT_BROKEN] = "broken",     [CLIENT_BAD_ANSWER] = "bad_answer",
        [CLIENT_TOO_BIG] = "too_big",   [CLIENT_CANCELLED] = "cancelled",
        [CLIENT_FAULT] = "fault",
};

const char *client_end_name(ClientEnd end) {
        must((size_t)end < COUNT_OF(names));
        return names[end];
}

/* Out of time before the request left: for what were we waiting? */
static ClientEnd late_for(const Transfer *t) {
        curl_off_t us = 0;

        if (curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &us) != CURLE_OK || us == 0)
                return CLIENT_NAME;
        return t->has_connected ? CLIENT_TLS : CLIENT_CONNECT;
}

/* With TLS 1.3 a server judges our certificate after the handshake has ended for us, so its refusal
 * comes where the answer was expected. It has read no request then. OpenSSL's names of the alerts
 * are all there is to know it by; should they change, "broken" is still true. */
static bool is_certificate_refused(const Transfer *t) {
        const char *alert = strstr(t->error, "SSL routines::");

        alert = alert ? strstr(alert, " alert ") : NULL;
        return alert && (strstr(alert, "certificate") || strstr(alert, "unknown ca"));
}

ClientEnd end_of(Transfer *t, CURLcode code) {
        bool was_sent = t->sends > 0;

        if (t->verdict != CLIENT_ANSWERED)
                return t->verdict;
        if (t->gate.refused && t->gate.opened == 0 && !was_sent && code != CURLE_OK)
                return CLIENT_GATE;
        if (code == CURLE_OPERATION_TIMEDOUT && !was_sent)
                return late_for(t);
        /* Closed within its head an answer counts as whole and empty for libcurl. */
        if (code == CURLE_OK && t->status == 0)
                return CLIENT_BROKEN;
        /* libcurl has no code of its own for chunks that are none; the sentence tells them from a
         * connection that broke. Should a later libcurl word it otherwise, "broken" is still true.
         */
        if (code == CURLE_RECV_ERROR && was_sent && t->is_chunked && strstr(t->error, "chunk"))
                return CLIENT_BAD_ANSWER;
        if (code == CURLE_RECV_ERROR && t->status == 0 && is_certificate_refused(t))
                return CLIENT_TLS;
        for (size_t i = 0; i < COUNT_OF(ends); i++)
                if (ends[i].code == code)
                        return was_sent ? ends[i].after : ends[i].before;
        return was_sent ? CLIENT_BROKEN : CLIENT_FAULT;
}

void end_explain(Transfer *t, ClientEnd end, CURLcode code, char *ret, size_t n) {
        ret[0] = 0;
        if (end == CLIENT_GATE)
                gate_why(&t->gate, ret, n);
        else if (t->why[0])
                (void)snprintf(ret, n, "%s", t->why);
        else if (code == CURLE_OUT_OF_MEMORY && end == CLIENT_BAD_ANSWER)
                (void)snprintf(ret, n, "a header line of the answer has no end");
        else if (t->error[0])
                (void)snprintf(ret, n, "%s", t->error);
        else if (code == CURLE_OK)
                (void)snprintf(ret, n, "the connection closed within the head of the answer");
        else
                (void)snprintf(ret, n, "%s", curl_easy_strerror(code));
}
