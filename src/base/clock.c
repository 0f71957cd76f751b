/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

/* What clock_skip and clock_set_wall have added. */
static _Atomic int64_t skipped_ms, moved_ms;

static int64_t read_ns(clockid_t id) {
        struct timespec ts;

        must(clock_gettime(id, &ts) == 0);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_wall_ms(void) {
        return read_ns(CLOCK_REALTIME) / 1000000 +
               atomic_load_explicit(&moved_ms, memory_order_relaxed);
}

int64_t clock_mono_ms(void) {
        return read_ns(CLOCK_MONOTONIC) / 1000000 +
               atomic_load_explicit(&skipped_ms, memory_order_relaxed);
}

int64_t clock_mono_us(void) {
        return read_ns(CLOCK_MONOTONIC) / 1000 +
               atomic_load_explicit(&skipped_ms, memory_order_relaxed) * 1000;
}

void clock_skip(int64_t ms) {
        atomic_fetch_add(&skipped_ms, ms);
        atomic_fetch_add(&moved_ms, ms);
}

void clock_set_wall(int64_t wall_ms) {
        atomic_fetch_add(&moved_ms, wall_ms - clock_wall_ms());
}

void clock_print(int64_t wall_ms, char ret[CLOCK_TEXT]) {
        time_t s = (time_t)(wall_ms / 1000);
        struct tm tm;

        if (wall_ms < 0 || wall_ms > 253402300799999 || !gmtime_r(&s, &tm)) {
                (void)snprintf(ret, CLOCK_TEXT, "1970-01-01T00:00:00.000Z");
                return;
        }
        (void)snprintf(ret, CLOCK_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                       (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
                       (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
                       (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100,
                       (unsigned)(wall_ms % 1000));
}

/* `n` digits at *s, eaten; -1 where they are not digits. */
static int digits(Span *s, size_t n) {
        uint64_t v;

        if (s->n < n || !span_to_u64((Span){s->p, n}, 9999, &v))
                return -1;
        *s = span_from(*s, n);
        return (int)v;
}

static bool eat(Span *s, const char *any_of) {
        if (s->n == 0 || !s->p[0] || !strchr(any_of, s->p[0]))
                return false;
        *s = span_from(*s, 1);
        return true;
}

static bool utc_ms(int year, int month, int day, int h, int m, int sec, int64_t *ret) {
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

        if (year < 1 || month < 1 || month > 12 || day < 1 || h < 0 || h > 23 || m < 0 || m > 59 ||
            sec < 0 || sec > 60)
                return false;
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (day > days[month - 1] + (month == 2 && leap))
                return false;
        struct tm tm = {.tm_year = year - 1900,
                        .tm_mon = month - 1,
                        .tm_mday = day,
                        .tm_hour = h,
                        .tm_min = m,
                        .tm_sec = sec};
        *ret = (int64_t)timegm(&tm) * 1000;
        return true;
}

bool clock_parse(Span s, int64_t *ret_wall_ms) {
        int year = digits(&s, 4), month, day, h, m, sec, ms = 0, scale = 100;
        int64_t at;

        if (!eat(&s, "-") || (month = digits(&s, 2)) < 0 || !eat(&s, "-") ||
            (day = digits(&s, 2)) < 0 || !eat(&s, "Tt ") || (h = digits(&s, 2)) < 0 ||
            !eat(&s, ":") || (m = digits(&s, 2)) < 0 || !eat(&s, ":") || (sec = digits(&s, 2)) < 0)
                return false;
        if (eat(&s, ".")) {
                if (s.n == 0 || s.p[0] < '0' || s.p[0] > '9')
                        return false;
                for (; s.n && s.p[0] >= '0' && s.p[0] <= '9'; s = span_from(s, 1), scale /= 10)
                        ms += (s.p[0] - '0') * scale;
        }
        if (!utc_ms(year, month, day, h, m, sec, &at))
                return false;
        if (!eat(&s, "Zz")) {
                int sign = s.n && s.p[0] == '-' ? -1 : 1, oh, om;

                if (!eat(&s, "+-") || (oh = digits(&s, 2)) < 0 || oh > 23 || !eat(&s, ":") ||
                    (om = digits(&s, 2)) < 0 || om > 59)
                        return false;
                at -= (int64_t)sign * (oh * 60 + om) * 60000;
        }
        if (s.n)
                return false;
        *ret_wall_ms = at + ms;
        return true;
}

bool clock_parse_http(Span text, int64_t *ret_wall_ms) {
        static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT",
                                            "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
        char copy[64];

        if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, 0, text.n))
                return false;
        memcpy(copy, text.p, text.n);
        copy[text.n] = 0;
        for (size_t i = 0; i < COUNT_OF(forms); i++) {
                struct tm tm = {0};
                const char *end = strptime(copy, forms[i], &tm);

                if (end && *end == 0)
                        return utc_ms(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                                      tm.tm_min, tm.tm_sec, ret_wall_ms);
        }
        return false;
}
