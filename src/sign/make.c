/* SPDX-License-Identifier: Apache-2.0
 *
 * A new scheme is a function here and a row of the table. */
#include "sign/make.h"

#include "sign/encoding.h"
#include "sign/scheme.h"

enum { VALUE_MAX_BYTES = 8 * 1024 };

typedef struct Making {
        const SignRule *rule;
        Span id, body;
        int64_t time_ms;
        SignAdd *add;
        void *arg;
} Making;

static int make_none(const Making *m, Buf *value, Err *e) {
        (void)m;
        (void)value;
        (void)e;
        return 0;
}

static int make_standard(const Making *m, Buf *value, Err *e) {
        char seconds[24];
        int r;

        if (!m->rule->keys[0])
                return FAIL(e, -EINVAL,
                            "its secret is a public key (whpk_): only the sender can sign; give "
                            "the headers of a delivery that it signed, and the time of it");
        r = sign_standard_make_with(m->rule->keys[0], m->id, m->time_ms / 1000, m->body, value);
        if (r < 0)
                return FAIL(e, r,
                            "an id without dots and blanks, and a time after 1970, are "
                            "needed to sign");
        (void)snprintf(seconds, sizeof seconds, "%" PRId64, m->time_ms / 1000);
        m->add(m->arg, "webhook-id", m->id);
        m->add(m->arg, "webhook-timestamp", span_of(seconds));
        m->add(m->arg, "webhook-signature", buf_span(value));
        return 0;
}

static int make_hmac(const Making *m, Buf *value, Err *e) {
        unsigned char mac[SIGN_DIGEST_MAX];
        const SignKey *key = m->rule->keys[0];
        int r = buf_add(value, span_of(m->rule->prefix));

        sign_key_mac(key, &m->body, 1, mac);
        Span digest = span_make(mac, sign_key_digest_bytes(key));
        if (r == 0)
                r = m->rule->encoding == SIGN_HEX ? hex_print(digest, value)
                                                  : base64_print(digest, value);
        if (r < 0)
                return FAIL(e, r, "the signature is too long");
        m->add(m->arg, m->rule->header, buf_span(value));
        return 0;
}

static int make_bearer(const Making *m, Buf *value, Err *e) {
        bool is_own_header = span_of(m->rule->header).n > 0;
        int r = buf_add(value, is_own_header ? span_of(m->rule->prefix) : SPAN("Bearer "));

        if (r == 0)
                r = buf_add(value, secret_reveal(&m->rule->secrets[0]));
        if (r < 0)
                return FAIL(e, r, "the token is too long");
        m->add(m->arg, is_own_header ? m->rule->header : "authorization", buf_span(value));
        return 0;
}

static int make_basic(const Making *m, Buf *value, Err *e) {
        AUTO(buf_done)
        Buf plain = BUF(VALUE_MAX_BYTES);
        int r = buf_addf(&plain, "%s:", m->rule->user);

        if (r == 0)
                r = buf_add(&plain, secret_reveal(&m->rule->secrets[0]));
        if (r == 0)
                r = buf_add(value, SPAN("Basic "));
        if (r == 0)
                r = base64_print(buf_span(&plain), value);
        if (plain.p)
                explicit_bzero(plain.p, plain.cap);
        if (r < 0)
                return FAIL(e, r, "the credentials are too long");
        m->add(m->arg, "authorization", buf_span(value));
        return 0;
}

static const struct {
        const SignScheme *scheme;
        int (*make)(const Making *m, Buf *value, Err *e);
} makers[] = {
        {&sign_none, make_none},     {&sign_standard, make_standard}, {&sign_hmac, make_hmac},
        {&sign_bearer, make_bearer}, {&sign_basic, make_basic},
};

int sign_make(const SignRule *rule, Span id, int64_t time_ms, Span body, SignAdd *add, void *arg,
              Err *e) {
        Making m = {rule, id, body, time_ms, add, arg};
        Buf value = BUF(VALUE_MAX_BYTES);
        int r = FAIL(e, -EINVAL, "scheme %s cannot be signed here yet: give the headers instead",
                     rule->scheme->name);

        for (size_t i = 0; i < COUNT_OF(makers); i++)
                if (makers[i].scheme == rule->scheme) {
                        *e = (Err){0};
                        r = makers[i].make(&m, &value, e);
                }
        if (value.p)
                explicit_bzero(value.p, value.cap);
        buf_done(&value);
        return r;
}
