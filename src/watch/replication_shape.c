/* SPDX-License-Identifier: Apache-2.0
 *
 * What tables look like. The stream tells it before the first change of each, and again whenever it
 * has changed, so that a row is read as it was written; what the stream is silent about (what a
 * domain or an array is made of, the order of the primary key) the catalogue says. */
#include "watch/replication.h"

#include <errno.h>

#define SHAPES_MAX      10000
#define SHAPE_MAX_BYTES ((size_t)2 * 1024 * 1024)

struct Shapes {
        Table *all;
};

static void free_shape(void *arg, Span key, void *value) {
        Shape *s = value;

        (void)arg;
        (void)key;
        arena_free(s->arena); /* it lies in it */
}

Shapes *shapes_new(void) {
        Shapes *s = must_alloc(sizeof *s);

        s->all = table_new(SHAPES_MAX);
        return s;
}

Shapes *shapes_free(Shapes *s) {
        if (s) {
                table_each(s->all, free_shape, NULL);
                table_free(s->all);
                free(s);
        }
        return NULL;
}

const Shape *shapes_find(const Shapes *s, uint32_t relation) {
        uint64_t key = relation;

        return table_get(s->all, key_u64(&key));
}

/* ---- the catalogue ---- */

/* Domains are followed to what lies below them, and so are the elements of arrays. Boxes alone
 * separate their elements by something else than a comma: they stay text. */
static const char types_sql[] =
        "WITH RECURSIVE a(id, at) AS (SELECT o, o FROM unnest($1::oid[]) o UNION"
        " SELECT a.id, t.typbasetype FROM a JOIN pg_type t ON t.oid=a.at AND t.typtype='d'),"
        " b(id, at, elem) AS (SELECT a.id, t.oid, CASE WHEN t.typcategory='A' AND t.typlen=-1"
        "  THEN t.typelem ELSE 0 END FROM a JOIN pg_type t ON t.oid=a.at WHERE t.typtype<>'d'),"
        " c(id, elem) AS (SELECT id, elem FROM b WHERE elem<>0 UNION"
        " SELECT c.id, t.typbasetype FROM c JOIN pg_type t ON t.oid=c.elem AND t.typtype='d')"
        " SELECT b.id, b.at, coalesce((SELECT c.elem FROM c JOIN pg_type t ON t.oid=c.elem"
        "  WHERE c.id=b.id AND t.typtype<>'d' AND t.typdelim=','), 0) FROM b";

static const char key_sql[] =
        "SELECT a.attname FROM pg_index i"
        " JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(att, n) ON true"
        " JOIN pg_attribute a ON a.attrelid=i.indrelid AND a.attnum=k.att"
        " WHERE i.indrelid=$1::oid AND i.indisprimary ORDER BY k.n";

static void set_type(Shape *s, uint32_t oid, PgType type) {
        for (size_t i = 0; i < s->n_columns; i++)
                if (s->columns[i].type.oid == oid && !s->columns[i].type.element)
                        s->columns[i].type = type;
}

static int ask_types(Shape *s, Pg *pg, Err *e) {
        AUTO(buf_done)
        Buf oids = BUF(64 * 1024);
        const char *values[1];
        PGresult *got;
        int r = buf_add_char(&oids, '{');

        for (size_t i = 0; r == 0 && i < s->n_columns; i++)
                r = buf_addf(&oids, "%s%" PRIu32, i ? "," : "", s->columns[i].type.oid);
        if (r == 0)
                r = buf_add(&oids, span_make("}", 2)); /* with its terminator */
        if (r < 0)
                return FAIL(e, r, "a table has too many columns");
        values[0] = oids.p;
        r = pg_ask(pg, types_sql, values, 1, &got, e);
        for (int i = 0; r == 0 && i < PQntuples(got); i++) {
                uint32_t id = (uint32_t)pg_number(got, i, 0);
                PgType type = {(uint32_t)pg_number(got, i, 1), (uint32_t)pg_number(got, i, 2)};

                /* A base type means itself, and it must not hide a domain over it. */
                if (type.oid != id || type.element)
                        set_type(s, id, type);
        }
        PQclear(got);
        return r;
}

static bool find_column(const Shape *s, Span name, size_t *ret) {
        for (size_t i = 0; i < s->n_columns; i++)
                if (span_eq(s->columns[i].name, name)) {
                        *ret = i;
                        return true;
                }
        return false;
}

static int ask_key(Shape *s, Pg *pg, Err *e) {
        char oid[16];
        const char *values[] = {oid};
        PGresult *got;
        int r;

        (void)snprintf(oid, sizeof oid, "%" PRIu32, s->relation);
        r = pg_ask(pg, key_sql, values, 1, &got, e);
        for (int i = 0; r == 0 && i < PQntuples(got) && s->n_key < s->n_columns; i++)
                if (find_column(s, pg_cell(got, i, 0), &s->key[s->n_key]))
                        s->n_key++;
                else { /* the publication leaves a column of it out */
                        s->n_key = 0;
                        break;
                }
        PQclear(got);
        return r;
}

/* The columns that the stream itself marks; all of them under FULL, which is no key. */
static void take_identity(Shape *s) {
        for (size_t i = 0; i < s->n_columns; i++)
                if (s->columns[i].is_identity)
                        s->key[s->n_key++] = i;
}

/* ---- one ---- */

static Shape *new_shape(const PgoutputMessage *m, const ReplicationOptions *o) {
        Arena *a = arena_new(SHAPE_MAX_BYTES);
        Shape *s = arena_alloc(a, sizeof *s);
        PgoutputColumn c;
        bool fits = s != NULL;

        if (fits) {
                *s = (Shape){.relation = m->relation,
                             .schema = arena_span(a, m->schema),
                             .name = arena_span(a, m->name),
                             .identity = m->identity,
                             .is_ours = replication_has(o, m->schema, m->name),
                             .columns = arena_alloc(a, (m->n_columns + 1) * sizeof *s->columns),
                             .key = arena_alloc(a, (m->n_columns + 1) * sizeof *s->key),
                             .arena = a};
                fits = s->schema.p && s->name.p && s->columns && s->key;
        }
        for (size_t pos = 0; fits && pgoutput_column(m, &pos, &c);) {
                ShapeColumn *into = &s->columns[s->n_columns++];

                *into = (ShapeColumn){arena_span(a, c.name), {c.type, 0}, c.is_identity};
                fits = into->name.p != NULL;
        }
        if (!fits)
                arena_free(a);
        return fits ? s : NULL;
}

int shapes_take(Shapes *all, Replication *r, const PgoutputMessage *m, Err *e) {
        uint64_t key = m->relation;
        Shape *s = new_shape(m, r->o), *before;
        int err = s ? 0 : FAIL(e, -EMSGSIZE, "a table has too many columns");

        if (err == 0 && s->is_ours)
                err = ask_types(s, r->pg, e);
        if (err == 0 && s->is_ours && s->identity != 'i')
                err = ask_key(s, r->pg, e);
        if (err == 0 && s->n_key == 0 && s->identity != 'f')
                take_identity(s);
        before = err == 0 ? table_get(all->all, key_u64(&key)) : NULL;
        if (err == 0 && table_put(all->all, key_u64(&key), s) < 0)
                err = FAIL(e, -ENOSPC, "the publication has more than %d tables", SHAPES_MAX);
        if (err < 0)
                before = s;
        if (before)
                arena_free(before->arena);
        return err;
}
