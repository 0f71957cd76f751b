/* SPDX-License-Identifier: Apache-2.0
 *
 * Multi-valued attributes. Where every element of both lists is an object with a `type` of its
 * own (or a `value` of its own, as the members of a group), an element is found by it whatever
 * the order: one that want does not list is removed, one that have lacks is added, and the others
 * are changed by their sub-attributes; those that want's element does not name stay. All other
 * lists are replaced whole: elements that cannot be told apart cannot be addressed.
 *
 * Texts of SCIM compare without regard to case as a rule, so keys that differ in nothing but
 * case (of ASCII letters) do not tell elements apart here. */
#include "json/scim.h"
#include "json/text.h"

#include "base/table.h"

enum { ELEMENTS_MAX = 10000, KEY_MAX_BYTES = 256 };

typedef struct Element {
        Span value, key; /* the object; the JSON string that tells it from the others */
        uint64_t hash;   /* of the key without case */
        bool is_met;     /* the other list has it too */
} Element;

typedef struct List {
        Element *elements;
        size_t n;
} List;

static void list_done(List *l) {
        free(l->elements);
}

static bool key_hash(Span token, uint64_t *ret) {
        JsonReader r = json_reader((Span){token.p + 1, token.n - 2});
        char text[KEY_MAX_BYTES];
        size_t n = 0;
        int c;

        while ((c = json_reader_next(&r)) >= 0) {
                if (n == sizeof text)
                        return false;
                text[n++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
        *ret = hash_bytes((Span){text, n});
        return true;
}

static int by_hash(const void *a, const void *b) {
        uint64_t x = ((const Element *)a)->hash, y = ((const Element *)b)->hash;

        return (x > y) - (x < y);
}

static int by_place(const void *a, const void *b) {
        const char *x = ((const Element *)a)->value.p, *y = ((const Element *)b)->value.p;

        return (x > y) - (x < y);
}

/* False when the elements cannot be told apart by that member. They are sorted by hash then. */
static bool list_read(List *l, Span array, Span by) {
        size_t n = json_length(array);
        Span key, value;

        if (n > ELEMENTS_MAX || !(l->elements = calloc(n, sizeof *l->elements)))
                return false;
        for (size_t pos = 0; json_next(array, &pos, &key, &value); l->n++) {
                Element *e = &l->elements[l->n];

                e->value = value;
                e->key = json_member(value, by);
                if (!e->key.p || json_kind(e->key) != JSON_STRING || !key_hash(e->key, &e->hash))
                        return false;
        }
        qsort(l->elements, l->n, sizeof *l->elements, by_hash);
        for (size_t i = 1; i < l->n; i++)
                if (l->elements[i].hash == l->elements[i - 1].hash)
                        return false;
        return true;
}

static Element *list_find(const List *l, const Element *like) {
        return bsearch(like, l->elements, l->n, sizeof *l->elements, by_hash);
}

/* Marks what both have. False when none is met, or one only by a key in another case. */
static bool lists_meet(List *have, List *want) {
        size_t met = 0;

        for (size_t i = 0; i < want->n; i++) {
                Element *there = list_find(have, &want->elements[i]);

                if (!there)
                        continue;
                if (!json_equal(there->key, want->elements[i].key))
                        return false;
                there->is_met = want->elements[i].is_met = true;
                met++;
        }
        return met > 0;
}

static int remove_unwanted(ScimWriter *w, const ScimPath *path, const List *have) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < have->n; i++) {
                ScimPath at = *path;

                at.key = have->elements[i].key;
                if (!have->elements[i].is_met)
                        r = scim_write(w, SCIM_REMOVE, &at, (Span){NULL, 0});
        }
        return r;
}

static int change_met(ScimWriter *w, const ScimPath *path, const List *have, const List *want) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < want->n; i++) {
                const Element *e = &want->elements[i];
                ScimPath at = *path;

                at.key = e->key;
                if (e->is_met)
                        r = scim_diff_subs(w, &at, list_find(have, e)->value, e->value);
        }
        return r;
}

/* One operation for all that are new. */
static int add_new(ScimWriter *w, const ScimPath *path, const List *want) {
        AUTO(buf_done)
        Buf value = BUF(SIZE_MAX / 2); /* never more than the text that it comes from */
        const ScimPath whole = {.urn = path->urn, .attr = path->attr};
        int r = 0;

        for (size_t i = 0; r == 0 && i < want->n; i++) {
                if (want->elements[i].is_met)
                        continue;
                r = buf_add_char(&value, value.n ? ',' : '[');
                if (r == 0)
                        r = buf_add(&value, want->elements[i].value);
        }
        if (r == 0 && value.n)
                r = buf_add_char(&value, ']');
        return r == 0 && value.n ? scim_write(w, SCIM_ADD, &whole, buf_span(&value)) : r;
}

/* 1 when the lists' elements cannot be told apart by that member: nothing is written then. */
static int diff_by(ScimWriter *w, const ScimPath *path, Span have, Span want, Span by) {
        AUTO(list_done)
        List old = {0};
        AUTO(list_done)
        List new = {0};
        ScimPath at = *path;
        int r;

        at.by = by;
        if (!list_read(&old, have, by) || !list_read(&new, want, by) || !lists_meet(&old, &new))
                return 1;
        qsort(new.elements, new.n, sizeof *new.elements, by_place);
        r = change_met(w, &at, &old, &new);
        if (r == 0)
                r = add_new(w, &at, &new);
        if (r < 0)
                return r;
        /* Last, since the list is searched no more. */
        qsort(old.elements, old.n, sizeof *old.elements, by_place);
        return remove_unwanted(w, &at, &old);
}

int scim_diff_lists(ScimWriter *w, const ScimPath *path, Span have, Span want) {
        int r = 1;

        if (json_equal(have, want))
                return 0;
        /* Who is a member is said by `value`; its `type` tells users from groups (RFC 7643 4.2). */
        if (!json_raw_is(path->attr, SPAN("members")))
                r = diff_by(w, path, have, want, SPAN("type"));
        if (r > 0)
                r = diff_by(w, path, have, want, SPAN("value"));
        return r > 0 ? scim_set(w, path, have, want) : r;
}
