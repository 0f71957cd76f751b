/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks a PostgreSQL database. The statement stands as a subquery of ours, which the planner looks
 * through, so an index on the cursor is used. It is sent by the extended protocol, which takes no
 * second statement, and each page is a read-only transaction of its own. */
#include "watch/outbox.h"
#include "watch/pg.h"
#include "watch/query.h"

#include <errno.h>

#define SQL_MAX_BYTES (128 * 1024)

enum { C_ROW, C_CURSOR, C_TIME, C_KEYS }; /* columns of a page */
enum { OF_CURSOR, OF_KEYS };              /* places in `types` */
enum { P_LIMIT = 1, P_CURSOR = 2, P_KEYS = 3 };
typedef enum Class { CLASS_TEXT, CLASS_TIME, CLASS_NUMBER } Class;

typedef struct Desk {
        Watch *watch;
        const QueryOptions *o;
        Pg *pg;
        char *types[OF_KEYS + QUERY_KEYS_MAX]; /* as SQL writes them */
        Class class;
        Buf begun, first, next, top, blind, ahead; /* SQL */
        Buf at[OF_KEYS + QUERY_KEYS_MAX];          /* the last row of the page before, texts */
} Desk;

/* ---- asking ---- */

/* A statement that the database does not take today it does not take tomorrow, unless a person does
 * something. */
static int refused(Desk *d, int r, Err *e) {
        const char *state = pg_state(d->pg);

        if (r != -EBADMSG)
                return r;
        if (strcmp(state, "57014") == 0)
                err_prefix(e, "a look took longer than its timeout");
        if (strcmp(state, "25006") == 0)
                err_prefix(e, "the query has to read, and writes");
        return strncmp(state, "42", 2) == 0 || strcmp(state, "25006") == 0 ||
                               strncmp(state, "0A", 2) == 0
                       ? -ENOTRECOVERABLE
                       : r;
}

/* In a transaction that cannot write, with parameters: so there is one statement. */
static int ask(Desk *d, const char *sql, const char *const *values, size_t n, PGresult **ret,
               Err *e) {
        int r = pg_do(d->pg, "BEGIN TRANSACTION READ ONLY", e);

        *ret = NULL;
        if (r == 0)
                r = refused(d, pg_ask(d->pg, sql, values, n, ret, e), e);
        if (r == 0)
                r = pg_do(d->pg, "COMMIT", e);
        if (r < 0) {
                PQclear(*ret);
                *ret = NULL;
        }
        return r;
}

/* ---- statements ---- */

static void add(Buf *b, const char *text) {
        must(buf_add(b, span_of(text)) == 0);
}

/* A comment at the end of the statement ends before the bracket. */
static void add_from(Desk *d, Buf *b) {
        add(b, " FROM (");
        add(b, d->o->sql);
        add(b, "\n) q");
}

static void add_parameter(Buf *b, int n, const char *type) {
        must(buf_addf(b, "$%d::%s", n, type) == 0);
}

static void add_order(Desk *d, Buf *b) {
        add(b, " ORDER BY ");
        must(query_order(b, d->o, "") == 0);
        must(buf_addf(b, " LIMIT $1::bigint) rows) page WHERE before < %d", QUERY_PAGE_BYTES) == 0);
        must(buf_add_char(b, 0) == 0);
}

/* Windows without an order go by that of the rows below them, which are sorted. */
static void add_page(Desk *d, Buf *b) {
        add(b, "SELECT * FROM (SELECT *, sum(octet_length(r)) OVER (ROWS UNBOUNDED PRECEDING)"
               " - octet_length(r) AS before FROM (SELECT row_to_json(q)::text AS r, ");
        must(query_column(b, d->o->cursor) == 0);
        add(b, "::text AS c, ");
        if (d->class == CLASS_TIME) {
                add(b, "to_char(");
                must(query_column(b, d->o->cursor) == 0);
                add(b, "::timestamp, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
        } else
                add(b, "NULL::text");
        add(b, " AS t");
        for (size_t i = 0; i < d->o->n_key; i++) {
                add(b, ", ");
                must(query_column(b, d->o->key[i]) == 0);
                must(buf_addf(b, "::text AS k%zu", i) == 0);
        }
        add_from(d, b);
        add(b, " WHERE ");
        for (size_t i = 0; i < d->o->n_key; i++) {
                must(query_column(b, d->o->key[i]) == 0);
                add(b, " IS NOT NULL AND ");
        }
        must(query_column(b, d->o->cursor) == 0);
}

/* The clock of the database goes first: a cursor that is ahead of it must not hide what comes. */
static void add_floor(Desk *d, Buf *b) {
        const QueryOptions *o = d->o;
        const char *type = d->types[OF_CURSOR];

        add(b, " >= ");
        if (d->class == CLASS_TIME) {
                add(b, "(least(");
                add_parameter(b, P_CURSOR, type);
                must(buf_addf(b, ", now()::%s) - interval '%" PRId64 " milliseconds')::%s", type,
                              o->overlap_ms, type) == 0);
        } else {
                add_parameter(b, P_CURSOR, type);
                if (d->class == CLASS_NUMBER)
                        must(buf_addf(b, " - %" PRId64, o->overlap_n) == 0);
        }
        add_order(d, b);
}

static void add_behind(Desk *d, Buf *b) {
        add(b, " IS NOT NULL AND (");
        must(query_order(b, d->o, "") == 0);
        add(b, ") > (");
        for (size_t i = 0; i < OF_KEYS + d->o->n_key; i++) {
                add(b, i ? ", " : "");
                add_parameter(b, P_CURSOR + (int)i, d->types[i]);
        }
        add(b, ")");
        add_order(d, b);
}

static void write_statements(Desk *d) {
        add_page(d, &d->begun);
        add(&d->begun, " IS NOT NULL");
        add_order(d, &d->begun);
        add_page(d, &d->first);
        add_floor(d, &d->first);
        add_page(d, &d->next);
        add_behind(d, &d->next);

        add(&d->top, "SELECT ");
        must(query_column(&d->top, d->o->cursor) == 0);
        add(&d->top, "::text");
        add_from(d, &d->top);
        add(&d->top, " WHERE ");
        must(query_column(&d->top, d->o->cursor) == 0);
        add(&d->top, " IS NOT NULL ORDER BY ");
        must(query_column(&d->top, d->o->cursor) == 0);
        add(&d->top, " DESC LIMIT $1::bigint");
        must(buf_add_char(&d->top, 0) == 0);

        add(&d->blind, "SELECT count(*) FROM (SELECT 1");
        add_from(d, &d->blind);
        add(&d->blind, " WHERE ");
        must(query_column(&d->blind, d->o->cursor) == 0);
        add(&d->blind, " IS NULL");
        for (size_t i = 0; i < d->o->n_key; i++) {
                add(&d->blind, " OR ");
                must(query_column(&d->blind, d->o->key[i]) == 0);
                add(&d->blind, " IS NULL");
        }
        add(&d->blind, " LIMIT $1::bigint) x");
        must(buf_add_char(&d->blind, 0) == 0);

        must(buf_addf(&d->ahead,
                      "SELECT CASE WHEN isfinite($1::%s) THEN"
                      " extract(epoch FROM $1::%s::timestamptz - now()) * 1000 ELSE 0 END::bigint",
                      d->types[OF_CURSOR], d->types[OF_CURSOR]) == 0);
        must(buf_add_char(&d->ahead, 0) == 0);
}

/* ---- the beginning ---- */

static Class class_of(Oid type) {
        switch (type) {
        case 1082: /* date */
        case 1114: /* timestamp */
        case 1184: /* timestamptz */
                return CLASS_TIME;
        case 20: /* int8, int2, int4, float4, float8, numeric */
        case 21:
        case 23:
        case 700:
        case 701:
        case 1700:
                return CLASS_NUMBER;
        default:
                return CLASS_TEXT;
        }
}

/* Without a modifier: "character" alone would be one letter. */
static int name_type(Desk *d, Oid type, char **ret, Err *e) {
        char text[16];
        const char *values[] = {text};
        PGresult *got;
        int r;

        (void)snprintf(text, sizeof text, "%u", type);
        r = ask(d, "SELECT format_type($1::oid, -1)", values, 1, &got, e);
        if (r == 0) {
                *ret = strdup(PQgetvalue(got, 0, 0));
                must(*ret);
        }
        PQclear(got);
        return r;
}

static int find_column(Desk *d, const PGresult *shape, const char *name, char **ret, Err *e) {
        int found = -1;

        for (int i = 0; i < PQnfields(shape); i++)
                if (strcmp(PQfname(shape, i), name) == 0)
                        found = i;
        if (found < 0)
                return FAIL(e, -ENOTRECOVERABLE, "the query gives no column %s", name);
        if (ret == &d->types[OF_CURSOR])
                d->class = class_of(PQftype(shape, found));
        return name_type(d, PQftype(shape, found), ret, e);
}

static int look_at_shape(Desk *d, Err *e) {
        AUTO(buf_done)
        Buf sql = BUF(SQL_MAX_BYTES);
        const char *values[] = {"0"};
        PGresult *shape;
        int r;

        add(&sql, "SELECT *");
        add_from(d, &sql);
        add(&sql, " LIMIT $1::bigint");
        must(buf_add_char(&sql, 0) == 0);
        r = ask(d, sql.p, values, 1, &shape, e);
        if (r == 0)
                r = find_column(d, shape, d->o->cursor, &d->types[OF_CURSOR], e);
        for (size_t i = 0; r == 0 && i < d->o->n_key; i++)
                r = find_column(d, shape, d->o->key[i], &d->types[OF_KEYS + i], e);
        PQclear(shape);
        return r;
}

static int check_overlap(const Desk *d, Err *e) {
        const QueryOptions *o = d->o;

        if (!o->has_overlap)
                return 0;
        if (d->class == CLASS_TIME && o->overlap_ms < 0)
                return FAIL(e, -ENOTRECOVERABLE,
                            "overlap: %s is a time (%s), so a duration is needed, such as 5s",
                            o->cursor, d->types[OF_CURSOR]);
        if (d->class == CLASS_NUMBER && o->overlap_n < 0)
                return FAIL(e, -ENOTRECOVERABLE,
                            "overlap: %s is a number (%s), so a number is needed, such as 1000",
                            o->cursor, d->types[OF_CURSOR]);
        if (d->class == CLASS_TEXT && o->overlap_n != 0)
                return FAIL(e, -ENOTRECOVERABLE,
                            "overlap: %s is neither a time nor a number (%s), so there can be "
                            "none; write 0",
                            o->cursor, d->types[OF_CURSOR]);
        return 0;
}

static void close_desk(void *self) {
        Desk *d = self;

        if (!d)
                return;
        pg_close(d->pg);
        for (size_t i = 0; i < COUNT_OF(d->types); i++) {
                free(d->types[i]);
                buf_done(&d->at[i]);
        }
        buf_done(&d->begun);
        buf_done(&d->first);
        buf_done(&d->next);
        buf_done(&d->top);
        buf_done(&d->blind);
        buf_done(&d->ahead);
        free(d);
}

static int open_desk(Watch *w, const QueryOptions *o, void **ret, Err *e) {
        Desk *d = must_alloc(sizeof *d);
        char timeout[64];
        int r;

        *d = (Desk){.watch = w, .o = o};
        d->begun = d->first = d->next = d->top = d->blind = d->ahead = BUF(SQL_MAX_BYTES);
        for (size_t i = 0; i < COUNT_OF(d->at); i++)
                d->at[i] = BUF(1024 * 1024);
        (void)snprintf(timeout, sizeof timeout, "SET statement_timeout=%" PRId64, o->timeout_ms);
        r = pg_open(w, o->database, false, &d->pg, e);
        if (r == 0)
                r = pg_do(d->pg, timeout, e);
        if (r == 0)
                r = look_at_shape(d, e);
        if (r == 0)
                r = check_overlap(d, e);
        if (r == 0)
                write_statements(d);
        else {
                close_desk(d);
                d = NULL;
        }
        *ret = d;
        return r;
}

/* ---- pages ---- */

static int keep_place(Desk *d, const PGresult *rows, int last, Err *e) {
        for (size_t i = 0; i < OF_KEYS + d->o->n_key; i++) {
                int column = i == OF_CURSOR ? C_CURSOR : C_KEYS + (int)i - OF_KEYS;

                buf_clear(&d->at[i]);
                if (buf_add(&d->at[i], pg_cell(rows, last, column)) < 0 ||
                    buf_add_char(&d->at[i], 0) < 0)
                        return FAIL(e, -EMSGSIZE, "a key or cursor is larger than 1 MiB");
        }
        return 0;
}

static int keep_rows(Desk *d, const PGresult *rows, QueryPage *ret, Err *e) {
        int n = PQntuples(rows);
        size_t bytes = 0;

        ret->n = (size_t)n;
        ret->rows = arena_alloc(ret->arena, (size_t)n * sizeof *ret->rows);
        for (int i = 0; ret->rows && i < n; i++) {
                QueryRow *row = &ret->rows[i];
                Span time = pg_cell(rows, i, C_TIME);

                row->row = arena_span(ret->arena, pg_cell(rows, i, C_ROW));
                row->cursor = arena_span(ret->arena, pg_cell(rows, i, C_CURSOR));
                row->time = time.p ? arena_span(ret->arena, time) : time;
                bytes += row->row.n;
                if (!row->row.p || !row->cursor.p)
                        ret->rows = NULL;
        }
        if (!ret->rows)
                return FAIL(e, -EMSGSIZE, "%d rows are too large together: make `rows` smaller", n);
        ret->is_last = n < d->o->rows && bytes < QUERY_PAGE_BYTES;
        return n ? keep_place(d, rows, n - 1, e) : 0;
}

static int page(Desk *d, const Buf *sql, const char **values, size_t n, QueryPage *ret, Err *e) {
        char limit[24];
        PGresult *rows;
        int r;

        (void)snprintf(limit, sizeof limit, "%" PRId64, d->o->rows);
        values[0] = limit;
        r = ask(d, sql->p, values, n, &rows, e);
        if (r == 0)
                r = keep_rows(d, rows, ret, e);
        PQclear(rows);
        return r;
}

static int first_page(void *self, Span mark, QueryPage *ret, Err *e) {
        Desk *d = self;
        const char *values[2] = {NULL, mark.n ? arena_text(ret->arena, mark) : NULL};

        return page(d, mark.n ? &d->first : &d->begun, values, mark.n ? 2 : 1, ret, e);
}

static int next_page(void *self, QueryPage *ret, Err *e) {
        Desk *d = self;
        const char *values[P_KEYS + QUERY_KEYS_MAX];

        for (size_t i = 0; i < OF_KEYS + d->o->n_key; i++)
                values[P_CURSOR - 1 + i] = d->at[i].p;
        return page(d, &d->next, values, P_KEYS - 1 + d->o->n_key, ret, e);
}

static int top(void *self, Buf *ret, Err *e) {
        Desk *d = self;
        const char *values[] = {"1"};
        PGresult *got;
        int r = ask(d, d->top.p, values, 1, &got, e);

        if (r == 0 && PQntuples(got))
                r = buf_add(ret, pg_cell(got, 0, 0));
        PQclear(got);
        return r;
}

static int number(Desk *d, const Buf *sql, const char *value, int64_t *ret, Err *e) {
        PGresult *got;
        int r = ask(d, sql->p, &value, 1, &got, e);

        if (r == 0)
                *ret = pg_number(got, 0, 0);
        PQclear(got);
        return r;
}

static int blind(void *self, int64_t *ret, Err *e) {
        Desk *d = self;
        char limit[16];

        (void)snprintf(limit, sizeof limit, "%d", QUERY_BLIND_MAX);
        return number(d, &d->blind, limit, ret, e);
}

static int ahead(void *self, Span mark, int64_t *ret_ms, Err *e) {
        Desk *d = self;
        AUTO(buf_done)
        Buf text = BUF(1024 * 1024);

        *ret_ms = 0;
        if (d->class != CLASS_TIME || buf_add(&text, mark) < 0 || buf_add_char(&text, 0) < 0)
                return 0;
        return number(d, &d->ahead, text.p, ret_ms, e);
}

static const char *type(void *self) {
        return ((Desk *)self)->types[OF_CURSOR];
}

const QueryDesk query_pg = {.open = open_desk,
                            .close = close_desk,
                            .type = type,
                            .top = top,
                            .first = first_page,
                            .next = next_page,
                            .blind = blind,
                            .ahead = ahead};
