/* SPDX-License-Identifier: Apache-2.0 */
#include "http/retry_after.h"

#include "base/clock.h"
#include "http/bytes.h"

bool http_retry_after(Span value, int64_t now_wall_ms, int64_t cap_ms, int64_t *ret_wait_ms) {
        int64_t wait, at;
        uint64_t seconds;

        must(cap_ms >= 0);
        value = span_trim(value, " \t");
        if (http_digits(value, INT64_MAX / 1000, &seconds))
                wait = (int64_t)seconds * 1000;
        else if (clock_parse_http(value, &at))
                wait = at > now_wall_ms ? at - now_wall_ms : 0;
        else
                return false;
        *ret_wait_ms = wait < cap_ms ? wait : cap_ms;
        return true;
}
