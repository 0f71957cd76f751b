/* SPDX-License-Identifier: Apache-2.0
 *
 * An endpoint's secrets: the newest is shown to whoever may see the endpoint, as receivers need
 * it; rotation makes another, and the old one signs along for a while. */
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "json/value.h"

enum { OVERLAP_S = 24 * 3600, OVERLAP_MAX_S = 7 * 24 * 3600, OLD_MAX = PROFILE_KEYS_MAX - 1 };

static const Field out_fields[] = {
        {.name = "key", .type = FIELD_TEXT, .required = true},
        {.name = "publicKey",
         .type = FIELD_TEXT,
         .nullable = true,
         .help = "Of an ed25519 secret: what receivers verify with."},
};
const Schema schema_secret_out = {.name = "EndpointSecretOut", SCHEMA_FIELDS(out_fields)};

static const Field rotate_fields[] = {
        {.name = "key",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = PROFILE_SECRET_MAX_BYTES,
         .help = "The new secret; made when it is not given."},
        {.name = "gracePeriodSeconds",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 0,
         .max = OVERLAP_MAX_S,
         .fallback = "86400",
         .help = "How long the old secret signs along."},
        {.name = "secretType",
         .type = FIELD_TEXT,
         .choices = (const char *const[]){"hmac", "ed25519", NULL},
         .help = "Of the secret that is made; as the old one is, when it is not given."},
};
const Schema schema_secret_rotate_in = {.name = "EndpointSecretRotateIn",
                                        SCHEMA_FIELDS(rotate_fields)};

static Span newest(Op *op) {
        Span secrets = text_member(op->endpoint->object.text, "secrets");
        Span one = secrets.p ? json_element(secrets, 0) : (Span){NULL, 0};

        return one.p ? text_plain(one, "key", op->arena) : (Span){NULL, 0};
}

void endpoint_secret_get(Op *op) {
        AUTO(put_done)
        Put p = PUT(4096);
        AUTO(buf_done)
        Buf public = BUF(PROFILE_SECRET_MAX_BYTES);
        Span key = newest(op);

        if (op->endpoint->is_declared) {
                op_in_the_file(op);
                return;
        }
        if (!key.p) {
                op_error(op, 404, "no_secret", "the profile of this endpoint signs nothing");
                return;
        }
        put_open(&p, NULL, '{');
        put_text(&p, "key", key);
        if (profile_public_key(key, &public, NULL) == 0)
                put_text(&p, "publicKey", buf_span(&public));
        put_close(&p, '}');
        op_json(op, 200, &p);
}

/* ---- rotation ---- */

static bool new_secret(Op *op, const Profile *profile, Buf *made, Span *ret) {
        Span type = value_text(&op->body, "secretType", op->arena);
        bool is_ed =
                type.p ? span_eq(type, SPAN("ed25519"))
                       : profile_key_kind(op->endpoint->endpoint->keys[0].key) == PROFILE_ED25519;
        Err e = {0};

        *ret = value_text(&op->body, "key", op->arena);
        if (ret->p && profile_secret_check(profile, *ret, &e) < 0) {
                op_invalid_at(op, "body", "key", e.text);
                return false;
        }
        if (ret->p)
                return true;
        if (profile_secret_new(profile, is_ed ? PROFILE_ED25519 : PROFILE_HMAC, made, &e) < 0) {
                op_invalid_at(op, "body", "secretType", e.text);
                return false;
        }
        *ret = buf_span(made);
        return true;
}

/* The old secrets that still count, the one that was newest first; how many. */
static size_t put_old(Put *p, Span secrets, int64_t now, int64_t until) {
        Span key, one;
        size_t n = 0;

        for (size_t pos = 0; json_next(secrets, &pos, &key, &one);) {
                int64_t its = text_int(one, "until", 0);

                if (its == 0)
                        its = until;
                if (its <= now)
                        continue;
                put_open(p, NULL, '{');
                put_raw(p, "key", text_member(one, "key"));
                put_int(p, "until", its);
                put_close(p, '}');
                n++;
        }
        return n;
}

static void on_rotated(Op *op, Entry *e) {
        entry_unref(e);
        op_none(op, 204);
}

/* All members but "secrets" stay as they are. */
static void put_others(Put *p, Span text, int64_t now) {
        Span key, value;

        for (size_t pos = 0; json_next(text, &pos, &key, &value);)
                if (!span_eq(key, SPAN("secrets")) && !span_eq(key, SPAN("updatedAt")))
                        put_raw_for_raw(p, key, value);
        put_int(p, "updatedAt", now);
}

void endpoint_secret_rotate(Op *op) {
        AUTO(put_done)
        Put p = PUT(OBJECT_TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf made = BUF(PROFILE_SECRET_MAX_BYTES + 1);
        Span text = op->endpoint->object.text, secrets = text_member(text, "secrets"), key;
        int64_t now = clock_wall_ms();
        int64_t until = now + 1000 * value_int(&op->body, "gracePeriodSeconds", OVERLAP_S);

        if (!newest(op).p) {
                op_invalid_at(op, "body", "key", "the profile of this endpoint signs nothing");
                return;
        }
        if (!new_secret(op, op->endpoint->endpoint->profile, &made, &key))
                return;
        put_open(&p, NULL, '{');
        put_others(&p, text, now);
        put_open(&p, "secrets", '[');
        put_open(&p, NULL, '{');
        put_text(&p, "key", key);
        put_close(&p, '}');
        size_t n = put_old(&p, secrets, now, until);
        put_close(&p, ']');
        put_close(&p, '}');
        if (n > OLD_MAX)
                op_error(op, 400, "limit_reached",
                         "ten old secrets of this endpoint still sign along; wait until one ends");
        else
                endpoint_write(op, p.fault ? (Span){NULL, 0} : arena_span(op->arena, put_span(&p)),
                               on_rotated);
}
