/* SPDX-License-Identifier: Apache-2.0 */
#include "reply/body.h"

int body_begin(const Outcome *o, Reply *ret) {
        must(o->n_errors <= OUTCOME_ERRORS_MAX);
        buf_clear(&ret->body);
        ret->status = o->status;
        ret->content_type = NULL;
        /* RFC 9110 15.3.5, 15.3.6: neither has content. */
        if (o->status == 204 || o->status == 205)
                return BODY_DONE;
        if (!outcome_is_success(o) || o->data.n == 0)
                return 0;
        ret->content_type = "application/json";
        int r = buf_add(&ret->body, o->data);
        return r < 0 ? r : BODY_DONE;
}

int body_add_name(Buf *b, const char *name) {
        bool is_first = b->n == 0 || b->p[b->n - 1] == '{';

        return buf_addf(b, "%s\"%s\":", is_first ? "" : ",", name);
}

int body_add_text(Buf *b, const char *name, Span text) {
        if (text.n == 0)
                return 0;
        int r = body_add_name(b, name);
        return r < 0 ? r : buf_add_json(b, text);
}

int body_add_line(Buf *b, Span text) {
        /* The JSON form has told good bytes from bad already; undo its escapes. */
        AUTO(buf_done)
        Buf json = BUF(text.n * 6 + 2);
        int r = buf_add_json(&json, text);

        for (size_t i = 1; r == 0 && i + 1 < json.n; i++) {
                char c = json.p[i];

                if (c == '\\') {
                        c = json.p[++i];
                        if (c == 'u')
                                i += 4;
                        if (c != '"' && c != '\\')
                                c = ' ';
                }
                r = buf_add_char(b, c);
        }
        return r;
}
