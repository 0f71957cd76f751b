/* SPDX-License-Identifier: Apache-2.0
 *
 * What the profiles make, as JSON, for the tests with the vendors' own libraries. It reads the
 * body from standard input:
 *
 *     sign_print new PROFILE hmac|ed25519     {"secret": ..., "keyid": ..., "public": ...}
 *     sign_print sign PROFILE NAME=VALUE...   {"name": "value", ...}
 *
 * where NAME is id, time, event (milliseconds), type, method, authority, path, query,
 * content-type, svix, or secret, once for each live one, newest first. A refusal goes to standard
 * error and ends with 1. */
#include "sign/profile.h"

#include <unistd.h>

enum { BODY_MAX = 4 << 20, ROOM = 64 * 1024 };

static int say(const Err *e) {
        (void)fprintf(stderr, "%s\n", e->text[0] ? e->text : "no room");
        return 1;
}

/* `"name": "value"` into an object that is open. */
static int add_pair(Buf *out, const char *name, Span value) {
        int r = buf_add(out, out->n > 1 ? SPAN(", ") : SPAN(""));

        r = r < 0 ? r : buf_add_json(out, span_of(name));
        r = r < 0 ? r : buf_add(out, SPAN(": "));
        return r < 0 ? r : buf_add_json(out, value);
}

static int print_new(const Profile *p, const char *kind, Err *e) {
        AUTO(buf_done)
        Buf secret = BUF(300), public = BUF(100), out = BUF(ROOM);
        bool is_pair = strcmp(kind, "ed25519") == 0;
        int r = profile_secret_new(p, is_pair ? PROFILE_ED25519 : PROFILE_HMAC, &secret, e);

        if (r < 0)
                return r;
        AUTO(profile_key_freep)
        ProfileKey *k = profile_key_new(p, buf_span(&secret), e);
        if (!k)
                return -EINVAL;
        r = is_pair ? profile_public_key(buf_span(&secret), &public, e) : 0;
        r = r < 0 ? r : buf_add_char(&out, '{');
        r = r < 0 ? r : add_pair(&out, "secret", buf_span(&secret));
        r = r < 0 ? r : add_pair(&out, "keyid", profile_key_id(k));
        r = r < 0 || !is_pair ? r : add_pair(&out, "public", buf_span(&public));
        if (r == 0)
                (void)printf(SPAN_FMT "}\n", SPAN_ARG(buf_span(&out)));
        return r;
}

static int read_body(Buf *ret) {
        for (;;) {
                char *at = NULL;
                int r = buf_room(ret, 4096, &at);

                if (r < 0)
                        return r;
                ssize_t n = read(STDIN_FILENO, at, 4096);
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                ret->n += (size_t)n;
        }
}

static int set(Signer *s, SignMessage *m, Span name, const char *value, Err *e) {
        const struct {
                const char *name;
                Span *text;
                int64_t *number;
        } fields[] = {
                {"id", &m->id, NULL},
                {"time", NULL, &m->time_ms},
                {"event", NULL, &m->event_ms},
                {"type", &m->type, NULL},
                {"method", &m->method, NULL},
                {"authority", &m->authority, NULL},
                {"path", &m->path, NULL},
                {"query", &m->query, NULL},
                {"content-type", &m->content_type, NULL},
        };

        if (span_eq(name, SPAN("secret")) && s->n_keys < PROFILE_KEYS_MAX) {
                ProfileKey *k = profile_key_new(s->profile, span_of(value), e);

                if (!k)
                        return -EINVAL;
                s->keys[s->n_keys++] = k;
                return 0;
        }
        if (span_eq(name, SPAN("svix"))) {
                s->svix_names = true;
                return 0;
        }
        for (size_t i = 0; i < COUNT_OF(fields); i++)
                if (span_eq(name, span_of(fields[i].name))) {
                        if (fields[i].text)
                                *fields[i].text = span_of(value);
                        else
                                *fields[i].number = strtoll(value, NULL, 10);
                        return 0;
                }
        return FAIL(e, -EINVAL, "there is no " SPAN_FMT, SPAN_ARG(name));
}

static int print_headers(const Signer *s, const SignMessage *m, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(ROOM);
        AUTO(buf_done)
        Buf out = BUF(ROOM);
        SignHeaders h = {.n = 0};
        int r = profile_sign(s, m, a, &h, e);

        r = r < 0 ? r : buf_add_char(&out, '{');
        for (size_t i = 0; r == 0 && i < h.n; i++)
                r = add_pair(&out, h.at[i].name, h.at[i].value);
        if (r == 0)
                (void)printf(SPAN_FMT "}\n", SPAN_ARG(buf_span(&out)));
        return r;
}

static int print_signed(const Profile *p, char **settings, Err *e) {
        Signer s = {.profile = p};
        AUTO(buf_done)
        Buf body = BUF(BODY_MAX);
        SignMessage m = {.method = SPAN("POST")};
        int r = read_body(&body);

        m.body = buf_span(&body);
        for (; r == 0 && *settings; settings++) {
                Span name = {*settings, span_find(span_of(*settings), '=')};

                r = (*settings)[name.n] ? set(&s, &m, name, *settings + name.n + 1, e)
                                        : FAIL(e, -EINVAL, "%s is not NAME=VALUE", *settings);
        }
        r = r < 0 ? r : print_headers(&s, &m, e);
        for (size_t i = 0; i < s.n_keys; i++)
                profile_key_free((ProfileKey *)s.keys[i]);
        return r;
}

int main(int argc, char **argv) {
        const Profile *p = argc > 2 ? profile_find(span_of(argv[2])) : NULL;
        Err e = {0};
        int r = -EINVAL;

        if (!p)
                (void)FAIL(&e, r,
                           "usage: sign_print new PROFILE KIND | sign PROFILE NAME=VALUE...");
        else if (strcmp(argv[1], "new") == 0 && argc == 4)
                r = print_new(p, argv[3], &e);
        else if (strcmp(argv[1], "sign") == 0)
                r = print_signed(p, argv + 3, &e);
        return r < 0 ? say(&e) : 0;
}
