/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes are judged as they come and meanings when the line is complete, each at its own place:
 * that makes the verdict the same however the bytes were cut. A malformed line is told before an
 * unknown version, and that before an unknown method, so that a stranger's protocol (the HTTP/2
 * preface, say) hears 505. */
#include "http/line.h"

#include "http/bytes.h"
#include "http/refuse.h"

static const Span methods[] = {
        [HTTP_GET] = SPAN("GET"),         [HTTP_HEAD] = SPAN("HEAD"),
        [HTTP_POST] = SPAN("POST"),       [HTTP_PUT] = SPAN("PUT"),
        [HTTP_PATCH] = SPAN("PATCH"),     [HTTP_DELETE] = SPAN("DELETE"),
        [HTTP_OPTIONS] = SPAN("OPTIONS"),
};

const char *http_method_name(HttpMethod m) {
        must((size_t)m < COUNT_OF(methods));
        return methods[m].p;
}

static int method_find(Span name, HttpMethod *ret) {
        for (size_t i = 0; i < COUNT_OF(methods); i++)
                if (span_eq(name, methods[i])) {
                        *ret = (HttpMethod)i;
                        return 0;
                }
        return span_eq(name, SPAN("CONNECT")) || span_eq(name, SPAN("TRACE")) ? 405 : 501;
}

bool http_authority_parse(Span text, Span *ret_host, unsigned *ret_port) {
        bool is_v6 = text.n && text.p[0] == '[';
        size_t n = 0;
        uint64_t port = 0;

        if (is_v6) {
                for (n = 1; n < text.n &&
                            (http_is(text.p[n], HTTP_HEX) || text.p[n] == ':' || text.p[n] == '.');)
                        n++;
                if (n < 3 || n == text.n || text.p[n] != ']')
                        return false;
                n++;
        } else {
                n = http_run(text, 0, HTTP_LABEL);
        }
        if (n == 0)
                return false;
        *ret_host = (Span){text.p, n};
        if (n < text.n && (text.p[n] != ':' || text.n - n > 6 ||
                           !span_to_u64(span_from(text, n + 1), 65535, &port) || port == 0))
                return false;
        *ret_port = (unsigned)port;
        return true;
}

/* A dot however it is spelled: its length, or 0. */
static size_t dot_at(Span s, size_t i) {
        if (i < s.n && s.p[i] == '.')
                return 1;
        return s.n - i >= 3 && s.p[i] == '%' && s.p[i + 1] == '2' && (s.p[i + 2] | 0x20) == 'e' ? 3
                                                                                                : 0;
}

/* The offset of the first segment that is a step (one or two dots), or path.n: a client resolves
 * steps before it sends, so one that arrives is there to fool somebody. */
static size_t step_find(Span path) {
        for (size_t i = 0; i < path.n;) {
                size_t begin = i + 1, end = begin, dot;

                for (int dots = 0; dots < 2 && (dot = dot_at(path, end)); dots++)
                        end += dot;
                if (end > begin && (end == path.n || path.p[end] == '/'))
                        return begin;
                i = end + span_find(span_from(path, end), '/');
        }
        return path.n;
}

/* Sets path and query from the target, which begins with a slash; `offset` is where it does. */
static int path_read(HttpHead *h, size_t offset, HttpRefusal *refusal) {
        size_t mark = span_find(h->target, '?'), bad;

        h->path = (Span){h->target.p, mark};
        h->query = mark < h->target.n ? span_from(h->target, mark + 1) : (Span){NULL, 0};
        bad = http_run(h->path, 0, HTTP_PATH);
        if (bad < h->path.n)
                return http_refuse(refusal, 400, offset + bad, "a byte that no path may have");
        bad = http_percent_fault(h->target);
        if (bad < h->target.n)
                return http_refuse(refusal, 400, offset + bad,
                                   "a percent sign without two digits after it, or an encoded NUL");
        bad = step_find(h->path);
        if (bad < h->path.n)
                return http_refuse(refusal, 400, offset + bad, "a dot segment in the path");
        return 0;
}

/* The four forms of RFC 9112 section 3.2, less authority-form, which is CONNECT's. */
static int target_read(HttpHead *h, size_t offset, Span *authority, HttpRefusal *refusal) {
        Span t = h->target, host;
        size_t scheme = 0, slash;
        unsigned port;

        if (t.p[0] == '/')
                return path_read(h, offset, refusal);
        if (span_eq(t, SPAN("*")) && h->method == HTTP_OPTIONS) {
                h->path = t;
                return 0;
        }
        if (t.n > 7 && span_eq_nocase((Span){t.p, 7}, SPAN("http://")))
                scheme = 7;
        else if (t.n > 8 && span_eq_nocase((Span){t.p, 8}, SPAN("https://")))
                scheme = 8;
        if (!scheme)
                return http_refuse(refusal, 400, offset, "the target is neither a path nor a URL");
        slash = scheme + span_find(span_from(t, scheme), '/');
        *authority = (Span){t.p + scheme, slash - scheme};
        if (!http_authority_parse(*authority, &host, &port))
                return http_refuse(refusal, 400, offset + scheme, "the target names no host");
        h->target = slash < t.n ? span_from(t, slash) : SPAN("/");
        return path_read(h, offset + slash, refusal);
}

/* "HTTP/", two digits with a dot between them, and the line's end. The offset after it, 0 for
 * need more. */
static int version_read(Span in, size_t from, HttpRefusal *refusal) {
        static const char want[] = "HTTP/0.0\r\n";

        for (size_t i = 0; i < sizeof want - 1; i++) {
                if (from + i == in.n)
                        return 0;
                char c = in.p[from + i];
                if (want[i] == '0' ? !http_digit(c) : c != want[i])
                        return http_refuse(refusal, 400, from + i,
                                           "the request line does not end in its version and CRLF");
        }
        return (int)(from + sizeof want - 1);
}

int http_line_parse(Span in, size_t from, size_t *run, HttpHead *ret, Span *ret_authority,
                    HttpRefusal *refusal) {
        Span method = {in.p + from, http_run(in, from, HTTP_TOKEN)};
        size_t at = from + method.n, target_at = at + 1;
        Span room = {in.p, in.n - target_at > HTTP_TARGET_MAX_BYTES && in.n > target_at
                                   ? target_at + HTTP_TARGET_MAX_BYTES
                                   : in.n};
        int r;

        if (method.n > HTTP_METHOD_MAX_BYTES)
                return http_refuse(refusal, 501, from, "a method that is not known here");
        if (at == in.n)
                return 0;
        if (method.n == 0 || in.p[at] != ' ')
                return http_refuse(refusal, 400, at, "not a method with one blank after it");

        if (*run < target_at)
                *run = target_at;
        if (*run < in.n)
                *run += http_run(room, *run, HTTP_QUERY);
        at = *run;
        if (at >= in.n)
                return 0;
        if (at - target_at == HTTP_TARGET_MAX_BYTES && in.p[at] != ' ')
                return http_refuse(refusal, 414, at, "the target is too long");
        if (at == target_at || in.p[at] != ' ')
                return http_refuse(refusal, 400, at, "not a target with one blank after it");
        ret->target = (Span){in.p + target_at, at - target_at};

        r = version_read(in, at + 1, refusal);
        if (r <= 0)
                return r;
        if (in.p[at + 6] != '1' || in.p[at + 8] > '1')
                return http_refuse(refusal, 505, at + 1, "only HTTP/1.0 and HTTP/1.1 are spoken");
        ret->minor = in.p[at + 8] - '0';
        int status = method_find(method, &ret->method);
        if (status)
                return http_refuse(refusal, status, from,
                                   status == 405 ? "a method that is not allowed here"
                                                 : "a method that is not known here");
        *ret_authority = (Span){NULL, 0};
        int fault = target_read(ret, target_at, ret_authority, refusal);
        return fault < 0 ? fault : r;
}
