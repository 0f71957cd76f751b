/* SPDX-License-Identifier: Apache-2.0 */
#include "http/media.h"

#include "http/bytes.h"
#include "http/list.h"

static bool parameters_are_good(Span parameters) {
        Span names[MEDIA_PARAMETERS_MAX], item, value;
        size_t n = 0;

        while (http_list_next(&parameters, ';', &item)) {
                if (n == COUNT_OF(names) || !http_parameter_read(item, &names[n], &value) ||
                    !value.p)
                        return false;
                for (size_t i = 0; i < n; i++)
                        if (span_eq_nocase(names[i], names[n]))
                                return false;
                n++;
        }
        return true;
}

bool http_media_parse(Span value, HttpMedia *ret) {
        HttpMedia m = {0};
        size_t n;

        value = span_trim(value, " \t");
        m.type = (Span){value.p, http_run(value, 0, HTTP_TOKEN)};
        n = m.type.n;
        if (n == 0 || n == value.n || value.p[n] != '/')
                return false;
        m.subtype = (Span){value.p + n + 1, http_run(value, n + 1, HTTP_TOKEN)};
        n += 1 + m.subtype.n;
        m.parameters = span_trim(span_from(value, n), " \t");
        if (m.subtype.n == 0 || (m.parameters.n && m.parameters.p[0] != ';'))
                return false;
        m.parameters = span_trim(span_from(m.parameters, 1), " \t");
        if (!parameters_are_good(m.parameters))
                return false;
        *ret = m;
        return true;
}

bool http_media_is_json(const HttpMedia *m) {
        const Span suffix = SPAN("+json");
        Span charset = http_media_parameter(m, "charset");
        bool is_suffixed = m->subtype.n > suffix.n &&
                           span_eq_nocase(span_from(m->subtype, m->subtype.n - suffix.n), suffix);

        return (is_suffixed || http_media_is(m, "application/json")) &&
               (!charset.p || span_eq_nocase(charset, SPAN("utf-8")) ||
                span_eq_nocase(charset, SPAN("utf8")) || span_eq_nocase(charset, SPAN("us-ascii")));
}

bool http_media_is(const HttpMedia *m, const char *name) {
        Span want = span_of(name);
        size_t slash = span_find(want, '/');

        return span_eq_nocase(m->type, (Span){want.p, slash}) &&
               span_eq_nocase(m->subtype, span_from(want, slash + 1));
}

Span http_media_parameter(const HttpMedia *m, const char *name) {
        Span rest = m->parameters, want = span_of(name), item, have, value;

        while (http_list_next(&rest, ';', &item))
                if (http_parameter_read(item, &have, &value) && span_eq_nocase(have, want))
                        return value;
        return (Span){NULL, 0};
}
