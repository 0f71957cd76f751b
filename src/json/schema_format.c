/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats that can be asserted (JSON Schema validation section 7.3), each by its RFC. */
#include "json/schema_rule.h"
#include "json/uri.h"

#include <arpa/inet.h>

static bool digits_at(Span s, size_t from, size_t n, unsigned most, unsigned *ret) {
        uint64_t v = 0;

        if (from + n > s.n || !span_to_u64((Span){s.p + from, n}, most, &v))
                return false;
        *ret = (unsigned)v;
        return true;
}

/* RFC 3339 full-date. */
static bool is_date(Span s) {
        static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        unsigned year, month, day;
        bool is_leap;

        if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !digits_at(s, 0, 4, 9999, &year) ||
            !digits_at(s, 5, 2, 12, &month) || !digits_at(s, 8, 2, 31, &day) || month == 0)
                return false;
        is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        return day > 0 && day <= days[month - 1] + (month == 2 && is_leap);
}

/* RFC 3339 full-time. A leap second ends a day, somewhere on Earth at 23:59:60 UTC. */
static bool is_time(Span s) {
        unsigned hour, minute, second, away_hour = 0, away_minute = 0;
        size_t i = 8;
        int sign = 1;

        if (s.n < 9 || s.p[2] != ':' || s.p[5] != ':' || !digits_at(s, 0, 2, 23, &hour) ||
            !digits_at(s, 3, 2, 59, &minute) || !digits_at(s, 6, 2, 60, &second))
                return false;
        if (s.p[i] == '.') {
                size_t from = ++i;

                while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
                        i++;
                if (i == from)
                        return false;
        }
        s = span_from(s, i);
        if (s.n == 1 && (s.p[0] | 0x20) == 'z') {
                sign = 0;
        } else {
                if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' ||
                    !digits_at(s, 1, 2, 23, &away_hour) || !digits_at(s, 4, 2, 59, &away_minute))
                        return false;
                sign = s.p[0] == '+' ? -1 : 1;
        }
        int at = (int)(hour * 60 + minute) + sign * (int)(away_hour * 60 + away_minute);
        return second < 60 || (at + 1440) % 1440 == 1439;
}

static bool is_date_time(Span s) {
        return s.n > 11 && (s.p[10] | 0x20) == 't' && is_date((Span){s.p, 10}) &&
               is_time(span_from(s, 11));
}

static bool is_alnum(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* inet_pton() wants a terminator. */
static bool is_address(int family, Span s) {
        unsigned char address[16];
        char text[64];

        if (s.n == 0 || s.n >= sizeof text || memchr(s.p, 0, s.n))
                return false;
        memcpy(text, s.p, s.n);
        text[s.n] = 0;
        return inet_pton(family, text, address) == 1;
}

static bool is_ipv4(Span s) {
        return is_address(AF_INET, s);
}

static bool is_ipv6(Span s) {
        return is_address(AF_INET6, s);
}

/* Labels of letters, digits and inner '-', by dots. */
static bool is_domain(Span s) {
        if (s.n == 0 || s.n > 253)
                return false;
        while (s.n) {
                size_t n = span_find(s, '.');

                if (n == 0 || n > 63 || s.p[0] == '-' || s.p[n - 1] == '-')
                        return false;
                for (size_t i = 0; i < n; i++)
                        if (!is_alnum(s.p[i]) && s.p[i] != '-')
                                return false;
                if (n + 1 == s.n)
                        return false;
                s = span_from(s, n + 1);
        }
        return true;
}

/* RFC 5321 Local-part: atoms by dots, or a text in quotes. */
static bool is_local_part(Span s) {
        if (s.n == 0 || s.n > 64)
                return false;
        if (s.p[0] == '"') {
                if (s.n < 2 || s.p[s.n - 1] != '"')
                        return false;
                for (size_t i = 1; i + 1 < s.n; i++) {
                        if (s.p[i] == '\\' && ++i + 1 == s.n)
                                return false;
                        if (s.p[i] == '"' && s.p[i - 1] != '\\')
                                return false;
                        if ((unsigned char)s.p[i] < ' ' || (unsigned char)s.p[i] >= 0x7f)
                                return false;
                }
                return true;
        }
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] == '.' ? i == 0 || i + 1 == s.n || s.p[i - 1] == '.'
                                  : !is_alnum(s.p[i]) &&
                                            (!s.p[i] || !strchr("!#$%&'*+-/=?^_`{|}~", s.p[i])))
                        return false;
        return true;
}

static bool is_email(Span s) {
        size_t at = s.n;
        Span host;

        while (at > 0 && s.p[at - 1] != '@')
                at--;
        if (at == 0)
                return false;
        host = span_from(s, at);
        if (!is_local_part((Span){s.p, at - 1}))
                return false;
        if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
                host = (Span){host.p + 1, host.n - 2};
                return span_starts(host, SPAN("IPv6:")) ? is_ipv6(span_from(host, 5))
                                                        : is_ipv4(host);
        }
        return is_domain(host);
}

static bool is_uuid(Span s) {
        if (s.n != 36)
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (i == 8 || i == 13 || i == 18 || i == 23
                            ? s.p[i] != '-'
                            : !(s.p[i] >= '0' && s.p[i] <= '9') &&
                                      !((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'f'))
                        return false;
        return true;
}

static const Format formats[] = {
        {"date-time", "a date and time (RFC 3339)", is_date_time},
        {"date", "a date (RFC 3339)", is_date},
        {"time", "a time (RFC 3339)", is_time},
        {"email", "an e-mail address", is_email},
        {"uri", "a URI", uri_is_absolute},
        {"uuid", "a UUID", is_uuid},
        {"ipv4", "an IPv4 address", is_ipv4},
        {"ipv6", "an IPv6 address", is_ipv6},
};

const Format *schema_format_find(Span name) {
        for (size_t i = 0; i < COUNT_OF(formats); i++)
                if (span_eq(name, span_of(formats[i].name)))
                        return &formats[i];
        return NULL;
}
