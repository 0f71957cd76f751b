/* SPDX-License-Identifier: Apache-2.0
 *
 * Empties an application's own outbox in PostgreSQL: reads what can be seen, hands it in, and then
 * deletes (or marks) exactly the rows that were read, by their ids. There is no cursor: whoever
 * remembers "read up to 7" never comes back for row 6, whose slower transaction commits later. Here
 * such a row is simply read when it comes into sight, as anything that is still in the table is
 * still to be read. What a crash leaves between handing in and deleting is read again, and known by
 * its id.
 *
 * So the order is that of the rows in sight: a row goes before those above it unless it came into
 * sight later than they. */
#include "base/clock.h"
#include "watch/emptying.h"
#include "watch/pg.h"
#include "watch/table.h"
#include "json/check.h"
#include "json/value.h"

#include <errno.h>

#define ROWS_MAX         1000 /* at a time */
#define GAUGES_MS        5000
#define BATCH_MAX_BYTES  ((size_t)512 * 1024 * 1024)
#define META_MAX_BYTES   (32 * 1024) /* of the other columns */
#define VALUE_MAX_BYTES  4096        /* of one of them */
#define LEFT_MAX         100
#define PARKED_MAX_BYTES (NOTE_VALUE_MAX_BYTES - 8 * 1024)
#define LEFT_MAX_BYTES   (1024 * 1024)
#define CHANGED          1 /* the table is not what it was: begin anew */

typedef struct Reader {
        Watch *watch;
        const TableOptions *o;
        Pg *pg;
        Arena *arena;
        TableColumns columns;
        TableSql sql;
        bool is_binary; /* the payload is bytes, which come as hexadecimal digits */
        char oid[24];
        Buf left; /* ids of the rows that are too large to be taken: an array, without its end */
        size_t n_left;
        bool stays[ROWS_MAX]; /* of this batch: it was left */
        int64_t gauges_ms;    /* when they were looked at */
} Reader;

/* ---- the beginning ---- */

enum { C_NAME, C_TYPE, C_CAST, C_NEVER_NULL, C_UNIQUE, C_OID, C_READS, C_DELETES, C_UPDATES };

static int ask_columns(Reader *r, PGresult **ret, Err *e) {
        static const char sql[] =
                "SELECT a.attname, b.typname, quote_ident(m.nspname)||'.'||quote_ident(b.typname),"
                " a.attnotnull, EXISTS (SELECT FROM pg_index i WHERE i.indrelid=c.oid"
                "  AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND CASE c.relkind"
                "  WHEN 'p' THEN a.attnum=ANY(i.indkey)"
                "  ELSE i.indnkeyatts=1 AND i.indkey[0]=a.attnum END), c.oid,"
                " has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'DELETE'),"
                " has_column_privilege(c.oid, a.attnum, 'UPDATE')"
                " FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace"
                " JOIN pg_attribute a ON a.attrelid=c.oid AND a.attnum>0 AND NOT a.attisdropped"
                " JOIN pg_type t ON t.oid=a.atttypid"
                " JOIN pg_type b ON b.oid=CASE WHEN t.typtype='d' THEN t.typbasetype ELSE t.oid END"
                " JOIN pg_namespace m ON m.oid=b.typnamespace"
                " WHERE n.nspname=$1 AND c.relname=$2 AND c.relkind IN ('r','p')"
                " ORDER BY a.attnum";
        char schema[OUTBOX_NAME_MAX_BYTES + 1], name[OUTBOX_NAME_MAX_BYTES + 1];
        const char *values[] = {schema, name};

        (void)snprintf(schema, sizeof schema, SPAN_FMT, SPAN_ARG(r->o->schema));
        (void)snprintf(name, sizeof name, SPAN_FMT, SPAN_ARG(r->o->relation));
        return pg_ask(r->pg, sql, values, 2, ret, e);
}

static bool may_mark(const Reader *r, const PGresult *got) {
        for (int i = 0; i < PQntuples(got); i++)
                if (span_eq(pg_cell(got, i, C_NAME), span_of(r->o->mark)))
                        return PQgetvalue(got, i, C_UPDATES)[0] == 't';
        return true; /* there is none: that is said later */
}

/* Why SELECT alone will not do is what everybody asks who has only that. */
static int check_rights(const Reader *r, const PGresult *got, Err *e) {
        bool reads = PQgetvalue(got, 0, C_READS)[0] == 't';
        bool writes = r->o->mark ? may_mark(r, got) : PQgetvalue(got, 0, C_DELETES)[0] == 't';

        if (reads && writes)
                return 0;
        return FAIL(e, -ENOTRECOVERABLE,
                    "the role may not: GRANT SELECT, %s ON %s TO %s (with SELECT alone it would "
                    "have to remember how far it has read, and miss the rows of slower "
                    "transactions)",
                    r->o->mark ? "UPDATE" : "DELETE", r->o->table, PQuser(pg_conn(r->pg)));
}

static int keep_columns(Reader *r, const PGresult *got, Err *e) {
        size_t n = (size_t)PQntuples(got);
        TableColumn *all = arena_alloc(r->arena, (n + 1) * sizeof *all);

        must(all);
        for (size_t i = 0; i < n; i++) {
                int row = (int)i;

                all[i] =
                        (TableColumn){.name = arena_span(r->arena, pg_cell(got, row, C_NAME)),
                                      .type = arena_span(r->arena, pg_cell(got, row, C_TYPE)),
                                      .cast = arena_span(r->arena, pg_cell(got, row, C_CAST)),
                                      .is_never_null = PQgetvalue(got, row, C_NEVER_NULL)[0] == 't',
                                      .is_unique = PQgetvalue(got, row, C_UNIQUE)[0] == 't'};
                must(all[i].name.p && all[i].type.p && all[i].cast.p);
        }
        r->columns = (TableColumns){all, n};
        if (n > TABLE_COLUMNS_MAX)
                return FAIL(e, -ENOTRECOVERABLE, "the table has more than %d columns",
                            TABLE_COLUMNS_MAX);
        return 0;
}

static int look_at_table(Reader *r, Err *e) {
        PGresult *got;
        int err = ask_columns(r, &got, e);

        if (err == 0 && PQntuples(got) == 0)
                err = FAIL(e, -ENOTRECOVERABLE,
                           "database %s has no table " SPAN_FMT "." SPAN_FMT
                           ": name the one that the application writes to",
                           r->o->name, SPAN_ARG(r->o->schema), SPAN_ARG(r->o->relation));
        if (err == 0)
                err = check_rights(r, got, e);
        if (err == 0)
                err = keep_columns(r, got, e);
        if (err == 0)
                (void)snprintf(r->oid, sizeof r->oid, "%s", PQgetvalue(got, 0, C_OID));
        PQclear(got);
        if (err == 0)
                err = table_sql(r->o, &r->columns, &r->sql, e);
        if (err == 0)
                r->is_binary =
                        span_eq(table_column(&r->columns, r->o->payload)->type, SPAN("bytea"));
        return err;
}

/* One reader at a time, or the order is lost. */
static int take_turn(Reader *r, Err *e) {
        return emptying_take_turn(r->watch, r->pg, "grapnel table", r->oid, e);
}

/* Whoever is woken has to listen before it looks. */
static int listen(Reader *r, Err *e) {
        AUTO(buf_done)
        Buf sql = BUF(256);

        if (!r->o->notify)
                return 0;
        must(buf_add(&sql, SPAN("LISTEN ")) == 0 &&
             outbox_quote(&sql, span_of(r->o->notify)) == 0 && buf_add_char(&sql, 0) == 0);
        return pg_do(r->pg, sql.p, e);
}

/* ---- one row ---- */

/* "outbox":{...}: what the row has beside its payload; what is too much for that is named. */
static Span meta_of(Arena *a, Span rest) {
        AUTO(buf_done)
        Buf kept = BUF(META_MAX_BYTES);
        AUTO(buf_done)
        Buf missing = BUF(META_MAX_BYTES);
        Span key, value;
        JsonFault fault; /* what PostgreSQL takes for JSON may be too deep for us */
        char *text;

        for (size_t pos = 0; json_next(rest, &pos, &key, &value);) {
                size_t before = kept.n;

                if (value.n <= VALUE_MAX_BYTES && json_check(value, SIZE_MAX, &fault) == 0 &&
                    buf_addf(&kept, "%s\"" SPAN_FMT "\":" SPAN_FMT, before ? "," : "",
                             SPAN_ARG(key), SPAN_ARG(value)) == 0)
                        continue;
                kept.n = before;
                must(buf_addf(&missing, "%s\"" SPAN_FMT "\"", missing.n ? "," : "",
                              SPAN_ARG(key)) == 0);
        }
        text = missing.n
                       ? arena_printf(a,
                                      "\"outbox\":{" SPAN_FMT "},\"outboxMissing\":[" SPAN_FMT "]",
                                      SPAN_ARG(buf_span(&kept)), SPAN_ARG(buf_span(&missing)))
                       : arena_printf(a, "\"outbox\":{" SPAN_FMT "}", SPAN_ARG(buf_span(&kept)));
        return span_of(text);
}

/* order/17, or the half that there is. */
static Span subject_of(Arena *a, Span kind, Span entity) {
        if (!kind.n || !entity.n)
                return kind.n ? kind : entity;
        return span_of(arena_printf(a, SPAN_FMT "/" SPAN_FMT, SPAN_ARG(kind), SPAN_ARG(entity)));
}

static int digit(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\x7b7d", as bytea_output=hex writes it. */
static Span unhex(Arena *a, Span text) {
        size_t n = text.n >= 2 ? (text.n - 2) / 2 : 0;
        char *bytes = arena_alloc(a, n + 1);

        if (!bytes)
                return (Span){NULL, 0};
        for (size_t i = 0; i < n; i++)
                bytes[i] = (char)(digit(text.p[2 + 2 * i]) << 4 | digit(text.p[3 + 2 * i]));
        return (Span){bytes, n};
}

static int add_id(Buf *b, Span id) {
        int r = buf_add_char(b, '"');

        for (size_t i = 0; r == 0 && i < id.n; i++) {
                if (id.p[i] == '"' || id.p[i] == '\\')
                        r = buf_add_char(b, '\\');
                if (r == 0)
                        r = buf_add_char(b, id.p[i]);
        }
        return r < 0 ? r : buf_add_char(b, '"');
}

/* Its payload did not come along. */
static bool is_too_large(const PGresult *rows, int i) {
        return PQgetisnull(rows, i, ROW_BODY) &&
               pg_number(rows, i, ROW_BYTES) > TABLE_ROW_MAX_BYTES;
}

/* It stays in the table, where it is whole, and is passed by from now on. */
static int leave(Reader *r, const PGresult *rows, int i, EnvelopeEvent *event, Err *e) {
        char why[200];

        (void)snprintf(why, sizeof why,
                       "the row is too large to be taken (%s bytes): it was left in the table",
                       PQgetvalue(rows, i, ROW_BYTES));
        if (r->n_left == LEFT_MAX)
                return FAIL(e, -ENOTRECOVERABLE,
                            "more than %d rows are too large to be taken, such as the one with the "
                            "id %.64s: make them smaller, or take them out of the table",
                            LEFT_MAX, PQgetvalue(rows, i, ROW_ID));
        if ((r->n_left && buf_add_char(&r->left, ',') < 0) ||
            add_id(&r->left, pg_cell(rows, i, ROW_ID)) < 0)
                return FAIL(e, -ENOTRECOVERABLE, "the ids of the rows are too long");
        r->n_left++;
        r->stays[i] = true;
        event->body = SPAN("null");
        return watch_park(r->watch, event, why, e);
}

/* What is no JSON goes aside as the text that it is; bytes as PostgreSQL writes them. */
static int park(Reader *r, const PGresult *rows, int i, EnvelopeEvent *event,
                const JsonFault *fault, Err *e) {
        AUTO(buf_done)
        Buf text = BUF(PARKED_MAX_BYTES);
        char why[200];

        (void)snprintf(why, sizeof why, "column %.64s of the row is no JSON: %s, at byte %zu",
                       r->o->payload, fault->why, fault->offset);
        if (buf_add_json(&text, pg_cell(rows, i, ROW_BODY)) < 0)
                return leave(r, rows, i, event, e);
        event->body = buf_span(&text);
        return watch_park(r->watch, event, why, e);
}

/* A table that is made anew may count from 1 again; it is another one. */
static Span key_of(const PGresult *rows, int i, Arena *a) {
        char *text = arena_printf(a, SPAN_FMT "/" SPAN_FMT, SPAN_ARG(pg_cell(rows, i, ROW_OID)),
                                  SPAN_ARG(pg_cell(rows, i, ROW_ID)));

        return text ? span_of(text) : (Span){NULL, 0};
}

/* 1: there is an event; 0: it was put aside. */
static int make_event(Reader *r, const PGresult *rows, int i, Arena *a, EnvelopeEvent *ret,
                      Err *e) {
        Span raw = pg_cell(rows, i, ROW_BODY);
        JsonFault fault;

        *ret = (EnvelopeEvent){
                .body = raw,
                .type = pg_cell(rows, i, ROW_TYPE),
                .subject = subject_of(a, pg_cell(rows, i, ROW_KIND), pg_cell(rows, i, ROW_ENTITY)),
                .time = pg_cell(rows, i, ROW_TIME),
                .key = key_of(rows, i, a),
                .meta = meta_of(a, pg_cell(rows, i, ROW_REST))};
        if (!raw.p)
                ret->body = SPAN("null");
        else if (r->is_binary)
                ret->body = unhex(a, raw);
        if (!ret->meta.p || !ret->body.p || !ret->key.p)
                return FAIL(e, -EMSGSIZE, "the rows are too large to be taken together");
        if (is_too_large(rows, i))
                return leave(r, rows, i, ret, e);
        if (json_check(ret->body, SIZE_MAX, &fault) == 0)
                return 1;
        return park(r, rows, i, ret, &fault, e);
}

/* ---- one batch ---- */

/* Were none of them there any more, somebody else empties the table too, or something keeps them:
 * then they would be read for ever. */
static int settle(Reader *r, const PGresult *rows, int n, Err *e) {
        AUTO(buf_done)
        Buf ids = BUF(2 * BATCH_MAX_BYTES);
        const char *values[1];
        PGresult *got = NULL;
        int err = buf_add_char(&ids, '{'), n_taken = 0;

        for (int i = 0; err == 0 && i < n; i++) {
                if (r->stays[i])
                        continue;
                if (n_taken++)
                        err = buf_add_char(&ids, ',');
                if (err == 0)
                        err = add_id(&ids, pg_cell(rows, i, ROW_ID));
        }
        if (err == 0)
                err = buf_add(&ids, (Span){"}", 2}); /* with the terminator */
        if (err < 0)
                return FAIL(e, err, "the ids of the rows are too long");
        if (n_taken == 0)
                return 0;
        values[0] = ids.p;
        err = pg_ask(r->pg, r->sql.after.p, values, 1, &got, e);
        if (err == 0 && strcmp(PQcmdTuples(got), "0") == 0)
                err = FAIL(e, -EIO,
                           "none of %d rows could be %s: a trigger or a policy of the table keeps "
                           "them as they are, or somebody else takes them too",
                           n_taken, r->o->mark ? "marked" : "deleted");
        PQclear(got);
        return err;
}

static int hand_in(Reader *r, const PGresult *rows, int n, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(BATCH_MAX_BYTES);
        EnvelopeEvent *events = arena_alloc(a, (size_t)n * sizeof *events);
        size_t n_events = 0;

        must(events);
        for (int i = 0; i < n; i++) {
                int made;

                r->stays[i] = false;
                made = make_event(r, rows, i, a, &events[n_events], e);
                if (made < 0)
                        return made;
                n_events += made;
        }
        return n_events ? watch_submit(r->watch, events, n_events, e) : 0;
}

/* "{7,12}" */
static int left_of(const Reader *r, Buf *b, Err *e) {
        if (buf_add_char(b, '{') < 0 || buf_add(b, buf_span(&r->left)) < 0 ||
            buf_add(b, (Span){"}", 2}) < 0) /* with the terminator */
                return FAIL(e, -ENOTRECOVERABLE, "the ids of the rows are too long");
        return 0;
}

/* How many there were. */
static int take_batch(void *self, Err *e) {
        Reader *r = self;
        AUTO(buf_done)
        Buf left = BUF(LEFT_MAX_BYTES + 3);
        char limit[16];
        const char *values[] = {limit, NULL};
        PGresult *rows = NULL;
        int err = left_of(r, &left, e), n;

        values[1] = left.p;
        (void)snprintf(limit, sizeof limit, "%d", ROWS_MAX);
        if (err == 0)
                err = pg_ask(r->pg, r->sql.read.p, values, 2, &rows, e);
        n = err == 0 ? PQntuples(rows) : 0;
        if (n)
                err = hand_in(r, rows, n, e);
        if (n && err == 0)
                err = settle(r, rows, n, e);
        PQclear(rows);
        return err < 0 ? err : n;
}

/* ---- by the way ---- */

static bool is_unchanged(const Reader *r, const PGresult *now) {
        if ((size_t)PQntuples(now) != r->columns.n ||
            strcmp(PQgetvalue(now, 0, C_OID), r->oid) != 0)
                return false;
        for (size_t i = 0; i < r->columns.n; i++)
                if (!span_eq(r->columns.at[i].name, pg_cell(now, (int)i, C_NAME)) ||
                    !span_eq(r->columns.at[i].cast, pg_cell(now, (int)i, C_CAST)))
                        return false;
        return true;
}

/* 1 when the table was altered meanwhile: its statements are to be written anew. */
static int look_around(void *self, int taken, Err *e) {
        Reader *r = self;
        int64_t now = clock_mono_ms();
        PGresult *got;
        int err;

        (void)taken;
        watch_works(r->watch);
        if (now - r->gauges_ms < GAUGES_MS)
                return 0;
        r->gauges_ms = now;
        err = pg_ask(r->pg, r->sql.gauges.p, NULL, 0, &got, e);
        if (err == 0) {
                watch_gauge(r->watch, "pending", pg_number(got, 0, 0));
                if (!PQgetisnull(got, 0, 1))
                        watch_gauge(r->watch, "lag_ms", pg_number(got, 0, 1));
        }
        PQclear(got);
        if (err == 0)
                err = ask_columns(r, &got, e);
        if (err < 0)
                return err;
        err = is_unchanged(r, got) ? 0 : CHANGED;
        PQclear(got);
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

int table_pg_run(Watch *w, const TableOptions *o, Err *e) {
        Reader r = {.watch = w, .o = o, .gauges_ms = INT64_MIN / 2, .left = BUF(LEFT_MAX_BYTES)};
        int err = pg_open(w, o->database, false, &r.pg, e);

        r.arena = arena_new(1024 * 1024);
        if (err == 0)
                err = look_at_table(&r, e);
        if (err == 0)
                err = take_turn(&r, e);
        if (err == 0)
                err = listen(&r, e);
        if (err == 0)
                err = empty(&r, e);
        table_sql_done(&r.sql);
        buf_done(&r.left);
        arena_free(r.arena);
        pg_close(r.pg);
        return err == -ECANCELED || err == CHANGED ? 0 : err;
}
