/* SPDX-License-Identifier: Apache-2.0 */
#include "map/template.h"

#include "map/lex.h"

/* The offset of the brace that closes the hole whose program begins at `from`. Strings, their
 * interpolations and inner braces belong to the program. */
static int hole_end(Span s, size_t from, size_t *ret, Err *e) {
        Lex l = lex_begin(span_from(s, from));
        size_t braces = 0;

        for (;;) {
                LexToken t = lex_next(&l);

                if (t.kind == LEX_BAD)
                        return FAIL(e, -EINVAL, "in the hole at offset %zu: %s (at offset %zu)",
                                    from - 1, l.why, from + t.at);
                if (t.kind == LEX_END)
                        return FAIL(e, -EINVAL,
                                    "the hole at offset %zu is not closed: '}' is missing",
                                    from - 1);
                if (lex_is(t, '}') && braces == 0) {
                        *ret = from + t.at;
                        return 0;
                }
                braces += lex_is(t, '{');
                braces -= lex_is(t, '}');
        }
}

static int add_part(Template *t, TemplatePart part, size_t offset, Err *e) {
        if (t->n == TEMPLATE_PARTS_MAX)
                return FAIL(e, -EINVAL, "more than %d parts at offset %zu", TEMPLATE_PARTS_MAX,
                            offset);
        t->parts[t->n++] = part;
        return 0;
}

/* Literal text up to the next hole; {{ and }} become one brace. */
static int take_literal(Span s, size_t *at, Arena *a, Template *t, Err *e) {
        size_t n = 0, i = *at, end = *at;

        while (end < s.n && !(s.p[end] == '{' && !(end + 1 < s.n && s.p[end + 1] == '{')))
                end += s.p[end] == '{' ? 2 : 1;
        char *out = arena_alloc(a, end - *at + 1);
        if (!out)
                return FAIL(e, -ENOMEM, "no room for the template");
        for (; i < end; i++) {
                bool twice = i + 1 < s.n && s.p[i + 1] == s.p[i];

                if (s.p[i] == '}' && !twice)
                        return FAIL(e, -EINVAL,
                                    "'}' without '{' at offset %zu: write }} for a brace", i);
                if (s.p[i] == '{' || s.p[i] == '}')
                        i++;
                out[n++] = s.p[i];
        }
        *at = i;
        return n ? add_part(t, (TemplatePart){.text = {out, n}}, i, e) : 0;
}

static int take_hole(Span s, size_t *at, ProgramSet *set, Template *t, Err *e) {
        TemplatePart part = {.offset = *at};
        size_t end = 0;
        int r = hole_end(s, *at + 1, &end, e);

        if (r < 0)
                return r;
        r = program_add(set, (Span){s.p + *at + 1, end - *at - 1}, &part.program, e);
        if (r < 0) {
                err_prefix(e, "in the hole at offset %zu", *at);
                return r;
        }
        *at = end + 1;
        return add_part(t, part, part.offset, e);
}

int template_parse(Span s, ProgramSet *set, Arena *a, Template *ret, Err *e) {
        Template t = {arena_alloc(a, TEMPLATE_PARTS_MAX * sizeof(TemplatePart)), 0};
        size_t at = 0;
        int r = 0;

        if (!t.parts)
                return FAIL(e, -ENOMEM, "no room for the template");
        if (s.n > MAP_TEXT_MAX_BYTES)
                return FAIL(e, -EINVAL, "the template is longer than %d bytes", MAP_TEXT_MAX_BYTES);
        while (at < s.n && r == 0) {
                bool hole = s.p[at] == '{' && !(at + 1 < s.n && s.p[at + 1] == '{');

                r = hole ? take_hole(s, &at, set, &t, e) : take_literal(s, &at, a, &t, e);
        }
        if (r == 0)
                *ret = t;
        return r;
}
