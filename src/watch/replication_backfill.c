/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows that are there when a slot is made: read under the snapshot that the slot exports, so
 * that they are what the stream's first change finds. The ids tell versions of rows: when it is
 * broken off and begins anew, under a later snapshot, a version that was handed in is known, and
 * one that has come since is not. */
#include "base/clock.h"
#include "watch/outbox.h"
#include "watch/replication.h"

#include <errno.h>
#include <poll.h>

#define SLICE_EVENTS    256
#define SLICE_BYTES     ((size_t)8 * 1024 * 1024)
#define SLICE_MAX_BYTES ((size_t)2 * 1024 * 1024 * 1024)
#define SEND_MS         30000
#define SILENCE_MS      3600000

typedef struct Backfill {
        Replication *r;
        Span epoch, time;
        Arena *arena;
        EnvelopeEvent *events;
        size_t n;
        int64_t rows;
        Pg *beside; /* another connection: the one that reads is busy */
        int64_t gauges_ms;
} Backfill;

/* ---- what is read ---- */

/* Of one table: its OID, its key, what the publication lets through. */
static const char table_sql[] =
        "SELECT c.oid,"
        " (SELECT coalesce(json_agg(a.attname ORDER BY k.n), '[]'::json)::text FROM pg_index i"
        "  JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(att, n) ON true"
        "  JOIN pg_attribute a ON a.attrelid=i.indrelid AND a.attnum=k.att"
        "  WHERE i.indrelid=c.oid AND i.indisprimary),"
        " (SELECT string_agg('q.' || quote_ident(a.attname), ', ' ORDER BY a.attnum)"
        "  FROM pg_attribute a WHERE a.attrelid=c.oid AND a.attnum>0 AND NOT a.attisdropped"
        "  AND a.attgenerated='' AND a.attname=ANY(p.attnames)),"
        " p.rowfilter, CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END"
        " FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname=p.schemaname"
        " JOIN pg_class c ON c.relnamespace=n.oid AND c.relname=p.tablename"
        " WHERE p.pubname=$1 AND p.schemaname=$2 AND p.tablename=$3";

static int write_select(const ReplicationTable *t, const PGresult *about, Buf *sql) {
        Span filter = pg_cell(about, 0, 3);
        int r = buf_addf(sql,
                         "SELECT x.j::text, x.v, md5(x.j::text) FROM (SELECT"
                         " (SELECT row_to_json(r) FROM (SELECT " SPAN_FMT ") r) j,"
                         " xmin::text || %s v FROM " SPAN_FMT,
                         SPAN_ARG(pg_cell(about, 0, 2)),
                         pg_cell(about, 0, 1).n > 2 ? "''" : "'-' || ctid::text",
                         SPAN_ARG(pg_cell(about, 0, 4)));

        if (r == 0)
                r = outbox_quote(sql, span_of(t->schema));
        if (r == 0)
                r = buf_add_char(sql, '.');
        if (r == 0)
                r = outbox_quote(sql, span_of(t->name));
        if (r == 0)
                r = buf_add(sql, SPAN(" q"));
        if (r == 0 && filter.n)
                r = buf_addf(sql, " WHERE " SPAN_FMT, SPAN_ARG(filter));
        if (r == 0)
                r = buf_add(sql, SPAN(") x"));
        return r < 0 ? r : buf_add_char(sql, 0);
}

/* ---- rows as events ---- */

static void begin_slice(Backfill *b) {
        arena_free(b->arena);
        b->arena = arena_new(SLICE_MAX_BYTES);
        b->events = arena_alloc(b->arena, SLICE_EVENTS * sizeof *b->events);
        must(b->events);
        b->n = 0;
}

/* How much of its log the server keeps meanwhile; -ENOTRECOVERABLE when it kept no more, and all of
 * this is for nothing. */
static int look_at_slot(Backfill *b, Err *e) {
        Replication beside = *b->r;
        int64_t now = clock_mono_ms(), lag;

        if (now - b->gauges_ms < REPLICATION_GAUGES_MS)
                return 0;
        b->gauges_ms = now;
        beside.pg = b->beside;
        return replication_gauges(&beside, &lag, e);
}

static int hand_in(Backfill *b, Err *e) {
        int r = b->n ? watch_submit(b->r->watch, b->events, b->n, e) : 0;

        if (r < 0)
                return r;
        b->rows += (int64_t)b->n;
        watch_gauge(b->r->watch, "backfill_rows", b->rows);
        begin_slice(b);
        return look_at_slot(b, e);
}

static int add_row(Backfill *b, const ReplicationTable *t, const PGresult *about,
                   const PGresult *row, Err *e) {
        AUTO(buf_done)
        Buf key = BUF(1024 * 1024);
        Span fresh = pg_cell(row, 0, 0), oid = pg_cell(about, 0, 0), names = pg_cell(about, 0, 1);
        char id[200];

        if (names.n > 2 && outbox_key(&key, names, fresh) < 0)
                buf_clear(&key);
        (void)snprintf(id, sizeof id, "snapshot-" SPAN_FMT "-" SPAN_FMT "-" SPAN_FMT "-" SPAN_FMT,
                       SPAN_ARG(b->epoch), SPAN_ARG(oid), SPAN_ARG(pg_cell(row, 0, 1)),
                       SPAN_ARG(pg_cell(row, 0, 2)));
        RowChange c = {.source = span_of(watch_trigger(b->r->watch)->source->name),
                       .kind = "replication",
                       .database = b->r->o->name,
                       .schema = span_of(t->schema),
                       .table = span_of(t->name),
                       .op = "snapshot",
                       .fresh = fresh,
                       .key = key.n ? buf_span(&key) : (Span){NULL, 0},
                       .index = -1,
                       .time = b->time,
                       .time_is = "capture",
                       .id = span_of(id),
                       .is_backfill = true};

        if (!row_change_event(&c, b->arena, &b->events[b->n]))
                return FAIL(e, -ENOTRECOVERABLE,
                            "a row of table %s.%s is too large for an event, which takes %d MB: "
                            "leave its large columns out of the publication",
                            t->schema, t->name, ROW_CHANGE_MAX_BYTES / 1024 / 1024);
        b->n++;
        return b->n == SLICE_EVENTS || arena_used(b->arena) >= SLICE_BYTES ? hand_in(b, e) : 0;
}

/* ---- one row at a time, so that no table is too large ---- */

static int wait_for(Backfill *b, short events, int64_t ms, Err *e) {
        PGconn *conn = pg_conn(b->r->pg);
        int r = watch_poll(b->r->watch, PQsocket(conn), events, ms);

        if (r < 0)
                return r;
        return r > 0 && PQconsumeInput(conn)
                       ? 0
                       : FAIL(e, -ENOTCONN, "the connection broke while the tables were read");
}

static int ask(Backfill *b, const char *sql, Err *e) {
        PGconn *conn = pg_conn(b->r->pg);
        int left;

        if (!PQsendQuery(conn, sql) || !PQsetSingleRowMode(conn))
                return FAIL(e, -ENOTCONN, "the connection broke while the tables were read");
        while ((left = PQflush(conn)) != 0) {
                int r = left < 0 ? FAIL(e, -ENOTCONN, "the connection broke")
                                 : wait_for(b, POLLOUT | POLLIN, SEND_MS, e);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int next(Backfill *b, PGresult **ret, Err *e) {
        PGconn *conn = pg_conn(b->r->pg);

        while (PQisBusy(conn)) {
                int r = wait_for(b, POLLIN, SILENCE_MS, e);

                if (r < 0)
                        return r;
        }
        *ret = PQgetResult(conn);
        if (*ret && PQresultStatus(*ret) != PGRES_SINGLE_TUPLE &&
            PQresultStatus(*ret) != PGRES_TUPLES_OK) {
                char words[REPLICATION_WORDS];

                replication_words(PQresultErrorMessage(*ret), words);
                PQclear(*ret);
                return FAIL(e, -EBADMSG, "the table could not be read: %s", words);
        }
        return 0;
}

static int read_rows(Backfill *b, const ReplicationTable *t, const PGresult *about, Err *e) {
        AUTO(buf_done)
        Buf sql = BUF(256 * 1024);
        PGresult *row = NULL;
        int r = write_select(t, about, &sql);

        r = r < 0 ? FAIL(e, r, "table %s has too many columns", t->name) : ask(b, sql.p, e);
        while (r == 0 && (r = next(b, &row, e)) == 0 && row) {
                if (PQntuples(row) == 1)
                        r = add_row(b, t, about, row, e);
                PQclear(row);
        }
        return r;
}

static int read_table(Backfill *b, const ReplicationTable *t, Err *e) {
        const char *values[] = {b->r->o->publication, t->schema, t->name};
        PGresult *about;
        int r = pg_ask(b->r->pg, table_sql, values, 3, &about, e);

        if (r == 0 && PQntuples(about) != 1)
                r = FAIL(e, -ENOTRECOVERABLE, "table %s.%s has gone from publication %s", t->schema,
                         t->name, b->r->o->publication);
        if (r == 0)
                r = read_rows(b, t, about, e);
        PQclear(about);
        return r;
}

int replication_backfill(Replication *r, Span epoch, Span time, Err *e) {
        Backfill b = {.r = r, .epoch = epoch, .time = time, .gauges_ms = INT64_MIN / 2};
        int err = replication_open(r, false, &b.beside, e);

        begin_slice(&b);
        if (err == 0)
                watch_works(r->watch);
        for (size_t i = 0; err == 0 && i < r->o->n_tables; i++)
                err = read_table(&b, &r->o->tables[i], e);
        if (err == 0)
                err = hand_in(&b, e);
        if (err == 0)
                err = pg_do(r->pg, "COMMIT", e);
        pg_close(b.beside);
        arena_free(b.arena);
        return err;
}
