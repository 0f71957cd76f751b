/* SPDX-License-Identifier: Apache-2.0 */
#include "trial/rows.h"

#include "config/text.h"

enum { RULE_WIDTH_MAX = 48, SAW_SHOWN_BYTES = 200 };

void rows_add(Rows *r, const char *of, const char *what, const char *rule, RowSays says, Span saw) {
        Row *row = &r->at[r->n];

        if (r->n == ROWS_MAX)
                return;
        *row = (Row){arena_text(r->arena, span_of(of)),
                     arena_text(r->arena, span_of(what)),
                     arena_text(r->arena, span_of(rule)),
                     says,
                     {NULL, 0}};
        if (saw.p)
                row->saw = arena_span(r->arena, saw);
        r->n += row->of && row->what && row->rule;
}

static int width(const char *text) {
        Span s = span_of(text);
        int n = 0;

        for (size_t i = 0, len; i < s.n; i += len, n++) {
                len = utf8_at(s, i, NULL);
                len = len ? len : 1;
        }
        return n;
}

static int pad(Buf *out, const char *text, int to) {
        int n = to - width(text), r = buf_add(out, span_of(text));

        return r == 0 && n > 0 ? buf_addf(out, "%*s", n, "") : r;
}

/* One line, without bytes that a terminal would obey. */
static int print_saw(Span saw, Buf *out) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < saw.n && i < SAW_SHOWN_BYTES; i++) {
                unsigned char c = (unsigned char)saw.p[i];

                r = buf_add_char(out, c < ' ' || c == 0x7f ? ' ' : (char)c);
        }
        return r == 0 && saw.n > SAW_SHOWN_BYTES ? buf_add(out, SPAN("...")) : r;
}

int rows_print(const Rows *r, Buf *out) {
        static const char *const says[] = {"   ", "yes", "NO "};
        const char *of = "";
        int rule_width = 0, e = 0;

        for (size_t i = 0; i < r->n; i++) {
                int n = width(r->at[i].rule);

                rule_width = n > rule_width ? n : rule_width;
        }
        rule_width = rule_width > RULE_WIDTH_MAX ? RULE_WIDTH_MAX : rule_width;
        for (size_t i = 0; e == 0 && i < r->n; i++) {
                const Row *row = &r->at[i];

                if (strcmp(row->of, of) != 0)
                        e = buf_addf(out, "%s%s\n", i ? "\n" : "", row->of);
                of = row->of;
                if (e == 0)
                        e = buf_add(out, SPAN("  "));
                if (e == 0)
                        e = pad(out, row->what, 10);
                if (e == 0)
                        e = pad(out, row->rule, rule_width);
                if (e == 0)
                        e = buf_addf(out, "  %s  ", says[row->says]);
                if (e == 0)
                        e = row->saw.p ? print_saw(row->saw, out) : buf_add_char(out, '-');
                while (e == 0 && out->n && out->p[out->n - 1] == ' ')
                        out->n--;
                if (e == 0)
                        e = buf_add_char(out, '\n');
        }
        return e;
}

static int member(Buf *b, const char *key, Span value) {
        int r = buf_addf(b, "%s\"%s\":", b->p[b->n - 1] == '{' ? "" : ",", key);

        return r < 0 ? r : value.p ? buf_add_json(b, value) : buf_add(b, SPAN("null"));
}

int rows_json(const Rows *r, Buf *out) {
        static const char *const says[] = {"null", "true", "false"};
        int e = buf_add_char(out, '[');

        for (size_t i = 0; e == 0 && i < r->n; i++) {
                const Row *row = &r->at[i];

                e = buf_add(out, i ? SPAN(",{") : SPAN("{"));
                if (e == 0)
                        e = member(out, "of", span_of(row->of));
                if (e == 0)
                        e = member(out, "what", span_of(row->what));
                if (e == 0)
                        e = member(out, "rule", span_of(row->rule));
                if (e == 0)
                        e = buf_addf(out, ",\"holds\":%s", says[row->says]);
                if (e == 0)
                        e = member(out, "saw", row->saw);
                if (e == 0)
                        e = buf_add_char(out, '}');
        }
        return e == 0 ? buf_add_char(out, ']') : e;
}
