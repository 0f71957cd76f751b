/* SPDX-License-Identifier: Apache-2.0 */
#include "json/uri.h"

#include "json/scan.h"

/* scheme, "//authority", path, "?query": each with its mark, empty where it is not there. */
typedef struct Parts {
        Span scheme, authority, path, query;
} Parts;

static size_t find_any(Span s, const char *any) {
        size_t i = 0;

        while (i < s.n && (!s.p[i] || !strchr(any, s.p[i])))
                i++;
        return i;
}

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t scheme_length(Span s) {
        size_t i = 0;

        if (s.n == 0 || !is_letter(s.p[0]))
                return 0;
        while (i < s.n && (is_letter(s.p[i]) || json_is(s.p[i], JSON_DIGIT) || s.p[i] == '+' ||
                           s.p[i] == '-' || s.p[i] == '.'))
                i++;
        return i < s.n && s.p[i] == ':' ? i + 1 : 0;
}

static Parts split(Span s) {
        Parts p = {0};

        p.scheme = (Span){s.p, scheme_length(s)};
        s = span_from(s, p.scheme.n);
        if (span_starts(s, SPAN("//"))) {
                p.authority = (Span){s.p, 2 + find_any(span_from(s, 2), "/?")};
                s = span_from(s, p.authority.n);
        }
        p.path = (Span){s.p, span_find(s, '?')};
        p.query = span_from(s, p.path.n);
        return p;
}

/* Appends the path without "." and ".." (RFC 3986 section 5.2.4). */
static int add_path(Span path, Buf *out) {
        size_t start = out->n;
        int r = 0;

        while (r == 0 && path.n) {
                size_t n = (path.p[0] == '/') + span_find(span_from(path, path.p[0] == '/'), '/');
                Span segment = {path.p, n}, name = span_from(segment, path.p[0] == '/');
                bool is_last = n == path.n;

                path = span_from(path, n);
                if (span_eq(name, SPAN("."))) {
                        r = is_last ? buf_add_char(out, '/') : 0;
                } else if (span_eq(name, SPAN(".."))) {
                        while (out->n > start && out->p[out->n - 1] != '/')
                                out->n--;
                        out->n -= out->n > start;
                        r = is_last ? buf_add_char(out, '/') : 0;
                } else {
                        r = buf_add(out, segment);
                }
        }
        return r;
}

/* The path of a relative reference behind the base's last slash. */
static int add_merged(const Parts *base, Span path, Buf *out) {
        AUTO(buf_done)
        Buf whole = BUF(64 * 1024);
        Span folder = base->path;
        int r = 0;

        while (folder.n && folder.p[folder.n - 1] != '/')
                folder.n--;
        r = base->authority.n && base->path.n == 0 ? buf_add_char(&whole, '/')
                                                   : buf_add(&whole, folder);
        if (r == 0)
                r = buf_add(&whole, path);
        return r == 0 ? add_path(buf_span(&whole), out) : r;
}

int uri_resolve(Span base, Span ref, Buf *out) {
        Parts b = split(base), p = split(ref);
        int r;

        if (p.scheme.n)
                return buf_add(out, ref);
        r = buf_add(out, b.scheme);
        if (r == 0)
                r = buf_add(out, p.authority.n ? p.authority : b.authority);
        if (r < 0)
                return r;
        if (p.authority.n || span_starts(p.path, SPAN("/")))
                r = add_path(p.path, out);
        else if (p.path.n == 0)
                r = buf_add(out, b.path);
        else
                r = add_merged(&b, p.path, out);
        if (r == 0)
                r = buf_add(out, p.query.n || p.path.n || p.authority.n ? p.query : b.query);
        return r;
}

static int hex_value(char c) {
        return json_is(c, JSON_DIGIT) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static bool is_percent(Span s, size_t i) {
        return i + 2 < s.n && json_is(s.p[i + 1], JSON_HEX) && json_is(s.p[i + 2], JSON_HEX);
}

int uri_decode(Span text, Buf *out) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < text.n; i++) {
                char c = text.p[i];

                if (c == '%') {
                        if (!is_percent(text, i))
                                return -EINVAL;
                        c = (char)(hex_value(text.p[i + 1]) << 4 | hex_value(text.p[i + 2]));
                        i += 2;
                }
                r = buf_add_char(out, c);
        }
        return r;
}

bool uri_is_absolute(Span text) {
        size_t scheme = scheme_length(text), fragments = 0;
        Span authority;

        if (scheme == 0)
                return false;
        for (size_t i = 0; i < text.n; i++) {
                char c = text.p[i];

                fragments += c == '#';
                if ((unsigned char)c <= ' ' || (unsigned char)c >= 0x7f ||
                    strchr("\"<>\\^`{|}", c) || (c == '%' && !is_percent(text, i)))
                        return false;
        }
        text = span_from(text, scheme);
        if (span_starts(text, SPAN("//"))) {
                authority = span_from(text, 2);
                authority.n = find_any(authority, "/?#");
                text = span_from(text, 2 + authority.n);
                /* Brackets hold an IPv6 address, and stand nowhere else. */
                if (span_find(authority, '[') < authority.n) {
                        size_t open = span_find(authority, '['), close = span_find(authority, ']');

                        if (close == authority.n || close < open ||
                            (open > 0 && authority.p[open - 1] != '@'))
                                return false;
                        authority = span_from(authority, close + 1);
                        if (authority.n && authority.p[0] != ':')
                                return false;
                }
                /* After the name and its colon a number, after the user an '@'. */
                size_t user = span_find(authority, '@');
                Span host = user < authority.n ? span_from(authority, user + 1) : authority;
                size_t colon = span_find(host, ':');
                for (size_t i = colon + 1; i < host.n; i++)
                        if (!json_is(host.p[i], JSON_DIGIT))
                                return false;
        }
        return fragments <= 1 && span_find(text, '[') == text.n && span_find(text, ']') == text.n;
}
