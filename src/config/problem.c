/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a file, collected. The texts and the file's name are copied into the
 * caller's arena, because the configuration they speak of is gone by the time they are read. */
#include "config/node.h"
#include "config/text.h"

enum { LINE_SHOWN_CHARS = 160 };

static bool is_hidden(const Problems *p, unsigned line) {
        if (p->n_secrets > PROBLEM_SECRETS_MAX)
                return true;
        for (size_t i = 0; i < p->n_secrets; i++)
                if (line >= p->secrets[i].first && line <= p->secrets[i].last)
                        return true;
        return false;
}

static const char *file_name(Problems *p, const char *name) {
        const char *copy;

        if (!name)
                return "";
        if (p->n && strcmp(p->item[p->n - 1].place.file, name) == 0)
                return p->item[p->n - 1].place.file;
        copy = arena_text(p->arena, span_of(name));
        return copy ? copy : "";
}

__attribute__((format(printf, 4, 0))) static void add(Problems *p, Place at, bool is_warning,
                                                      const char *format, va_list ap) {
        char text[PROBLEM_TEXT_MAX_BYTES];

        p->errors += !is_warning;
        if (p->n == PROBLEMS_MAX)
                return;
        (void)vsnprintf(text, sizeof text, format, ap);
        for (char *c = text; *c; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = '?';
        const char *copy = arena_text(p->arena, span_of(text));
        Place place = {file_name(p, at.file), at.line, at.column};
        p->item[p->n++] = (Problem){.place = place,
                                    .text = copy ? copy : "an error (no room for its text)",
                                    .warning = is_warning,
                                    .hidden = is_hidden(p, at.line)};
}

int problem_add(Problems *p, Place at, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        add(p, at, false, format, ap);
        va_end(ap);
        return -EINVAL;
}

void problem_warn(Problems *p, Place at, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        add(p, at, true, format, ap);
        va_end(ap);
}

int problem_no_room(Problems *p, Place at) {
        return problem_add(p, at, "the configuration needs more memory than it may have");
}

void problem_hide_lines(Problems *p, unsigned first, unsigned last) {
        if (p->n_secrets < PROBLEM_SECRETS_MAX)
                p->secrets[p->n_secrets] = (struct ProblemLines){first, last};
        if (p->n_secrets <= PROBLEM_SECRETS_MAX)
                p->n_secrets++;
        for (size_t i = 0; i < p->n; i++)
                p->item[i].hidden = is_hidden(p, p->item[i].place.line);
}

static bool is_before(const Place *a, const Place *b) {
        return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void problems_sort(Problems *p) {
        for (size_t i = 1; i < p->n; i++) {
                Problem moved = p->item[i];
                size_t at = i;

                for (; at > 0 && is_before(&moved.place, &p->item[at - 1].place); at--)
                        p->item[at] = p->item[at - 1];
                p->item[at] = moved;
        }
}

/* The line with a caret under its column. A long line shows the part around the caret; tabs stay
 * tabs in the caret's line, so that both are as wide on every terminal. */
static int print_line(Span line, unsigned column, Buf *out) {
        size_t from = column > LINE_SHOWN_CHARS ? column - LINE_SHOWN_CHARS / 2 : 1, at = 1;
        AUTO(buf_done)
        Buf caret = BUF(4 * LINE_SHOWN_CHARS);
        int r = buf_add(out, SPAN("    "));

        for (size_t i = 0, n; r == 0 && i < line.n && at < from + LINE_SHOWN_CHARS; i += n, at++) {
                n = utf8_at(line, i, NULL);
                n = n ? n : 1;
                if (at < from)
                        continue;
                unsigned char c = (unsigned char)line.p[i];
                r = c < 0x20 && c != '\t' ? buf_add_char(out, '?')
                                          : buf_add(out, (Span){line.p + i, n});
                if (r == 0 && at < column)
                        r = buf_add_char(&caret, c == '\t' ? '\t' : ' ');
        }
        if (r == 0)
                r = buf_add(out, SPAN("\n    "));
        if (r == 0)
                r = buf_add(out, buf_span(&caret));
        return r < 0 ? r : buf_add(out, SPAN("^\n"));
}

int problem_print(const Problem *p, Span source, Buf *out) {
        const char *kind = p->warning ? "warning: " : "";
        int r;

        if (p->place.line == 0)
                return buf_addf(out, "%s: %s%s\n", p->place.file, kind, p->text);
        r = buf_addf(out, "%s:%u:%u: %s%s\n", p->place.file, p->place.line, p->place.column, kind,
                     p->text);
        if (r < 0 || p->hidden || !source.p)
                return r;
        Span line = text_line(source, p->place.line);
        return line.n ? print_line(line, p->place.column, out) : 0;
}

int problems_print(const Problems *p, Buf *out) {
        size_t shown = 0;
        int r = 0;

        for (size_t i = 0; r == 0 && i < p->n; i++) {
                shown += !p->item[i].warning;
                r = problem_print(&p->item[i], p->source, out);
        }
        if (r == 0 && p->errors > shown)
                r = buf_addf(out, "and %zu more\n", p->errors - shown);
        return r;
}
