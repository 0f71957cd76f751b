/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON on its way out, and the frame of lists. */
#include "api/list.h"

#include "unit.h"

static void a_writer_puts_commas_between(void **state) {
        AUTO(put_done)
        Put p = PUT(1024);

        (void)state;
        put_open(&p, NULL, '{');
        put_text(&p, "a", SPAN("x\"y"));
        put_text(&p, "b", (Span){NULL, 0});
        put_open(&p, "c", '[');
        put_int(&p, NULL, -1);
        put_bool(&p, NULL, true);
        put_open(&p, NULL, '{');
        put_close(&p, '}');
        put_null(&p, NULL);
        put_close(&p, ']');
        put_time(&p, "d", 0);
        put_raw_for(&p, SPAN("e\""), SPAN("[1]"));
        put_raw_for_raw(&p, SPAN("f\\\""), SPAN("2"));
        put_raw(&p, "g", (Span){NULL, 0});
        put_close(&p, '}');
        assert_int_equal(p.fault, 0);
        assert_true(span_eq(put_span(&p),
                            SPAN("{\"a\":\"x\\\"y\",\"b\":null,\"c\":[-1,true,{},null],"
                                 "\"d\":\"1970-01-01T00:00:00.000Z\",\"e\\\"\":[1],\"f\\\"\":2,"
                                 "\"g\":null}")));
}

static void a_writer_remembers_that_it_was_full(void **state) {
        AUTO(put_done)
        Put p = PUT(8);

        (void)state;
        put_open(&p, NULL, '[');
        put_text(&p, NULL, SPAN("0123456789"));
        put_int(&p, NULL, 1);
        put_close(&p, ']');
        assert_int_equal(p.fault, -EMSGSIZE);
}

static void lists_tell_where_to_go_on(void **state) {
        AUTO(put_done)
        Put p = PUT(1024), q = PUT(1024), none = PUT(1024);

        (void)state;
        list_open(&p);
        put_int(&p, NULL, 1);
        list_close(&p, SPAN("a"), SPAN("b"), false, false);
        assert_true(span_eq(put_span(&p), SPAN("{\"data\":[1],\"done\":false,\"iterator\":\"b\","
                                               "\"prevIterator\":\"-a\"}")));
        list_open(&q);
        list_close(&q, SPAN("a"), SPAN("b"), true, true);
        assert_true(span_eq(put_span(&q), SPAN("{\"data\":[],\"done\":true,\"iterator\":\"b\","
                                               "\"prevIterator\":null}")));
        list_open(&none);
        list_close(&none, (Span){NULL, 0}, (Span){NULL, 0}, true, false);
        assert_true(span_eq(put_span(&none), SPAN("{\"data\":[],\"done\":true,\"iterator\":null,"
                                                  "\"prevIterator\":null}")));
}

/* A query of lists, as a route has it. */
static const Field fields[] = {LIST_FIELDS, LIST_ORDER_FIELD};
static const Schema query = {SCHEMA_FIELDS(fields)};

static ListAsk ask(const char *text, bool newest_first) {
        Arena *a = arena_new(4096);
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        Op op = {.arena = a};
        ListAsk l;

        schema_read_query(&query, span_of(text), a, &op.query, &all);
        assert_int_equal(all.n, 0);
        l = list_ask(&op, newest_first);
        l.iterator = l.iterator.p ? SPAN("given") : (Span){NULL, 0};
        arena_free(a);
        return l;
}

static void asking_knows_order_and_direction(void **state) {
        ListAsk l = ask("", false);

        (void)state;
        assert_true(l.limit == LIST_LIMIT && !l.iterator.p && !l.is_prev && !list_downward(&l));
        l = ask("order=descending&limit=3", false);
        assert_true(l.limit == 3 && l.newest_first && list_downward(&l));
        l = ask("iterator=-x", true);
        assert_true(l.is_prev && l.iterator.p && l.newest_first && !list_downward(&l));
        l = ask("iterator=x&order=ascending", true);
        assert_true(!l.is_prev && !l.newest_first && !list_downward(&l));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_writer_puts_commas_between),
                cmocka_unit_test(a_writer_remembers_that_it_was_full),
                cmocka_unit_test(lists_tell_where_to_go_on),
                cmocka_unit_test(asking_knows_order_and_direction),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
