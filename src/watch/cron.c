/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/cron.h"

#include <errno.h>

enum { SEARCH_DAYS = 10 * 366, LIST_MAX = 100 };
#define DAY_S 86400

/* ---- reading ---- */

typedef struct FieldRule {
        const char *name;
        int min, max;
        const char *const *names; /* of the values from min on; NULL: none */
} FieldRule;

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const FieldRule rules[] = {{"minute", 0, 59, NULL},
                                  {"hour", 0, 23, NULL},
                                  {"day of the month", 1, 31, NULL},
                                  {"month", 1, 12, month_names},
                                  {"day of the week", 0, 7, day_names}};

static const struct {
        const char *name, *means;
} shortcuts[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
                 {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                 {"@annually", "0 0 1 1 *"}};

static int fault(const FieldRule *r, Span part, const char *what, Err *e) {
        return FAIL(e, -EINVAL, "%s: '%.*s' %s; %d to %d%s", r->name,
                    part.n > 40 ? 40 : (int)part.n, part.p, what, r->min, r->max,
                    r->names == month_names ? ", or jan to dec"
                    : r->names              ? ", or sun to sat"
                                            : "");
}

static bool read_value(const FieldRule *r, Span s, int *ret) {
        uint64_t n;

        for (int i = 0; r->names && r->names[i]; i++)
                if (span_eq_nocase(s, span_of(r->names[i]))) {
                        *ret = r->min + i;
                        return true;
                }
        if (!span_to_u64(s, (uint64_t)r->max, &n) || (int)n < r->min)
                return false;
        *ret = (int)n;
        return true;
}

/* `5`, `1-5`, `*`, each with `/2`. */
static int read_part(const FieldRule *r, Span part, uint64_t *bits, Err *e) {
        size_t slash = span_find(part, '/'), dash;
        Span range = span_make(part.p, slash);
        uint64_t step = 1;
        int from = r->min, to = r->max;

        if (slash < part.n && (!span_to_u64(span_from(part, slash + 1), 60, &step) || step == 0))
                return fault(r, part, "has a step that is no number from 1 on", e);
        dash = span_find(range, '-');
        if (!span_eq(range, SPAN("*"))) {
                if (!read_value(r, span_make(range.p, dash), &from))
                        return fault(r, part, "is none", e);
                /* `5/15` is from 5 on; `5` is 5. */
                to = slash < part.n ? r->max : from;
                if (dash < range.n && !read_value(r, span_from(range, dash + 1), &to))
                        return fault(r, part, "is none", e);
                if (from > to)
                        return fault(r, part, "goes backwards", e);
        } else if (r->max == 7)
                to = 6; /* 7 is Sunday once more */
        for (int i = from; i <= to; i += (int)step)
                *bits |= 1ULL << i;
        return 0;
}

static int read_field(const FieldRule *r, Span field, uint64_t *ret, bool *ret_any, Err *e) {
        *ret = 0;
        *ret_any = field.n > 0 && field.p[0] == '*';
        for (size_t parts = 0; parts < LIST_MAX; parts++) {
                size_t comma = span_find(field, ',');
                Span part = span_make(field.p, comma);
                int err = part.n ? read_part(r, part, ret, e) : fault(r, part, "is empty", e);

                if (err < 0)
                        return err;
                if (comma == field.n)
                        return 0;
                field = span_from(field, comma + 1);
        }
        return fault(r, field, "has too many parts", e);
}

static Span next_word(Span *s) {
        Span word;
        size_t n = 0;

        *s = span_trim(*s, " \t");
        while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
                n++;
        word = span_make(s->p, n);
        *s = span_from(*s, n);
        return word;
}

int cron_parse(Span text, Cron *ret, Err *e) {
        uint64_t bits[COUNT_OF(rules)];
        bool any[COUNT_OF(rules)];

        text = span_trim(text, " \t");
        for (size_t i = 0; i < COUNT_OF(shortcuts); i++)
                if (span_eq_nocase(text, span_of(shortcuts[i].name)))
                        text = span_of(shortcuts[i].means);
        if (text.n && text.p[0] == '@')
                return FAIL(
                        e, -EINVAL,
                        "there are @hourly, @daily, @weekly, @monthly and @yearly, not " SPAN_FMT,
                        SPAN_ARG(text));
        for (size_t i = 0; i < COUNT_OF(rules); i++) {
                Span word = next_word(&text);

                if (word.n == 0)
                        return FAIL(e, -EINVAL,
                                    "five fields are expected (minute, hour, day of the month, "
                                    "month, day of the week), and %zu are there",
                                    i);
                if (read_field(&rules[i], word, &bits[i], &any[i], e) < 0)
                        return -EINVAL;
        }
        if (span_trim(text, " \t").n)
                return FAIL(e, -EINVAL, "five fields are expected, and there are more");
        *ret = (Cron){.minutes = bits[0],
                      .hours = (uint32_t)bits[1],
                      .days = (uint32_t)bits[2],
                      .months = (uint32_t)bits[3],
                      .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
                      .any_hour = any[1],
                      .any_day = any[2],
                      .any_weekday = any[4]};
        return 0;
}

/* ---- searching ---- */

/* Days since 1970-01-01 as year, month, day: the days of the Gregorian calendar counted from 1
 * March, so that a leap day comes last. */
static void civil_of(int64_t days, int *month, int *day) {
        int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
        int64_t of_era = z - era * 146097;
        int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
        int64_t shifted = (5 * of_year + 2) / 153;

        *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
        *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
}

static bool fits_day(const Cron *c, int64_t days) {
        int month, day, weekday = (int)(((days + 4) % 7 + 7) % 7);

        civil_of(days, &month, &day);
        if (!(c->months >> month & 1))
                return false;
        bool by_day = c->days >> day & 1, by_weekday = c->weekdays >> weekday & 1;

        return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

static void take_moment(int64_t moment, int64_t after_s, int64_t *best) {
        if (moment > after_s && moment < *best)
                *best = moment;
}

static void look_at(const Cron *c, const Zone *z, int64_t local_s, int64_t after_s, int64_t *best) {
        int64_t moments[2];
        size_t n = zone_moments(z, local_s, moments);

        if (n == 0 && !c->any_hour)
                take_moment(zone_after(z, local_s), after_s, best);
        for (size_t i = 0; i < n && (i == 0 || c->any_hour); i++)
                take_moment(moments[i], after_s, best);
}

static void look_through(const Cron *c, const Zone *z, int64_t days, int64_t after_s,
                         int64_t *best) {
        if (!fits_day(c, days))
                return;
        for (int hour = 0; hour < 24; hour++)
                for (int minute = 0; (c->hours >> hour & 1) && minute < 60; minute++) {
                        int64_t local_s = days * DAY_S + hour * 3600 + minute * 60;

                        /* No zone is more than a day away: long past. */
                        if ((c->minutes >> minute & 1) && local_s > after_s - 2 * DAY_S &&
                            local_s < *best + 2 * (int64_t)DAY_S)
                                look_at(c, z, local_s, after_s, best);
                }
}

static int64_t day_of(int64_t local_s) {
        return local_s >= 0 ? local_s / DAY_S : -((-local_s + DAY_S - 1) / DAY_S);
}

/* Where no clock is changed within these days, the first time that fits is the first moment. */
static bool next_plain(const Cron *c, const Zone *z, int64_t after_s, int64_t *ret) {
        int32_t offset = zone_offset(z, after_s);
        int64_t local_s = after_s + offset, first = day_of(local_s);

        if (zone_offset(z, after_s - 2 * DAY_S) != offset ||
            zone_offset(z, after_s + 2 * DAY_S) != offset)
                return false;
        for (int64_t day = first; day <= first + 1; day++) {
                if (!fits_day(c, day))
                        continue;
                for (int minute = 0; minute < 24 * 60; minute++) {
                        int64_t at = day * DAY_S + minute * 60;

                        if (!(c->hours >> minute / 60 & 1))
                                minute += 59;
                        else if (at > local_s && (c->minutes >> minute % 60 & 1)) {
                                *ret = at - offset;
                                return true;
                        }
                }
        }
        return false;
}

bool cron_next(const Cron *c, const Zone *z, int64_t after_s, int64_t *ret) {
        int64_t first = day_of(after_s + zone_offset(z, after_s)), best = INT64_MAX / 2;

        if (next_plain(c, z, after_s, ret))
                return true;
        /* Where clocks go back over midnight, a day comes again; so the days around are looked at
         * together. */
        for (int64_t day = first - 1; day <= first + SEARCH_DAYS; day++) {
                look_through(c, z, day, after_s, &best);
                if (day > first && best < INT64_MAX / 2)
                        break;
        }
        *ret = best;
        return best < INT64_MAX / 2;
}
