/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/endpoint.h"

Endpoint *endpoint_ref(Endpoint *p) {
        atomic_fetch_add(&p->refs, 1);
        return p;
}

Endpoint *endpoint_unref(Endpoint *p) {
        if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
                return NULL;
        for (size_t i = 0; i < p->n_keys; i++)
                profile_key_free(p->keys[i].key);
        secret_done(&p->oauth2_secret);
        arena_free(p->arena);
        free(p);
        return NULL;
}

/* Names stand for programs that are ready made. */
static const struct {
        const char *name, *text;
} ready_made[] = {
        {"slack", "{text: \"*\\(.meta.type)*\\n```\\(.event | tojson)```\"}"},
};

Span endpoint_program(Span text) {
        for (size_t i = 0; i < COUNT_OF(ready_made); i++)
                if (span_eq(text, span_of(ready_made[i].name)))
                        return span_of(ready_made[i].text);
        return text;
}

bool endpoint_hides_header(Span name) {
        static const char *const names[] = {
                "authorization",
                "proxy-authorization",
                "proxy-authenticate",
                "www-authenticate",
                "x-auth-token",
                "x-api-key",
                "api-key",
                "cookie",
        };

        for (size_t i = 0; i < COUNT_OF(names); i++)
                if (span_eq_nocase(name, span_of(names[i])))
                        return true;
        return false;
}

bool endpoint_hides(const Endpoint *p, Span name) {
        for (size_t i = 0; i < p->n_hidden; i++)
                if (span_eq_nocase(name, p->hidden[i]))
                        return true;
        return endpoint_hides_header(name);
}

/* ---- does it want this? ---- */

/* "order.*" is order and all that begins with "order.". */
static bool type_matches(Span want, Span type) {
        if (want.n >= 2 && want.p[want.n - 1] == '*' && want.p[want.n - 2] == '.') {
                Span prefix = {want.p, want.n - 1};

                return span_starts(type, prefix) || span_eq(type, (Span){want.p, want.n - 2});
        }
        return span_eq(want, type);
}

static bool wants_type(const Endpoint *p, Span type) {
        for (size_t i = 0; i < p->n_types; i++)
                if (type_matches(p->types[i], type))
                        return true;
        return p->n_types == 0;
}

static bool wants_channel(const Endpoint *p, const Span *channels, size_t n) {
        for (size_t i = 0; i < p->n_channels; i++)
                for (size_t k = 0; k < n; k++)
                        if (span_eq(p->channels[i], channels[k]))
                                return true;
        return p->n_channels == 0;
}

bool endpoint_wants(const Endpoint *p, Span type, const Span *channels, size_t n_channels) {
        return !p->is_disabled && !p->is_events_only && wants_type(p, type) &&
               wants_channel(p, channels, n_channels);
}

bool endpoint_wants_event(const Endpoint *p, Span type) {
        return !p->is_disabled && wants_type(p, type);
}
