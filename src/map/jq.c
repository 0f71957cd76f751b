/* SPDX-License-Identifier: Apache-2.0 */
#include "map/jq.h"

#include "json/check.h"

#include <jq.h>
#include <jv.h>
#include <math.h>

struct JqProgram {
        jq_state *jq;
        Buf errors;
};

static void on_error(void *arg, jv message) {
        JqProgram *p = arg;

        if (jv_get_kind(message) == JV_KIND_STRING && p->errors.n == 0) {
                Span text = {jv_string_value(message),
                             (size_t)jv_string_length_bytes(jv_copy(message))};
                int r = buf_add(&p->errors, text);
                (void)r; /* a message too long stays unsaid but the fault is reported */
        }
        jv_free(message);
}

/* "jq: error: syntax error, unexpected '}' (Unix shell quoting issues?) at <top-level>, line 2:"
 * becomes "syntax error, unexpected '}' in line 2". */
static void tidy(Span text, char *ret, size_t bytes) {
        static const char *const noise[] = {" (Unix shell quoting issues?)", " at <top-level>",
                                            "jq: error: "};
        size_t n = 0;

        for (size_t i = 0; i < text.n && text.p[i] != '\n' && n + 1 < bytes;) {
                size_t skip = 0;

                for (size_t k = 0; k < COUNT_OF(noise); k++)
                        if (span_starts(span_from(text, i), span_of(noise[k])))
                                skip = strlen(noise[k]);
                if (skip)
                        i += skip;
                else
                        ret[n++] = text.p[i++];
        }
        while (n && (ret[n - 1] == ':' || ret[n - 1] == ' '))
                n--;
        ret[n] = 0;
        char *line = strstr(ret, ", line ");
        if (line && n + 2 < bytes) {
                memmove(line + 4, line + 2, strlen(line + 2) + 1);
                memcpy(line, " in ", 4);
        }
}

int jq_program_compile(const char *text, JqProgram **ret, char *why, size_t why_bytes) {
        JqProgram *p = must_alloc(sizeof *p);

        p->errors = BUF(4096);
        p->jq = jq_init();
        must(p->jq);
        jq_set_error_cb(p->jq, on_error, p);
        if (jq_compile(p->jq, text)) {
                *ret = p;
                return 0;
        }
        if (p->errors.n)
                tidy(buf_span(&p->errors), why, why_bytes);
        else
                (void)snprintf(why, why_bytes, "jq does not accept it");
        jq_teardown(&p->jq);
        buf_done(&p->errors);
        free(p);
        return -EINVAL;
}

static JqEnd failed(Buf *out, Span why) {
        buf_clear(out);
        if (why.n > out->max)
                why.n = out->max;
        int r = buf_add(out, why);
        (void)r;
        return JQ_FAILED;
}

static Span text_of(jv string) {
        return (Span){jv_string_value(string), (size_t)jv_string_length_bytes(jv_copy(string))};
}

/* jq's own error(): its message if it is a text, else the value as JSON. */
static JqEnd failed_with(jv result, Buf *out) {
        jv message = jv_invalid_get_msg(result);

        if (jv_get_kind(message) != JV_KIND_STRING)
                message = jv_dump_string(message, 0);
        JqEnd end = failed(out, text_of(message));
        jv_free(message);
        return end;
}

static int print_number(double value, Buf *out) {
        char text[32];

        if (!isfinite(value))
                return -EDOM;
        if (fabs(value) <= 9007199254740992.0 && value == (double)(int64_t)value &&
            !(value == 0 && signbit(value)))
                return buf_addf(out, "%" PRId64, (int64_t)value);
        for (int digits = 15; digits <= 17; digits++) {
                (void)snprintf(text, sizeof text, "%.*g", digits, value);
                if (strtod(text, NULL) == value)
                        break;
        }
        return buf_add(out, span_of(text));
}

static int print(jv value, unsigned depth, Buf *out);

static int print_array(jv array, unsigned depth, Buf *out) {
        int n = jv_array_length(jv_copy(array)), r = buf_add_char(out, '[');

        for (int i = 0; i < n && r == 0; i++) {
                jv element = jv_array_get(jv_copy(array), i);

                if (i > 0)
                        r = buf_add_char(out, ',');
                if (r == 0)
                        r = print(element, depth, out);
                jv_free(element);
        }
        return r < 0 ? r : buf_add_char(out, ']');
}

static int print_object(jv object, unsigned depth, Buf *out) {
        int r = buf_add_char(out, '{');
        bool first = true;

        for (int i = jv_object_iter(object); jv_object_iter_valid(object, i) && r == 0;
             i = jv_object_iter_next(object, i)) {
                jv key = jv_object_iter_key(object, i), value = jv_object_iter_value(object, i);

                if (!first)
                        r = buf_add_char(out, ',');
                first = false;
                if (r == 0)
                        r = buf_add_json(out, text_of(key));
                if (r == 0)
                        r = buf_add_char(out, ':');
                if (r == 0)
                        r = print(value, depth, out);
                jv_free(key);
                jv_free(value);
        }
        return r < 0 ? r : buf_add_char(out, '}');
}

/* Borrows the value. 0, -EDOM for a number that JSON cannot say, -ELOOP for nesting too deep, or
 * as buf_add. */
static int print(jv value, unsigned depth, Buf *out) {
        jv_kind kind = jv_get_kind(value);

        if ((kind == JV_KIND_ARRAY || kind == JV_KIND_OBJECT) && depth == JSON_DEPTH_MAX)
                return -ELOOP;
        switch (kind) {
        case JV_KIND_TRUE:
                return buf_add(out, SPAN("true"));
        case JV_KIND_FALSE:
                return buf_add(out, SPAN("false"));
        case JV_KIND_NUMBER:
                return print_number(jv_number_value(value), out);
        case JV_KIND_STRING:
                return buf_add_json(out, text_of(value));
        case JV_KIND_ARRAY:
                return print_array(value, depth + 1, out);
        case JV_KIND_OBJECT:
                return print_object(value, depth + 1, out);
        default:
                return buf_add(out, SPAN("null"));
        }
}

static JqEnd print_result(jv result, Buf *out) {
        int r = print(result, 0, out);

        switch (r) {
        case 0:
                return JQ_OK;
        case -EDOM:
                return failed(out, SPAN("the result holds a number that JSON cannot say "
                                        "(NaN or Infinity)"));
        case -ELOOP:
                return failed(out, SPAN("the result is nested too deep"));
        default:
                buf_clear(out);
                return JQ_LARGE;
        }
}

JqEnd jq_program_run(JqProgram *p, Span input, Buf *out) {
        jv in = jv_parse_sized(input.p, (int)input.n), first, more;
        JqEnd end;

        buf_clear(out);
        if (!jv_is_valid(in)) /* such as a lone surrogate, which JSON allows and jq does not */
                return failed_with(in, out);
        jq_start(p->jq, in, 0);
        first = jq_next(p->jq);
        if (!jv_is_valid(first)) {
                if (jv_invalid_has_msg(jv_copy(first)))
                        return failed_with(first, out);
                jv_free(first);
                return JQ_EMPTY;
        }
        more = jq_next(p->jq);
        if (jv_is_valid(more))
                end = failed(out, SPAN("the program gave more than one result"));
        else if (jv_invalid_has_msg(jv_copy(more)))
                end = failed_with(jv_copy(more), out);
        else
                end = print_result(first, out);
        jv_free(more);
        jv_free(first);
        return end;
}

void jq_program_on_no_memory(void (*fn)(void *), void *arg) {
        jv_nomem_handler(fn, arg);
}
