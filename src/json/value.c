/* SPDX-License-Identifier: Apache-2.0
 *
 * Each question walks the text from the container's bracket: nothing is kept between two. For
 * many questions to one object there is JsonIndex. */
#include "json/value.h"

#include "json/text.h"

Span json_trim(Span value) {
        const char *end = value.p + value.n, *p = value.n ? json_blanks(value.p, end) : value.p;

        while (end > p && json_is(end[-1], JSON_BLANK))
                end--;
        return (Span){p, (size_t)(end - p)};
}

JsonKind json_kind(Span value) {
        value = json_trim(value);
        switch (value.n ? value.p[0] : 'n') {
        case '{':
                return JSON_OBJECT;
        case '[':
                return JSON_ARRAY;
        case '"':
                return JSON_STRING;
        case 't':
                return JSON_TRUE;
        case 'f':
                return JSON_FALSE;
        case 'n':
                return JSON_NULL;
        default:
                return JSON_NUMBER;
        }
}

bool json_next(Span container, size_t *pos, Span *key, Span *value) {
        const char *end = container.p + container.n, *p, *from;

        if (*pos >= container.n)
                return false;
        /* At pos 0 the bracket is gone past, later a comma; whose closing one is met ends it. */
        p = json_blanks(container.p + *pos, end);
        if (p == end || (*pos == 0 ? *p != '{' && *p != '[' : *p != ','))
                return false;
        p = json_blanks(p + 1, end);
        if (p == end || *p == '}' || *p == ']')
                return false;
        *key = (Span){p, 0};
        from = json_blanks(container.p, end);
        if (*from == '{') {
                p = json_string_end(p + 1, end);
                *key = (Span){key->p + 1, (size_t)(p - key->p) - 1};
                p = json_blanks(p + (p < end), end);
                p = json_blanks(p + (p < end), end); /* the colon */
        }
        from = p;
        p = json_value_end(p, end);
        *value = (Span){from, (size_t)(p - from)};
        *pos = (size_t)(p - container.p);
        return true;
}

static bool is_object(Span value) {
        return json_kind(value) == JSON_OBJECT;
}

Span json_member(Span object, Span key) {
        Span name, value, found = {NULL, 0};

        if (!is_object(object))
                return found;
        for (size_t pos = 0; json_next(object, &pos, &name, &value);)
                if (json_raw_is(name, key))
                        found = value;
        return found;
}

size_t json_member_count(Span object, Span key) {
        Span name, value;
        size_t n = 0;

        if (!is_object(object))
                return 0;
        for (size_t pos = 0; json_next(object, &pos, &name, &value);)
                n += json_raw_is(name, key);
        return n;
}

Span json_element(Span array, size_t i) {
        Span key, value;

        if (json_kind(array) == JSON_ARRAY)
                for (size_t pos = 0; json_next(array, &pos, &key, &value);)
                        if (i-- == 0)
                                return value;
        return (Span){NULL, 0};
}

size_t json_length(Span array_or_object) {
        Span key, value;
        size_t n = 0;

        for (size_t pos = 0; json_next(array_or_object, &pos, &key, &value);)
                n++;
        return n;
}
