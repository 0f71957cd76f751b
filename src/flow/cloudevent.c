/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/cloudevent.h"

#include "base/clock.h"
#include "http/media.h"
#include "sign/encoding.h"
#include "json/check.h"

/* Values are UTF-8, percent-encoded but for printable ASCII without blank, quote and percent
 * (HTTP protocol binding, section 3.1.3.2). */
static int add_encoded(Buf *out, Span s) {
        int r = 0;

        for (size_t i = 0; i < s.n && r == 0; i++) {
                unsigned char c = (unsigned char)s.p[i];
                bool plain = c > ' ' && c < 0x7f && c != '"' && c != '%';

                r = plain ? buf_add_char(out, s.p[i]) : buf_addf(out, "%%%02X", c);
        }
        return r;
}

static int add_header(Arena *a, HttpHeader *ret, int n, const char *name, Span value) {
        AUTO(buf_done)
        Buf b = BUF(8192);
        Span kept;

        if (value.n == 0)
                return n;
        if (add_encoded(&b, value) < 0)
                return -EMSGSIZE;
        kept = arena_span(a, buf_span(&b));
        if (!kept.p)
                return -EMSGSIZE;
        ret[n] = (HttpHeader){span_of(name), kept};
        return n + 1;
}

/* What tells two systems' events apart: the application, or the source. */
static Span source_of(const Event *event, char ret[EVENT_WORD_MAX_BYTES + 2]) {
        int n = snprintf(ret, EVENT_WORD_MAX_BYTES + 2, "/" SPAN_FMT, SPAN_ARG(event->source));

        return (Span){ret, (size_t)n};
}

int cloudevent_headers(const Event *event, Span id, Arena *a, HttpHeader *ret) {
        char time[CLOCK_TEXT], source[EVENT_WORD_MAX_BYTES + 2];
        int n = 0;

        clock_print(event->time_ms ? event->time_ms : event->received_ms, time);
        const struct {
                const char *name;
                Span value;
        } all[CLOUDEVENT_HEADERS] = {
                {"ce-specversion", SPAN("1.0")},
                {"ce-id", id},
                {"ce-source", source_of(event, source)},
                {"ce-type", event->type},
                {"ce-time", span_of(time)},
                {"ce-subject", event->subject},
        };
        for (size_t i = 0; i < COUNT_OF(all) && n >= 0; i++)
                n = add_header(a, ret, n, all[i].name, all[i].value);
        return n;
}

static bool is_json(Span content_type, Span body) {
        JsonFault fault;
        HttpMedia m;

        return http_media_parse(content_type, &m) && http_media_is_json(&m) &&
               json_check(body, JSON_KEYS_MAX, &fault) == 0;
}

static int add_member(Buf *out, const char *name, Span value) {
        int r = value.n ? buf_addf(out, ",\"%s\":", name) : 0;

        return r == 0 && value.n ? buf_add_json(out, value) : r;
}

static int add_data(Buf *out, const Event *event) {
        int r;

        if (is_json(event->content_type, event->body)) {
                r = buf_add(out, SPAN(",\"data\":"));
                return r == 0 ? buf_add(out, event->body) : r;
        }
        r = buf_add(out, SPAN(",\"data_base64\":\""));
        if (r == 0)
                r = base64_print(event->body, out);
        return r == 0 ? buf_add_char(out, '"') : r;
}

int cloudevent_print(const Event *event, Span id, Buf *out) {
        char time[CLOCK_TEXT], source[EVENT_WORD_MAX_BYTES + 2];
        int r = buf_add(out, SPAN("{\"specversion\":\"1.0\""));

        clock_print(event->time_ms ? event->time_ms : event->received_ms, time);
        if (r == 0)
                r = add_member(out, "id", id);
        if (r == 0)
                r = add_member(out, "source", source_of(event, source));
        if (r == 0)
                r = add_member(out, "type", event->type);
        if (r == 0)
                r = add_member(out, "time", span_of(time));
        if (r == 0)
                r = add_member(out, "subject", event->subject);
        if (r == 0)
                r = add_member(out, "datacontenttype", event->content_type);
        if (r == 0)
                r = add_data(out, event);
        return r == 0 ? buf_add_char(out, '}') : r;
}
