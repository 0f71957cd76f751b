/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 6901 pointers: followed into a value, and written for a place in it. */
#include "json/check.h"
#include "json/number.h"
#include "json/text.h"

/* Does the raw key say what the segment says, with ~0 and ~1 taken back? */
static bool segment_is(Span segment, Span raw) {
        JsonReader r = json_reader(raw);

        for (size_t i = 0; i < segment.n; i++) {
                char c = segment.p[i];

                if (c == '~')
                        c = segment.p[++i] == '0' ? '~' : '/';
                if (json_reader_next(&r) != (unsigned char)c)
                        return false;
        }
        return json_reader_next(&r) < 0;
}

static Span segment_member(Span object, Span segment) {
        Span key, value, found = {NULL, 0};

        for (size_t pos = 0; json_next(object, &pos, &key, &value);)
                if (segment_is(segment, key))
                        found = value;
        return found;
}

static bool pointer_is_good(Span pointer) {
        if (pointer.n && pointer.p[0] != '/')
                return false;
        for (size_t i = 0; i < pointer.n; i++)
                if (pointer.p[i] == '~' &&
                    (i + 1 == pointer.n || (pointer.p[i + 1] != '0' && pointer.p[i + 1] != '1')))
                        return false;
        return true;
}

Span json_at(Span value, Span pointer) {
        const Span nothing = {NULL, 0};

        if (!pointer_is_good(pointer))
                return nothing;
        value = json_trim(value);
        while (value.p && pointer.n) {
                Span segment = span_from(pointer, 1);
                uint64_t i;

                segment.n = span_find(segment, '/');
                pointer = span_from(pointer, 1 + segment.n);
                switch (json_kind(value)) {
                case JSON_OBJECT:
                        value = segment_member(value, segment);
                        break;
                case JSON_ARRAY:
                        if (!span_to_u64(segment, SIZE_MAX, &i) ||
                            (segment.n > 1 && segment.p[0] == '0'))
                                return nothing;
                        value = json_element(value, (size_t)i);
                        break;
                default:
                        return nothing;
                }
        }
        return value;
}

/* One open container on the way to a place. */
typedef struct Step {
        bool is_object;
        Span key; /* raw, of the member that is being read */
        size_t index;
} Step;

/* A pointer being written into its fixed room. */
typedef struct Writer {
        char *p;
        size_t n;
} Writer;

static bool write_byte(Writer *w, char c) {
        if (w->n + 1 >= JSON_POINTER_MAX_BYTES)
                return false;
        w->p[w->n++] = c;
        return true;
}

static bool write_key(Writer *w, Span raw) {
        JsonReader r = json_reader(raw);
        int c;
        bool ok = true;

        while (ok && (c = json_reader_next(&r)) >= 0) {
                if (c == '~' || c == '/')
                        ok = write_byte(w, '~') && write_byte(w, c == '~' ? '0' : '1');
                else
                        ok = write_byte(w, (char)c);
        }
        return ok;
}

static void pointer_write(const Step *steps, size_t n, char ret[JSON_POINTER_MAX_BYTES]) {
        Writer w = {.p = ret};

        for (size_t i = 0; i < n; i++) {
                size_t start = w.n;
                bool fits = write_byte(&w, '/');

                if (fits && steps[i].is_object) {
                        fits = write_key(&w, steps[i].key);
                } else if (fits) {
                        int length = snprintf(ret + w.n, JSON_POINTER_MAX_BYTES - w.n, "%zu",
                                              steps[i].index);
                        fits = length > 0 && (size_t)length < JSON_POINTER_MAX_BYTES - w.n;
                        w.n += fits ? (size_t)length : 0;
                }
                if (!fits) { /* what contains the number is told instead */
                        w.n = start;
                        break;
                }
        }
        ret[w.n] = 0;
}

/* Reads the string at p, which is the key of the innermost object or a value. */
static const char *string_pass(Step *step, const char *p, const char *end) {
        const char *close = json_string_end(p + 1, end), *after;
        Span raw = {p + 1, (size_t)(close - p) - 1};

        close += close < end;
        after = json_blanks(close, end);
        if (step && step->is_object && after < end && *after == ':')
                step->key = raw;
        return close;
}

int json_unsafe_number(Span text, char pointer[JSON_POINTER_MAX_BYTES]) {
        const char *p = text.p, *end = text.p + text.n;
        Step steps[JSON_DEPTH_MAX];
        size_t depth = 0;

        while (p < end) {
                Step *step = depth ? &steps[depth - 1] : NULL;
                const char *from = p;

                if (*p == '"') {
                        p = string_pass(step, p, end);
                        continue;
                }
                if (*p == '-' || json_is(*p, JSON_DIGIT)) {
                        p = json_value_end(p, end);
                        if (json_number_is_unsafe((Span){from, (size_t)(p - from)})) {
                                pointer_write(steps, depth, pointer);
                                return 1;
                        }
                        continue;
                }
                if (*p == '{' || *p == '[') {
                        must(depth < JSON_DEPTH_MAX);
                        steps[depth++] = (Step){.is_object = *p == '{'};
                } else if ((*p == '}' || *p == ']') && depth) {
                        depth--;
                } else if (*p == ',' && step) {
                        step->index++;
                }
                p++;
        }
        return 0;
}
