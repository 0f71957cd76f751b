/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads tests/cases/<room>/<name>.case. Each line is "key: text"; a line that begins with '#' is
 * a comment, and an empty line (or the end) closes a case. In the text stand
 *
 *     <crlf> <cr> <lf> <tab> <nul> <bom> <sp>    for what they say
 *     <x00ff>                                   for bytes in hexadecimal
 *     <1000*ab>                                 for "ab" a thousand times
 *     <lt>                                      for '<' itself
 *
 * and everything else for itself, backslashes and trailing blanks too. */
#pragma once

#include "base/buf.h"
#include "unit.h"

typedef struct CaseFile {
        char *text;
        size_t n, at;
        unsigned line;
        const char *name;
        char key[32];
        Buf value; /* decoded; good until the next line */
} CaseFile;

static inline CaseFile case_open(const char *folder, const char *name) {
        CaseFile f = {.name = name, .value = BUF(4 << 20)};
        char path[4096];
        FILE *in;
        long n;

        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
        in = fopen(path, "rb");
        if (!in)
                fail_msg("no file %s", path);
        must(fseek(in, 0, SEEK_END) == 0 && (n = ftell(in)) >= 0);
        rewind(in);
        f.text = must_alloc((size_t)n + 1);
        f.n = (size_t)n;
        must(fread(f.text, 1, f.n, in) == f.n);
        (void)fclose(in);
        return f;
}

static inline void case_close(CaseFile *f) {
        free(f->text);
        buf_done(&f->value);
}

static inline void case_add(CaseFile *f, Span s) {
        if (buf_add(&f->value, s) < 0)
                fail_msg("%s:%u: too long", f->name, f->line);
}

/* What stands between '<' and '>'. */
static inline void case_token(CaseFile *f, Span t) {
        static const struct {
                const char *name;
                Span means;
        } words[] = {{"crlf", SPAN("\r\n")}, {"cr", SPAN("\r")},  {"lf", SPAN("\n")},
                     {"tab", SPAN("\t")},    {"nul", SPAN("\0")}, {"bom", SPAN("\xef\xbb\xbf")},
                     {"sp", SPAN(" ")},      {"lt", SPAN("<")}};
        size_t star = span_find(t, '*');
        uint64_t times = 0;

        for (size_t i = 0; i < COUNT_OF(words); i++)
                if (span_eq(t, span_of(words[i].name))) {
                        case_add(f, words[i].means);
                        return;
                }
        if (t.n >= 3 && t.p[0] == 'x' && t.n % 2 == 1) {
                for (size_t i = 1; i < t.n; i += 2) {
                        char pair[3] = {t.p[i], t.p[i + 1], 0};
                        char byte = (char)strtoul(pair, NULL, 16);

                        case_add(f, (Span){&byte, 1});
                }
                return;
        }
        if (star == t.n || !span_to_u64((Span){t.p, star}, 1 << 20, &times))
                fail_msg("%s:%u: unknown <" SPAN_FMT ">", f->name, f->line, SPAN_ARG(t));
        while (times-- > 0)
                case_add(f, span_from(t, star + 1));
}

/* The next line: its key is empty when it closes a case. False after the end of the file. */
static inline bool case_next(CaseFile *f) {
        Span line;

        do {
                if (f->at > f->n)
                        return false;
                line = span_from((Span){f->text, f->n}, f->at);
                line.n = span_find(line, '\n');
                f->at += line.n + 1;
                f->line++;
        } while (line.n && line.p[0] == '#');
        f->key[0] = 0;
        buf_clear(&f->value);
        if (line.n == 0)
                return true;
        size_t n = span_find(line, ':');
        if (n == line.n || n >= sizeof f->key)
                fail_msg("%s:%u: not 'key: text'", f->name, f->line);
        memcpy(f->key, line.p, n);
        f->key[n] = 0;
        line = span_from(line, n + 2);
        while (line.n) {
                size_t plain = span_find(line, '<'), close;

                case_add(f, (Span){line.p, plain});
                line = span_from(line, plain);
                if (line.n == 0)
                        break;
                close = span_find(line, '>');
                case_token(f, (Span){line.p + 1, close - 1});
                line = span_from(line, close + 1);
        }
        return true;
}

/* "400 at 17" into its two numbers. */
static inline void case_refusal(const CaseFile *f, int *ret_status, size_t *ret_offset) {
        char text[64];

        (void)snprintf(text, sizeof text, SPAN_FMT, SPAN_ARG(buf_span(&f->value)));
        if (sscanf(text, "%d at %zu", ret_status, ret_offset) != 2)
                fail_msg("%s:%u: not 'status at offset'", f->name, f->line);
}
