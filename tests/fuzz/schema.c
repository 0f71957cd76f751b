/* SPDX-License-Identifier: Apache-2.0
 *
 * Two texts with a NUL between them: a schema and a value. Whatever the first is, it is compiled
 * or refused with a sentence; the verdict is the same whether or not it is told, and what is told
 * points into the value. The judging is bounded: the fuzzer's own timeout tells when it is not. */
#include "json/schema.h"
#include "json/check.h"
#include "json/value.h"

enum { KEYS_MAX = 500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static JsonViolations told;
        AUTO(arena_freep)
        Arena *arena = arena_new(64 << 20);
        Span all = {(const char *)data, size}, text = all, value;
        JsonSchema *schema = NULL;
        JsonFault fault;
        Err e = {0};
        int r;

        text.n = span_find(all, 0);
        value = span_from(all, text.n + 1);
        if (json_schema_compile(text, true, arena, &schema, &e) < 0) {
                must(e.code < 0 && e.text[0]);
                return 0;
        }
        if (json_check(value, KEYS_MAX, &fault) < 0)
                return 0;
        r = json_schema_judge(schema, value, &told);
        must(r == 0 || r == 1 || r == -EMSGSIZE);
        if (r == -EMSGSIZE)
                return 0;
        must((r == 1) == (told.n > 0) && told.n <= JSON_VIOLATIONS_MAX);
        must(json_schema_judge(schema, value, NULL) == r);
        for (size_t i = 0; i < told.n; i++) {
                const JsonViolation *v = &told.list[i];

                must(v->keyword[0] && v->text[0]);
                if (strlen(v->pointer) < JSON_POINTER_MAX_BYTES / 2 && !memchr(data, '\\', size))
                        must(json_at(value, span_of(v->pointer)).p);
        }
        return 0;
}
