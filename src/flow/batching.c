/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/batching.h"

#include <jansson.h>

static int number_of(const json_t *from, const char *member, int64_t min, int64_t max,
                     int64_t *into, Err *e) {
        const json_t *v = json_object_get(from, member);

        if (!v || json_is_null(v))
                return 0;
        if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
                return FAIL(e, -EINVAL,
                            "batch: %s must be a whole number from %" PRId64 " to %" PRId64, member,
                            min, max);
        *into = json_integer_value(v);
        return 0;
}

int batching_read(const json_t *from, Batching *ret, Err *e) {
        int64_t events = BATCHING_EVENTS, bytes = BATCHING_BYTES, wait_ms = BATCHING_WAIT_MS;
        int bad;

        *ret = (Batching){0};
        if (!from || json_is_null(from))
                return 0;
        if (!json_is_object(from))
                return FAIL(e, -EINVAL, "batch: must be {\"events\", \"wait\", \"bytes\"}");
        bad = number_of(from, "events", BATCHING_EVENTS_MIN, BATCHING_EVENTS_MAX, &events, e);
        if (bad == 0)
                bad = number_of(from, "wait", 0, BATCHING_WAIT_MAX_MS, &wait_ms, e);
        if (bad == 0)
                bad = number_of(from, "bytes", BATCHING_BYTES_MIN, BATCHING_BYTES_MAX, &bytes, e);
        if (bad == 0)
                *ret = (Batching){(unsigned)events, wait_ms, (size_t)bytes};
        return bad;
}
