/* SPDX-License-Identifier: Apache-2.0
 *
 * Empties the outbox of a PostgreSQL database: reads what can be seen in the order of ids, hands it
 * in, and deletes exactly what was read. There is no cursor, so a slower transaction whose lower
 * ids come into sight later loses nothing: they are simply read then. For one row the ids follow
 * the commits, as its lock is held from the trigger to the commit; a change that came after another
 * one's commit has the higher id, and both are in sight. What it leaves behind costs nothing: a
 * look begins at the floor (floor.h). */
#include "base/clock.h"
#include "watch/emptying.h"
#include "watch/floor.h"
#include "watch/outbox.h"
#include "watch/pg.h"
#include "watch/row_change.h"
#include "json/check.h"

#include <errno.h>

#define ROWS_MAX        1000 /* at a time */
#define BYTES_MAX       "8388608"
#define LOOK_MS         5000
#define FROM_START_MS   60000
#define BATCH_MAX_BYTES ((size_t)1024 * 1024 * 1024)

/* Columns of the reading statement. */
enum {
        C_ID,
        C_XID,
        C_AT,
        C_MICROS,
        C_OP,
        C_SCHEMA,
        C_TABLE,
        C_KEYS,
        C_FRESH,
        C_PREVIOUS,
        C_CONTEXT,
        C_COMMITTED,
        C_XMIN,
        C_FILE
};

typedef struct Reader {
        Watch *watch;
        const OutboxOptions *o;
        Pg *pg;
        char *read, *remove, *gauges; /* SQL */
        bool has_commit_times;
        Floor floor;
        char file[24];         /* the outbox's: another one after it was emptied or made anew */
        int64_t from_start_ms; /* when it was looked at without a floor */
        int64_t looked_ms;     /* at gauges and triggers */
        Err missing;           /* the trigger that is; "" */
        char remark[OUTBOX_REMARK];
} Reader;

/* ---- statements ---- */

static char *sql_of(const Reader *r, const char *format, const char *more) {
        AUTO(buf_done)
        Buf quoted = BUF(256), out = BUF(8192);
        char *text;

        must(outbox_quote(&quoted, span_of(r->o->schema)) == 0);
        must(buf_add_char(&quoted, 0) == 0);
        /* Both formats are ours. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        must(buf_addf(&out, format, quoted.p, more) == 0 && buf_add_char(&out, 0) == 0);
#pragma GCC diagnostic pop
        text = out.p;
        out = (Buf){0};
        return text;
}

/* Up to so many rows, and of these as many as are no more than so many bytes; one at least. Where
 * there is none, a row of NULLs says which transactions have ended. */
static const char read_sql[] =
        "SELECT id, xid::text, to_char(at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
        " (extract(epoch FROM at) * 1000000)::bigint, op, schema_name, table_name, key_names,"
        " fresh, previous, context, %2$s, pg_snapshot_xmin(pg_current_snapshot()),"
        " (SELECT relfilenode FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace"
        "  WHERE n.nspname=$4 AND c.relname='outbox')"
        " FROM (VALUES (1)) one LEFT JOIN (SELECT *, sum(bytes) OVER (ORDER BY id) - bytes AS "
        "before"
        "       FROM (SELECT * FROM %1$s.outbox WHERE source=$1 AND id>$3 ORDER BY id LIMIT $2) "
        "rows)"
        " batch ON before < " BYTES_MAX " ORDER BY id";
static const char remove_sql[] =
        "WITH gone AS (DELETE FROM %1$s.outbox WHERE source=$1 AND id=ANY($2::bigint[]))"
        " SELECT pg_current_xact_id()%2$s";
static const char gauges_sql[] =
        "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp()-min(at))*1000, 0)::bigint"
        " FROM (SELECT at FROM %1$s.outbox WHERE source=$1 AND id>$2 LIMIT 100000) rows%2$s";

/* ---- the beginning ---- */

static const char *source_of(const Reader *r) {
        return watch_trigger(r->watch)->source->name;
}

/* One reader at a time, or the order is lost. */
static int take_turn(Reader *r, Err *e) {
        AUTO(buf_done)
        Buf name = BUF(CONFIG_NAME_MAX_BYTES + OUTBOX_NAME_MAX_BYTES + 2);

        must(buf_addf(&name, "%s %s", source_of(r), r->o->schema) == 0);
        must(buf_add_char(&name, 0) == 0);
        return emptying_take_turn(r->watch, r->pg, "grapnel", name.p, e);
}

/* Without its triggers nothing would ever come, and nobody would know why. */
static int look_for_triggers(Reader *r, char remark[OUTBOX_REMARK], Err *e) {
        static const char sql[] =
                "SELECT count(*), count(*) FILTER (WHERE right(encode(g.tgargs, 'escape'),"
                "  length($4)+4) = $4 || '\\000')"
                " FROM pg_trigger g JOIN pg_class c ON c.oid=g.tgrelid"
                " JOIN pg_namespace n ON n.oid=c.relnamespace"
                " WHERE n.nspname=$1 AND c.relname=$2 AND NOT g.tgisinternal AND g.tgenabled<>'D'"
                " AND left(g.tgname, length($3))=$3 AND g.tgname NOT LIKE '%\\_wake'";

        for (size_t i = 0; i < r->o->n_tables; i++) {
                const OutboxTable *t = &r->o->tables[i];
                char schema[OUTBOX_NAME_MAX_BYTES + 1], name[OUTBOX_NAME_MAX_BYTES + 1], prefix[96];
                char mark[DIGEST_TEXT];
                const char *values[] = {schema, name, prefix, mark};
                PGresult *got;
                int64_t n, n_marked;
                int err;

                outbox_mark(r->o, t, mark);

                (void)snprintf(schema, sizeof schema, SPAN_FMT,
                               SPAN_ARG(t->schema.n ? t->schema : SPAN("public")));
                (void)snprintf(name, sizeof name, SPAN_FMT, SPAN_ARG(t->name));
                (void)snprintf(prefix, sizeof prefix, "grapnel_%s_", source_of(r));
                err = pg_ask(r->pg, sql, values, 4, &got, e);
                n = err == 0 ? pg_number(got, 0, 0) : 0;
                n_marked = err == 0 ? pg_number(got, 0, 1) : 0;
                PQclear(got);
                if (err < 0)
                        return err;
                if (n < __builtin_popcount(t->ops))
                        return FAIL(e, -ENOTRECOVERABLE,
                                    "table %s.%s has %" PRId64 " of %d triggers of this source: "
                                    "run grapnel trigger install %s",
                                    schema, name, n, __builtin_popcount(t->ops), source_of(r));
                if (n_marked < n && !remark[0])
                        outbox_remark(watch_trigger(r->watch), t, remark);
        }
        return 0;
}

static int look_for_outbox(Reader *r, Err *e) {
        const char *values[] = {r->o->schema};
        PGresult *got;
        int err = pg_ask(r->pg,
                         "SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n"
                         "  ON n.oid=c.relnamespace WHERE n.nspname=$1 AND c.relname='outbox'),"
                         " current_setting('track_commit_timestamp')",
                         values, 1, &got, e);

        if (err == 0 && pg_number(got, 0, 0) == 0)
                err = FAIL(e, -ENOTRECOVERABLE,
                           "database %s has no outbox: run grapnel trigger install %s", r->o->name,
                           source_of(r));
        if (err == 0)
                r->has_commit_times = strcmp(PQgetvalue(got, 0, 1), "on") == 0;
        PQclear(got);
        return err;
}

/* Whoever is woken has to listen before it looks. */
static int listen(Reader *r, Err *e) {
        char sql[128];

        if (!r->o->notify)
                return 0;
        (void)snprintf(sql, sizeof sql, "LISTEN \"grapnel_%s\"", source_of(r));
        return pg_do(r->pg, sql, e);
}

/* ---- one batch ---- */

/* SET LOCAL grapnel.context = '{"actor":"..."}'; what is no JSON is an actor's name. */
static Span context_of(Arena *a, Span text) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);
        JsonFault fault;

        if (!text.p || json_check(text, SIZE_MAX, &fault) == 0)
                return text.p ? text : (Span){NULL, 0};
        if (buf_add(&b, SPAN("{\"actor\":")) < 0 || buf_add_json(&b, text) < 0 ||
            buf_add_char(&b, '}') < 0)
                return (Span){NULL, 0};
        return arena_span(a, buf_span(&b));
}

static const char *op_of(Span text) {
        switch (text.p ? text.p[0] : 0) {
        case 'I':
                return "insert";
        case 'U':
                return "update";
        case 'D':
                return "delete";
        default:
                return "truncate";
        }
}

static int make_event(Reader *r, const PGresult *rows, int i, Arena *a, EnvelopeEvent *ret,
                      Err *e) {
        AUTO(buf_done)
        Buf key = BUF(1024 * 1024);
        Span fresh = pg_cell(rows, i, C_FRESH), previous = pg_cell(rows, i, C_PREVIOUS);
        Span committed = pg_cell(rows, i, C_COMMITTED), row = fresh.p ? fresh : previous;
        char id[64];

        (void)snprintf(id, sizeof id, SPAN_FMT "-" SPAN_FMT, SPAN_ARG(pg_cell(rows, i, C_ID)),
                       SPAN_ARG(pg_cell(rows, i, C_MICROS)));
        if (row.p && pg_cell(rows, i, C_KEYS).n > 2 &&
            outbox_key(&key, pg_cell(rows, i, C_KEYS), row) < 0)
                buf_clear(&key);
        RowChange c = {.source = span_of(source_of(r)),
                       .kind = "outbox",
                       .database = r->o->name,
                       .schema = pg_cell(rows, i, C_SCHEMA),
                       .table = pg_cell(rows, i, C_TABLE),
                       .op = op_of(pg_cell(rows, i, C_OP)),
                       .fresh = fresh,
                       .previous = previous,
                       .key = key.n ? buf_span(&key) : (Span){NULL, 0},
                       .transaction = pg_cell(rows, i, C_XID),
                       .index = -1,
                       .time = committed.p ? committed : pg_cell(rows, i, C_AT),
                       .time_is = committed.p ? "commit" : "change",
                       .context = context_of(a, pg_cell(rows, i, C_CONTEXT)),
                       .id = span_of(id)};

        return row_change_event(&c, a, ret)
                       ? 0
                       : FAIL(e, -EMSGSIZE, "the change %s is too large for an event", id);
}

static int64_t last_of(const PGresult *rows, int n) {
        return n ? pg_number(rows, n - 1, C_ID) : 0;
}

static int remove_rows(Reader *r, const PGresult *rows, int n, Err *e) {
        AUTO(buf_done)
        Buf ids = BUF(64 * 1024);
        const char *values[] = {source_of(r), NULL};
        PGresult *got;
        int err = buf_add_char(&ids, '{');

        for (int i = 0; err == 0 && i < n; i++)
                err = buf_addf(&ids, "%s" SPAN_FMT, i ? "," : "", SPAN_ARG(pg_cell(rows, i, C_ID)));
        if (err == 0)
                err = buf_add(&ids, SPAN("}"));
        if (err == 0)
                err = buf_add_char(&ids, 0);
        values[1] = ids.p;
        if (err == 0)
                err = pg_ask(r->pg, r->remove, values, 2, &got, e);
        if (err == 0) {
                floor_deleted(&r->floor, last_of(rows, n), pg_number(got, 0, 0));
                PQclear(got);
        }
        return err;
}

static int hand_in(Reader *r, const PGresult *rows, int n, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(BATCH_MAX_BYTES);
        EnvelopeEvent *events = arena_alloc(a, (size_t)n * sizeof *events);
        int err = 0;

        must(events);
        for (int i = 0; err == 0 && i < n; i++)
                err = make_event(r, rows, i, a, &events[i], e);
        if (err == 0)
                err = watch_submit(r->watch, events, (size_t)n, e);
        return err;
}

static int read_above(Reader *r, int64_t id, PGresult **ret, Err *e) {
        char limit[16], floor[24];
        const char *values[] = {source_of(r), limit, floor, r->o->schema};

        (void)snprintf(limit, sizeof limit, "%d", ROWS_MAX);
        (void)snprintf(floor, sizeof floor, "%" PRId64, id);
        return pg_ask(r->pg, r->read, values, COUNT_OF(values), ret, e);
}

/* An outbox that was made anew, or emptied with TRUNCATE, may count from 1 again. */
static bool is_other_file(Reader *r, const PGresult *rows) {
        const char *file = PQgetvalue(rows, 0, C_FILE);
        bool is_other = strcmp(r->file, file) != 0;

        (void)snprintf(r->file, sizeof r->file, "%s", file);
        return is_other;
}

/* From the floor on; but every now and then from the start, should somebody have set the numbers
 * back. */
static int read_rows(Reader *r, PGresult **ret, Err *e) {
        int64_t now = clock_mono_ms();
        bool is_from_start = now - r->from_start_ms >= FROM_START_MS;
        int err = read_above(r, is_from_start ? 0 : r->floor.id, ret, e);

        if (err == 0 && is_other_file(r, *ret) && r->floor.id) {
                r->floor = (Floor){0};
                PQclear(*ret);
                return read_above(r, 0, ret, e);
        }
        if (err < 0 || !is_from_start)
                return err;
        r->from_start_ms = now;
        if (!PQgetisnull(*ret, 0, C_ID) && pg_number(*ret, 0, C_ID) <= r->floor.id)
                r->floor = (Floor){0};
        return 0;
}

/* How many there were. */
static int take_batch(void *self, Err *e) {
        Reader *r = self;
        PGresult *rows;
        int n = 0, err = read_rows(r, &rows, e);

        if (err == 0)
                n = PQgetisnull(rows, 0, C_ID) ? 0 : PQntuples(rows);
        if (n)
                err = hand_in(r, rows, n, e);
        if (err == 0)
                floor_saw(&r->floor, last_of(rows, n), pg_number(rows, 0, C_XMIN));
        if (n && err == 0)
                err = remove_rows(r, rows, n, e);
        PQclear(rows);
        return err < 0 ? err : n;
}

static int look_at_gauges(Reader *r, Err *e) {
        char floor[24];
        const char *values[] = {source_of(r), floor};
        PGresult *got;
        int err;

        (void)snprintf(floor, sizeof floor, "%" PRId64, r->floor.id);
        err = pg_ask(r->pg, r->gauges, values, 2, &got, e);
        if (err == 0) {
                watch_gauge(r->watch, "pending", pg_number(got, 0, 0));
                watch_gauge(r->watch, "lag_ms", pg_number(got, 0, 1));
        }
        PQclear(got);
        return err;
}

/* Every now and then: a trigger goes with its table, or with a column that it names. */
static int look_for_all(Reader *r, Err *e) {
        int64_t now = clock_mono_ms();
        int err;

        if (now - r->looked_ms < LOOK_MS)
                return 0;
        r->looked_ms = now;
        err = look_at_gauges(r, e);
        if (err < 0)
                return err;
        r->missing = (Err){0};
        r->remark[0] = 0;
        err = look_for_triggers(r, r->remark, &r->missing);
        if (err == 0 || err == -ENOTRECOVERABLE)
                return 0;
        *e = r->missing;
        return err;
}

/* What other tables told is taken before one that is missing ends it all. */
static int look_around(void *self, int taken, Err *e) {
        Reader *r = self;
        int err = look_for_all(r, e);

        if (err == 0 && taken == 0 && r->missing.text[0]) {
                *e = r->missing;
                return -ENOTRECOVERABLE;
        }
        if (err == 0)
                watch_remarks(r->watch, r->missing.text[0] ? r->missing.text : r->remark);
        return err;
}

/* ---- the whole ---- */

static int empty(Reader *r, Err *e) {
        Emptying m = {.self = r,
                      .take = take_batch,
                      .look = look_around,
                      .poll_ms = r->o->poll_ms,
                      .is_notified = r->o->notify,
                      .pg = r->pg};

        return emptying_run(r->watch, &m, e);
}

int outbox_pg_run(Watch *w, const OutboxOptions *o, Err *e) {
        Reader r = {.watch = w, .o = o, .looked_ms = INT64_MIN / 2};
        int err = pg_open(w, o->database, false, &r.pg, e);

        if (err == 0)
                err = look_for_outbox(&r, e);
        if (err == 0)
                err = take_turn(&r, e);
        if (err == 0)
                err = listen(&r, e);
        r.read = sql_of(&r, read_sql,
                        r.has_commit_times
                                ? "to_char(pg_xact_commit_timestamp((xid::text::bigint %"
                                  " 4294967296)::text::xid), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
                                : "NULL");
        r.remove = sql_of(&r, remove_sql, "");
        r.gauges = sql_of(&r, gauges_sql, "");
        if (err == 0)
                err = empty(&r, e);
        free(r.read);
        free(r.remove);
        free(r.gauges);
        pg_close(r.pg);
        return err == -ECANCELED ? 0 : err;
}
