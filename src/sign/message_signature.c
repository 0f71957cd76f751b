/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/message_signature.h"
#include "sign/encoding.h"
#include "sign/profile_row.h"

enum { BASE_MAX_BYTES = 64 * 1024, PARAMS_MAX_BYTES = 1024 };

/* A line end in a value would be a line of its own in what is signed. */
static bool is_one_line(Span s) {
        for (size_t i = 0; i < s.n; i++)
                if ((s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] > '~')
                        return false;
        return true;
}

static bool is_plain_string(Span s) {
        return is_one_line(s) && span_find(s, '"') == s.n && span_find(s, '\\') == s.n &&
               span_find(s, '\t') == s.n;
}

/* The lines of the components (section 2.5), each with its line end. */
static int base_of(const MessageSignature *m, Buf *ret, Err *e) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < m->n_components; i++) {
                const SignComponent *c = &m->components[i];

                if (!is_one_line(c->value))
                        return FAIL(e, -EINVAL, "%s is not one line of printable ASCII", c->name);
                r = buf_addf(ret, "\"%s\": ", c->name);
                r = r < 0 ? r : buf_add(ret, span_trim(c->value, " \t"));
                r = r < 0 ? r : buf_add_char(ret, '\n');
        }
        return r;
}

/* The list of what is signed, and the parameters behind it (section 2.3). */
static int params_of(const MessageSignature *m, Buf *ret, Err *e) {
        int r = buf_add_char(ret, '(');

        if (!is_plain_string(m->keyid))
                return FAIL(e, -EINVAL, "the keyid holds a byte that it may not hold");
        for (size_t i = 0; r == 0 && i < m->n_components; i++)
                r = buf_addf(ret, "%s\"%s\"", i ? " " : "", m->components[i].name);
        r = r < 0 ? r
                  : buf_addf(ret, ");created=%" PRId64 ";keyid=\"" SPAN_FMT "\"", m->created_s,
                             SPAN_ARG(m->keyid));
        return r < 0 || !m->alg ? r : buf_addf(ret, ";alg=\"%s\"", m->alg);
}

static int add_member(Buf *to, const char *label) {
        return buf_addf(to, "%s%s=", to->n ? ", " : "", label);
}

static int add_members(const MessageSignature *m, Span params, Span signature, Buf *to_input,
                       Buf *to_signature) {
        int r = add_member(to_input, m->label);

        r = r < 0 ? r : buf_add(to_input, params);
        r = r < 0 ? r : add_member(to_signature, m->label);
        r = r < 0 ? r : buf_add_char(to_signature, ':');
        r = r < 0 ? r : base64_print(signature, to_signature);
        return r < 0 ? r : buf_add_char(to_signature, ':');
}

int message_signature_add(const MessageSignature *m, const ProfileKey *key, Buf *input,
                          Buf *signature, Err *e) {
        unsigned char bytes[SIGN_DIGEST_MAX];
        AUTO(buf_done)
        Buf base = BUF(BASE_MAX_BYTES), params = BUF(PARAMS_MAX_BYTES);
        size_t n = 0, n_input = input->n, n_signature = signature->n;
        int r = base_of(m, &base, e);

        r = r < 0 ? r : params_of(m, &params, e);
        if (r == 0) {
                const Span parts[] = {buf_span(&base), SPAN("\"@signature-params\": "),
                                      buf_span(&params)};

                r = profile_key_sign(key, parts, COUNT_OF(parts), bytes, &n);
        }
        r = r < 0 ? r : add_members(m, buf_span(&params), span_make(bytes, n), input, signature);
        if (r < 0) {
                input->n = n_input;
                signature->n = n_signature;
        }
        return r;
}
