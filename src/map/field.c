/* SPDX-License-Identifier: Apache-2.0 */
#include "map/field.h"

#define CORE_URN "urn:ietf:params:scim:schemas:core:"

static bool add(Field *f, FieldStep s) {
        if (f->n == FIELD_STEPS_MAX)
                return false;
        f->step[f->n++] = s;
        return true;
}

/* RFC 6901: ~1 is a slash, ~0 a tilde. */
static Span unescape(Span s, Arena *a) {
        if (s.n == 0 || !memchr(s.p, '~', s.n))
                return s;
        char *out = arena_alloc(a, s.n);
        size_t n = 0;

        for (size_t i = 0; out && i < s.n; i++) {
                bool escape = s.p[i] == '~' && i + 1 < s.n;

                out[n++] = !escape ? s.p[i] : s.p[++i] == '1' ? '/' : '~';
        }
        return (Span){out, n};
}

static bool read_pointer(Span text, Arena *a, Field *f) {
        while (text.n) {
                Span name = span_from(text, 1);

                name.n = span_find(name, '/');
                text = span_from(text, name.n + 1);
                name = unescape(name, a);
                if (!name.p || !add(f, (FieldStep){.name = name}))
                        return false;
        }
        return f->n > 0;
}

/* `type eq "work"`, which is all that any target needs to name an element by. */
static bool read_filter(Span inside, Field *f) {
        size_t blank = span_find(inside, ' ');
        Span attribute = {inside.p, blank}, rest = span_trim(span_from(inside, blank), " ");

        if (attribute.n == 0 || rest.n < 3 || !span_eq_nocase((Span){rest.p, 2}, SPAN("eq")) ||
            rest.p[2] != ' ')
                return false;
        rest = span_trim(span_from(rest, 2), " ");
        if (rest.n >= 2 && rest.p[0] == '"' && rest.p[rest.n - 1] == '"')
                rest = (Span){rest.p + 1, rest.n - 2};
        return rest.n && !memchr(rest.p, '\\', rest.n) && !memchr(rest.p, '"', rest.n) &&
               add(f, (FieldStep){.name = attribute, .equals = rest});
}

/* Behind a bracket, up to the one that closes it. */
static bool read_bracket(Span *text, Field *f) {
        size_t n = span_find(*text, ']');
        Span inside = span_trim((Span){text->p, n}, " ");
        uint64_t index;

        if (n == text->n)
                return false;
        *text = span_from(*text, n + 1);
        if (inside.n == 0 || span_eq(inside, SPAN("*")))
                return add(f, (FieldStep){.is_any = true});
        if (span_to_u64(inside, UINT32_MAX, &index))
                return add(f, (FieldStep){.name = inside});
        char quote = inside.p[0];
        if (inside.n > 2 && (quote == '"' || quote == '\'') && inside.p[inside.n - 1] == quote)
                return add(f, (FieldStep){.name = {inside.p + 1, inside.n - 2}});
        return read_filter(inside, f);
}

static bool read_path(Span text, Field *f) {
        bool is_first = true;

        for (; text.n; is_first = false) {
                if (text.p[0] == '[') {
                        text = span_from(text, 1);
                        if (!read_bracket(&text, f))
                                return false;
                        continue;
                }
                if (text.p[0] == '.')
                        text = span_from(text, 1);
                else if (!is_first)
                        return false;
                size_t n = 0;
                while (n < text.n && text.p[n] != '.' && text.p[n] != '[')
                        n++;
                if (n == 0 || !add(f, (FieldStep){.name = {text.p, n}}))
                        return false;
                text = span_from(text, n);
        }
        return f->n > 0;
}

/* A SCIM URN ends at its last colon; that of the core stands for nothing. */
static bool read_urn(Span text, Field *f) {
        size_t colon = text.n;

        for (size_t i = 0; i < text.n && text.p[i] != '['; i++)
                if (text.p[i] == ':')
                        colon = i;
        if (colon == text.n)
                return false;
        Span urn = {text.p, colon};
        if (!span_starts(urn, SPAN(CORE_URN)) && !add(f, (FieldStep){.name = urn}))
                return false;
        return read_path(span_from(text, colon + 1), f);
}

bool field_read(Span text, Arena *a, Field *ret) {
        *ret = (Field){0};
        text = span_trim(text, " ");
        if (span_starts(text, SPAN("#/")))
                text = span_from(text, 1);
        if (text.n && text.p[0] == '/')
                return read_pointer(text, a, ret);
        if (span_starts(text, SPAN("urn:")))
                return read_urn(text, ret);
        if (span_starts(text, SPAN("$.")) || span_starts(text, SPAN("$[")))
                text = span_from(text, 1);
        return read_path(text, ret);
}

static char fold(char c) {
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool field_names_alike(Span a, Span b) {
        size_t i = 0, k = 0;

        for (bool any = false;; any = true) {
                while (i < a.n && (a.p[i] == '_' || a.p[i] == '-'))
                        i++;
                while (k < b.n && (b.p[k] == '_' || b.p[k] == '-'))
                        k++;
                if (i == a.n || k == b.n)
                        return i == a.n && k == b.n && any;
                if (fold(a.p[i++]) != fold(b.p[k++]))
                        return false;
        }
}

bool field_is_index(const FieldStep *s, size_t *ret) {
        uint64_t i;

        if (s->equals.p || s->is_any || !span_to_u64(s->name, UINT32_MAX, &i))
                return false;
        *ret = (size_t)i;
        return true;
}
