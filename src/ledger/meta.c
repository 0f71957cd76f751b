/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/meta.h"

#include "json/text.h"
#include "json/value.h"

bool meta_has_channel(Span meta, Span channel) {
        Span channels = meta.n ? json_member(meta, SPAN("channels")) : (Span){NULL, 0};
        Span key, value;

        if (!channels.p || json_kind(channels) != JSON_ARRAY)
                return false;
        for (size_t pos = 0; json_next(channels, &pos, &key, &value);)
                if (json_kind(value) == JSON_STRING && value.n >= 2 &&
                    json_raw_is((Span){value.p + 1, value.n - 2}, channel))
                        return true;
        return false;
}

void meta_expunged(Span meta, Buf *out) {
        bool is_object = meta.n && json_kind(meta) == JSON_OBJECT;
        Span inside = is_object ? json_trim(span_from(json_trim(meta), 1)) : SPAN("}");
        int r = 0;

        if (is_object && json_member(meta, SPAN("expunged")).p)
                r = buf_add(out, meta);
        else if (inside.n && inside.p[0] != '}')
                r = buf_addf(out, "{\"expunged\":true," SPAN_FMT, SPAN_ARG(inside));
        else
                r = buf_add(out, SPAN("{\"expunged\":true}"));
        /* No room for the old one: what counts is that the body is gone. */
        if (r < 0) {
                buf_clear(out);
                must(buf_add(out, SPAN("{\"expunged\":true}")) == 0);
        }
}
