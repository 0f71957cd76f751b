/* SPDX-License-Identifier: Apache-2.0 */
#include "http/prefer.h"

#include "http/bytes.h"
#include "http/list.h"

/* One preference without its parameters. */
static void preference_read(Prefer *p, Span name, Span value) {
        uint64_t seconds;

        if (span_eq_nocase(name, SPAN("respond-async"))) {
                p->respond_async |= value.n == 0;
        } else if (span_eq_nocase(name, SPAN("wait"))) {
                if (p->wait_ms < 0 && http_digits(value, PREFER_WAIT_MAX_MS / 1000, &seconds))
                        p->wait_ms = (int64_t)seconds * 1000;
        } else if (span_eq_nocase(name, SPAN("return")) && p->give == RETURN_UNSAID) {
                if (span_eq_nocase(value, SPAN("minimal")))
                        p->give = RETURN_MINIMAL;
                else if (span_eq_nocase(value, SPAN("representation")))
                        p->give = RETURN_REPRESENTATION;
        }
}

void prefer_read(Prefer *p, Span value) {
        Span item, first, name, word;

        while (http_list_next(&value, ',', &item))
                if (http_list_next(&item, ';', &first) && http_parameter_read(first, &name, &word))
                        preference_read(p, name, word);
}

int prefer_print(const Prefer *applied, Buf *out) {
        size_t start = out->n;
        int r = 0;

        if (applied->respond_async)
                r = buf_add(out, SPAN("respond-async"));
        if (r == 0 && applied->wait_ms >= 0)
                r = buf_addf(out, "%swait=%" PRId64, out->n > start ? ", " : "",
                             applied->wait_ms / 1000);
        if (r == 0 && applied->give != RETURN_UNSAID)
                r = buf_addf(out, "%sreturn=%s", out->n > start ? ", " : "",
                             applied->give == RETURN_MINIMAL ? "minimal" : "representation");
        if (r < 0)
                out->n = start;
        return r;
}
