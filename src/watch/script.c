/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/script.h"

#include "watch/pg.h"

#include <errno.h>
#include <sqlite3.h>

#define BUSY_MS 10000 /* the application writes too */

static int run_sqlite(const char *file, const char *sql, Err *e) {
        sqlite3 *db = NULL;
        int r = 0;

        if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
            sqlite3_busy_timeout(db, BUSY_MS) != SQLITE_OK ||
            sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                r = FAIL(e, -EBADMSG, "%s", sqlite3_errmsg(db));
        sqlite3_close(db);
        return r;
}

int script_run(const TriggerScript *s, Err *e) {
        AUTO(buf_done)
        Buf text = BUF(s->sql.max + 1);
        Pg *p = NULL;
        int r = buf_add(&text, buf_span(&s->sql));

        if (r == 0)
                r = buf_add_char(&text, 0);
        if (r == 0 && s->database->is_sqlite)
                r = run_sqlite(s->database->file, text.p, e);
        else if (r == 0) {
                r = pg_open(NULL, s->database, false, &p, e);
                if (r == 0)
                        r = pg_do(p, text.p, e);
                pg_close(p);
        }
        if (r < 0)
                err_prefix(e, "nothing was changed");
        return r;
}
