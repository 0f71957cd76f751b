/* SPDX-License-Identifier: Apache-2.0 */
#include "app/report.h"

#include <unistd.h>

enum { JSON_MAX_BYTES = 16 * 1024 * 1024 }; /* of one test */

#define RED   "\033[31m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

void report_begin(Report *r, bool is_json) {
        const char *no = getenv("NO_COLOR");

        *r = (Report){.is_json = is_json, .has_colour = isatty(STDOUT_FILENO) && !(no && *no)};
        if (is_json)
                printf("{\"tests\":[");
}

static const char *in(const Report *r, const char *colour) {
        return r->has_colour ? colour : "";
}

/* Bytes that a terminal would obey are shown as dots; further lines stand below the first. */
static void show(Span s, int indent) {
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                if (c == '\n')
                        printf("\n%*s", indent, "");
                else
                        (void)putchar((c < ' ' && c != '\t') || c == 0x7f ? '.' : c);
        }
}

void report_file(Report *r, const FixtureFile *f) {
        if (!r->is_json)
                printf("%s\n", f->path);
}

/* ---- for people ---- */

static void show_side(const Report *r, const char *word, const char *colour, Span value) {
        printf("        %s  %s", word, in(r, colour));
        if (value.p)
                show(value, 18);
        else
                printf("nothing");
        printf("%s\n", in(r, PLAIN));
}

static void show_miss(const Report *r, const Miss *m) {
        printf("      ");
        show(m->what, 6);
        (void)putchar('\n');
        if (m->want.p || !m->advice.p)
                show_side(r, "expected", GREEN, m->want);
        show_side(r, "got     ", RED, m->got);
        if (m->advice.p) {
                printf("        add to mocks:\n          ");
                show((Span){m->advice.p, m->advice.n - 1}, 10);
                (void)putchar('\n');
        }
}

static void show_calls(const Seen *seen) {
        if (seen->n_calls)
                printf("      what was done\n");
        for (size_t i = 0; i < seen->n_calls; i++) {
                const MadeCall *c = &seen->calls[i];

                printf("        %s " SPAN_FMT, c->method, SPAN_ARG(c->to));
                if (c->body.n) {
                        (void)putchar(' ');
                        show(c->body.n > 400 ? (Span){c->body.p, 400} : c->body, 10);
                }
                if (c->status)
                        printf(" -> %d", c->status);
                else if (c->end)
                        printf(" -> %s", c->end);
                (void)putchar('\n');
        }
}

static void show_test(const Report *r, const FixtureFile *file, const Fixture *f, const Seen *seen,
                      const Verdict *v) {
        bool ok = v->n == 0;

        printf("  %s%s%s  ", in(r, ok ? GREEN : RED), ok ? "ok  " : "FAIL", in(r, PLAIN));
        show(f->name, 8);
        if (ok) {
                (void)putchar('\n');
                return;
        }
        printf(" (%s:%u)\n", file->path, f->place.line);
        for (size_t i = 0; i < v->n; i++)
                show_miss(r, &v->misses[i]);
        if (v->more)
                printf("      and %zu more\n", v->more);
        show_calls(seen);
}

/* ---- for programs ---- */

static int text(Buf *b, const char *key, Span value) {
        int r = buf_addf(b, "\"%s\":", key);

        if (r == 0)
                r = value.p ? buf_add_json(b, value) : buf_add(b, SPAN("null"));
        return r;
}

static int add_misses(Buf *b, const Verdict *v) {
        int r = buf_add(b, SPAN(",\"failures\":["));

        for (size_t i = 0; r == 0 && i < v->n; i++) {
                const Miss *m = &v->misses[i];

                r = buf_add(b, i ? SPAN(",{") : SPAN("{"));
                if (r == 0)
                        r = text(b, "what", m->what);
                if (r == 0)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = text(b, "expected", m->want);
                if (r == 0)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = text(b, "got", m->got);
                if (r == 0 && m->advice.p)
                        r = buf_add_char(b, ',');
                if (r == 0 && m->advice.p)
                        r = text(b, "addToMocks", m->advice);
                if (r == 0)
                        r = buf_add_char(b, '}');
        }
        return r == 0 ? buf_add_char(b, ']') : r;
}

static int add_calls(Buf *b, const Seen *seen) {
        int r = buf_add(b, SPAN(",\"calls\":["));

        for (size_t i = 0; r == 0 && i < seen->n_calls; i++) {
                const MadeCall *c = &seen->calls[i];

                r = buf_addf(b, "%s{\"method\":\"%s\",\"status\":%d,", i ? "," : "", c->method,
                             c->status);
                if (r == 0)
                        r = text(b, "to", c->to);
                if (r == 0 && c->body.p)
                        r = buf_add_char(b, ',');
                if (r == 0 && c->body.p)
                        r = text(b, "body", c->body);
                if (r == 0)
                        r = buf_add_char(b, '}');
        }
        return r == 0 ? buf_add_char(b, ']') : r;
}

static int add_test(const FixtureFile *file, const Fixture *f, const Seen *seen, const Verdict *v,
                    Buf *b) {
        int e = buf_add_char(b, '{');

        if (e == 0)
                e = text(b, "file", span_of(file->path));
        if (e == 0)
                e = buf_addf(b, ",\"line\":%u,", f->place.line);
        if (e == 0)
                e = text(b, "name", f->name);
        if (e == 0)
                e = buf_addf(b, ",\"ok\":%s,\"status\":%d", v->n ? "false" : "true", seen->status);
        if (e == 0)
                e = add_misses(b, v);
        return e;
}

/* Calls that are too large to be shown are left out. */
static void print_test(const Report *r, const FixtureFile *file, const Fixture *f, const Seen *seen,
                       const Verdict *v) {
        AUTO(buf_done)
        Buf b = BUF(JSON_MAX_BYTES);
        size_t before;

        must(add_test(file, f, seen, v, &b) == 0); /* a file and the misses have their maxima */
        before = b.n;
        if (add_calls(&b, seen) < 0)
                b.n = before;
        printf("%s" SPAN_FMT "}", r->passed + r->failed > 1 ? "," : "", SPAN_ARG(buf_span(&b)));
}

/* ---- both ---- */

void report_test(Report *r, const FixtureFile *file, const Fixture *f, const Seen *seen,
                 const Verdict *v) {
        r->passed += v->n == 0;
        r->failed += v->n != 0;
        if (!r->is_json)
                show_test(r, file, f, seen, v);
        else
                print_test(r, file, f, seen, v);
}

bool report_end(Report *r) {
        if (r->is_json)
                printf("],\"passed\":%zu,\"failed\":%zu}\n", r->passed, r->failed);
        else
                printf("%zu passed, %zu failed\n", r->passed, r->failed);
        return r->failed == 0;
}
