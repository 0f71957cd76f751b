/* SPDX-License-Identifier: Apache-2.0 */
#include "map/jq.h"

#include <jq.h>
#include <jv.h>

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

static JqEnd failed(Buf *out, const char *why) {
        buf_clear(out);
        int r = buf_add(out, span_of(why));
        (void)r;
        return JQ_FAILED;
}

/* jq's own error(): its message if it is a text, else the value as JSON. */
static JqEnd failed_with(jv result, Buf *out) {
        jv message = jv_invalid_get_msg(result);

        if (jv_get_kind(message) != JV_KIND_STRING)
                message = jv_dump_string(message, 0);
        JqEnd end = failed(out, jv_string_value(message));
        jv_free(message);
        return end;
}

JqEnd jq_program_run(JqProgram *p, Span input, Buf *out) {
        jv in = jv_parse_sized(input.p, (int)input.n);
        jv result, more;

        if (!jv_is_valid(in))
                return failed_with(in, out);
        jq_start(p->jq, in, 0);
        result = jq_next(p->jq);
        if (!jv_is_valid(result)) {
                if (jv_invalid_has_msg(jv_copy(result)))
                        return failed_with(result, out);
                jv_free(result);
                return JQ_EMPTY;
        }
        more = jq_next(p->jq);
        if (jv_is_valid(more)) {
                jv_free(more);
                jv_free(result);
                return failed(out, "the expression gave more than one result");
        }
        if (jv_invalid_has_msg(jv_copy(more))) {
                jv_free(result);
                return failed_with(more, out);
        }
        jv_free(more);
        jv text = jv_dump_string(result, 0);
        Span bytes = {jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text))};
        int r = buf_add(out, bytes);
        jv_free(text);
        return r < 0 ? failed(out, "the result is too large") : JQ_OK;
}

void jq_program_on_no_memory(void (*fn)(void *), void *arg) {
        jv_nomem_handler(fn, arg);
}
