/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a configuration: an answer with places inside the text, and nothing else. Without
 * an environment no ${file:} is read. */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Problems *p = must_alloc(sizeof *p);
        Buf out = BUF(4 << 20);

        p->arena = arena_new(16 << 20);
        Config *c = config_parse(span_make(data, size), "fuzz", NULL, p);
        must((c == NULL) == (p->errors > 0));
        must(problems_print(p, &out) == 0);
        for (size_t i = 1; i < p->n; i++)
                must(p->item[i - 1].place.line <= p->item[i].place.line);
        config_unref(c);
        arena_free(p->arena);
        buf_done(&out);
        free(p);
        return 0;
}
