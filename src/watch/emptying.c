/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/emptying.h"

#include <errno.h>

#define REST_MIN_MS 5
#define STANDBY_MS  1000

int emptying_take_turn(Watch *w, Pg *pg, const char *space, const char *name, Err *e) {
        const char *values[] = {space, name};

        for (;;) {
                PGresult *got;
                int r = pg_ask(pg, "SELECT pg_try_advisory_lock(hashtext($1), hashtext($2))",
                               values, 2, &got, e);
                bool is_ours = r == 0 && PQgetvalue(got, 0, 0)[0] == 't';

                PQclear(got);
                watch_gauge(w, "standby", !is_ours);
                if (r < 0 || is_ours)
                        return r;
                r = watch_wait(w, -1, STANDBY_MS);
                if (r < 0)
                        return r;
        }
}

int emptying_run(Watch *w, const Emptying *m, Err *e) {
        int64_t rest = REST_MIN_MS;

        for (;;) {
                int n = m->take(m->self, e), r;

                if (n < 0)
                        return n;
                r = m->look(m->self, n, e);
                if (r != 0)
                        return r;
                if (n) {
                        rest = REST_MIN_MS;
                        if (watch_stops(w))
                                return -ECANCELED;
                        continue;
                }
                r = m->is_notified ? pg_wait_notified(m->pg, m->poll_ms, e)
                                   : watch_wait(w, -1, rest);
                if (r < 0)
                        return r;
                rest = rest * 2 > m->poll_ms ? m->poll_ms : rest * 2;
        }
}
