/* SPDX-License-Identifier: Apache-2.0
 *
 * Empties the outbox of a SQLite file: reads in the order of `seq`, which is the order of commits,
 * as there is one writer at a time; hands it in; deletes exactly what was read. Woken by inotify on
 * the file and its write-ahead log, which may be told of before the commit can be seen: so it looks
 * once more a few milliseconds later. Where nothing tells of changes (other file systems) it looks
 * every now and then all the same. */
#include "base/clock.h"
#include "watch/lite.h"
#include "watch/outbox.h"
#include "watch/row_change.h"
#include "json/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { ROWS_MAX = 1000, SHAPE_ARENA_BYTES = 1024 * 1024, PATH_BYTES = 4096 };
#define BYTES_MAX       ((size_t)8 * 1024 * 1024) /* of a batch; one row may be more */
#define BATCH_MAX_BYTES ((size_t)1024 * 1024 * 1024)
#define LOOK_MS         5000 /* at gauges, and whether the tables are what they were */
#define STANDBY_MS      1000

static const int64_t soon_ms[] = {0, 1, 5, 20};

typedef struct Reader {
        Watch *watch;
        const OutboxOptions *o;
        sqlite3 *db;
        sqlite3_stmt *read, *remove, *pending, *tidy;
        int notifier, turn; /* descriptors */
        int64_t looked_ms;
        Err missing; /* the trigger that is; "" */
} Reader;

enum { C_SEQ, C_AT, C_OP, C_TABLE, C_KEYS, C_FRESH, C_PREVIOUS };

static const char *source_of(const Reader *r) {
        return watch_trigger(r->watch)->source->name;
}

/* ---- the beginning ---- */

static int sibling(const Reader *r, const char *more, char ret[PATH_BYTES]) {
        int n = snprintf(ret, PATH_BYTES, "%s%s", r->o->database->file, more);

        return n > 0 && n < PATH_BYTES ? 0 : -ENAMETOOLONG;
}

/* One reader at a time, or each would have a part. The lock ends with the process. */
static int take_turn(Reader *r, Err *e) {
        char path[PATH_BYTES], more[96];

        (void)snprintf(more, sizeof more, "-grapnel-%s", source_of(r));
        if (sibling(r, more, path) < 0)
                return FAIL(e, -ENAMETOOLONG, "the name of the file is too long");
        r->turn = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (r->turn < 0)
                return FAIL(e, -errno, "%s could not be made: %s", path, strerror(errno));
        while (flock(r->turn, LOCK_EX | LOCK_NB) < 0) {
                int waited;

                watch_gauge(r->watch, "standby", 1);
                waited = watch_wait(r->watch, -1, STANDBY_MS);
                if (waited < 0)
                        return waited;
        }
        watch_gauge(r->watch, "standby", 0);
        return 0;
}

static int count_of(Reader *r, const char *sql, Span value, int64_t *ret, Err *e) {
        sqlite3_stmt *st;
        int err = lite_prepare(r->db, r->o->database, sql, &st, e);

        if (err < 0)
                return err;
        must(sqlite3_bind_text(st, 1, value.p, (int)value.n, SQLITE_STATIC) == SQLITE_OK);
        if (sqlite3_step(st) == SQLITE_ROW)
                *ret = sqlite3_column_int64(st, 0);
        else
                err = lite_fault(r->db, r->o->database, "read", e);
        sqlite3_finalize(st);
        return err;
}

/* The text of a table's trigger. 1; 0: there is none. */
static int trigger_text(Reader *r, const OutboxTable *t, const char *op, Buf *ret, Err *e) {
        char name[256];
        sqlite3_stmt *st;
        int step, err = lite_prepare(r->db, r->o->database,
                                     "SELECT sql FROM sqlite_schema WHERE type='trigger' AND"
                                     " name=?1",
                                     &st, e);

        if (err < 0)
                return err;
        (void)snprintf(name, sizeof name, "grapnel_%s_" SPAN_FMT "_%s", source_of(r),
                       SPAN_ARG(t->name), op);
        must(sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) == SQLITE_OK);
        step = sqlite3_step(st);
        if (step == SQLITE_ROW && lite_cell(st, 0).p)
                err = buf_add(ret, lite_cell(st, 0)) == 0;
        else if (step != SQLITE_DONE)
                err = lite_fault(r->db, r->o->database, "read", e);
        sqlite3_finalize(st);
        return err;
}

static int look_for_outbox(Reader *r, Err *e) {
        int64_t n = 0;
        int err = count_of(r, "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name=?1",
                           SPAN("grapnel_outbox"), &n, e);

        if (err == 0 && n == 0)
                err = FAIL(e, -ENOTRECOVERABLE,
                           "database %s has no outbox: run grapnel trigger install %s", r->o->name,
                           source_of(r));
        return err;
}

static int look_for_triggers(Reader *r, char remark[OUTBOX_REMARK], Err *e) {
        static const struct {
                unsigned op;
                const char *name;
        } ops[] = {{OUTBOX_INSERT, "insert"}, {OUTBOX_UPDATE, "update"}, {OUTBOX_DELETE, "delete"}};

        for (size_t i = 0; i < r->o->n_tables; i++) {
                const OutboxTable *t = &r->o->tables[i];
                char mark[DIGEST_TEXT];

                outbox_mark(r->o, t, mark);
                for (size_t k = 0; k < COUNT_OF(ops); k++) {
                        AUTO(buf_done)
                        Buf text = BUF(1024 * 1024);
                        int found;

                        if (!(t->ops & ops[k].op))
                                continue;
                        found = trigger_text(r, t, ops[k].name, &text, e);
                        if (found < 0)
                                return found;
                        if (!found)
                                return FAIL(e, -ENOTRECOVERABLE,
                                            "table " SPAN_FMT " has no trigger for %s of this "
                                            "source: run grapnel trigger install %s",
                                            SPAN_ARG(t->name), ops[k].name, source_of(r));
                        if (!remark[0] && !memmem(text.p, text.n, mark, strlen(mark)))
                                outbox_remark(watch_trigger(r->watch), t, remark);
                }
        }
        return 0;
}

/* A column that came later is in no event: the first such, as a sentence. */
static void look_for_columns(Reader *r, char ret[OUTBOX_REMARK]) {
        AUTO(arena_freep)
        Arena *a = arena_new(SHAPE_ARENA_BYTES);

        for (size_t i = 0; i < r->o->n_tables; i++) {
                const OutboxTable *t = &r->o->tables[i];
                AUTO(buf_done)
                Buf text = BUF(1024 * 1024);
                LiteTable shape;

                if (t->n_columns || trigger_text(r, t, "insert", &text, NULL) <= 0 ||
                    lite_table(r->db, r->o->database, t->name, a, &shape, NULL) < 0 ||
                    buf_add_char(&text, 0) < 0)
                        continue;
                for (size_t k = 0; k < shape.n; k++) {
                        AUTO(buf_done)
                        Buf member = BUF(1024);

                        if (outbox_literal(&member, shape.columns[k]) == 0 &&
                            buf_add(&member, SPAN(", CASE")) == 0 &&
                            buf_add_char(&member, 0) == 0 && !strstr(text.p, member.p)) {
                                (void)snprintf(ret, OUTBOX_REMARK,
                                               "column " SPAN_FMT " of table " SPAN_FMT
                                               " is in no event: run grapnel trigger install %s "
                                               "again",
                                               SPAN_ARG(shape.columns[k]), SPAN_ARG(t->name),
                                               source_of(r));
                                return;
                        }
                }
        }
}

static int prepare(Reader *r, Err *e) {
        const DatabaseConfig *d = r->o->database;
        int err = lite_prepare(r->db, d,
                               "SELECT seq, at, op, table_name, key_names, fresh, previous"
                               " FROM grapnel_outbox WHERE source=?1 ORDER BY seq LIMIT ?2",
                               &r->read, e);

        if (err == 0)
                err = lite_prepare(r->db, d, "DELETE FROM grapnel_outbox WHERE seq=?1", &r->remove,
                                   e);
        if (err == 0)
                err = lite_prepare(r->db, d,
                                   "SELECT count(*), coalesce((julianday('now') -"
                                   " julianday(min(at))) * 86400000, 0) FROM (SELECT at FROM"
                                   " grapnel_outbox WHERE source=?1 LIMIT 100000)",
                                   &r->pending, e);
        /* It is of use within a statement only: what is committed of it was left behind, such as by
         * INSERT OR IGNORE. */
        if (err == 0)
                err = lite_prepare(r->db, d, "DELETE FROM grapnel_replaced WHERE source=?1",
                                   &r->tidy, e);
        return err;
}

/* ---- one batch ---- */

typedef struct Batch {
        Arena *arena;
        EnvelopeEvent events[ROWS_MAX];
        int64_t seq[ROWS_MAX];
        size_t n, bytes;
} Batch;

/* Text of a column need not be UTF-8 in SQLite: what is none becomes U+FFFD, or the event could not
 * be JSON. */
static Span readable(Arena *a, Span json) {
        AUTO(buf_done)
        Buf out = BUF(BATCH_MAX_BYTES);
        JsonFault fault;
        size_t done = 0;

        if (!json.p || json_check(json, SIZE_MAX, &fault) == 0)
                return json.p ? arena_span(a, json) : json;
        for (size_t i = 0; i < json.n;) {
                size_t n = span_utf8(json, i);

                if (n) {
                        i += n;
                        continue;
                }
                if (buf_add(&out, span_make(json.p + done, i - done)) < 0 ||
                    buf_add(&out, SPAN("\xef\xbf\xbd")) < 0)
                        return (Span){NULL, 0};
                done = ++i;
        }
        if (buf_add(&out, span_from(json, done)) < 0)
                return (Span){NULL, 0};
        return arena_span(a, buf_span(&out));
}

static const char *op_of(Span text) {
        return span_eq(text, SPAN("INSERT"))   ? "insert"
               : span_eq(text, SPAN("UPDATE")) ? "update"
                                               : "delete";
}

static int add_event(Reader *r, Batch *b, Err *e) {
        AUTO(buf_done)
        Buf key = BUF(1024 * 1024);
        Span at = arena_span(b->arena, lite_cell(r->read, C_AT));
        Span fresh = readable(b->arena, lite_cell(r->read, C_FRESH));
        Span previous = readable(b->arena, lite_cell(r->read, C_PREVIOUS));
        Span row = fresh.p ? fresh : previous;
        int64_t seq = sqlite3_column_int64(r->read, C_SEQ);
        char id[96], position[32];

        /* Made anew, an outbox begins with seq 1 again. */
        (void)snprintf(id, sizeof id, "%" PRId64 "-" SPAN_FMT, seq, SPAN_ARG(at));
        (void)snprintf(position, sizeof position, "%" PRId64, seq);
        if (row.p && lite_cell(r->read, C_KEYS).n > 2 &&
            outbox_key(&key, lite_cell(r->read, C_KEYS), row) < 0)
                buf_clear(&key);
        RowChange c = {.source = span_of(source_of(r)),
                       .kind = "outbox",
                       .database = r->o->name,
                       .table = lite_cell(r->read, C_TABLE),
                       .op = op_of(lite_cell(r->read, C_OP)),
                       .fresh = fresh,
                       .previous = previous,
                       .key = key.n ? buf_span(&key) : (Span){NULL, 0},
                       .position = span_of(position),
                       .index = -1,
                       .time = at,
                       .time_is = "change",
                       .id = span_of(id)};

        /* Without a row that is there the event would lie. */
        if ((lite_cell(r->read, C_FRESH).p && !fresh.p) ||
            (lite_cell(r->read, C_PREVIOUS).p && !previous.p) ||
            !row_change_event(&c, b->arena, &b->events[b->n]))
                return FAIL(e, -EMSGSIZE, "the change %s is too large for an event", id);
        b->bytes += b->events[b->n].body.n;
        b->seq[b->n++] = seq;
        return 0;
}

static int read_batch(Reader *r, Batch *b, Err *e) {
        int step, err = 0;

        must(sqlite3_bind_text(r->read, 1, source_of(r), -1, SQLITE_STATIC) == SQLITE_OK);
        must(sqlite3_bind_int(r->read, 2, ROWS_MAX) == SQLITE_OK);
        while (err == 0 && b->bytes < BYTES_MAX && (step = sqlite3_step(r->read)) != SQLITE_DONE)
                err = step == SQLITE_ROW ? add_event(r, b, e)
                                         : lite_fault(r->db, r->o->database, "read", e);
        (void)sqlite3_reset(r->read);
        return err;
}

static int step_once(Reader *r, sqlite3_stmt *st, Err *e) {
        int err = sqlite3_step(st) == SQLITE_DONE ? 0
                                                  : lite_fault(r->db, r->o->database, "written", e);

        (void)sqlite3_reset(st);
        return err;
}

static int remove_batch(Reader *r, const Batch *b, Err *e) {
        int err = sqlite3_exec(r->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK
                          ? 0
                          : lite_fault(r->db, r->o->database, "written", e);

        for (size_t i = 0; err == 0 && i < b->n; i++) {
                must(sqlite3_bind_int64(r->remove, 1, b->seq[i]) == SQLITE_OK);
                err = step_once(r, r->remove, e);
        }
        if (err == 0) {
                must(sqlite3_bind_text(r->tidy, 1, source_of(r), -1, SQLITE_STATIC) == SQLITE_OK);
                err = step_once(r, r->tidy, e);
        }
        if (err == 0 && sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
                err = lite_fault(r->db, r->o->database, "written", e);
        if (err < 0)
                (void)sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
        return err;
}

/* How many there were. */
static int take_batch(Reader *r, Err *e) {
        Batch *b = must_alloc(sizeof *b);
        int err, n;

        b->arena = arena_new(BATCH_MAX_BYTES);
        err = read_batch(r, b, e);
        if (err == 0 && b->n)
                err = watch_submit(r->watch, b->events, b->n, e);
        if (err == 0 && b->n)
                err = remove_batch(r, b, e);
        n = (int)b->n;
        arena_free(b->arena);
        free(b);
        return err < 0 ? err : n;
}

/* ---- the whole ---- */

/* Every now and then. A trigger goes with its table. */
static int look(Reader *r, Err *e) {
        int64_t now = clock_mono_ms();
        char remark[OUTBOX_REMARK] = "";
        int err;

        if (now - r->looked_ms < LOOK_MS)
                return 0;
        r->looked_ms = now;
        err = lite_check_place(r->db, r->o->database, e);
        if (err < 0)
                return err;
        must(sqlite3_bind_text(r->pending, 1, source_of(r), -1, SQLITE_STATIC) == SQLITE_OK);
        if (sqlite3_step(r->pending) == SQLITE_ROW) {
                watch_gauge(r->watch, "pending", sqlite3_column_int64(r->pending, 0));
                watch_gauge(r->watch, "lag_ms", sqlite3_column_int64(r->pending, 1));
        }
        (void)sqlite3_reset(r->pending);
        r->missing = (Err){0};
        err = look_for_triggers(r, remark, &r->missing);
        if (err == 0) {
                if (!remark[0])
                        look_for_columns(r, remark);
                watch_remarks(r->watch, remark);
        } else if (err != -ENOTRECOVERABLE)
                *e = r->missing;
        return err == -ENOTRECOVERABLE ? 0 : err;
}

/* A log that is not there yet appears with the first writer. */
static void watch_files(Reader *r) {
        static const char *const more[] = {"", "-wal"};
        char path[PATH_BYTES];

        for (size_t i = 0; i < COUNT_OF(more); i++)
                if (sibling(r, more[i], path) == 0)
                        (void)inotify_add_watch(r->notifier, path, IN_MODIFY);
}

static int rest(Reader *r) {
        char events[4096];
        int n;

        watch_files(r);
        n = watch_wait(r->watch, r->notifier, r->o->poll_ms);
        while (n > 0 && read(r->notifier, events, sizeof events) > 0)
                ;
        return n;
}

static int empty(Reader *r, Err *e) {
        for (;;) {
                int n = 0, waited;

                for (size_t i = 0; i < COUNT_OF(soon_ms) && n == 0; i++) {
                        waited = soon_ms[i] ? watch_wait(r->watch, -1, soon_ms[i]) : 0;
                        if (waited < 0)
                                return waited;
                        n = take_batch(r, e);
                        if (n < 0)
                                return n;
                }
                waited = look(r, e);
                if (waited < 0)
                        return waited;
                /* What other tables told is taken nevertheless. */
                if (n == 0 && r->missing.text[0]) {
                        *e = r->missing;
                        return -ENOTRECOVERABLE;
                }
                if (watch_stops(r->watch))
                        return -ECANCELED;
                if (n == 0 && (waited = rest(r)) < 0)
                        return waited;
        }
}

int outbox_lite_run(Watch *w, const OutboxOptions *o, Err *e) {
        Reader r = {.watch = w, .o = o, .turn = -1, .looked_ms = INT64_MIN / 2};
        int err = lite_open(o->database, &r.db, e);

        r.notifier = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (err == 0)
                err = look_for_outbox(&r, e);
        if (err == 0)
                err = take_turn(&r, e);
        if (err == 0)
                err = prepare(&r, e);
        if (err == 0)
                err = empty(&r, e);
        sqlite3_finalize(r.read);
        sqlite3_finalize(r.remove);
        sqlite3_finalize(r.pending);
        sqlite3_finalize(r.tidy);
        lite_close(r.db);
        if (r.notifier >= 0)
                (void)close(r.notifier);
        if (r.turn >= 0)
                (void)close(r.turn);
        return err == -ECANCELED ? 0 : err;
}
