/* SPDX-License-Identifier: Apache-2.0 */
#include "map/template.h"

/* The offset behind the brace that closes the hole, or 0. Strings, their interpolations and inner
 * braces belong to the expression. */
static size_t hole_end(Span s, size_t from) {
        unsigned braces = 0;
        bool in_string = false;
        unsigned interpolation[32], level = 0;

        for (size_t i = from; i < s.n; i++) {
                char c = s.p[i];

                if (in_string) {
                        if (c == '\\' && i + 1 < s.n && s.p[i + 1] == '(') {
                                if (level == COUNT_OF(interpolation))
                                        return 0;
                                interpolation[level++] = 0;
                                in_string = false;
                                i++;
                        } else if (c == '\\')
                                i++;
                        else if (c == '"')
                                in_string = false;
                } else if (c == '"')
                        in_string = true;
                else if (c == '(' && level)
                        interpolation[level - 1]++;
                else if (c == ')' && level && interpolation[level - 1]-- == 0) {
                        level--;
                        in_string = true;
                } else if (c == '{')
                        braces++;
                else if (c == '}' && braces-- == 0)
                        return i + 1;
        }
        return 0;
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
        char *out = arena_alloc(a, s.n - *at + 1);
        size_t n = 0, i = *at;

        if (!out)
                return FAIL(e, -ENOMEM, "the text is too long");
        for (; i < s.n; i++) {
                bool twice = i + 1 < s.n && s.p[i + 1] == s.p[i];

                if (s.p[i] == '{' && !twice)
                        break;
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

int template_parse(Span s, ProgramSet *set, Arena *a, Template *ret, Err *e) {
        Template t = {arena_alloc(a, TEMPLATE_PARTS_MAX * sizeof(TemplatePart)), 0};
        size_t at = 0;
        int r = 0;

        if (!t.parts)
                return FAIL(e, -ENOMEM, "too many templates");
        while (at < s.n && r == 0) {
                if (s.p[at] != '{' || (at + 1 < s.n && s.p[at + 1] == '{')) {
                        r = take_literal(s, &at, a, &t, e);
                        continue;
                }
                size_t end = hole_end(s, at + 1);
                Program *p = NULL;

                if (!end)
                        return FAIL(e, -EINVAL,
                                    "the hole at offset %zu is not closed: '}' is missing", at);
                r = program_add(set, (Span){s.p + at + 1, end - at - 2}, &p, e);
                if (r == 0)
                        r = add_part(&t, (TemplatePart){.program = p, .offset = at}, at, e);
                else
                        err_prefix(e, "in the hole at offset %zu", at);
                at = end;
        }
        if (r == 0)
                *ret = t;
        return r;
}
