/* SPDX-License-Identifier: Apache-2.0 */
#include "config/substitute.h"

#include "config/file.h"

typedef struct Filling {
        char *const *environment;
        Arena *arena;
        Problems *problems;
} Filling;

/* What stands between ${ and } where it is no name: enough of it to be found again. */
static int shown(Span s) {
        return s.n > 64 ? 64 : (int)s.n;
}

static bool is_name(Span s) {
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
                      (i > 0 && c >= '0' && c <= '9')))
                        return false;
        }
        return s.n > 0;
}

static const char *find(char *const *environment, Span name) {
        for (; *environment; environment++) {
                Span entry = span_of(*environment);

                if (span_starts(entry, name) && entry.n > name.n && entry.p[name.n] == '=')
                        return entry.p + name.n + 1;
        }
        return NULL;
}

static int fill_file(const Filling *f, const Node *at, Span path, Buf *out) {
        Buf text = BUF(SUBSTITUTE_FILE_MAX_BYTES);
        char name[4096];
        Err e = {0};
        int r;

        if (path.n == 0 || path.p[0] != '/' || path.n >= sizeof name || memchr(path.p, 0, path.n))
                return problem_add(f->problems, at->place,
                                   "${file:%.*s}: the path must begin with /", shown(path), path.p);
        memcpy(name, path.p, path.n);
        name[path.n] = 0;
        r = file_read(name, &text, &e);
        if (r == FILE_WORLD_WRITABLE)
                r = problem_add(f->problems, at->place,
                                "${file:%s}: anyone on this machine can write that file; take "
                                "the right away (chmod o-w) before it holds a secret",
                                name);
        else if (r < 0)
                r = problem_add(f->problems, at->place, "${file:%s}: %s", name, e.text);
        if (r == 0 && text.n && text.p[text.n - 1] == '\n')
                text.n -= text.n > 1 && text.p[text.n - 2] == '\r' ? 2 : 1;
        if (r == 0)
                r = buf_add(out, buf_span(&text));
        if (text.p)
                explicit_bzero(text.p, text.cap);
        buf_done(&text);
        return r;
}

/* One ${...}: `name` is what stands between the braces. */
static int fill_one(const Filling *f, const Node *at, Span name, Buf *out) {
        const char *value;

        if (!f->environment)
                return problem_add(f->problems, at->place, "${%.*s} is not filled in here",
                                   shown(name), name.p);
        if (span_starts(name, SPAN("file:")))
                return fill_file(f, at, span_from(name, 5), out);
        if (!is_name(name))
                return problem_add(f->problems, at->place,
                                   "${%.*s} is neither ${NAME} nor ${file:/path}; write $${ for "
                                   "a plain ${",
                                   shown(name), name.p);
        value = find(f->environment, name);
        if (!value)
                return problem_add(f->problems, at->place,
                                   "${%.*s}: the environment has no variable of that name",
                                   shown(name), name.p);
        return buf_add(out, span_of(value));
}

static int fill_text(const Filling *f, Node *at, Buf *out) {
        for (Span rest = at->text; rest.n;) {
                size_t plain = span_find(rest, '$');
                int r = buf_add(out, (Span){rest.p, plain});

                if (r < 0)
                        return r;
                rest = span_from(rest, plain);
                if (span_starts(rest, SPAN("$${"))) {
                        r = buf_add(out, SPAN("${"));
                        rest = span_from(rest, 3);
                } else if (span_starts(rest, SPAN("${"))) {
                        size_t end = span_find(rest, '}');

                        if (end == rest.n)
                                return problem_add(f->problems, at->place,
                                                   "'${' without its '}'; write $${ for a plain "
                                                   "${");
                        at->secret = true;
                        r = fill_one(f, at, (Span){rest.p + 2, end - 2}, out);
                        rest = span_from(rest, end + 1);
                } else if (rest.n) {
                        r = buf_add_char(out, '$');
                        rest = span_from(rest, 1);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static void fill_scalar(const Filling *f, Node *n) {
        Buf out = BUF(SUBSTITUTE_TEXT_MAX_BYTES);
        char *room = NULL;
        /* Room at once for all but giants: a buffer that grows leaves copies behind. */
        int r = buf_room(&out, 8192, &room);

        if (r == 0)
                r = fill_text(f, n, &out);
        if (r == -EMSGSIZE)
                r = problem_add(f->problems, n->place, "longer than %d bytes when filled in",
                                SUBSTITUTE_TEXT_MAX_BYTES);
        if (r == 0)
                n->text = arena_span(f->arena, buf_span(&out));
        if (r == -ENOMEM || !n->text.p)
                r = problem_no_room(f->problems, n->place);
        if (r < 0) {
                n->text = SPAN("");
                n->bad = true;
        }
        if (out.p)
                explicit_bzero(out.p, out.cap);
        buf_done(&out);
}

static void fill_below(const Filling *f, Node *n) {
        /* A plain text is left as it is, so that its place stays true to the letter. */
        if (n->kind == NODE_SCALAR && !n->bad && n->text.n > 1 &&
            memmem(n->text.p, n->text.n, "${", 2))
                fill_scalar(f, n);
        for (size_t i = 0; n->kind == NODE_MAP && i < n->n; i++)
                fill_below(f, n->entries[i].value);
        for (size_t i = 0; n->kind == NODE_LIST && i < n->n; i++)
                fill_below(f, n->items[i]);
}

void substitute_tree(Node *n, char *const *environment, Arena *a, Problems *problems) {
        Filling f = {environment, a, problems};

        fill_below(&f, n);
}
