/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers that are lists: what Prefer was taken for reads back as the same; Retry-After keeps its
 * bounds; a Content-Type that is accepted has both its halves. */
#include "http/prefer.h"
#include "http/media.h"
#include "http/retry_after.h"

enum { CAP_MS = 3600 * 1000 };

static void check_prefer(Span value) {
        AUTO(buf_done)
        Buf out = BUF(200);
        Prefer p = PREFER_NONE, again = PREFER_NONE;

        prefer_read(&p, value);
        must(p.wait_ms >= -1 && p.wait_ms <= PREFER_WAIT_MAX_MS);
        must(prefer_print(&p, &out) == 0);
        prefer_read(&again, buf_span(&out));
        must(again.respond_async == p.respond_async && again.wait_ms == p.wait_ms &&
             again.give == p.give);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span value = {(const char *)data, size};
        int64_t wait = -1;
        HttpMedia media;

        check_prefer(value);
        if (http_retry_after(value, INT64_C(784111777000), CAP_MS, &wait))
                must(wait >= 0 && wait <= CAP_MS);
        else
                must(wait == -1);
        if (http_media_parse(value, &media))
                must(media.type.n && media.subtype.n &&
                     media.type.n + media.subtype.n + media.parameters.n < size);
        return 0;
}
