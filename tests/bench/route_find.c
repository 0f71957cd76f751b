/* SPDX-License-Identifier: Apache-2.0
 *
 * What finding an API request's row in the table of routes costs, in ns: for the requests that come
 * most, for the last row, and for a path that there is not. Compare runs of one machine only. */
#include "api/route.h"
#include "base/clock.h"

enum { RUN_MS = 300 };

static void report(HttpMethod method, const char *path) {
        int64_t start = clock_mono_us(), passed = 0;
        volatile size_t found = 0;
        uint64_t runs = 0;

        for (; passed < RUN_MS * 1000; passed = clock_mono_us() - start)
                for (int i = 0; i < 64; i++, runs++) {
                        RouteMatch m;

                        route_find(method, span_of(path), &m);
                        found = found + (m.route != NULL);
                }
        printf("%-6s %-72s %6.0f ns\n", http_method_name(method), path,
               (double)passed * 1000 / (double)runs);
}

int main(void) {
        report(HTTP_POST, "/api/v1/app/app_0123456789abc/msg");
        report(HTTP_POST, "/api/v1/app/app_0123456789abc/msg/batch");
        report(HTTP_GET, "/api/v1/app/app_0123456789abc/attempt/endpoint/ep_0123456789abc");
        report(HTTP_GET, "/api/v1/app/app_0123456789abc/endpoint/ep_0123456789abc/stats/");
        report(HTTP_POST, "/api/v1/replay/rpl_0123456789abc/cancel");
        report(HTTP_GET, "/healthz");
        report(HTTP_GET, "/api/v1/app/app_0123456789abc/nothing/of/the/kind");
        return 0;
}
