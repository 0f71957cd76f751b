/* SPDX-License-Identifier: Apache-2.0
 *
 * Cron expressions, as crontab(5) describes them: minute, hour, day of the month, month, day of the
 * week; `*`, lists, ranges, steps, names, and @hourly to @yearly. When both days are restricted,
 * one of them suffices. Pure.
 *
 * Where clocks are put forward over a time, it comes when they jump, at once; where they are put
 * back, a fixed hour comes once, the first time. An expression whose hours are `*` goes by time
 * that passes: what is jumped over is not there, and what comes twice comes twice. */
#pragma once

#include "watch/zone.h"

typedef struct Cron {
        uint64_t minutes;
        uint32_t hours, days, months; /* bits, from 0; days and months from 1 */
        uint8_t weekdays;             /* Sunday is 0 */
        bool any_hour, any_day, any_weekday;
} Cron;

/* -EINVAL with a sentence that says which field, and what of it. */
MUST_CHECK int cron_parse(Span text, Cron *ret, Err *e);
/* The first moment after `after_s` (seconds since 1970); false when there is none within ten years,
 * as of 30 February. */
bool cron_next(const Cron *c, const Zone *z, int64_t after_s, int64_t *ret);
