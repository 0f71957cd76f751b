/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/zone.h"

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>

#define FOLDER "/usr/share/zoneinfo"

enum { FILE_MAX_BYTES = 256 * 1024, NAME_BYTES_MAX = 64, HEAD_BYTES = 44, TIMES_MAX = 20000 };
#define DAY_S 86400

/* What the footer says of all years behind the table (POSIX TZ, with the hours of RFC 8536 3.3.1).
 */
typedef struct Switch {
        enum { SWITCH_NONE, SWITCH_WEEK, SWITCH_DAY, SWITCH_LEAPLESS } kind;
        int month, week,
                day;    /* Mm.w.d; or the day alone: n from 0, Jn from 1 without 29 February */
        int32_t time_s; /* of the local day, by the clock before */
} Switch;

typedef struct Footer {
        bool is_there, has_dst;
        int32_t standard_s, dst_s; /* offsets */
        Switch begins, ends;
} Footer;

struct Zone {
        int64_t *times;   /* from each on ... */
        int32_t *offsets; /* ... this offset */
        size_t n;
        int32_t first_s; /* before the first */
        Footer footer;
};

/* ---- days ---- */

static bool is_leap(int64_t y) {
        return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Days from 1970-01-01 to the first of January. */
static int64_t year_day(int64_t y) {
        int64_t before = y - 1;

        return 365 * (y - 1970) + (before / 4 - before / 100 + before / 400) -
               (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static int64_t year_of(int64_t utc_s) {
        int64_t y = 1970 + utc_s / (365 * DAY_S + DAY_S / 4);

        while (year_day(y) * DAY_S > utc_s)
                y--;
        while (year_day(y + 1) * DAY_S <= utc_s)
                y++;
        return y;
}

static int month_days(int64_t y, int month) {
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

        return days[month - 1] + (month == 2 && is_leap(y));
}

/* The day of the year (from 0) that a switch names. */
static int64_t switch_day(const Switch *s, int64_t y) {
        int64_t day = 0;

        if (s->kind == SWITCH_DAY)
                return s->day;
        if (s->kind == SWITCH_LEAPLESS)
                return s->day - 1 + (is_leap(y) && s->day > 59);
        for (int m = 1; m < s->month; m++)
                day += month_days(y, m);
        /* 1970-01-01 was a Thursday. */
        int first = (int)(((year_day(y) + day + 4) % 7 + 7) % 7);
        int wanted = (s->day - first + 7) % 7 + 7 * (s->week - 1);

        while (wanted >= month_days(y, s->month))
                wanted -= 7;
        return day + wanted;
}

static int64_t switch_moment(const Switch *s, int64_t y, int32_t offset_before) {
        return (year_day(y) + switch_day(s, y)) * DAY_S + s->time_s - offset_before;
}

static int32_t footer_offset(const Footer *f, int64_t utc_s) {
        int64_t y, begins, ends;

        if (!f->has_dst)
                return f->standard_s;
        y = year_of(utc_s + f->standard_s);
        begins = switch_moment(&f->begins, y, f->standard_s);
        ends = switch_moment(&f->ends, y, f->dst_s);
        bool is_dst = begins < ends ? utc_s >= begins && utc_s < ends
                                    : !(utc_s >= ends && utc_s < begins);
        return is_dst ? f->dst_s : f->standard_s;
}

/* ---- the footer ---- */

static bool take(Span *s, char c) {
        if (s->n == 0 || s->p[0] != c)
                return false;
        *s = span_from(*s, 1);
        return true;
}

static bool take_number(Span *s, int max, int *ret) {
        int n = 0;
        size_t digits = 0;

        while (digits < s->n && digits < 4 && s->p[digits] >= '0' && s->p[digits] <= '9')
                n = n * 10 + (s->p[digits++] - '0');
        *s = span_from(*s, digits);
        *ret = n;
        return digits > 0 && n <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(Span *s, int32_t *ret) {
        int sign = take(s, '-') ? -1 : 1, hours, minutes = 0, seconds = 0;

        if (sign > 0)
                (void)take(s, '+');
        if (!take_number(s, 167, &hours))
                return false;
        if (take(s, ':') && !take_number(s, 59, &minutes))
                return false;
        if (take(s, ':') && !take_number(s, 59, &seconds))
                return false;
        *ret = sign * (hours * 3600 + minutes * 60 + seconds);
        return true;
}

static bool take_name(Span *s) {
        bool is_quoted = take(s, '<');
        size_t n = 0;

        while (n < s->n &&
               (is_quoted ? s->p[n] != '>' : (s->p[n] | 0x20) >= 'a' && (s->p[n] | 0x20) <= 'z'))
                n++;
        *s = span_from(*s, n);
        return n >= 3 && (!is_quoted || take(s, '>'));
}

static bool take_switch(Span *s, Switch *ret) {
        *ret = (Switch){.kind = SWITCH_DAY, .time_s = 7200};
        if (!take(s, ','))
                return false;
        if (take(s, 'M')) {
                ret->kind = SWITCH_WEEK;
                if (!take_number(s, 12, &ret->month) || !take(s, '.') ||
                    !take_number(s, 5, &ret->week) || !take(s, '.') ||
                    !take_number(s, 6, &ret->day) || ret->month < 1 || ret->week < 1)
                        return false;
        } else {
                if (take(s, 'J'))
                        ret->kind = SWITCH_LEAPLESS;
                if (!take_number(s, 365, &ret->day) ||
                    (ret->kind == SWITCH_LEAPLESS && ret->day < 1))
                        return false;
        }
        return !take(s, '/') || take_time(s, &ret->time_s);
}

static bool read_footer(Span s, Footer *ret) {
        *ret = (Footer){.is_there = true};
        if (s.n == 0) {
                ret->is_there = false;
                return true;
        }
        if (!take_name(&s) || !take_time(&s, &ret->standard_s))
                return false;
        ret->standard_s = -ret->standard_s; /* POSIX counts westward */
        if (s.n == 0)
                return true;
        ret->has_dst = true;
        ret->dst_s = ret->standard_s + 3600;
        if (!take_name(&s))
                return false;
        if (s.n && s.p[0] != ',') {
                if (!take_time(&s, &ret->dst_s))
                        return false;
                ret->dst_s = -ret->dst_s;
        }
        return take_switch(&s, &ret->begins) && take_switch(&s, &ret->ends) && s.n == 0;
}

/* ---- the file ---- */

static uint32_t u32(const char *p) {
        const unsigned char *u = (const unsigned char *)p;

        return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t i64(const char *p) {
        return (int64_t)((uint64_t)u32(p) << 32 | u32(p + 4));
}

typedef struct Counts {
        size_t ut, standard, leap, times, types, chars;
} Counts;

static bool read_head(Span s, Counts *ret) {
        if (s.n < HEAD_BYTES || memcmp(s.p, "TZif", 4) != 0)
                return false;
        *ret = (Counts){u32(s.p + 20), u32(s.p + 24), u32(s.p + 28),
                        u32(s.p + 32), u32(s.p + 36), u32(s.p + 40)};
        return ret->times <= TIMES_MAX && ret->types >= 1 && ret->types <= 256 &&
               ret->chars <= 4096 && ret->leap <= 4096 && ret->ut <= 256 && ret->standard <= 256;
}

static size_t body_bytes(const Counts *c, size_t time_bytes) {
        return c->times * (time_bytes + 1) + c->types * 6 + c->chars + c->leap * (time_bytes + 4) +
               c->standard + c->ut;
}

static bool read_table(Span s, const Counts *c, Zone *z) {
        const char *index = s.p + c->times * 8, *types = index + c->times;

        z->n = c->times;
        z->times = must_alloc((c->times + 1) * sizeof *z->times);
        z->offsets = must_alloc((c->times + 1) * sizeof *z->offsets);
        z->first_s = (int32_t)u32(types);
        for (size_t i = 0; i < c->times; i++) {
                unsigned type = (unsigned char)index[i];

                if (type >= c->types)
                        return false;
                z->times[i] = i64(s.p + 8 * i);
                z->offsets[i] = (int32_t)u32(types + (size_t)6 * type);
                if ((i && z->times[i] <= z->times[i - 1]) || z->offsets[i] > 2 * DAY_S ||
                    z->offsets[i] < -2 * DAY_S)
                        return false;
        }
        return true;
}

static bool read_all(Span s, Zone *z) {
        Counts c;

        /* The first part is for those who know 32 bits only. */
        if (!read_head(s, &c) || s.p[4] < '2' || s.n < HEAD_BYTES + body_bytes(&c, 4))
                return false;
        s = span_from(s, HEAD_BYTES + body_bytes(&c, 4));
        if (!read_head(s, &c))
                return false;
        s = span_from(s, HEAD_BYTES);
        if (s.n < body_bytes(&c, 8) || !read_table(s, &c, z))
                return false;
        s = span_from(s, body_bytes(&c, 8));
        if (s.n < 2 || s.p[0] != '\n' || s.p[s.n - 1] != '\n')
                return false;
        return read_footer(span_make(s.p + 1, s.n - 2), &z->footer);
}

int zone_read(Span tzif, Zone **ret, Err *e) {
        Zone *z = must_alloc(sizeof *z);
        bool is_read = read_all(tzif, z);

        *ret = is_read ? z : zone_close(z);
        return is_read ? 0 : FAIL(e, -EINVAL, "the file of the time zone cannot be read");
}

static bool is_name(Span name) {
        for (size_t i = 0; i < name.n; i++) {
                char c = name.p[i];
                bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';

                if (!is_word && (c != '/' || i == 0))
                        return false;
        }
        return name.n > 0 && name.n <= NAME_BYTES_MAX;
}

int zone_open(Span name, Zone **ret, Err *e) {
        AUTO(buf_done)
        Buf text = BUF(FILE_MAX_BYTES);
        char path[128], *at;
        FILE *f;
        int r = 0;

        *ret = NULL;
        if (span_eq(name, SPAN("UTC"))) { /* also where the system has no zones */
                *ret = must_alloc(sizeof **ret);
                return 0;
        }
        if (!is_name(name))
                return FAIL(e, -EINVAL, "a time zone is named as Europe/Helsinki or UTC");
        (void)snprintf(path, sizeof path, FOLDER "/" SPAN_FMT, SPAN_ARG(name));
        f = fopen(path, "rbe");
        if (!f)
                return FAIL(e, -EINVAL,
                            "there is no time zone " SPAN_FMT " (" FOLDER
                            ", Debian's package tzdata)",
                            SPAN_ARG(name));
        for (size_t n = 1; r == 0 && n; text.n += n) {
                r = buf_room(&text, 4096, &at);
                n = r == 0 ? fread(at, 1, 4096, f) : 0;
        }
        (void)fclose(f);
        return r < 0 ? FAIL(e, -EINVAL, "the file of time zone " SPAN_FMT " is too large",
                            SPAN_ARG(name))
                     : zone_read(buf_span(&text), ret, e);
}

Zone *zone_close(Zone *z) {
        if (z) {
                free(z->times);
                free(z->offsets);
                free(z);
        }
        return NULL;
}

/* ---- times ---- */

int32_t zone_offset(const Zone *z, int64_t utc_s) {
        size_t low = 0, high = z->n; /* of the first that begins later */

        if (z->n == 0 || utc_s >= z->times[z->n - 1]) {
                if (z->footer.is_there)
                        return footer_offset(&z->footer, utc_s);
                return z->n ? z->offsets[z->n - 1] : z->first_s;
        }
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (z->times[middle] <= utc_s)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low ? z->offsets[low - 1] : z->first_s;
}

/* Clocks are put forward or back by less than a day and a half, and not twice within so many. */
size_t zone_moments(const Zone *z, int64_t local_s, int64_t ret[2]) {
        const int64_t around[] = {local_s - 3 * DAY_S / 2, local_s + 3 * DAY_S / 2};
        size_t n = 0;

        for (size_t i = 0; i < COUNT_OF(around); i++) {
                int32_t offset = zone_offset(z, around[i]);
                int64_t moment = local_s - offset;

                if (zone_offset(z, moment) == offset && (n == 0 || ret[0] != moment))
                        ret[n++] = moment;
        }
        if (n == 2 && ret[0] > ret[1]) {
                int64_t later = ret[0];

                ret[0] = ret[1];
                ret[1] = later;
        }
        return n;
}

int64_t zone_after(const Zone *z, int64_t local_s) {
        int64_t low = local_s - 3 * DAY_S / 2, high = local_s + 3 * DAY_S / 2;

        while (low < high) {
                int64_t middle = low + (high - low) / 2;

                if (middle + zone_offset(z, middle) > local_s)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}
