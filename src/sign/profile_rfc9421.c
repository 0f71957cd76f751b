/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP Message Signatures (RFC 9421), with the body bound through Content-Digest (RFC 9530): one
 * signature for each live key, labels sig1 (the newest), sig2 and so on.
 *
 * "@query" is covered when there is none as well; RFC 9421 section 2.2.7 gives it the value "?"
 * then. Left out, a query could be added on the way and the signature would still be right. */
#include "sign/encoding.h"
#include "sign/message_signature.h"
#include "sign/profile_row.h"

#include <openssl/sha.h>

enum { VALUE_MAX_BYTES = 4 * 1024, COMPONENTS_MAX = 8 };

typedef struct Components {
        SignComponent at[COMPONENTS_MAX];
        size_t n;
} Components;

static void cover(Components *c, const char *name, Span value) {
        must(c->n < COMPONENTS_MAX);
        c->at[c->n++] = (SignComponent){name, value};
}

static int add_digest(SignHeaders *ret, Span body, Arena *a, Err *e) {
        unsigned char digest[SHA256_DIGEST_LENGTH];
        AUTO(buf_done)
        Buf value = BUF(256);

        SHA256((const unsigned char *)body.p, body.n, digest);
        int r = buf_add(&value, SPAN("sha-256=:"));
        r = r < 0 ? r : base64_print(span_make(digest, sizeof digest), &value);
        r = r < 0 ? r : buf_add_char(&value, ':');
        return r < 0 ? r : profile_add(ret, "Content-Digest", buf_span(&value), a, e);
}

static Span lower(Arena *a, Span s) {
        char *p = arena_text(a, s);

        for (size_t i = 0; p && i < s.n; i++)
                if (p[i] >= 'A' && p[i] <= 'Z')
                        p[i] = (char)(p[i] - 'A' + 'a');
        return (Span){p, s.n};
}

static Span with_mark(Arena *a, Span query) {
        char *p = arena_alloc(a, query.n + 2);

        if (!p)
                return (Span){NULL, 0};
        p[0] = '?';
        if (query.n)
                memcpy(p + 1, query.p, query.n);
        return (Span){p, query.n + 1};
}

/* What each signature covers; `digest` is the value of Content-Digest. */
static int components_of(const SignMessage *m, Span digest, Arena *a, Components *ret, Err *e) {
        Span authority = lower(a, m->authority), query = with_mark(a, m->query);

        if (!authority.p || !query.p)
                return FAIL(e, -ENOMEM, "there is no room for what is to be signed");
        if (m->method.n == 0 || m->authority.n == 0)
                return FAIL(e, -EINVAL, "profile rfc9421 signs a method and an authority");
        cover(ret, "@method", m->method);
        cover(ret, "@authority", authority);
        cover(ret, "@path", m->path.n ? m->path : SPAN("/"));
        cover(ret, "@query", query);
        cover(ret, "content-digest", digest);
        if (m->content_type.n)
                cover(ret, "content-type", m->content_type);
        cover(ret, "webhook-id", m->id);
        return 0;
}

static int sign_each(const Signer *s, const SignMessage *m, const Components *c, Buf *input,
                     Buf *signature, Err *e) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < s->n_keys; i++) {
                char label[8];
                const MessageSignature one = {
                        .label = label,
                        .components = c->at,
                        .n_components = c->n,
                        .created_s = m->time_ms / 1000,
                        .keyid = profile_key_id(s->keys[i]),
                        .alg = s->keys[i]->kind == PROFILE_HMAC ? "hmac-sha256" : "ed25519",
                };

                (void)snprintf(label, sizeof label, "sig%zu", (i + 1) % 1000);
                r = message_signature_add(&one, s->keys[i], input, signature, e);
        }
        if (r == -EMSGSIZE)
                return FAIL(e, -EINVAL, "what is to be signed is too long");
        return r;
}

static int rfc9421_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret, Err *e) {
        AUTO(buf_done)
        Buf input = BUF(VALUE_MAX_BYTES), signature = BUF(VALUE_MAX_BYTES);
        Components covered = {.n = 0};
        int r = add_digest(ret, m->body, a, e);

        r = r < 0 ? r : components_of(m, ret->at[ret->n - 1].value, a, &covered, e);
        r = r < 0 ? r : sign_each(s, m, &covered, &input, &signature, e);
        r = r < 0 ? r : profile_add(ret, "webhook-id", m->id, a, e);
        r = r < 0 ? r : profile_add(ret, "Signature-Input", buf_span(&input), a, e);
        return r < 0 ? r : profile_add(ret, "Signature", buf_span(&signature), a, e);
}

const Profile profile_rfc9421 = {
        .name = "rfc9421",
        .help = "HTTP Message Signatures: Content-Digest, webhook-id, Signature-Input, Signature",
        .secrets = &secret_form_keys,
        .makes = {[PROFILE_HMAC] = true, [PROFILE_ED25519] = true},
        .sign = rfc9421_sign,
};
