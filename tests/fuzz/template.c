/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read of programs without running them: templates, words, paths and traces. Promises: no
 * reader runs off the text, a template's parts cover it in order, and a program that was accepted
 * is read the same from its own copy. */
#include "map/template.h"
#include "map/lex.h"
#include "map/path.h"
#include "map/trace.h"
#include "map/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tokens(Span text) {
        Lex l = lex_begin(text);
        size_t before = 0;

        for (;;) {
                LexToken t = lex_next(&l);

                must(t.at >= before || t.kind == LEX_BAD);
                must(t.text.p >= text.p && t.text.p + t.text.n <= text.p + text.n);
                must(l.at <= text.n);
                if (t.kind == LEX_END || t.kind == LEX_BAD)
                        break;
                must(l.at > before);
                before = l.at;
        }
}

static void read_program(ProgramSet *s, Span text, Arena *a) {
        TraceOrigin origins[TRACE_MAX];
        Program *p = NULL;
        Words words;
        Err e = {0};

        if (words_read(text, &words, &e) < 0)
                must(e.text[0]);
        for (size_t i = 0; i < words.n && e.code == 0; i++)
                must(words.names[i].p >= text.p &&
                     words.names[i].p + words.names[i].n <= text.p + text.n);
        if (program_add(s, text, &p, NULL) == 0) {
                must(program_text(p).n <= text.n);
                if (program_is_path(p)) {
                        MapRoot root = {SPAN("a"), SPAN("{\"b\":[1,{\"c\":2}]}")};
                        Span value = program_path_get(p, &root, 1);

                        must(!value.p || (value.p >= root.value.p &&
                                          value.p + value.n <= root.value.p + root.value.n));
                }
        }
        must(trace_field(text, SPAN("/a/b"), a, origins) <= TRACE_MAX);
        must(trace_field(text, SPAN("a"), a, origins) <= TRACE_MAX);
        must(trace_field(text, SPAN("a[1].b"), a, origins) <= TRACE_MAX);
        must(trace_field(text, SPAN("a[b eq \"c\"].d"), a, origins) <= TRACE_MAX);
        must(trace_field(SPAN("{a: [{b: .c}], d: .e}"), text, a, origins) <= TRACE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span text = span_make(data, size);
        Arena *a = arena_new(1 << 20);
        ProgramSet *s = program_set_new();
        Template t = {0};
        Err e = {0};

        read_tokens(text);
        read_program(s, text, a);
        if (template_parse(text, s, a, &t, &e) == 0) {
                size_t at = 0;

                for (size_t i = 0; i < t.n; i++) {
                        must(t.parts[i].program || t.parts[i].text.n);
                        must(!t.parts[i].program || t.parts[i].offset >= at);
                        at = t.parts[i].program ? t.parts[i].offset + 1 : at;
                }
        } else
                must(e.text[0]);
        arena_free(a);
        program_set_unref(s);
        return 0;
}
