/* SPDX-License-Identifier: Apache-2.0
 *
 * SCIM PatchOp from what is to what is wanted, in the dialects that servers were written for.
 * Okta's dialect is made of the same walk: once to count what an attribute needs, once for the
 * removals, which need a path there too. */
#include "json/check.h"
#include "json/diff.h"
#include "json/index.h"
#include "json/scim.h"
#include "json/text.h"

#define SCIM_HEAD                                                                                  \
        "{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:PatchOp\"],\"Operations\":["

bool scim_is_unassigned(Span value) {
        size_t pos = 0;
        Span key, first;

        if (!value.p || json_kind(value) == JSON_NULL)
                return true;
        return json_kind(value) == JSON_ARRAY && !json_next(value, &pos, &key, &first);
}

/* An object that says nothing but nulls, which assigns nothing either. */
static bool is_hollow(Span value) {
        Span key, member;

        if (json_kind(value) != JSON_OBJECT)
                return false;
        for (size_t pos = 0; json_next(value, &pos, &key, &member);)
                if (!scim_is_unassigned(member))
                        return false;
        return true;
}

/* RFC 7643 section 2.1: letters, digits, '-', '_', and the '$' of $ref. */
static bool is_name(Span raw) {
        for (size_t i = 0; i < raw.n; i++)
                if ((!json_is(raw.p[i], JSON_BARE) || raw.p[i] == '+' || raw.p[i] == '.') &&
                    raw.p[i] != '_' && raw.p[i] != '$')
                        return false;
        return raw.n > 0;
}

static bool is_urn(Span raw) {
        if (raw.n < 5 || !span_eq_nocase((Span){raw.p, 4}, SPAN("urn:")))
                return false;
        for (size_t i = 0; i < raw.n; i++)
                if (!json_is(raw.p[i], JSON_BARE) && raw.p[i] != ':' && raw.p[i] != '_')
                        return false;
        return true;
}

/* The JSON string once more as a part of a JSON string. */
static int add_quoted(Span token, Buf *out) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < token.n; i++) {
                if (token.p[i] == '"' || token.p[i] == '\\')
                        r = buf_add_char(out, '\\');
                if (r == 0)
                        r = buf_add_char(out, token.p[i]);
        }
        return r;
}

static int add_name(Span before, Span name, Buf *out) {
        int r = is_name(name) ? buf_add(out, before) : -EINVAL;

        return r == 0 ? buf_add(out, name) : r;
}

static int path_print(const ScimPath *path, Buf *out) {
        int r = 0;

        if (path->urn.p)
                r = buf_add(out, path->urn);
        if (r == 0 && path->attr.p)
                r = add_name(path->urn.p ? SPAN(":") : SPAN(""), path->attr, out);
        if (r == 0 && path->by.p) {
                r = buf_addf(out, "[" SPAN_FMT " eq ", SPAN_ARG(path->by));
                if (r == 0)
                        r = add_quoted(path->key, out);
                if (r == 0)
                        r = buf_add_char(out, ']');
        }
        if (r == 0 && path->sub.p)
                r = add_name(SPAN("."), path->sub, out);
        return r;
}

static int value_print(const ScimWriter *w, Span value) {
        JsonKind kind = json_kind(value);

        if (w->profile->has_text_boolean && (kind == JSON_TRUE || kind == JSON_FALSE))
                return buf_add(w->out, kind == JSON_TRUE ? SPAN("\"True\"") : SPAN("\"False\""));
        return json_merge(SPAN("null"), value, w->out);
}

static int op_open(ScimWriter *w, ScimOp op) {
        int r = buf_add(w->out, w->n_ops ? SPAN(",") : SPAN(SCIM_HEAD));

        w->n_ops++;
        return r == 0 ? buf_addf(w->out, "{\"op\":\"%s\"", w->profile->ops[op]) : r;
}

int scim_write(ScimWriter *w, ScimOp op, const ScimPath *path, Span value) {
        /* An element that goes is a list that is set. */
        bool is_removal = op == SCIM_REMOVE && !path->by.p;
        int r;

        w->removes += is_removal;
        w->sets += !is_removal;
        if (!w->out || (w->removes_only && !is_removal))
                return 0;
        r = op_open(w, op);
        if (r == 0)
                r = buf_add(w->out, SPAN(",\"path\":\""));
        if (r == 0)
                r = path_print(path, w->out);
        if (r == 0)
                r = buf_add_char(w->out, '"');
        if (r == 0 && op != SCIM_REMOVE) {
                r = buf_add(w->out, SPAN(",\"value\":"));
                if (r == 0)
                        r = value_print(w, value);
        }
        return r == 0 ? buf_add_char(w->out, '}') : r;
}

int scim_set(ScimWriter *w, const ScimPath *path, Span have, Span want) {
        if (scim_is_unassigned(want))
                return scim_is_unassigned(have) ? 0
                                                : scim_write(w, SCIM_REMOVE, path, (Span){NULL, 0});
        if (scim_is_unassigned(have))
                return is_hollow(want) ? 0 : scim_write(w, SCIM_ADD, path, want);
        return json_equal(have, want) ? 0 : scim_write(w, SCIM_REPLACE, path, want);
}

typedef int MemberFn(ScimWriter *w, const ScimPath *path, Span key, Span have, Span want);

/* Calls fn for each member of `want`, the last of each name. */
static int each_member(ScimWriter *w, const ScimPath *path, Span have, Span want, MemberFn *fn) {
        AUTO(json_index_done)
        JsonIndex old = {0};
        AUTO(json_index_done)
        JsonIndex new = {0};
        Span key, value;
        int r = 0;

        json_index_init(&old, have);
        json_index_init(&new, want);
        for (size_t pos = 0; r == 0 && json_next(want, &pos, &key, &value);)
                if (json_index_find(&new, key).p == value.p)
                        r = fn(w, path, key, json_index_find(&old, key), value);
        return r;
}

static int diff_sub(ScimWriter *w, const ScimPath *path, Span key, Span have, Span want) {
        ScimPath at = *path;

        at.sub = key;
        return scim_set(w, &at, have, want);
}

int scim_diff_subs(ScimWriter *w, const ScimPath *path, Span have, Span want) {
        return each_member(w, path, have, want, diff_sub);
}

static int diff_attr(ScimWriter *w, const ScimPath *path, Span key, Span have, Span want) {
        JsonKind kind = json_kind(want);
        ScimPath at = *path;

        at.attr = key;
        if (scim_is_unassigned(have) || scim_is_unassigned(want) || kind != json_kind(have))
                return scim_set(w, &at, have, want);
        if (kind == JSON_OBJECT)
                return scim_diff_subs(w, &at, have, want);
        if (kind == JSON_ARRAY)
                return scim_diff_lists(w, &at, have, want);
        return scim_set(w, &at, have, want);
}

/* One member of the resource: an attribute of the core schema, or an extension. */
static int diff_member(ScimWriter *w, const ScimPath *path, Span key, Span have, Span want) {
        ScimPath in = {.urn = key};

        if (json_raw_is(key, SPAN("schemas")) || json_raw_is(key, SPAN("id")) ||
            json_raw_is(key, SPAN("meta")))
                return 0;
        if (!is_urn(key))
                return diff_attr(w, path, key, have, want);
        if (json_kind(want) != JSON_OBJECT)
                return scim_set(w, &in, have, want);
        return each_member(w, &in, have.p ? have : SPAN("{}"), want, diff_attr);
}

/* Okta: adds the member whole, with what it has now, when anything of it is set. */
static int add_whole(ScimWriter *w, const ScimPath *path, Span key, Span have, Span want) {
        ScimWriter count = {.profile = w->profile};
        int r = diff_member(&count, path, key, have, want);

        if (r < 0 || count.sets == 0)
                return r;
        if (w->sets++ == 0) {
                r = op_open(w, SCIM_REPLACE);
                if (r == 0)
                        r = buf_add(w->out, SPAN(",\"value\":{\""));
        } else {
                r = buf_add(w->out, SPAN(",\""));
        }
        if (r == 0)
                r = buf_add(w->out, key);
        if (r == 0)
                r = buf_add(w->out, SPAN("\":"));
        return r == 0 ? json_merge(have.p ? have : SPAN("null"), want, w->out) : r;
}

static int write_ops(ScimWriter *w, Span have, Span want) {
        const ScimPath root = {0};
        int r = 0;

        if (json_kind(have) != JSON_OBJECT || json_kind(want) != JSON_OBJECT)
                return -EINVAL;
        if (w->profile->has_value_object) {
                r = each_member(w, &root, have, want, add_whole);
                if (r == 0 && w->sets)
                        r = buf_add(w->out, SPAN("}}"));
                w->removes_only = true;
        }
        if (r == 0)
                r = each_member(w, &root, have, want, diff_member);
        return r == 0 && w->n_ops ? buf_add(w->out, SPAN("]}")) : r;
}

static int diff(const ScimProfile *profile, Span have, Span want, Buf *out) {
        ScimWriter w = {.profile = profile, .out = out, .start = out->n};
        int r = write_ops(&w, json_trim(have), json_trim(want));

        if (r < 0)
                out->n = w.start;
        return r < 0 ? r : w.n_ops > 0;
}

int json_diff_scim(Span have, Span want, Buf *out) {
        static const ScimProfile standard = {.ops = {"add", "replace", "remove"}};

        return diff(&standard, have, want, out);
}

int json_diff_scim_entra(Span have, Span want, Buf *out) {
        static const ScimProfile entra = {.ops = {"Add", "Replace", "Remove"},
                                          .has_text_boolean = true};

        return diff(&entra, have, want, out);
}

int json_diff_scim_okta(Span have, Span want, Buf *out) {
        static const ScimProfile okta = {.ops = {"add", "replace", "remove"},
                                         .has_value_object = true};

        return diff(&okta, have, want, out);
}
