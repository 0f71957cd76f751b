/* SPDX-License-Identifier: Apache-2.0
 *
 * A pattern and, after a NUL, a text as it stands between the quotes of a JSON string. What is
 * compiled matches or not within the work that it is given, and with an empty alternative always.
 */
#include "json/regex.h"
#include "json/check.h"
#include "json/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(arena_freep)
        Arena *arena = arena_new(16 << 20);
        Span all = {(const char *)data, size}, pattern = all, raw;
        int64_t work = 10000000;
        JsonRegex *regex = NULL, *either = NULL;
        AUTO(buf_done)
        Buf quoted = BUF(1 << 20);
        AUTO(buf_done)
        Buf plain = BUF(1 << 20);
        AUTO(buf_done)
        Buf token = BUF(1 << 20);
        AUTO(buf_done)
        Buf more = BUF(1 << 20);
        JsonFault fault;
        Err e = {0};
        int r;

        pattern.n = span_find(all, 0);
        raw = span_from(all, pattern.n + 1);
        /* Patterns come as UTF-8. */
        must(buf_add_json(&quoted, pattern) == 0 && json_text(buf_span(&quoted), &plain) == 0);
        pattern = buf_span(&plain);
        must(buf_addf(&token, "\"" SPAN_FMT "\"", SPAN_ARG(raw)) == 0);
        must(buf_addf(&more, SPAN_FMT "|(?:)", SPAN_ARG(pattern)) == 0);
        if (json_regex_compile(pattern, arena, &regex, &e) < 0) {
                must(e.text[0]);
        } else if (json_check(buf_span(&token), 1, &fault) == 0) {
                r = json_regex_find(regex, json_reader(raw), &work);
                must(r == 0 || r == 1 || (r == -EMSGSIZE && work < 0));
                work = 10000000;
                /* What allows nothing matches everything. */
                if (json_regex_compile(buf_span(&more), arena, &either, &e) == 0)
                        must(json_regex_find(either, json_reader(raw), &work) == 1);
        }
        return 0;
}
