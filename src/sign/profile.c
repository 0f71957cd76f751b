/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of profiles, and the few steps that they have in common. A new profile is a file with
 * one Profile in it and a row here. */
#include "sign/profile_row.h"

static const int64_t TIME_MAX_MS = 999999999999 * 1000; /* what webhook-timestamp may hold */

const Profile *const profiles[] = {
        &profile_standard, &profile_github,  &profile_stripe, &profile_slack,
        &profile_shopify,  &profile_rfc9421, &profile_none,   NULL,
};

const Profile *profile_find(Span name) {
        for (const Profile *const *p = profiles; *p; p++)
                if (span_eq(name, span_of((*p)->name)))
                        return *p;
        return NULL;
}

static int check_keys(const Signer *s, Err *e) {
        const Profile *p = s->profile;

        if (s->n_keys > PROFILE_KEYS_MAX)
                return FAIL(e, -EINVAL, "there are more than %d live secrets", PROFILE_KEYS_MAX);
        if (p->secrets && s->n_keys == 0)
                return FAIL(e, -EINVAL, "profile %s needs a secret to sign with", p->name);
        for (size_t i = 0; i < s->n_keys; i++)
                must(s->keys[i]->profile == p);
        return 0;
}

static int check_message(const SignMessage *m, Err *e) {
        if (m->id.n == 0 || m->id.n > PROFILE_ID_MAX_BYTES)
                return FAIL(e, -EINVAL, "a message id has from 1 to %d bytes",
                            PROFILE_ID_MAX_BYTES);
        for (size_t i = 0; i < m->id.n; i++)
                if (m->id.p[i] <= ' ' || m->id.p[i] > '~')
                        return FAIL(e, -EINVAL, "a message id is printable ASCII without blanks");
        if (m->time_ms < 0 || m->time_ms > TIME_MAX_MS)
                return FAIL(e, -EINVAL, "the time of the attempt is beyond what can be signed");
        return 0;
}

int profile_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret, Err *e) {
        size_t before = ret->n;
        int r = check_keys(s, e);

        r = r < 0 ? r : check_message(m, e);
        r = r < 0 ? r : s->profile->sign(s, m, a, ret, e);
        if (r < 0)
                ret->n = before;
        return r;
}

static bool is_header_value(Span s) {
        if (s.n == 0 || s.p[0] == ' ' || s.p[s.n - 1] == ' ')
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] < ' ' || s.p[i] > '~')
                        return false;
        return true;
}

int profile_add(SignHeaders *ret, const char *name, Span value, Arena *a, Err *e) {
        must(ret->n < PROFILE_HEADERS_MAX);
        if (!is_header_value(value))
                return FAIL(e, -EINVAL,
                            "%s is no header value: printable ASCII without a blank at its ends",
                            name);
        Span copy = arena_span(a, value);
        if (!copy.p)
                return FAIL(e, -ENOMEM, "there is no room for the header %s", name);
        ret->at[ret->n++] = (SignHeader){name, copy};
        return 0;
}

int profile_add_type(SignHeaders *ret, const char *name, const SignMessage *m, Arena *a, Err *e) {
        if (m->type.n > PROFILE_TYPE_MAX_BYTES)
                return FAIL(e, -EINVAL, "the event's type has more than %d bytes",
                            PROFILE_TYPE_MAX_BYTES);
        return m->type.n ? profile_add(ret, name, m->type, a, e) : 0;
}

Span profile_seconds(const SignMessage *m, char ret[PROFILE_SECONDS_BYTES]) {
        (void)snprintf(ret, PROFILE_SECONDS_BYTES, "%" PRId64, m->time_ms / 1000);
        return span_of(ret);
}

int profile_add_time(SignHeaders *ret, const char *name, const SignMessage *m, Arena *a, Err *e) {
        char seconds[PROFILE_SECONDS_BYTES];

        return profile_add(ret, name, profile_seconds(m, seconds), a, e);
}
