/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks a SQLite file, which is opened to be read and nothing else. Its clock is ours. A noted
 * cursor begins with the letter of its type: i for integers, r for reals, t for texts. */
#include "base/clock.h"
#include "watch/lite.h"
#include "watch/query.h"

#include <errno.h>
#include <math.h>

#define SQL_MAX_BYTES (128 * 1024)

enum { BUSY_MS = 3000, STEPS_BETWEEN_LOOKS = 20000, P_LIMIT = 1, P_CURSOR = 2 };

typedef struct Desk {
        Watch *watch;
        const QueryOptions *o;
        sqlite3 *db;
        int64_t until_ms;                      /* mono: the end of the statement's time */
        sqlite3_value *at[1 + QUERY_KEYS_MAX]; /* the last row of the page before */
        Buf begun, first, next, top, blind;    /* SQL */
} Desk;

/* ---- asking ---- */

static int look_up(void *arg) {
        Desk *d = arg;

        return watch_stops(d->watch) || clock_mono_ms() > d->until_ms;
}

static int fault(Desk *d, Err *e) {
        int code = sqlite3_errcode(d->db) & 0xff;

        if (code == SQLITE_INTERRUPT && watch_stops(d->watch))
                return -ECANCELED;
        if (code == SQLITE_INTERRUPT)
                return FAIL(e, -ETIMEDOUT, "a look took longer than its timeout, %" PRId64 " ms",
                            d->o->timeout_ms);
        if (code == SQLITE_ERROR || code == SQLITE_READONLY)
                return FAIL(e, -ENOTRECOVERABLE, "database %s refuses the query: %s",
                            d->o->database->name, sqlite3_errmsg(d->db));
        return lite_fault(d->db, d->o->database, "read", e);
}

static int begin(Desk *d, const Buf *sql, int64_t limit, sqlite3_stmt **ret, Err *e) {
        d->until_ms = clock_mono_ms() + d->o->timeout_ms;
        if (lite_check_place(d->db, d->o->database, e) < 0)
                return -ENOENT;
        if (sqlite3_prepare_v2(d->db, sql->p, -1, ret, NULL) != SQLITE_OK)
                return fault(d, e);
        if (!sqlite3_stmt_readonly(*ret)) {
                sqlite3_finalize(*ret);
                *ret = NULL;
                return FAIL(e, -ENOTRECOVERABLE, "the query writes");
        }
        must(sqlite3_bind_int64(*ret, P_LIMIT, limit) == SQLITE_OK);
        return 0;
}

/* ---- statements ---- */

static void add(Buf *b, const char *text) {
        must(buf_add(b, span_of(text)) == 0);
}

static void add_column(Buf *b, const char *name, const char *after) {
        must(query_column(b, name) == 0);
        add(b, after);
}

static void add_from(Desk *d, Buf *b) {
        add(b, " FROM (");
        add(b, d->o->sql);
        add(b, "\n) q WHERE ");
}

static void add_page(Desk *d, Buf *b) {
        add(b, "SELECT q.*");
        add_from(d, b);
        for (size_t i = 0; i < d->o->n_key; i++)
                add_column(b, d->o->key[i], " IS NOT NULL AND ");
        add_column(b, d->o->cursor, " IS NOT NULL");
}

static void end_page(Desk *d, Buf *b) {
        add(b, " ORDER BY ");
        must(query_order(b, d->o, "") == 0);
        add(b, " LIMIT ?1");
        must(buf_add_char(b, 0) == 0);
}

static void write_statements(Desk *d) {
        add_page(d, &d->begun);
        end_page(d, &d->begun);

        add_page(d, &d->first);
        add(&d->first, " AND ");
        add_column(&d->first, d->o->cursor, " >= ?2");
        end_page(d, &d->first);

        add_page(d, &d->next);
        add(&d->next, " AND (");
        must(query_order(&d->next, d->o, "") == 0);
        add(&d->next, ") > (?2");
        for (size_t i = 0; i < d->o->n_key; i++)
                must(buf_addf(&d->next, ", ?%d", P_CURSOR + 1 + (int)i) == 0);
        add(&d->next, ")");
        end_page(d, &d->next);

        add(&d->top, "SELECT ");
        add_column(&d->top, d->o->cursor, "");
        add_from(d, &d->top);
        add_column(&d->top, d->o->cursor, " IS NOT NULL ORDER BY ");
        add_column(&d->top, d->o->cursor, " DESC LIMIT ?1");
        must(buf_add_char(&d->top, 0) == 0);

        add(&d->blind, "SELECT count(*) FROM (SELECT 1");
        add_from(d, &d->blind);
        add_column(&d->blind, d->o->cursor, " IS NULL");
        for (size_t i = 0; i < d->o->n_key; i++) {
                add(&d->blind, " OR ");
                add_column(&d->blind, d->o->key[i], " IS NULL");
        }
        add(&d->blind, " LIMIT ?1)");
        must(buf_add_char(&d->blind, 0) == 0);
}

/* ---- the beginning ---- */

static void forget_place(Desk *d) {
        for (size_t i = 0; i < COUNT_OF(d->at); i++) {
                sqlite3_value_free(d->at[i]);
                d->at[i] = NULL;
        }
}

static void close_desk(void *self) {
        Desk *d = self;

        if (!d)
                return;
        forget_place(d);
        lite_close(d->db);
        buf_done(&d->begun);
        buf_done(&d->first);
        buf_done(&d->next);
        buf_done(&d->top);
        buf_done(&d->blind);
        free(d);
}

static int open_file(Desk *d, Err *e) {
        const DatabaseConfig *c = d->o->database;

        if (sqlite3_open_v2(c->file, &d->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK)
                return FAIL(e, -ENOENT, "database %s, %s, could not be opened: %s", c->name,
                            c->file, sqlite3_errmsg(d->db));
        sqlite3_busy_timeout(d->db, BUSY_MS);
        sqlite3_progress_handler(d->db, STEPS_BETWEEN_LOOKS, look_up, d);
        d->until_ms = clock_mono_ms() + d->o->timeout_ms;
        if (sqlite3_exec(d->db, "PRAGMA query_only=1; SELECT count(*) FROM sqlite_schema", NULL,
                         NULL, NULL) != SQLITE_OK)
                return lite_fault(d->db, c, "read", e);
        return 0;
}

static int column_of(sqlite3_stmt *st, const char *name) {
        for (int i = 0; i < sqlite3_column_count(st); i++)
                if (strcmp(sqlite3_column_name(st, i), name) == 0)
                        return i;
        return -1;
}

static int need_column(sqlite3_stmt *st, const char *name, Err *e) {
        int column = column_of(st, name);

        return column >= 0 ? column
                           : FAIL(e, -ENOTRECOVERABLE, "the query gives no column %s", name);
}

/* Asks for nothing: whether it can be asked at all. */
static int try_it(Desk *d, Err *e) {
        sqlite3_stmt *st;
        int r = begin(d, &d->next, 0, &st, e);

        if (r < 0)
                return r;
        r = need_column(st, d->o->cursor, e);
        for (size_t i = 0; r >= 0 && i < d->o->n_key; i++)
                r = need_column(st, d->o->key[i], e);
        sqlite3_finalize(st);
        return r < 0 ? r : 0;
}

static int open_desk(Watch *w, const QueryOptions *o, void **ret, Err *e) {
        Desk *d = must_alloc(sizeof *d);
        int r;

        *d = (Desk){.watch = w, .o = o};
        d->begun = d->first = d->next = d->top = d->blind = BUF(SQL_MAX_BYTES);
        write_statements(d);
        r = open_file(d, e);
        if (r == 0)
                r = try_it(d, e);
        if (r < 0) {
                close_desk(d);
                d = NULL;
        }
        *ret = d;
        return r;
}

/* ---- times ---- */

/* "2026-01-31 12:00:00.5", with T, a zone, or without any time of day. `ignores_zone`: as the
 * digits stand, which is what texts are sorted by. */
static bool text_time(Span text, bool ignores_zone, int64_t *ret_ms) {
        char at[64];
        int n;

        if (text.n < 10 || text.n > 40)
                return false;
        if (text.n == 10)
                n = snprintf(at, sizeof at, SPAN_FMT "T00:00:00Z", SPAN_ARG(text));
        else {
                Span zone = span_from(text, 19);
                size_t digits = 0;

                while (digits < zone.n &&
                       (zone.p[digits] == '.' || (zone.p[digits] >= '0' && zone.p[digits] <= '9')))
                        digits++;
                zone = span_trim(span_from(zone, digits), " ");
                if (zone.n == 0 || ignores_zone)
                        zone = SPAN("Z");
                n = snprintf(at, sizeof at, "%.10sT%.*s" SPAN_FMT, text.p,
                             (int)(text.n < 19 ? text.n - 11 : 8 + digits), text.p + 11,
                             SPAN_ARG(zone));
        }
        return n > 0 && n < (int)sizeof at && clock_parse(span_make(at, (size_t)n), ret_ms);
}

/* As texts of that form are written, and not above any that is of that time or later. */
static Span time_text(int64_t ms, Span like, char ret[CLOCK_TEXT]) {
        clock_print(ms, ret);
        if (like.n > 10)
                ret[10] = like.p[10];
        return span_make(ret, like.n > 10 ? 19 : 10);
}

/* ---- cursors ---- */

static int note_cursor(sqlite3_value *v, Buf *ret, Err *e) {
        int r;

        switch (sqlite3_value_type(v)) {
        case SQLITE_INTEGER:
                r = buf_addf(ret, "i%" PRId64, (int64_t)sqlite3_value_int64(v));
                break;
        case SQLITE_FLOAT:
                r = buf_addf(ret, "r%.17g", sqlite3_value_double(v));
                break;
        case SQLITE_TEXT:
                r = buf_add_char(ret, 't');
                if (r == 0)
                        r = buf_add(ret, span_make(sqlite3_value_text(v),
                                                   (size_t)sqlite3_value_bytes(v)));
                break;
        default:
                return FAIL(e, -ENOTRECOVERABLE,
                            "the cursor has to be a number or a text, and holds bytes");
        }
        return r < 0 ? FAIL(e, r, "a cursor is larger than 1 MiB") : 0;
}

static int wrong_overlap(const Desk *d, const char *is, const char *needs, Err *e) {
        return FAIL(e, -ENOTRECOVERABLE, "overlap: %s holds %s, so %s", d->o->cursor, is, needs);
}

static int bind_text_floor(Desk *d, Span mark, sqlite3_stmt *st, Err *e) {
        char text[CLOCK_TEXT];
        int64_t ms, now = clock_wall_ms();

        if (!text_time(mark, true, &ms)) {
                if (d->o->has_overlap && d->o->overlap_n != 0)
                        return wrong_overlap(d, "texts that are no times", "write 0", e);
        } else if (d->o->overlap_ms < 0)
                return wrong_overlap(d, "times", "a duration is needed, such as 5s", e);
        else
                mark = time_text((ms < now ? ms : now) - d->o->overlap_ms, mark, text);
        must(sqlite3_bind_text(st, P_CURSOR, mark.p, (int)mark.n, SQLITE_TRANSIENT) == SQLITE_OK);
        return 0;
}

static int bind_floor(Desk *d, Span mark, sqlite3_stmt *st, Err *e) {
        Span value = span_from(mark, 1);
        char number[64];

        if (mark.p[0] == 't')
                return bind_text_floor(d, value, st, e);
        if (d->o->overlap_n < 0)
                return wrong_overlap(d, "numbers", "a number is needed, such as 1000", e);
        (void)snprintf(number, sizeof number, SPAN_FMT, SPAN_ARG(value));
        if (mark.p[0] == 'i') {
                int64_t n = strtoll(number, NULL, 10);

                n = n < INT64_MIN + d->o->overlap_n ? INT64_MIN : n - d->o->overlap_n;
                must(sqlite3_bind_int64(st, P_CURSOR, n) == SQLITE_OK);
        } else
                must(sqlite3_bind_double(st, P_CURSOR,
                                         strtod(number, NULL) - (double)d->o->overlap_n) ==
                     SQLITE_OK);
        return 0;
}

/* ---- rows ---- */

static int add_bytes(Buf *b, const unsigned char *p, int n) {
        int r = buf_add(b, SPAN("\"\\\\x"));

        for (int i = 0; r == 0 && i < n; i++)
                r = buf_addf(b, "%02x", p[i]);
        return r < 0 ? r : buf_add_char(b, '"');
}

/* The shortest that reads back as the same, and never as an integer. */
static int add_real(Buf *b, double v) {
        char text[40];
        int digits = 15;

        if (!isfinite(v))
                return buf_add(b, v > 0 ? SPAN("\"Infinity\"") : SPAN("\"-Infinity\""));
        do
                (void)snprintf(text, sizeof text, "%.*g", digits++, v);
        while (digits <= 17 && strtod(text, NULL) != v);
        return buf_addf(b, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static int add_value(Buf *b, sqlite3_stmt *st, int column) {
        switch (sqlite3_column_type(st, column)) {
        case SQLITE_NULL:
                return buf_add(b, SPAN("null"));
        case SQLITE_INTEGER:
                return buf_addf(b, "%" PRId64, (int64_t)sqlite3_column_int64(st, column));
        case SQLITE_FLOAT:
                return add_real(b, sqlite3_column_double(st, column));
        case SQLITE_TEXT:
                return buf_add_json(b, lite_cell(st, column));
        default: {
                const unsigned char *p = sqlite3_column_blob(st, column);

                return add_bytes(b, p, sqlite3_column_bytes(st, column));
        }
        }
}

static Span row_json(sqlite3_stmt *st, Arena *a, Buf *b) {
        int r = buf_add_char(b, '{');

        for (int i = 0; r == 0 && i < sqlite3_column_count(st); i++) {
                if (i)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = buf_add_json(b, span_of(sqlite3_column_name(st, i)));
                if (r == 0)
                        r = buf_add_char(b, ':');
                if (r == 0)
                        r = add_value(b, st, i);
        }
        if (r == 0)
                r = buf_add_char(b, '}');
        return r == 0 ? arena_span(a, buf_span(b)) : (Span){NULL, 0};
}

static int keep_place(Desk *d, sqlite3_stmt *st, Err *e) {
        forget_place(d);
        for (size_t i = 0; i < 1 + d->o->n_key; i++) {
                const char *name = i ? d->o->key[i - 1] : d->o->cursor;
                int column = need_column(st, name, e);

                if (column < 0)
                        return column;
                d->at[i] = sqlite3_value_dup(sqlite3_column_value(st, column));
                must(d->at[i]);
        }
        return 0;
}

static int keep_row(Desk *d, sqlite3_stmt *st, QueryPage *page, Err *e) {
        AUTO(buf_done)
        Buf json = BUF(256 * 1024 * 1024);
        AUTO(buf_done)
        Buf cursor = BUF(1024 * 1024);
        QueryRow *row = &page->rows[page->n];
        char at[CLOCK_TEXT];
        int64_t ms;
        int r = keep_place(d, st, e);

        if (r == 0)
                r = note_cursor(d->at[0], &cursor, e);
        if (r < 0)
                return r;
        row->row = row_json(st, page->arena, &json);
        row->cursor = arena_span(page->arena, buf_span(&cursor));
        if (!row->row.p || !row->cursor.p)
                return FAIL(e, -EMSGSIZE, "a page of rows is too large: make `rows` smaller");
        if (row->cursor.p[0] == 't' && text_time(span_from(row->cursor, 1), false, &ms)) {
                clock_print(ms, at);
                row->time = arena_span(page->arena, span_of(at));
        }
        page->n++;
        return 0;
}

static int read_page(Desk *d, sqlite3_stmt *st, QueryPage *ret, Err *e) {
        size_t bytes = 0;
        int step = SQLITE_ROW, r = 0;

        ret->n = 0;
        ret->rows = arena_alloc(ret->arena, (size_t)d->o->rows * sizeof *ret->rows);
        must(ret->rows);
        while (r == 0 && bytes < QUERY_PAGE_BYTES && (step = sqlite3_step(st)) != SQLITE_DONE) {
                r = step == SQLITE_ROW ? keep_row(d, st, ret, e) : fault(d, e);
                bytes += r == 0 ? ret->rows[ret->n - 1].row.n : 0;
        }
        ret->is_last = step == SQLITE_DONE && ret->n < (size_t)d->o->rows;
        watch_gauge(d->watch, "steps", sqlite3_stmt_status(st, SQLITE_STMTSTATUS_VM_STEP, 0));
        return r;
}

static int first_page(void *self, Span mark, QueryPage *ret, Err *e) {
        Desk *d = self;
        sqlite3_stmt *st = NULL;
        int r = begin(d, mark.n ? &d->first : &d->begun, d->o->rows, &st, e);

        if (r == 0 && mark.n)
                r = bind_floor(d, mark, st, e);
        if (r == 0)
                r = read_page(d, st, ret, e);
        sqlite3_finalize(st);
        return r;
}

static int next_page(void *self, QueryPage *ret, Err *e) {
        Desk *d = self;
        sqlite3_stmt *st = NULL;
        int r = begin(d, &d->next, d->o->rows, &st, e);

        for (size_t i = 0; r == 0 && i < 1 + d->o->n_key; i++)
                must(sqlite3_bind_value(st, P_CURSOR + (int)i, d->at[i]) == SQLITE_OK);
        if (r == 0)
                r = read_page(d, st, ret, e);
        sqlite3_finalize(st);
        return r;
}

static int top(void *self, Buf *ret, Err *e) {
        Desk *d = self;
        sqlite3_stmt *st = NULL;
        int r = begin(d, &d->top, 1, &st, e), step;

        if (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
                sqlite3_value *v = sqlite3_value_dup(sqlite3_column_value(st, 0));

                must(v);
                r = note_cursor(v, ret, e);
                sqlite3_value_free(v);
        } else if (r == 0 && step != SQLITE_DONE)
                r = fault(d, e);
        sqlite3_finalize(st);
        return r;
}

static int blind(void *self, int64_t *ret, Err *e) {
        Desk *d = self;
        sqlite3_stmt *st = NULL;
        int r = begin(d, &d->blind, QUERY_BLIND_MAX, &st, e);

        if (r == 0 && sqlite3_step(st) == SQLITE_ROW)
                *ret = sqlite3_column_int64(st, 0);
        else if (r == 0)
                r = fault(d, e);
        sqlite3_finalize(st);
        return r;
}

static int ahead(void *self, Span mark, int64_t *ret_ms, Err *e) {
        int64_t ms;

        (void)self;
        (void)e;
        *ret_ms = mark.n && mark.p[0] == 't' && text_time(span_from(mark, 1), true, &ms)
                          ? ms - clock_wall_ms()
                          : 0;
        return 0;
}

static const char *type(void *self) {
        (void)self;
        return "sqlite"; /* a noted cursor tells its own */
}

const QueryDesk query_lite = {.open = open_desk,
                              .close = close_desk,
                              .type = type,
                              .top = top,
                              .first = first_page,
                              .next = next_page,
                              .blind = blind,
                              .ahead = ahead};
