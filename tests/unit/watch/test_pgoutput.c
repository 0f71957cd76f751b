/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of pgoutput as a PostgreSQL 15 sent them (pg_logical_slot_get_binary_changes, protocol
 * version 1), read and written as a line each. */
#include "base/buf.h"
#include "unit.h"
#include "watch/pgoutput.h"

typedef struct Sample {
        const char *hex, *want;
} Sample;

static const Sample samples[] = {
        {"4d000000000001543d9862656174000000000173", "message 1543d98 beat s"},
        {"42000000000154633000030414065c9781000002d5", "begin 1546330 xid=725 at=848908982720385"},
        {"4d010000000001543de8677261706e656c000000000f7b226163746f72223a22616461227d",
         "message 1543de8 grapnel {\"actor\":\"ada\"} transactional"},
        {"59000040017075626c6963006d6f6f6400", "type 16385 public.mood"},
        {"52000040037075626c6963007573657273006400040169640000000017ffffffff006e616d6500000000"
         "19ffffffff006665656c730000004001ffffffff006269670000000019ffffffff",
         "relation 16387 public.users d id:23! name:25 feels:16385 big:25"},
        {"49000040034e000274000000013174000000034164614e", NULL},
        {"490000400a4e00027400000001317400000002c3a9", "insert 16394 new(1,\xc3\xa9)"},
        {"55000040034e000474000000013174000000034265617400000004676c616475",
         "update 16387 new(1,Bea,glad,?)"},
        {"55000040034b00047400000001316e6e6e4e000474000000013274000000034265617400000004676c616475",
         "update 16387 key(1,-,-,-) new(2,Bea,glad,?)"},
        {"44000040034b00047400000001326e6e6e", "delete 16387 key(2,-,-,-)"},
        {"520000400a7075626c69630077686f6c650066000201610000000017ffffffff01620000000019ffffffff",
         "relation 16394 public.whole f a:23! b:25!"},
        {"550000400a4f00027400000001317400000002c3a94e00027400000001327400000002c3a9",
         "update 16394 old(1,\xc3\xa9) new(2,\xc3\xa9)"},
        {"440000400a4f00027400000001327400000002c3a9", "delete 16394 old(2,\xc3\xa9)"},
        {"540000000200000040030000400a", "truncate 16387 16394"},
        {"43000000000001546330000000000154657000030414065c9781",
         "commit 1546330 end=1546570 at=848908982720385"},
        {"4f00000000000000ab66617200", "origin ab far"},
        /* What no server sends. */
        {"", NULL},
        {"5a", NULL},
        {"490000400a4b00017400000001", NULL},
        {"490000400a4e000178", NULL},
        {"490000400a4e00017400000005413131", NULL},
        {"490000400a4effff", NULL},
        {"440000400a4e00016e", NULL},
        {"550000400a4f00016e4b00016e", NULL},
        {"54ffffffff00", NULL},
        {"5200000001610062007a0000", NULL},
        {"520000000161006200000000", NULL},
        {"4d00000000000000000061", NULL},
};

static size_t unhex(const char *hex, char *ret) {
        size_t n = strlen(hex) / 2;

        for (size_t i = 0; i < n; i++) {
                unsigned byte;

                assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
                ret[i] = (char)byte;
        }
        return n;
}

static void say(Buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(Buf *b, const char *format, ...) {
        char text[400];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        assert_int_equal(buf_add(b, span_of(text)), 0);
}

static void say_row(Buf *b, const char *name, const PgoutputRow *row) {
        PgoutputValue v;
        size_t n = 0;

        if (!row->bytes.p)
                return;
        say(b, " %s(", name);
        for (size_t pos = 0; pgoutput_value(row, &pos, &v); n++) {
                say(b, "%s", n ? "," : "");
                if (v.kind == PGOUTPUT_TEXT)
                        say(b, SPAN_FMT, SPAN_ARG(v.text));
                else
                        say(b, v.kind == PGOUTPUT_NULL ? "-" : "?");
        }
        say(b, ")");
        assert_int_equal(n, row->n);
}

static void say_change(Buf *b, const char *op, const PgoutputMessage *m) {
        say(b, "%s %" PRIu32, op, m->relation);
        say_row(b, m->is_key_only ? "key" : "old", &m->previous);
        say_row(b, "new", &m->fresh);
}

static void say_relation(Buf *b, const PgoutputMessage *m) {
        PgoutputColumn c;

        say(b, "relation %" PRIu32 " " SPAN_FMT "." SPAN_FMT " %c", m->relation,
            SPAN_ARG(m->schema), SPAN_ARG(m->name), m->identity);
        for (size_t pos = 0; pgoutput_column(m, &pos, &c);)
                say(b, " " SPAN_FMT ":%" PRIu32 "%s", SPAN_ARG(c.name), c.type,
                    c.is_identity ? "!" : "");
}

static void say_message(Buf *b, const PgoutputMessage *m) {
        uint32_t table;

        switch (m->kind) {
        case PGOUTPUT_BEGIN:
                say(b, "begin %" PRIx64 " xid=%" PRIu32 " at=%" PRId64, m->lsn, m->xid, m->micros);
                break;
        case PGOUTPUT_COMMIT:
                say(b, "commit %" PRIx64 " end=%" PRIx64 " at=%" PRId64, m->lsn, m->end_lsn,
                    m->micros);
                break;
        case PGOUTPUT_ORIGIN:
                say(b, "origin %" PRIx64 " " SPAN_FMT, m->lsn, SPAN_ARG(m->name));
                break;
        case PGOUTPUT_RELATION:
                say_relation(b, m);
                break;
        case PGOUTPUT_TYPE:
                say(b, "type %" PRIu32 " " SPAN_FMT "." SPAN_FMT, m->relation, SPAN_ARG(m->schema),
                    SPAN_ARG(m->name));
                break;
        case PGOUTPUT_INSERT:
                say_change(b, "insert", m);
                break;
        case PGOUTPUT_UPDATE:
                say_change(b, "update", m);
                break;
        case PGOUTPUT_DELETE:
                say_change(b, "delete", m);
                break;
        case PGOUTPUT_TRUNCATE:
                say(b, "truncate");
                for (size_t pos = 0; pgoutput_table(m, &pos, &table);)
                        say(b, " %" PRIu32, table);
                break;
        case PGOUTPUT_MESSAGE:
                say(b, "message %" PRIx64 " " SPAN_FMT " " SPAN_FMT "%s", m->lsn,
                    SPAN_ARG(m->prefix), SPAN_ARG(m->content),
                    m->is_transactional ? " transactional" : "");
                break;
        }
}

static void each_message_is_read(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT_OF(samples); i++) {
                AUTO(buf_done)
                Buf got = BUF(4096);
                char bytes[256];
                size_t n = unhex(samples[i].hex, bytes);
                PgoutputMessage m;
                const char *why = NULL;
                int r = pgoutput_read(span_make(bytes, n), &m, &why);

                if (!samples[i].want) {
                        assert_int_equal(r, -EBADMSG);
                        assert_non_null(why);
                        continue;
                }
                assert_int_equal(r, 0);
                say_message(&got, &m);
                assert_int_equal(buf_add_char(&got, 0), 0);
                assert_string_equal(got.p, samples[i].want);
        }
}

/* In memory of its own, so that a reader that goes too far is seen under the sanitizer. */
static void what_is_cut_off_or_goes_on_is_refused(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT_OF(samples); i++) {
                char bytes[256] = {0};
                size_t n = unhex(samples[i].hex, bytes);

                for (size_t cut = 0; samples[i].want && cut <= n + 1; cut++) {
                        char *copy = must_alloc(cut + 1);
                        PgoutputMessage m;
                        const char *why;

                        copy = realloc(copy, cut ? cut : 1);
                        must(copy);
                        memcpy(copy, bytes, cut);
                        assert_int_equal(pgoutput_read(span_make(copy, cut), &m, &why),
                                         cut == n ? 0 : -EBADMSG);
                        free(copy);
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_message_is_read),
                cmocka_unit_test(what_is_cut_off_or_goes_on_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
