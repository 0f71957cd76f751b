/* SPDX-License-Identifier: Apache-2.0
 *
 * An endpoint from the JSON of its object. */
#include "base/id.h"
#include "flow/endpoint_reading.h"
#include "http/url.h"
#include "map/map.h"

enum {
        ENDPOINT_ARENA_MAX_BYTES = 1024 * 1024,
        ARENA_EXTRA_BYTES = 128,
        TIMEOUT_MIN_MS = 100,
        TIMEOUT_MAX_MS = 60000,
        CONCURRENCY_MAX = 1000,
        RATE_MAX = 100000,
        PAUSE_MAX_S = 7 * 24 * 3600,
        JITTER_PERCENT = 20,
};

int reading_wrong(const Reading *r, const char *member, const char *want) {
        return FAIL(r->e, -EINVAL, "%s: %s", member, want);
}

/* ---- values ---- */

/* 1 when the member is there and not null, 0 when not. */
int reading_text(Reading *r, const char *member, Span *ret) {
        const json_t *v = json_object_get(r->from, member);

        *ret = (Span){NULL, 0};
        if (!v || json_is_null(v))
                return 0;
        if (!json_is_string(v))
                return reading_wrong(r, member, "must be a text");
        *ret = arena_span(r->p->arena, (Span){json_string_value(v), json_string_length(v)});
        return ret->p ? 1 : reading_wrong(r, member, "is too long");
}

static int number_of(Reading *r, const char *member, int64_t min, int64_t max, int64_t *into) {
        const json_t *v = json_object_get(r->from, member);

        if (!v || json_is_null(v))
                return 0;
        if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
                return FAIL(r->e, -EINVAL,
                            "%s: must be a whole number from %" PRId64 " to %" PRId64, member, min,
                            max);
        *into = json_integer_value(v);
        return 0;
}

static int truth_of(Reading *r, const char *member, bool *into) {
        const json_t *v = json_object_get(r->from, member);

        if (v && !json_is_null(v) && !json_is_boolean(v))
                return reading_wrong(r, member, "must be true or false");
        *into = json_is_true(v);
        return 0;
}

static int choice_of(Reading *r, const char *member, const char *const *names, int *into) {
        Span text;
        int got = reading_text(r, member, &text);

        if (got <= 0)
                return got;
        for (int i = 0; names[i]; i++) {
                if (span_eq(text, span_of(names[i]))) {
                        *into = i;
                        return 0;
                }
        }
        return FAIL(r->e, -EINVAL, "%s: '%.*s' is not known; the first choice is '%s'", member,
                    text.n > 40 ? 40 : (int)text.n, text.p, names[0]);
}

int reading_texts(Reading *r, const char *member, size_t max, const Span **ret, size_t *ret_n) {
        const json_t *list = json_object_get(r->from, member);
        size_t n = json_array_size(list);
        Span *texts;

        if (!list || json_is_null(list))
                return 0;
        if (!json_is_array(list) || n > max)
                return FAIL(r->e, -EINVAL, "%s: must be a list of at most %zu texts", member, max);
        texts = arena_alloc(r->p->arena, (n + 1) * sizeof *texts);
        if (!texts)
                return reading_wrong(r, member, "is too long");
        for (size_t i = 0; i < n; i++) {
                const json_t *v = json_array_get(list, i);

                if (!json_is_string(v) || json_string_length(v) == 0)
                        return reading_wrong(r, member, "must hold texts only");
                texts[i] = arena_span(r->p->arena,
                                      (Span){json_string_value(v), json_string_length(v)});
                if (!texts[i].p)
                        return reading_wrong(r, member, "is too long");
        }
        *ret = texts;
        *ret_n = n;
        return 0;
}

/* ---- where to ---- */

/* As in the Host header: without the scheme's own port, with brackets, with a final dot (the client
 * sends it), and in lower case. */
static Span authority_of(Reading *r, const Url *url) {
        bool six = url->host_kind == URL_IPV6;
        bool has_dot = url->host.p[url->host.n] == '.'; /* the text goes on there, or ends */
        const char *before = six ? "[" : "", *after = six ? "]" : has_dot ? "." : "";
        char port[8] = "";

        if (url->port != (url->https ? 443 : 80))
                (void)snprintf(port, sizeof port, ":%u", url->port);
        char *text = arena_printf(r->p->arena, "%s" SPAN_FMT "%s%s", before, SPAN_ARG(url->host),
                                  after, port);
        for (char *c = text; c && *c; c++)
                *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        return span_of(text);
}

static int read_url(Reading *r) {
        Endpoint *p = r->p;
        Span text;
        Url url;
        Err why = {0};
        int got = reading_text(r, "url", &text);

        if (got <= 0)
                return got < 0 ? got : reading_wrong(r, "url", "is missing");
        if (url_parse(text, &url, &why) < 0)
                return FAIL(r->e, -EINVAL, "url: %s", why.text);
        p->url = p->shown_url = text.p;
        p->path = url.path;
        p->query = url.query;
        p->authority = authority_of(r, &url);
        if (!p->authority.p)
                return reading_wrong(r, "url", "is too long");
        got = reading_text(r, "shownUrl", &text);
        if (got > 0)
                p->shown_url = text.p;
        return got < 0 ? got : 0;
}

/* ---- keys ---- */

static int read_key(Reading *r, const json_t *secret) {
        Endpoint *p = r->p;
        const json_t *key = json_object_get(secret, "key"),
                     *until = json_object_get(secret, "until");
        EndpointKey *k = &p->keys[p->n_keys];
        bool has_end = until && !json_is_null(until);

        /* An end that cannot be read must not become none. */
        if (!json_is_string(key) ||
            (has_end && (!json_is_integer(until) || json_integer_value(until) <= 0)))
                return reading_wrong(r, "secrets", "must be a list of {\"key\", \"until\"}");
        k->until_ms = has_end ? json_integer_value(until) : 0;
        k->key = profile_key_new(p->profile,
                                 (Span){json_string_value(key), json_string_length(key)}, r->e);
        if (!k->key) {
                err_prefix(r->e, "secrets");
                return -EINVAL;
        }
        p->n_keys++;
        return 0;
}

static int read_keys(Reading *r) {
        const json_t *list = json_object_get(r->from, "secrets");
        Span name;
        int bad = reading_text(r, "profile", &name);

        if (bad < 0)
                return bad;
        r->p->profile = profile_find(name.p ? name : SPAN("standard"));
        if (!r->p->profile)
                return FAIL(r->e, -EINVAL, "profile: '%.*s' is not known",
                            name.n > 40 ? 40 : (int)name.n, name.p);
        if (list && !json_is_null(list) && !json_is_array(list))
                return reading_wrong(r, "secrets", "must be a list of {\"key\", \"until\"}");
        for (size_t i = 0; i < json_array_size(list); i++) {
                if (r->p->n_keys == PROFILE_KEYS_MAX)
                        return reading_wrong(r, "secrets", "are too many");
                if ((bad = read_key(r, json_array_get(list, i))) < 0)
                        return bad;
        }
        if (r->p->n_keys == 0 && r->p->profile->secrets)
                return reading_wrong(r, "secrets", "one is needed to sign with");
        return 0;
}

/* ---- how ---- */

static int read_retry(Reading *r) {
        const json_t *list = json_object_get(r->from, "retry");
        RetryRule *rule = &r->p->retry;
        size_t n = json_array_size(list);

        *rule = retry_default;
        if (!list || json_is_null(list))
                return 0;
        if (!json_is_array(list) || n > RETRY_STEPS_MAX)
                return FAIL(r->e, -EINVAL, "retry: must be a list of at most %d pauses in seconds",
                            RETRY_STEPS_MAX);
        *rule = (RetryRule){.n = (unsigned)n,
                            .jitter_percent = JITTER_PERCENT,
                            .hint_max_ms = retry_default.hint_max_ms};
        for (size_t i = 0; i < n; i++) {
                const json_t *v = json_array_get(list, i);

                if (!json_is_number(v) || json_number_value(v) < 0 ||
                    json_number_value(v) > PAUSE_MAX_S)
                        return FAIL(r->e, -EINVAL, "retry: a pause is from 0 to %d seconds",
                                    PAUSE_MAX_S);
                rule->pause_ms[i] = (int64_t)(json_number_value(v) * 1000);
        }
        return 0;
}

/* What a batch of several cannot say is refused, since nobody would get what he asked for. */
static int read_batch(Reading *r) {
        Endpoint *p = r->p;
        int bad = batching_read(json_object_get(r->from, "batch"), &p->batch, r->e);

        if (bad < 0 || p->batch.events == 0)
                return bad;
        if (p->profile->tells_type)
                return FAIL(r->e, -EINVAL,
                            "batch: profile %s names the type of the one event in a header; take "
                            "another profile, or no batches",
                            p->profile->name);
        if (p->format == FORMAT_CLOUDEVENTS)
                return reading_wrong(r, "batch",
                                     "format cloudevents describes one event in the headers; take "
                                     "cloudevents-structured, or no batches");
        if (p->order == ORDER_ALL)
                return reading_wrong(
                        r, "batch",
                        "order all sends one event at a time, so there is nothing to put "
                        "together; take order subject or none, or no batches");
        return 0;
}

static int read_way(Reading *r) {
        static const char *const orders[] = {"none", "subject", "all", NULL};
        static const char *const formats[] = {"plain", "cloudevents", "cloudevents-structured",
                                              NULL};
        Endpoint *p = r->p;
        int64_t concurrency = ENDPOINT_CONCURRENCY, rate = 0;
        int order = ORDER_NONE, format = FORMAT_PLAIN;
        int bad = number_of(r, "timeout", TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &p->timeout_ms);

        if (bad == 0)
                bad = number_of(r, "concurrency", 1, CONCURRENCY_MAX, &concurrency);
        if (bad == 0)
                bad = number_of(r, "rateLimit", 1, RATE_MAX, &rate);
        if (bad == 0)
                bad = number_of(r, "failingSince", 0, INT64_MAX, &p->failing_since_ms);
        if (bad == 0)
                bad = choice_of(r, "order", orders, &order);
        if (bad == 0)
                bad = choice_of(r, "format", formats, &format);
        if (bad == 0)
                bad = truth_of(r, "disabled", &p->is_disabled);
        if (bad == 0)
                bad = truth_of(r, "handshake", &p->wants_handshake);
        if (bad == 0)
                bad = truth_of(r, "eventsOnly", &p->is_events_only);
        p->concurrency = (unsigned)concurrency;
        p->rate = (uint32_t)rate;
        p->order = (EndpointOrder)order;
        p->format = (EndpointFormat)format;
        if (bad == 0)
                bad = read_batch(r);
        return bad < 0 ? bad : read_retry(r);
}

static int read_program(Reading *r, const char *member, Span *into) {
        int got = reading_text(r, member, into);

        if (got > 0 && into->n > MAP_TEXT_MAX_BYTES)
                return reading_wrong(r, member, "is too long");
        if (got > 0)
                *into = endpoint_program(*into);
        return got < 0 ? got : 0;
}

static int read_all(Reading *r) {
        Endpoint *p = r->p;
        Span uid;
        int bad = reading_text(r, "uid", &uid);

        if (bad < 0)
                return bad;
        if (uid.n > OBJECT_NAME_MAX_BYTES)
                return FAIL(r->e, -EINVAL, "uid: is longer than %d bytes", OBJECT_NAME_MAX_BYTES);
        p->uid = uid;
        bad = read_url(r);
        if (bad == 0)
                bad = reading_texts(r, "filterTypes", ENDPOINT_TYPES_MAX, &p->types, &p->n_types);
        if (bad == 0)
                bad = reading_texts(r, "channels", ENDPOINT_CHANNELS_MAX, &p->channels,
                                    &p->n_channels);
        if (bad == 0)
                bad = reading_headers(r);
        if (bad == 0)
                bad = reading_texts(r, "hiddenHeaders", ENDPOINT_HEADERS_MAX + 1, &p->hidden,
                                    &p->n_hidden);
        if (bad == 0)
                bad = reading_auth(r);
        if (bad == 0)
                bad = reading_tls(r);
        if (bad == 0)
                bad = read_program(r, "filter", &p->filter);
        if (bad == 0)
                bad = read_program(r, "transform", &p->transform);
        if (bad == 0)
                bad = read_keys(r);
        return bad < 0 ? bad : read_way(r);
}

int endpoint_make(const Object *o, Endpoint **ret, Err *e) {
        json_error_t why;
        json_t *from = json_loadb(o->text.p, o->text.n, JSON_REJECT_DUPLICATES, &why);
        Endpoint *p;
        char id[ID_TEXT];
        int bad;

        if (!json_is_object(from)) {
                json_decref(from);
                return FAIL(e, -EINVAL, "the endpoint is no JSON object");
        }
        p = must_alloc(sizeof *p);
        p->refs = 1;
        /* There may be a hundred thousand of them: what it takes is about what its text holds. */
        p->arena = arena_new_for(o->text.n + ARENA_EXTRA_BYTES, ENDPOINT_ARENA_MAX_BYTES);
        p->id = o->id;
        p->application = o->owner;
        p->version = o->version;
        p->timeout_ms = ENDPOINT_TIMEOUT_MS;
        id_print("ep", o->id, id);
        (void)snprintf(p->target, sizeof p->target, "endpoint:%s", id);
        bad = read_all(&(Reading){.p = p, .from = from, .e = e});
        json_decref(from);
        if (bad < 0)
                endpoint_unref(p);
        else
                *ret = p;
        return bad < 0 ? bad : 0;
}
