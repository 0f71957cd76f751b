/* SPDX-License-Identifier: Apache-2.0
 *
 * A message of pgoutput, and every part of it walked: all lies within the message, there is as much
 * of each as it says, and values of whatever type become JSON. */
#include "watch/pgoutput.h"
#include "watch/pg_json.h"
#include "json/check.h"

static void inside(Span s, Span in) {
        must(s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n));
}

static void try_value(Span text) {
        static const uint32_t types[] = {16, 20, 25, 1114, 1184, 1700};

        for (size_t i = 0; i < 2 * COUNT_OF(types); i++) {
                AUTO(buf_done)
                Buf b = BUF(1 << 20);
                PgType type = {types[i / 2], i % 2 ? types[i / 2] : 0};
                JsonFault fault;

                must(pg_json_add(&b, type, text) == 0);
                must(json_check(buf_span(&b), SIZE_MAX, &fault) == 0);
        }
}

static void walk_row(const PgoutputRow *row, Span in) {
        PgoutputValue v;
        size_t n = 0;

        inside(row->bytes, in);
        for (size_t pos = 0; row->bytes.p && pgoutput_value(row, &pos, &v); n++) {
                inside(v.text, in);
                if (v.kind == PGOUTPUT_TEXT)
                        try_value(v.text);
        }
        must(n == row->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span in = {(const char *)data, size};
        PgoutputMessage m;
        PgoutputColumn c;
        const char *why = NULL;
        uint32_t table;
        size_t n = 0;

        if (pgoutput_read(in, &m, &why) < 0) {
                must(why);
                return 0;
        }
        inside(m.schema, in);
        inside(m.name, in);
        inside(m.prefix, in);
        inside(m.content, in);
        walk_row(&m.fresh, in);
        walk_row(&m.previous, in);
        for (size_t pos = 0; m.columns.p && pgoutput_column(&m, &pos, &c); n++)
                inside(c.name, in);
        must(n == m.n_columns);
        n = 0;
        for (size_t pos = 0; m.tables.p && pgoutput_table(&m, &pos, &table);)
                n++;
        must(n == m.n_tables);
        return 0;
}
