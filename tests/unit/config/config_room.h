/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of this room share: a list of problems with an arena of its own, and what was
 * collected in it as text. */
#pragma once

#include "config/config.h"
#include "unit.h"

static inline void problems_end(Problems **p) {
        if (*p)
                arena_free((*p)->arena);
        free(*p);
}

static inline Problems *problems_begin(void) {
        Problems *p = must_alloc(sizeof *p);

        p->arena = arena_new(32 << 20);
        return p;
}

static inline void config_end(Config **c) {
        *c = config_unref(*c);
}

/* Each problem in one line, without the file's text. */
static inline int problems_lines(const Problems *p, Buf *out) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < p->n; i++)
                r = problem_print(&p->item[i], (Span){NULL, 0}, out);
        return r;
}

/* Parses `text` and asserts that these are its problems. */
static inline void expect_problems(Span text, char *const *environment, const char *want) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = config_parse(text, "t", environment, p);
        AUTO(buf_done)
        Buf out = BUF(1 << 20);

        assert_int_equal(problems_lines(p, &out), 0);
        assert_int_equal(buf_add_char(&out, 0), 0);
        assert_string_equal(out.p, want);
        assert_true((c == NULL) == (p->errors > 0));
}
