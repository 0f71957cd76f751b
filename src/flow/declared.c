/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/declared.h"

#include "http/url.h"

#include <jansson.h>
#include <openssl/evp.h>

enum { TEXT_MAX_BYTES = OBJECT_TEXT_MAX_BYTES, ID_BITS = 57 };

/* ---- from the file's words to those of the object ---- */

/* Bytes that are no UTF-8, as those of `${...}` may be, become null: find_null tells of them. */
static json_t *span_text(Span s) {
        json_t *text = s.p ? json_stringn(s.p, s.n) : NULL;

        return s.p && !text ? json_null() : text;
}

static json_t *text_of(const char *s) {
        return span_text(span_of(s));
}

static json_t *secret_text(const Secret *s) {
        return s->hidden ? span_text(secret_reveal(s)) : NULL;
}

/* NULL is left out. */
static void put(json_t *map, const char *key, json_t *value) {
        if (value)
                (void)json_object_set_new(map, key, value);
}

static json_t *texts_of(const char *const *texts, size_t n) {
        json_t *list = n ? json_array() : NULL;

        for (size_t i = 0; i < n; i++)
                (void)json_array_append_new(list, text_of(texts[i]));
        return list;
}

static json_t *secrets_of(const EndpointConfig *c) {
        json_t *list = json_array();

        for (size_t i = 0; i < c->n_secrets; i++)
                (void)json_array_append_new(list,
                                            json_pack("{s:o}", "key", text_of(c->secrets[i])));
        return list;
}

static json_t *oauth2_of(const OAuth2Config *o) {
        json_t *map = json_object();

        put(map, "tokenUrl", text_of(o->token_url));
        put(map, "clientId", text_of(o->client_id));
        put(map, "clientSecret", secret_text(&o->client_secret));
        put(map, "scope", text_of(o->scope));
        put(map, "audience", text_of(o->audience));
        put(map, "inBody", json_boolean(o->auth_style == 1));
        return map;
}

static json_t *auth_of(const ConnectionConfig *t) {
        json_t *auth = json_object(), *basic = json_object();

        put(basic, "user", text_of(t->user));
        put(basic, "password", secret_text(&t->password));
        if (t->auth == AUTH_BEARER)
                put(auth, "bearer", secret_text(&t->bearer));
        if (t->auth == AUTH_BASIC)
                put(auth, "basic", json_incref(basic));
        if (t->auth == AUTH_OAUTH2)
                put(auth, "oauth2", oauth2_of(&t->oauth2));
        json_decref(basic);
        if (json_object_size(auth) > 0)
                return auth;
        json_decref(auth);
        return NULL;
}

/* Those of `headers`, and the secret one of `header`. */
static void put_headers(json_t *o, const EndpointConfig *c) {
        const ConnectionConfig *t = &c->target;
        json_t *headers = json_object(), *hidden = json_array();

        for (size_t i = 0; i < t->n_headers; i++) {
                const Node *written = node_get(c->headers, t->headers[i].name);

                put(headers, t->headers[i].name, text_of(t->headers[i].value));
                if (written && written->secret)
                        (void)json_array_append_new(hidden, json_string(t->headers[i].name));
        }
        if (t->auth == AUTH_HEADER && t->header) {
                put(headers, t->header, secret_text(&t->header_value));
                (void)json_array_append_new(hidden, json_string(t->header));
        }
        put(o, "headers", headers);
        put(o, "hiddenHeaders", hidden);
}

/* One that came from `${...}` may be a secret as a whole, as those of chats are. */
static void put_url(json_t *o, const EndpointConfig *c) {
        const Node *n = node_get(c->map, "url");
        Span text = span_of(c->target.url);
        Url url;

        put(o, "url", span_text(text));
        if (!n || !n->secret || url_parse(text, &url, NULL) < 0)
                return;
        const char *behind = url.path.p ? url.path.p : url.host.p + url.host.n;
        put(o, "shownUrl", json_sprintf("%.*s/...", (int)(behind - text.p), text.p));
}

static json_t *retry_of(const RetryConfig *c) {
        RetryRule rule = retry_exponential(c->base_ms, c->cap_ms, (unsigned)c->tries);
        json_t *list = json_array();

        for (unsigned i = 0; i < rule.n; i++)
                (void)json_array_append_new(list, json_real((double)rule.pause_ms[i] / 1000));
        return list;
}

static json_t *tls_of(const EndpointConfig *c) {
        json_t *tls = json_object();

        put(tls, "certificate", text_of(c->tls.certificate));
        put(tls, "key", secret_text(&c->tls.key));
        put(tls, "ca", text_of(c->tls.ca));
        if (json_object_size(tls) > 0)
                return tls;
        json_decref(tls);
        return NULL;
}

static json_t *object_of(const EndpointConfig *c) {
        static const char *const orders[] = {"none", "subject", "all"};
        static const char *const formats[] = {"plain", "cloudevents", "cloudevents-structured"};
        json_t *o = json_object();

        put_url(o, c);
        put(o, "uid", text_of(c->name));
        put(o, "description", text_of(c->description));
        put(o, "disabled", json_boolean(c->disabled));
        put(o, "rateLimit", c->target.rate.count ? json_integer(c->target.rate.count) : NULL);
        put(o, "filterTypes", texts_of(c->types, c->n_types));
        put(o, "channels", texts_of(c->channels, c->n_channels));
        put_headers(o, c);
        put(o, "secrets", secrets_of(c));
        put(o, "profile", text_of(c->profile));
        put(o, "format", json_string(formats[c->format]));
        put(o, "timeout", json_integer(c->target.timeout_ms));
        put(o, "concurrency", json_integer(c->target.concurrency));
        put(o, "retry", c->retry.tries >= 0 ? retry_of(&c->retry) : NULL);
        put(o, "order", json_string(orders[c->order]));
        put(o, "filter", span_text(c->filter.text));
        put(o, "transform", span_text(c->transform.text));
        put(o, "auth", auth_of(&c->target));
        put(o, "tls", tls_of(c));
        if (c->batch.events)
                put(o, "batch",
                    json_pack("{s:I,s:I,s:I}", "events", (json_int_t)c->batch.events, "wait",
                              (json_int_t)c->batch.wait_ms, "bytes", (json_int_t)c->batch.bytes));
        put(o, "handshake", json_boolean(c->handshake));
        put(o, "eventsOnly", json_boolean(!c->wants_messages));
        return o;
}

/* ---- where an error belongs ---- */

/* What endpoint_make says is about a member of the object: "secrets: ...". */
static int tell(const EndpointConfig *c, const char *why, Problems *problems) {
        static const struct {
                const char *member, *keys[4];
        } all[] = {{"filterTypes", {"types"}},         {"rateLimit", {"limit"}},
                   {"concurrency", {"limit"}},         {"secrets", {"secret"}},
                   {"headers", {"headers", "header"}}, {"auth", {"bearer", "basic", "oauth2"}}};
        size_t n = strcspn(why, ":. ");
        Span member = {why, n};
        const char *rest = strchr(why, ':'), *key = NULL;
        const Node *at = NULL;

        for (size_t i = 0; i < COUNT_OF(all); i++)
                for (size_t k = 0; span_eq(member, span_of(all[i].member)) && all[i].keys[k]; k++) {
                        key = key && at ? key : all[i].keys[k];
                        at = at ? at : node_get(c->map, all[i].keys[k]);
                }
        for (size_t i = 0; !key && i < c->map->n; i++)
                if (span_eq(c->map->entries[i].key, member))
                        key = c->map->entries[i].key.p;
        at = at ? at : key ? node_get(c->map, key) : NULL;
        if (!key || !rest)
                return problem_add(problems, c->place, "%s", why);
        return problem_add(problems, at ? at->place : c->place, "%s%s", key, rest);
}

static bool holds_null(const json_t *v) {
        const char *key;
        json_t *inner;
        size_t i;

        json_object_foreach((json_t *)v, key, inner) if (holds_null(inner)) return true;
        json_array_foreach(v, i, inner) if (holds_null(inner)) return true;
        return json_is_null(v);
}

/* ---- made ready ---- */

/* The same for the same names, in every process; 57 bits of a hash, as other ids less than all that
 * are made. */
static int64_t id_of(const EndpointConfig *c) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        AUTO(buf_done)
        Buf names = BUF(1024);
        uint64_t id = 0;

        must(buf_addf(&names, "%s%c%s", c->application, 1, c->name) == 0 &&
             EVP_Digest(names.p, names.n, digest, NULL, EVP_sha256(), NULL) == 1);
        for (size_t i = 0; i < 8; i++)
                id = id << 8 | digest[i];
        return (int64_t)(id >> (64 - ID_BITS) | 1);
}

static void wipe(void *text) {
        Span *s = text;

        explicit_bzero((char *)s->p, s->n);
}

static void drop(void *endpoint) {
        endpoint_unref(endpoint);
}

/* The text in the arena, whole; .p NULL when there is no room. */
static Span text_in(Arena *a, const json_t *o) {
        char *text = json_dumps(o, JSON_COMPACT);
        Span *kept = arena_alloc(a, sizeof *kept), none = {NULL, 0};

        if (text && kept) {
                *kept = arena_span(a, span_of(text));
                if (kept->p && arena_defer(a, wipe, kept) < 0) {
                        wipe(kept);
                        kept = NULL;
                }
        }
        if (text)
                explicit_bzero(text, strlen(text));
        free(text);
        return kept ? *kept : none;
}

int declared_build(const EndpointConfig *c, Arena *a, Problems *problems, Declared *ret) {
        Err e = {0};
        json_t *written = object_of(c), *v;
        Object o = {.kind = OBJECT_ENDPOINT, .id = id_of(c), .text = text_in(a, written)};
        int r = plan_compile(c->match, c->n_match, a, problems, &ret->plan);
        const char *member;

        json_object_foreach(written, member, v) if (r == 0 && holds_null(v)) {
                char why[64];

                (void)snprintf(why, sizeof why, "%s: holds bytes that are no UTF-8", member);
                r = tell(c, why, problems);
        }
        json_decref(written);
        if (r < 0)
                return r;
        if (!o.text.p || o.text.n > TEXT_MAX_BYTES)
                return problem_add(problems, c->place, "the endpoint is larger than %d bytes",
                                   TEXT_MAX_BYTES);
        ret->config = c;
        ret->id = o.id;
        ret->members = span_from(o.text, 1);
        if (endpoint_make(&o, &ret->endpoint, &e) < 0)
                return tell(c, e.text, problems);
        if (arena_defer(a, drop, ret->endpoint) < 0) {
                endpoint_unref(ret->endpoint);
                return problem_no_room(problems, c->place);
        }
        return 0;
}

bool declared_hears(const Declared *d, Span source) {
        for (size_t i = 0; i < d->config->n_on; i++)
                if (span_eq(source, span_of(d->config->on[i])))
                        return true;
        return false;
}

int declared_print(const Declared *d, int64_t created_ms, int64_t updated_ms, Buf *out) {
        return buf_addf(out, "{\"createdAt\":%" PRId64 ",\"updatedAt\":%" PRId64 "," SPAN_FMT,
                        created_ms, updated_ms, SPAN_ARG(d->members));
}
