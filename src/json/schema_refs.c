/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and references within the document: $id gives a part of it a URI, $anchor a name, and
 * $ref leads to either, or by a JSON pointer. */
#include "json/schema_rule.h"
#include "json/uri.h"

enum { URI_MAX_BYTES = 64 * 1024 };

static int identify_uri(Compiler *c, Rule *rule, Span id) {
        AUTO(buf_done)
        Buf uri = BUF(URI_MAX_BYTES);
        Resource *made = arena_alloc(c->arena, sizeof *made);
        Span text;
        int r = schema_text(c, SPAN("$id"), id, &text);

        if (r < 0)
                return r;
        if (text.n && text.p[text.n - 1] == '#')
                text.n--;
        if (span_find(text, '#') < text.n)
                return schema_refuse(c, SPAN("$id"), "has a fragment: call it $anchor");
        if (!made || uri_resolve(rule->resource->uri, text, &uri) < 0)
                return schema_no_room(c);
        *made = (Resource){arena_span(c->arena, buf_span(&uri)), rule->text};
        if (!made->uri.p)
                return schema_no_room(c);
        rule->resource = c->resources[c->n_resources++] = made; /* one for a rule */
        return 0;
}

static int identify_anchor(Compiler *c, const Rule *rule, const char *keyword) {
        Anchor *a = &c->anchors[c->n_anchors];
        Span name = json_member(rule->text, span_of(keyword));
        int r;

        if (!name.p)
                return 0;
        if (c->n_anchors == SCHEMA_RULES_MAX)
                return schema_no_room(c);
        r = schema_text(c, span_of(keyword), name, &a->name);
        a->resource = rule->resource;
        a->value = rule->text;
        c->n_anchors++;
        return r;
}

int schema_identify(Compiler *c, Rule *rule) {
        Span id = json_member(rule->text, SPAN("$id"));
        int r = id.p ? identify_uri(c, rule, id) : 0;

        if (r == 0)
                r = identify_anchor(c, rule, "$anchor");
        /* For those who refer to it by $ref, a dynamic anchor is one like others. */
        return r == 0 ? identify_anchor(c, rule, "$dynamicAnchor") : r;
}

static const Resource *resource_find(const Compiler *c, Span uri) {
        for (size_t i = 0; i < c->n_resources; i++)
                if (span_eq(c->resources[i]->uri, uri))
                        return c->resources[i];
        return NULL;
}

/* The place in the resource; .p NULL when there is none. */
static Span place_find(const Compiler *c, const Resource *in, Span fragment) {
        AUTO(buf_done)
        Buf plain = BUF(URI_MAX_BYTES);

        if (uri_decode(fragment, &plain) < 0)
                return (Span){NULL, 0};
        fragment = buf_span(&plain);
        if (fragment.n == 0 || fragment.p[0] == '/')
                return json_at(in->value, fragment);
        for (size_t i = 0; i < c->n_anchors; i++)
                if (c->anchors[i].resource == in && span_eq(c->anchors[i].name, fragment))
                        return c->anchors[i].value;
        return (Span){NULL, 0};
}

static int follow(Compiler *c, const Pending *p) {
        AUTO(buf_done)
        Buf uri = BUF(URI_MAX_BYTES);
        Span ref = {p->to.p, span_find(p->to, '#')}, place;
        const Resource *in;
        Rule *made = NULL;
        int r = uri_resolve(p->rule->resource->uri, ref, &uri);

        c->where = p->rule->text.p;
        if (r < 0)
                return schema_no_room(c);
        in = ref.n ? resource_find(c, buf_span(&uri)) : p->rule->resource;
        if (!in)
                return schema_refuse(c, SPAN("$ref"),
                                     "leads out of the document, to %.*s; only references within "
                                     "it are followed: put the other schema into $defs, with its "
                                     "$id",
                                     p->to.n > 120 ? 120 : (int)p->to.n, p->to.p);
        place = place_find(c, in, span_from(p->to, ref.n + 1));
        if (!place.p)
                return schema_refuse(c, SPAN("$ref"), "leads to %.*s, where nothing is",
                                     p->to.n > 120 ? 120 : (int)p->to.n, p->to.p);
        r = schema_rule(c, place, in, &made);
        p->rule->ref = made;
        return r;
}

/* ---- circles ---- */

enum { NEW, OPEN, SEEN };

static int walk(Compiler *c, const Rule *rule, unsigned depth);

static int walk_list(Compiler *c, const Rule *const *at, size_t n, unsigned depth) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < n; i++)
                r = walk(c, at[i], depth);
        return r;
}

/* Through all that judges the same value: who comes back to where it was would never end. */
static int walk(Compiler *c, const Rule *at, unsigned depth) {
        Rule *rule = (Rule *)at; /* being compiled still */
        int r;

        if (!rule || rule->color == SEEN)
                return 0;
        c->where = rule->text.p;
        if (rule->color == OPEN)
                return FAIL(
                        c->e, -EINVAL,
                        "line %u: this schema leads back to itself without a step into the value",
                        schema_line(c));
        if (depth == SCHEMA_CHAIN_MAX)
                return FAIL(c->e, -EMSGSIZE,
                            "more than %d schemas, one within another, judge the same value",
                            SCHEMA_CHAIN_MAX);
        rule->color = OPEN;
        const Rule *const single[] = {rule->ref, rule->no, rule->iff, rule->then, rule->otherwise};
        const RuleList lists[] = {rule->all_of,
                                  rule->any_of,
                                  rule->one_of,
                                  {single, COUNT_OF(single)},
                                  {rule->dependent.at, rule->dependent.n}};
        r = 0;
        for (size_t i = 0; r == 0 && i < COUNT_OF(lists); i++)
                r = walk_list(c, lists[i].at, lists[i].n, depth + 1);
        rule->color = SEEN;
        return r;
}

static int walk_each(Compiler *c) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < c->n_pending; i++) /* no circle is without a reference */
                r = walk(c, c->pending[i].rule, 0);
        return r;
}

int schema_connect(Compiler *c) {
        int r = 0;

        /* What a reference leads to may hold more of them. */
        for (size_t i = 0; r == 0 && i < c->n_pending; i++)
                r = follow(c, &c->pending[i]);
        return r == 0 ? walk_each(c) : r;
}
