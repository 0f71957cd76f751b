/* SPDX-License-Identifier: Apache-2.0
 *
 * A page of docs/ holds, between two marks, what the option tables say. GRAPNEL_WRITE_DOCS=1 in the
 * environment writes that part anew instead of comparing it. */
#pragma once

#include "base/buf.h"
#include "unit.h"

#define MANUAL_BEGIN "<!-- written from the option tables: begin -->\n"
#define MANUAL_END   "<!-- written from the option tables: end -->\n"

static inline void manual_read(const char *path, Buf *out) {
        FILE *f = fopen(path, "rb");
        char *at = NULL;

        assert_non_null(f);
        for (size_t n = 1; n; out->n += n) {
                assert_int_equal(buf_room(out, 4096, &at), 0);
                n = fread(at, 1, 4096, f);
        }
        (void)fclose(f);
}

static inline size_t manual_find(Span text, const char *what) {
        const char *at = memmem(text.p, text.n, what, strlen(what));

        assert_non_null(at);
        return (size_t)(at - text.p);
}

static inline void manual_write(const char *path, Span before, Span reference, Span after) {
        FILE *f = fopen(path, "wb");

        assert_non_null(f);
        (void)fwrite(before.p, 1, before.n, f);
        (void)fwrite(reference.p, 1, reference.n, f);
        (void)fwrite(after.p, 1, after.n, f);
        assert_int_equal(fclose(f), 0);
}

/* `cases`: the folder tests/cases, from which docs/ is found. */
static inline void manual_check(const char *cases, const char *page, Span reference) {
        AUTO(buf_done)
        Buf manual = BUF(1 << 20);
        AUTO(buf_done)
        Buf wanted = BUF(1 << 20);
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/../../docs/%s", cases, page);
        assert_int_equal(buf_addf(&wanted, MANUAL_BEGIN "\n"), 0);
        assert_int_equal(buf_add(&wanted, reference), 0);
        manual_read(path, &manual);
        size_t begin = manual_find(buf_span(&manual), MANUAL_BEGIN);
        size_t end = manual_find(buf_span(&manual), MANUAL_END);
        assert_true(begin < end);
        Span held = {manual.p + begin, end - begin};
        if (getenv("GRAPNEL_WRITE_DOCS"))
                manual_write(path, (Span){manual.p, begin}, buf_span(&wanted),
                             span_from(buf_span(&manual), end));
        else if (!span_eq(held, buf_span(&wanted)))
                fail_msg("docs/%s differs from the option tables; run this test with "
                         "GRAPNEL_WRITE_DOCS=1",
                         page);
}
