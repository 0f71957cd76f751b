/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/fresh.h"

#include "base/clock.h"
#include "flow/run.h"
#include "json/diff.h"
#include "json/value.h"

#define PAUSE_MS     100
#define PAUSE_MAX_MS 2000
#define LEFT_MIN_MS  200 /* for the answer to the last question */

const char *const fresh_rules[] = {"fetched", "overlay", "fresh", NULL};

int fresh_prepare(Build *b, Fresh *f) {
        Program *p = NULL;
        int r = 0;

        if (f->rule == DATA_FETCHED)
                return 0;
        if (f->rule == DATA_FRESH && !path_parse(f->version.text, &f->version_path))
                r = problem_add(b->problems, f->version.place,
                                "version is a plain path such as .meta.lastModified");
        if (build_program(b, f->rule == DATA_FRESH ? &f->reaches : &f->values, &p) < 0)
                r = -EINVAL;
        f->program[0] = p;
        return r;
}

struct Judging {
        const Fresh *f;
        Span value;
        void (*then)(Act *a, Span value);
        void (*again)(Act *a);
        int64_t pause_ms;
};
typedef struct Judging Judging;

/* ---- overlay ---- */

static void on_values(Act *a) {
        Judging *j = a->fresh;
        Span values = a->evaluation.values[0];
        AUTO(buf_done)
        Buf out = BUF(MAP_OUTPUT_MAX_BYTES);

        if (!values.p) {
                j->then(a, j->value);
                return;
        }
        if (json_kind(values) != JSON_OBJECT) {
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": values gives no object", SPAN_ARG(a->step->name));
                return;
        }
        Span merged = {NULL, 0};
        if (json_merge(j->value.p ? j->value : SPAN("{}"), values, &out) >= 0)
                merged = act_keep(a, buf_span(&out));
        if (merged.p)
                j->then(a, merged);
        else
                act_fail(a, 422, "too-large", false,
                         "the values of step " SPAN_FMT " are too large", SPAN_ARG(a->step->name));
}

/* ---- fresh ---- */

typedef enum Reach { REACHED, NOT_YET, NO_ORDER } Reach;

static Reach compare_times(Span have, int64_t have_ms, int64_t want_ms) {
        /* A version in whole seconds cannot say more. */
        if (!memchr(have.p, '.', have.n))
                want_ms -= ((want_ms % 1000) + 1000) % 1000;
        return have_ms >= want_ms ? REACHED : NOT_YET;
}

static bool number_of(Span text, double *ret) {
        char copy[64], *end;

        if (text.n == 0 || text.n >= sizeof copy)
                return false;
        memcpy(copy, text.p, text.n);
        copy[text.n] = '\0';
        *ret = strtod(copy, &end);
        return *end == '\0';
}

static Reach compare(Span have, Span want) {
        AUTO(buf_done)
        Buf h = BUF(256);
        AUTO(buf_done)
        Buf w = BUF(256);
        int64_t have_ms, want_ms;
        uint64_t have_u, want_u;
        double have_d, want_d;

        if (json_text(have, &h) < 0 || json_text(want, &w) < 0)
                return NO_ORDER;
        Span ht = buf_span(&h), wt = buf_span(&w);
        if (clock_parse(ht, &have_ms) && clock_parse(wt, &want_ms))
                return compare_times(ht, have_ms, want_ms);
        if (span_to_u64(ht, UINT64_MAX, &have_u) && span_to_u64(wt, UINT64_MAX, &want_u))
                return have_u >= want_u ? REACHED : NOT_YET;
        if (number_of(ht, &have_d) && number_of(wt, &want_d))
                return have_d >= want_d ? REACHED : NOT_YET;
        return NO_ORDER;
}

static void ask_again(Act *a) {
        Judging *j = a->fresh;

        j->again(a);
}

static void wait_for_it(Act *a, Judging *j) {
        int64_t left = act_time_left(a) - LEFT_MIN_MS;
        int64_t pause = j->pause_ms;

        if (left <= 0 && !j->value.p) {
                j->then(a, j->value);
                return;
        }
        if (left <= 0) {
                act_fail(a, 424, "stale", true,
                         "%s does not show this change yet. Try again later.",
                         a->to->target->config->name);
                return;
        }
        j->pause_ms = pause * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause * 2;
        act_pause(a, pause < left ? pause : left, ask_again);
}

static void on_reaches(Act *a) {
        Judging *j = a->fresh;
        Span want = a->evaluation.values[0];
        Span have = j->value.p ? path_follow(&j->f->version_path, 0, j->value) : j->value;

        if (!want.p) {
                act_fail(a, 422, "nothing-there", false,
                         "step " SPAN_FMT ": " SPAN_FMT " gives nothing to wait for",
                         SPAN_ARG(a->step->name), SPAN_ARG(j->f->reaches.text));
                return;
        }
        if (!j->value.p) { /* not there yet */
                wait_for_it(a, j);
                return;
        }
        switch (have.p && json_kind(have) != JSON_NULL ? compare(have, want) : NO_ORDER) {
        case REACHED:
                j->then(a, j->value);
                break;
        case NOT_YET:
                wait_for_it(a, j);
                break;
        default:
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": the version at " SPAN_FMT " and what " SPAN_FMT
                         " gives are no two times or numbers",
                         SPAN_ARG(a->step->name), SPAN_ARG(j->f->version.text),
                         SPAN_ARG(j->f->reaches.text));
        }
}

void fresh_judge(Act *a, const Fresh *f, Span value, void (*then)(Act *a, Span value),
                 void (*again)(Act *a)) {
        Judging *j = a->fresh;

        if (f->rule == DATA_FETCHED) {
                then(a, value);
                return;
        }
        if (!j) {
                a->fresh = j = arena_alloc(a->run->arena, sizeof *j);
                if (!j) {
                        act_fail(a, 422, "too-large", false,
                                 "the results of the steps are too large");
                        return;
                }
                *j = (Judging){.pause_ms = PAUSE_MS};
        }
        j->f = f;
        j->value = value;
        j->then = then;
        j->again = again;
        act_evaluate(a, f->program, 1, f->rule == DATA_FRESH ? on_reaches : on_values);
}
