/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/pgoutput.h"

/* What is left of a message; once it is short, it stays so and everything reads as zero. */
typedef struct Cursor {
        const unsigned char *p, *end;
        bool is_short;
} Cursor;

static Cursor cursor_of(Span s) {
        const unsigned char *p = (const unsigned char *)s.p;

        return (Cursor){p, p + s.n, false};
}

static uint64_t number(Cursor *c, size_t n) {
        uint64_t x = 0;

        if ((size_t)(c->end - c->p) < n) {
                c->is_short = true;
                c->p = c->end;
                return 0;
        }
        for (size_t i = 0; i < n; i++)
                x = x << 8 | *c->p++;
        return x;
}

static Span bytes(Cursor *c, size_t n) {
        Span s = {(const char *)c->p, n};

        if ((size_t)(c->end - c->p) < n) {
                c->is_short = true;
                c->p = c->end;
                return (Span){s.p, 0};
        }
        c->p += n;
        return s;
}

/* Text that ends with a zero byte. */
static Span text(Cursor *c) {
        const unsigned char *zero = c->p < c->end ? memchr(c->p, 0, (size_t)(c->end - c->p)) : NULL;
        Span s;

        if (!zero) {
                c->is_short = true;
                c->p = c->end;
                return SPAN("");
        }
        s = bytes(c, (size_t)(zero - c->p));
        c->p++;
        return s;
}

static Span from(const unsigned char *begin, const Cursor *c) {
        return span_make(begin, (size_t)(c->p - begin));
}

/* ---- the parts ---- */

static bool column(Cursor *c, PgoutputColumn *ret) {
        ret->is_identity = number(c, 1) & 1;
        ret->name = text(c);
        ret->type = (uint32_t)number(c, 4);
        (void)number(c, 4); /* the type's modifier */
        return !c->is_short;
}

static bool value(Cursor *c, PgoutputValue *ret) {
        char kind = (char)number(c, 1);

        *ret = (PgoutputValue){PGOUTPUT_NULL, SPAN("")};
        if (kind == 't') {
                ret->kind = PGOUTPUT_TEXT;
                ret->text = bytes(c, (size_t)number(c, 4));
        } else if (kind == 'u')
                ret->kind = PGOUTPUT_UNCHANGED;
        else if (kind != 'n')
                return false;
        return !c->is_short;
}

static bool row(Cursor *c, PgoutputRow *ret) {
        const unsigned char *begin;
        PgoutputValue ignored;

        ret->n = (size_t)number(c, 2);
        begin = c->p;
        if (ret->n > PGOUTPUT_COLUMNS_MAX)
                return false;
        for (size_t i = 0; i < ret->n; i++)
                if (!value(c, &ignored))
                        return false;
        ret->bytes = from(begin, c);
        return !c->is_short;
}

/* ---- one for each kind; false: that cannot be ---- */

static bool read_begin(Cursor *c, PgoutputMessage *m) {
        m->lsn = number(c, 8);
        m->micros = (int64_t)number(c, 8);
        m->xid = (uint32_t)number(c, 4);
        return true;
}

static bool read_commit(Cursor *c, PgoutputMessage *m) {
        (void)number(c, 1); /* flags, unused */
        m->lsn = number(c, 8);
        m->end_lsn = number(c, 8);
        m->micros = (int64_t)number(c, 8);
        return true;
}

static bool read_origin(Cursor *c, PgoutputMessage *m) {
        m->lsn = number(c, 8);
        m->name = text(c);
        return true;
}

static bool read_relation(Cursor *c, PgoutputMessage *m) {
        const unsigned char *begin;
        PgoutputColumn ignored;

        m->relation = (uint32_t)number(c, 4);
        m->schema = text(c);
        m->name = text(c);
        m->identity = (char)number(c, 1);
        m->n_columns = (size_t)number(c, 2);
        begin = c->p;
        if (m->n_columns > PGOUTPUT_COLUMNS_MAX || !m->identity || !strchr("dnfi", m->identity))
                return false;
        for (size_t i = 0; i < m->n_columns; i++)
                if (!column(c, &ignored))
                        return false;
        m->columns = from(begin, c);
        return true;
}

static bool read_type(Cursor *c, PgoutputMessage *m) {
        m->relation = (uint32_t)number(c, 4);
        m->schema = text(c);
        m->name = text(c);
        return true;
}

static bool read_insert(Cursor *c, PgoutputMessage *m) {
        m->relation = (uint32_t)number(c, 4);
        return number(c, 1) == 'N' && row(c, &m->fresh);
}

/* 'K' and 'O' lead what was before. */
static bool read_previous(Cursor *c, char mark, PgoutputMessage *m) {
        m->is_key_only = mark == 'K';
        return (mark == 'K' || mark == 'O') && row(c, &m->previous);
}

static bool read_update(Cursor *c, PgoutputMessage *m) {
        char mark;

        m->relation = (uint32_t)number(c, 4);
        mark = (char)number(c, 1);
        if (mark != 'N') {
                if (!read_previous(c, mark, m))
                        return false;
                mark = (char)number(c, 1);
        }
        return mark == 'N' && row(c, &m->fresh);
}

static bool read_delete(Cursor *c, PgoutputMessage *m) {
        m->relation = (uint32_t)number(c, 4);
        return read_previous(c, (char)number(c, 1), m);
}

static bool read_truncate(Cursor *c, PgoutputMessage *m) {
        m->n_tables = (size_t)number(c, 4);
        (void)number(c, 1); /* CASCADE, RESTART IDENTITY */
        if (m->n_tables > PGOUTPUT_TABLES_MAX)
                return false;
        m->tables = bytes(c, m->n_tables * 4);
        return true;
}

static bool read_message(Cursor *c, PgoutputMessage *m) {
        m->is_transactional = number(c, 1) & 1;
        m->lsn = number(c, 8);
        m->prefix = text(c);
        m->content = bytes(c, (size_t)number(c, 4));
        return true;
}

static const struct {
        char mark;
        PgoutputKind kind;
        bool (*read)(Cursor *c, PgoutputMessage *m);
} kinds[] = {
        {'B', PGOUTPUT_BEGIN, read_begin},       {'C', PGOUTPUT_COMMIT, read_commit},
        {'O', PGOUTPUT_ORIGIN, read_origin},     {'R', PGOUTPUT_RELATION, read_relation},
        {'Y', PGOUTPUT_TYPE, read_type},         {'I', PGOUTPUT_INSERT, read_insert},
        {'U', PGOUTPUT_UPDATE, read_update},     {'D', PGOUTPUT_DELETE, read_delete},
        {'T', PGOUTPUT_TRUNCATE, read_truncate}, {'M', PGOUTPUT_MESSAGE, read_message},
};

int pgoutput_read(Span in, PgoutputMessage *ret, const char **why) {
        Cursor c = cursor_of(in);
        char mark = (char)number(&c, 1);

        *ret = (PgoutputMessage){0};
        for (size_t i = 0; i < COUNT_OF(kinds); i++) {
                bool is_fine;

                if (kinds[i].mark != mark)
                        continue;
                ret->kind = kinds[i].kind;
                is_fine = kinds[i].read(&c, ret);
                if (c.is_short)
                        *why = "a message ends too early";
                else if (!is_fine)
                        *why = "a message holds what cannot be";
                else if (c.p != c.end)
                        *why = "there is something behind a message";
                else
                        return 0;
                return -EBADMSG;
        }
        *why = "a message of an unknown kind";
        return -EBADMSG;
}

/* ---- walking ---- */

bool pgoutput_column(const PgoutputMessage *relation, size_t *pos, PgoutputColumn *ret) {
        Cursor c = cursor_of(span_from(relation->columns, *pos));

        if (c.p == c.end || !column(&c, ret))
                return false;
        *pos = (size_t)(c.p - (const unsigned char *)relation->columns.p);
        return true;
}

bool pgoutput_table(const PgoutputMessage *truncate, size_t *pos, uint32_t *ret) {
        Cursor c = cursor_of(span_from(truncate->tables, *pos));

        *ret = (uint32_t)number(&c, 4);
        *pos += 4;
        return !c.is_short;
}

bool pgoutput_value(const PgoutputRow *r, size_t *pos, PgoutputValue *ret) {
        Cursor c = cursor_of(span_from(r->bytes, *pos));

        if (c.p == c.end || !value(&c, ret))
                return false;
        *pos = (size_t)(c.p - (const unsigned char *)r->bytes.p);
        return true;
}
