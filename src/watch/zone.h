/* SPDX-License-Identifier: Apache-2.0
 *
 * A time zone by its IANA name, as the system's files have it (TZif, RFC 8536). The C library knows
 * one zone per process, and changing that is not safe beside other threads; Debian has no small C
 * library that knows several. So this reads the few numbers that are needed. Read once, immutable.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"

typedef struct Zone Zone;

/* "Europe/Helsinki", "UTC". -EINVAL with the sentence when there is no such zone, or its file is
 * none. */
MUST_CHECK int zone_open(Span name, Zone **ret, Err *e);
Zone *zone_close(Zone *z);
/* The same from the bytes of a file. */
MUST_CHECK int zone_read(Span tzif, Zone **ret, Err *e);

/* Seconds to add to UTC at that moment (seconds since 1970). */
int32_t zone_offset(const Zone *z, int64_t utc_s);
/* The moments at which clocks show `local_s` (seconds since 1970 as if it were UTC): none where
 * they were put forward over it, two where they were put back. In their order. */
size_t zone_moments(const Zone *z, int64_t local_s, int64_t ret[2]);
/* The moment from which clocks show more than `local_s`: of a time that is jumped over, when they
 * jump. */
int64_t zone_after(const Zone *z, int64_t local_s);
