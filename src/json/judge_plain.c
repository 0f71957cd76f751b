/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers, by their decimal value whatever their length, and strings, by their code points. */
#include "json/judge.h"
#include "json/number.h"
#include "json/text.h"

enum { FORMAT_MAX_BYTES = 4096 }; /* nothing that has one of the formats is longer */

typedef struct Bound {
        const char *keyword, *text;
        Span limit;
        int from, to; /* how the value may compare with it: -1, 0, 1 */
} Bound;

static int judge_bound(Judge *j, const Bound *b, int order, const JsonPlace *place) {
        order = (order > 0) - (order < 0);
        if (!b->limit.p || (order >= b->from && order <= b->to))
                return 0;
        return judge_violated(j, place, b->keyword, "%s %.*s", b->text,
                              b->limit.n > 60 ? 60 : (int)b->limit.n, b->limit.p);
}

int judge_number(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        const Bound bounds[] = {
                {"minimum", "is less than", rule->minimum, 0, 1},
                {"maximum", "is more than", rule->maximum, -1, 0},
                {"exclusiveMinimum", "has to be more than", rule->above, 1, 1},
                {"exclusiveMaximum", "has to be less than", rule->below, -1, -1},
        };
        int all = judge_work(j, value.n);

        if (all < 0)
                return all;
        for (size_t i = 0; i < COUNT_OF(bounds); i++) {
                int order = bounds[i].limit.p ? json_number_compare(value, bounds[i].limit) : 0;

                if (judge_is_over(j, judge_bound(j, &bounds[i], order, place), &all))
                        return all;
        }
        if (rule->multiple_of.p && !json_number_divides(rule->multiple_of, value))
                all = judge_violated(j, place, "multipleOf", "has to be a multiple of %.*s",
                                     (int)rule->multiple_of.n, rule->multiple_of.p);
        return all;
}

static size_t count_points(Span raw) {
        JsonReader r = json_reader(raw);
        size_t n = 0;

        for (int c; (c = json_reader_next(&r)) >= 0;)
                n += (c & 0xc0) != 0x80;
        return n;
}

static int judge_lengths(Judge *j, const Rule *rule, Span raw, const JsonPlace *place) {
        const Bound bounds[] = {
                {"minLength", "is shorter than the characters it needs:", rule->least_length, 0, 1},
                {"maxLength", "is longer than the characters it may have:", rule->most_length, -1,
                 0},
        };
        size_t n;
        int all = 0;

        if (!rule->least_length.p && !rule->most_length.p)
                return 0;
        n = count_points(raw);
        for (size_t i = 0; i < COUNT_OF(bounds); i++) {
                int order = bounds[i].limit.p ? judge_count(n, bounds[i].limit) : 0;

                if (judge_is_over(j, judge_bound(j, &bounds[i], order, place), &all))
                        return all;
        }
        return all;
}

int judge_pattern(Judge *j, const JsonRegex *regex, Span raw) {
        return json_regex_find(regex, json_reader(raw), &j->work);
}

static int judge_match(Judge *j, const Rule *rule, Span raw, const JsonPlace *place) {
        int r = rule->pattern ? judge_pattern(j, rule->pattern, raw) : 1;

        if (r != 0)
                return r < 0 ? r : 0;
        return judge_violated(j, place, "pattern", "does not match %.*s",
                              rule->pattern_text.n > 120 ? 120 : (int)rule->pattern_text.n,
                              rule->pattern_text.p);
}

static int judge_format(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        char room[FORMAT_MAX_BYTES];
        JsonReader r = json_reader((Span){value.p + 1, value.n - 2});
        size_t n = 0;
        int c = 0;

        while (n < sizeof room && (c = json_reader_next(&r)) >= 0)
                room[n++] = (char)c;
        if (c < 0 && rule->format->fits((Span){room, n}))
                return 0;
        return judge_violated(j, place, "format", "is not %s", rule->format->what);
}

int judge_string(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        Span raw = {value.p + 1, value.n - 2};
        int all = judge_work(j, value.n);

        if (all < 0)
                return all;
        if (!judge_is_over(j, judge_lengths(j, rule, raw, place), &all) &&
            !judge_is_over(j, judge_match(j, rule, raw, place), &all) && rule->format)
                (void)judge_is_over(j, judge_format(j, rule, value, place), &all);
        return all;
}
