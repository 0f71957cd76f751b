/* SPDX-License-Identifier: Apache-2.0
 *
 * Two texts with a NUL between them: what is and what is wanted. Every format gives JSON or says
 * why not; JSON Patch brings about what the merge patch does, and then nothing is left to send. */
#include "patch_apply.h"
#include "json/check.h"
#include "json/patch_format.h"

enum { KEYS_MAX = 200, TEXT_MAX_BYTES = 1 << 24, INPUT_MAX_BYTES = 4096 };

static bool check(Span text) {
        JsonFault fault;

        return json_check(text, KEYS_MAX, &fault) == 0;
}

static void json_patch_fits(Span have, Span want) {
        AUTO(buf_done)
        Buf merge = BUF(TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf goal = BUF(TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf patch = BUF(TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf now = BUF(TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf rest = BUF(TEXT_MAX_BYTES);
        int differs = json_diff_merge(have, want, &merge);

        must(differs >= 0 && json_diff_patch_tested(have, want, &patch) == differs);
        if (!differs)
                return;
        must(json_merge(have, buf_span(&merge), &goal) == 0);
        /* A lone surrogate has no pointer that the plain applier could write down. */
        if (patch_apply(have, buf_span(&patch), &now) < 0) {
                must(memmem(patch.p, patch.n, "\\u", 2) || memmem(patch.p, patch.n, "\\U", 2));
                return;
        }
        must(json_equal(buf_span(&now), buf_span(&goal)));
        if (json_kind(want) == JSON_OBJECT)
                must(json_diff_patch(buf_span(&now), want, &rest) == 0);
}

static void every_format_holds(Span have, Span want) {
        for (size_t i = 0; i < PATCH_FORMATS; i++) {
                AUTO(buf_done)
                Buf patch = BUF(TEXT_MAX_BYTES);
                JsonFault fault;
                int r = patch_formats[i].diff(have, want, &patch);

                must(r == 1 || patch.n == 0);
                must(r >= 0 || r == -EINVAL);
                /* What nested as deep as may be is nested deeper in an operation. */
                if (r == 1 && json_check(buf_span(&patch), SIZE_MAX, &fault) < 0)
                        must(strstr(fault.why, "deep"));
                if (r == 1)
                        must(!json_equal(have, want));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span all = {(const char *)data, size}, have = all, want;

        have.n = span_find(all, 0);
        want = span_from(all, have.n + 1);
        if (size > INPUT_MAX_BYTES || !check(have) || !check(want))
                return 0;
        every_format_holds(have, want);
        json_patch_fits(have, want);
        return 0;
}
