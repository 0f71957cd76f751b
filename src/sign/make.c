/* SPDX-License-Identifier: Apache-2.0
 *
 * A new scheme is a function here and a row of the table. */
#include "sign/make.h"

#include "base/clock.h"
#include "sign/encoding.h"
#include "sign/scheme.h"
#include "sign/template.h"

enum { VALUE_MAX_BYTES = 8 * 1024, COVERED_MAX_BYTES = 16 * 1024 * 1024 };

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

/* As the form writes times. */
static int add_time(const SignForm *f, int64_t time_ms, Buf *out) {
        char text[CLOCK_TEXT];

        if (f->unit == SIGN_RFC3339) {
                clock_print(time_ms, text);
                return buf_add(out, span_of(text));
        }
        return buf_addf(out, "%" PRId64, f->unit == SIGN_MILLISECONDS ? time_ms : time_ms / 1000);
}

static int cover(const Making *m, Span time, Buf *out) {
        const SignTemplate *t = m->rule->covers;
        int r = 0;

        if (!t)
                return buf_add(out, m->body);
        for (size_t i = 0; i < t->n && r == 0; i++) {
                SignHole hole = t->parts[i].hole;

                r = hole == HOLE_NONE        ? buf_add(out, t->parts[i].literal)
                    : hole == HOLE_BODY      ? buf_add(out, m->body)
                    : hole == HOLE_TIMESTAMP ? buf_add(out, time)
                    : hole == HOLE_ID        ? buf_add(out, m->id)
                                             : -ENOTSUP;
        }
        return r;
}

static int add_digest(const SignForm *f, Span digest, Buf *out) {
        size_t before = out->n;
        int r = f->encoding == SIGN_HEX ? hex_print(digest, out) : base64_print(digest, out);

        if (f->encoding != SIGN_BASE64URL || r < 0)
                return r;
        while (out->n > before && out->p[out->n - 1] == '=')
                out->n--;
        for (size_t i = before; i < out->n; i++)
                out->p[i] = out->p[i] == '+' ? '-' : out->p[i] == '/' ? '_' : out->p[i];
        return 0;
}

static int make_hmac(const Making *m, Buf *value, Err *e) {
        unsigned char mac[SIGN_DIGEST_MAX];
        const SignKey *key = m->rule->keys[0];
        const SignForm *f = &m->rule->form;
        AUTO(buf_done)
        Buf time = BUF(64);
        AUTO(buf_done)
        Buf covered = BUF(COVERED_MAX_BYTES);
        int r = add_time(f, m->time_ms, &time);

        if (r == 0)
                r = cover(m, buf_span(&time), &covered);
        if (r == -ENOTSUP)
                return FAIL(e, -EINVAL,
                            "what it signs (URL, method or a header) is not known here: give the "
                            "headers of a delivery instead");
        Span all = buf_span(&covered);
        sign_key_mac(key, &all, 1, mac);
        if (r == 0 && f->timestamp_entry)
                r = buf_addf(value, "%s" SPAN_FMT ",", f->timestamp_entry,
                             SPAN_ARG(buf_span(&time)));
        if (r == 0)
                r = buf_add(value, span_of(f->prefix));
        if (r == 0)
                r = add_digest(f, span_make(mac, sign_key_digest_bytes(key)), value);
        if (r < 0)
                return FAIL(e, r, "the signature is too long");
        if (f->timestamp)
                m->add(m->arg, f->timestamp, buf_span(&time));
        if (f->id)
                m->add(m->arg, f->id, m->id);
        m->add(m->arg, f->header, buf_span(value));
        return 0;
}

static int make_bearer(const Making *m, Buf *value, Err *e) {
        bool is_own_header = span_of(m->rule->form.header).n > 0;
        int r = buf_add(value, is_own_header ? span_of(m->rule->form.prefix) : SPAN("Bearer "));

        if (r == 0)
                r = buf_add(value, secret_reveal(&m->rule->secrets[0]));
        if (r < 0)
                return FAIL(e, r, "the token is too long");
        m->add(m->arg, is_own_header ? m->rule->form.header : "authorization", buf_span(value));
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
        {&sign_github, make_hmac},   {&sign_stripe, make_hmac},       {&sign_slack, make_hmac},
        {&sign_shopify, make_hmac},  {&sign_zitadel, make_hmac},      {&sign_customerio, make_hmac},
        {&sign_keycloak, make_hmac}, {&sign_bearer, make_bearer},     {&sign_basic, make_basic},
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
