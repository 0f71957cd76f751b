/* SPDX-License-Identifier: Apache-2.0
 *
 * A time zone's file, and a cron expression: the first line is the expression, the rest the file;
 * where that is none, UTC's. Whatever is found comes after what was asked. */
#include "unit.h"
#include "watch/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static const int64_t after[] = {0, 1700000000, -5000000000, 4000000000};
        Span all = span_make(data, n);
        size_t end = span_find(all, '\n');
        Zone *zone = NULL;
        Cron cron;
        Err e = {0};

        if (zone_read(span_from(all, end < n ? end + 1 : n), &zone, &e) < 0)
                must(zone_open(SPAN("UTC"), &zone, &e) == 0);
        if (cron_parse(span_make(all.p, end), &cron, &e) == 0)
                for (size_t i = 0; i < COUNT_OF(after); i++) {
                        int64_t next;

                        if (cron_next(&cron, zone, after[i], &next))
                                must(next > after[i]);
                }
        zone_close(zone);
        return 0;
}
