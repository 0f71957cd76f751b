/* SPDX-License-Identifier: Apache-2.0
 *
 * A URL that is accepted holds nothing that two readers take two ways; any bytes become a part of
 * a URL and come back. */
#include "http/url.h"

static void check_url(Span text) {
        Err e = {0};
        Url u;

        if (url_parse(text, &u, &e) < 0) {
                must(e.code == -EINVAL && e.text[0]);
                return;
        }
        must(text.n <= URL_MAX_BYTES && u.host.n && u.port);
        must(u.path.n == 0 || u.path.p[0] == '/');
        for (size_t i = 0; i < text.n; i++)
                must((unsigned char)text.p[i] > 0x20 && (unsigned char)text.p[i] < 0x7f &&
                     text.p[i] != '\\' && text.p[i] != '#');
        must(span_find(u.host, '@') == u.host.n && span_find(u.host, '%') == u.host.n);
        must((span_find(u.host, ':') < u.host.n) == (u.host_kind == URL_IPV6));
}

static void check_coding(Span plain) {
        AUTO(buf_done)
        Buf out = BUF(1 << 24);
        AUTO(buf_done)
        Buf back = BUF(1 << 24);
        bool has_nul = plain.n && memchr(plain.p, 0, plain.n);

        must(url_encode(&out, plain) == 0);
        must(url_decode(&back, buf_span(&out)) == (has_nul ? -EINVAL : 0));
        must(has_nul || span_eq(buf_span(&back), plain));
        buf_clear(&back);
        if (url_decode(&back, plain) == 0)
                must(back.n <= plain.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span text = {(const char *)data, size};

        check_url(text);
        check_coding(text);
        return 0;
}
