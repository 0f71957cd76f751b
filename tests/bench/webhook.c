/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook.h"

#include "base/clock.h"
#include "base/random.h"

int webhook_init(Webhook *w, const char *path, uint64_t subjects, size_t body_bytes,
                 const char *secret, Err *e) {
        uint64_t run;
        Secret key = {0};

        random_bytes(&run, sizeof run);
        *w = (Webhook){.path = path, .subjects = subjects, .body_bytes = body_bytes};
        w->body = BUF(WEBHOOK_BODY_MAX_BYTES);
        (void)snprintf(w->run, sizeof w->run, "%016" PRIx64, run);
        if (!secret)
                return 0;
        int r = sign_standard_key(span_of(secret), &key, e);
        if (r < 0)
                return r;
        w->key = sign_key_new(SIGN_SHA256, secret_reveal(&key), e);
        secret_done(&key);
        return w->key ? 0 : -EINVAL;
}

static void make_body(Webhook *w, uint64_t number, int64_t sent_ns) {
        static const Span end = SPAN("\"}");
        char *room;

        buf_clear(&w->body);
        if (w->wraps)
                must(buf_add(&w->body, SPAN("{\"eventType\":\"user.updated\",\"payload\":")) == 0);
        must(buf_addf(&w->body,
                      "{\"id\":\"U%07" PRIu64 "\",\"entityType\":\"USER\",\"eventType\":\"UPDATE\","
                      "\"timestamp\":\"2019-01-01T00:00:00Z\",\"sent_ns\":%" PRId64 ",\"note\":\"",
                      number % w->subjects, sent_ns) == 0);
        if (w->body.n + end.n < w->body_bytes) {
                size_t n = w->body_bytes - w->body.n - end.n;

                must(buf_room(&w->body, n, &room) == 0);
                memset(room, '.', n);
                w->body.n += n;
        }
        must(buf_add(&w->body, end) == 0);
        if (w->wraps)
                must(buf_add_char(&w->body, '}') == 0);
}

void webhook_make(Webhook *w, uint64_t number, int64_t sent_ns, Buf *out) {
        char id[64];
        int64_t now_s = clock_wall_ms() / 1000;

        make_body(w, number, sent_ns);
        buf_clear(out);
        must(buf_addf(out,
                      "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                      "Content-Length: %zu\r\n",
                      w->path, w->body.n) == 0);
        if (w->key) {
                (void)snprintf(id, sizeof id, "msg_%s%012" PRIx64, w->run, number);
                must(buf_addf(out,
                              "webhook-id: %s\r\nwebhook-timestamp: %" PRId64
                              "\r\nwebhook-signature: ",
                              id, now_s) == 0);
                must(sign_standard_make_with(w->key, span_of(id), now_s, buf_span(&w->body), out) ==
                     0);
                must(buf_add(out, SPAN("\r\n")) == 0);
        }
        must(buf_add(out, SPAN("\r\n")) == 0 && buf_add(out, buf_span(&w->body)) == 0);
}

void webhook_done(Webhook *w) {
        w->key = sign_key_free(w->key);
        buf_done(&w->body);
}

int64_t webhook_sent_ns(Span body) {
        static const Span name = SPAN("\"sent_ns\":");
        const char *at = memmem(body.p, body.n, name.p, name.n);
        uint64_t ns;
        size_t n = 0;

        if (!at)
                return -1;
        Span rest = span_from(body, (size_t)(at - body.p) + name.n);
        while (n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9')
                n++;
        return span_to_u64(span_make(rest.p, n), INT64_MAX, &ns) ? (int64_t)ns : -1;
}
