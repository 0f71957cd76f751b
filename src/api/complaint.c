/* SPDX-License-Identifier: Apache-2.0 */
#include "api/complaint.h"

void complaints_done(Complaints *c) {
        put_done(&c->json);
}

static void put_place(Put *p, const Where *at) {
        const Where *words[COMPLAINT_DEPTH_MAX];
        size_t n = 0;

        for (; at && n < COMPLAINT_DEPTH_MAX; at = at->in)
                words[n++] = at;
        put_open(p, "loc", '[');
        while (n)
                put_text(p, NULL, words[--n]->word);
        put_close(p, ']');
}

void complain(Complaints *c, const Where *at, const char *type, const char *format, ...) {
        char text[512];
        va_list ap;

        if (c->n++ >= COMPLAINTS_MAX)
                return;
        va_start(ap, format);
        (void)vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        put_open(&c->json, NULL, '{');
        put_place(&c->json, at);
        put_text(&c->json, "msg", span_of(text));
        put_text(&c->json, "type", span_of(type));
        put_close(&c->json, '}');
}

int complaints_print(const Complaints *c, Buf *out) {
        int r = buf_add(out, SPAN("{\"detail\":["));

        if (r == 0)
                r = buf_add(out, put_span(&c->json));
        return r == 0 ? buf_add(out, SPAN("]}")) : r;
}
