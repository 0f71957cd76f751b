/* SPDX-License-Identifier: Apache-2.0
 *
 * A secret in the body itself, as Microsoft Graph sends it: each notification of `.value[]` bears
 * the clientState that was given with the subscription. It proves who sent, not what; and like the
 * rest of the body it is stored as it came.
 *
 * The body is checked JSON before anything in it is looked at, so that what is compared here is
 * what flows will see. Each value that the path leads to must be a live secret: one notification
 * with a wrong one refuses all that came with it. */
#include "sign/scheme.h"
#include "json/check.h"
#include "json/value.h"

enum {
        SECRET_MIN_BYTES = 16,
        PATH_MAX_BYTES = 255,
        NAMES_MAX = 16,
        TEXT_MAX_BYTES = 4096,
};

/* ".value[].clientState": names, each of them perhaps of a list whose items are all meant. */
typedef struct Path {
        struct PathName {
                Span name;
                bool is_list;
        } names[NAMES_MAX];
        size_t n;
} Path;

static bool is_name_byte(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '@' || c == '$';
}

static bool path_read(Span text, Path *ret) {
        ret->n = 0;
        if (text.n == 0 || text.n > PATH_MAX_BYTES)
                return false;
        while (text.n > 0) {
                struct PathName *at = &ret->names[ret->n];
                size_t end = 1;

                if (ret->n == NAMES_MAX || text.p[0] != '.')
                        return false;
                while (end < text.n && is_name_byte(text.p[end]))
                        end++;
                at->name = (Span){text.p + 1, end - 1};
                text = span_from(text, end);
                at->is_list = span_starts(text, SPAN("[]"));
                text = span_from(text, at->is_list ? 2 : 0);
                if (at->name.n == 0)
                        return false;
                ret->n++;
        }
        return true;
}

/* The secret at the end of the path. */
static SignVerdict check_value(const SignRule *rule, Span value, const char **why) {
        AUTO(buf_done)
        Buf text = BUF(TEXT_MAX_BYTES);

        if (json_kind(value) != JSON_STRING || json_text(value, &text) < 0)
                return sign_say(SIGN_MALFORMED, why, "the secret in the body is no plain text");
        if (!sign_is_secret(rule, buf_span(&text)))
                return sign_say(SIGN_WRONG, why, "the secret in the body is wrong");
        return SIGN_OK;
}

static SignVerdict check_from(const SignRule *rule, const Path *path, size_t at, Span value,
                              const char **why);

static SignVerdict check_list(const SignRule *rule, const Path *path, size_t at, Span list,
                              const char **why) {
        size_t pos = 0;
        Span key, item;

        if (json_kind(list) != JSON_ARRAY || json_length(list) == 0)
                return sign_say(SIGN_MISSING, why, "the body has no list where its secrets stand");
        while (json_next(list, &pos, &key, &item)) {
                SignVerdict v = check_from(rule, path, at, item, why);

                if (v != SIGN_OK)
                        return v;
        }
        return SIGN_OK;
}

/* As deep as the path is long. A name that is there twice would let two readers see two secrets. */
static SignVerdict check_from(const SignRule *rule, const Path *path, size_t at, Span value,
                              const char **why) {
        if (at == path->n)
                return check_value(rule, value, why);
        if (json_kind(value) != JSON_OBJECT)
                return sign_say(SIGN_MISSING, why, "the body holds no secret");
        size_t count = json_member_count(value, path->names[at].name);
        if (count == 0)
                return sign_say(SIGN_MISSING, why, "the body holds no secret");
        if (count > 1)
                return sign_say(SIGN_MALFORMED, why,
                                "a name on the way to the secret occurs twice");
        Span member = json_member(value, path->names[at].name);
        return path->names[at].is_list ? check_list(rule, path, at + 1, member, why)
                                       : check_from(rule, path, at + 1, member, why);
}

static SignVerdict member_check(const SignRule *rule, const SignInput *in, const char **why) {
        JsonFault fault;
        Path path;

        if (rule->n_secrets == 0 || !path_read(span_of(rule->path), &path))
                return sign_say(SIGN_WRONG, why, "this source's verification is not complete");
        if (json_check(in->body, JSON_KEYS_MAX, &fault) < 0)
                return sign_say(SIGN_MALFORMED, why, "the body is no JSON");
        return check_from(rule, &path, 0, in->body, why);
}

static int member_prepare(SignRule *rule, Err *e) {
        int r = sign_secrets_check(rule, SECRET_MIN_BYTES, e);
        Path path;

        if (r < 0)
                return r;
        if (!path_read(span_of(rule->path), &path))
                return FAIL(e, -EINVAL,
                            "scheme member needs the path of the secret, such as "
                            ".value[].clientState");
        return 0;
}

static const char *const member_uses[] = {"path", NULL};

const SignScheme sign_member = {
        .name = "member",
        .help = "A secret in the JSON body, as Microsoft Graph's clientState: path",
        .needs_secret = true,
        .uses = member_uses,
        .prepare = member_prepare,
        .check = member_check,
        .message_id = sign_no_message_id,
};
