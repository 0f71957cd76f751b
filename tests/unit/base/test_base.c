/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/id.h"
#include "base/inbox.h"
#include "base/list.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/table.h"
#include "unit.h"

static void a_buffer_keeps_its_maximum(void **state) {
        AUTO(buf_done)
        Buf b = BUF(8);

        (void)state;
        assert_int_equal(buf_add(&b, SPAN("12345678")), 0);
        assert_int_equal(buf_add(&b, SPAN("9")), -EMSGSIZE);
        assert_int_equal(b.n, 8);
        buf_eat(&b, 6);
        assert_memory_equal(b.p, "78", 2);
}

/* Before, at and behind the end of the room that is there, and of the maximum. */
static void formatted_text_is_whole_or_absent(void **state) {
        char filled[600];

        (void)state;
        memset(filled, 'x', sizeof filled);
        for (int before = 0; before <= 300; before++)
                for (int n = 0; n <= 300; n += before % 7 + 1) {
                        AUTO(buf_done)
                        Buf b = BUF(512);

                        assert_int_equal(buf_add(&b, span_make(filled, (size_t)before)), 0);
                        int r = buf_addf(&b, "%.*s", n, filled);
                        assert_int_equal(r, before + n < 512 ? 0 : -EMSGSIZE);
                        assert_int_equal(b.n, r == 0 ? before + n : before);
                        assert_true(b.n == 0 || memcmp(b.p, filled, b.n) == 0);
                }
}

static void text_becomes_json(void **state) {
        AUTO(buf_done)
        Buf b = BUF(1000);
        Span s = SPAN("a\"\\\n\x01\xc3\xa4\xff\xed\xa0\x80\x7f");

        (void)state;
        assert_int_equal(buf_add_json(&b, s), 0);
        assert_true(span_eq(
                buf_span(&b),
                SPAN("\"a\\\"\\\\\\n\\u0001\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                     "\\u007f\"")));
}

static void text_is_told_from_what_is_none(void **state) {
        static const Span texts[] = {{"", 0}, {"a\0b", 3}, {"\xc3\xa4\xf0\x9f\x8e\xa3", 6}};
        static const Span others[] = {{"a\xff", 2}, {"\xc3", 1}, {"\xed\xa0\x80", 3}};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
                AUTO(buf_done)
                Buf b = BUF(100);

                assert_int_equal(buf_add(&b, texts[i]), 0);
                assert_true(buf_is_utf8(&b));
                assert_int_equal(buf_add(&b, others[i]), 0);
                assert_false(buf_is_utf8(&b));
        }
}

static void an_error_keeps_its_first_sentence(void **state) {
        Err e = {0};

        (void)state;
        assert_int_equal(FAIL(&e, -EINVAL, "port %d is taken", 80), -EINVAL);
        assert_int_equal(FAIL(&e, -EIO, "later"), -EIO);
        err_prefix(&e, "grapnel.yaml:%d", 3);
        assert_string_equal(e.text, "grapnel.yaml:3: port 80 is taken");
}

static void note_down(void *p) {
        ++*(int *)p;
}

static void a_small_arena_grows_like_any(void **state) {
        static const size_t firsts[] = {0, 1, 16, 100, 5000};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(firsts); i++) {
                Arena *a = arena_new_for(firsts[i], 100000);
                char *texts[200];

                for (size_t k = 0; k < COUNT_OF(texts); k++) {
                        texts[k] = arena_alloc(a, 1 + k * 4);
                        assert_non_null(texts[k]);
                        memset(texts[k], (int)k, 1 + k * 4);
                }
                for (size_t k = 0; k < COUNT_OF(texts); k++)
                        for (size_t at = 0; at <= k * 4; at++)
                                assert_int_equal((unsigned char)texts[k][at], k);
                assert_null(arena_alloc(a, 100000));
                arena_free(a);
        }
}

static void an_arena_ends_everything_at_once(void **state) {
        Arena *a = arena_new(10000);
        int ended = 0;

        (void)state;
        assert_int_equal(arena_defer(a, note_down, &ended), 0);
        for (int i = 0; i < 80; i++)
                assert_non_null(arena_alloc(a, 100));
        assert_null(arena_alloc(a, 5000));
        assert_string_equal(arena_text(a, SPAN("kept")), "kept");
        assert_null(arena_free(a));
        assert_int_equal(ended, 1);
}

static void a_table_finds_what_it_was_given(void **state) {
        Table *t = table_new(5000);
        int values[5000];

        (void)state;
        for (uint64_t i = 0; i < 5000; i++)
                assert_int_equal(table_put(t, key_u64(&i), &values[i]), 0);
        uint64_t more = 5000;
        assert_int_equal(table_put(t, key_u64(&more), values), -ENOSPC);
        for (uint64_t i = 0; i < 5000; i += 2)
                assert_ptr_equal(table_remove(t, key_u64(&i)), &values[i]);
        for (uint64_t i = 0; i < 5000; i++)
                assert_ptr_equal(table_get(t, key_u64(&i)), i % 2 ? &values[i] : NULL);
        assert_int_equal(table_count(t), 2500);
        table_free(t);
}

static void hashing_depends_on_key_and_every_byte(void **state) {
        (void)state;
        uint64_t h = hash_keyed(SPAN("subject"), 1, 2);
        assert_true(h == hash_keyed(SPAN("subject"), 1, 2));
        assert_true(h != hash_keyed(SPAN("subject"), 1, 3));
        assert_true(h != hash_keyed(SPAN("subjecu"), 1, 2));
        assert_true(hash_keyed(SPAN("12345678"), 1, 2) != hash_keyed(SPAN("12345678\0"), 1, 2));
}

static void a_heap_gives_the_earliest_and_keeps_turns(void **state) {
        Heap h = {0};
        HeapNode n[100] = {0};
        Rng rng = {7};

        (void)state;
        for (size_t i = 0; i < 100; i++)
                heap_push(&h, &n[i], (int64_t)rng_below(&rng, 10));
        heap_remove(&h, &n[50]);
        heap_remove(&h, &n[50]);
        HeapNode *last = NULL, *node;
        size_t seen = 0;
        while ((node = heap_pop_due(&h, 100))) {
                if (last)
                        assert_true(last->due < node->due ||
                                    (last->due == node->due && last->turn < node->turn));
                last = node;
                seen++;
        }
        assert_int_equal(seen, 99);
        heap_done(&h);
}

static void ids_grow_and_read_back(void **state) {
        IdMaker m, after;
        char text[ID_TEXT];
        int64_t last = 0, back;

        (void)state;
        id_maker_init(&m, 255, 0);
        for (int i = 0; i < 20000; i++) {
                int64_t id = id_make(&m, i < 10000 ? 1700000000000 : 1600000000000);
                assert_true(id > last);
                last = id;
        }
        assert_in_range(id_wall_ms(last), 1700000000000, 1700000000010);
        id_print("evt", last, text);
        assert_true(id_parse("evt", span_of(text), &back));
        assert_true(back == last);
        assert_false(id_parse("job", span_of(text), &back));
        text[5] = 'u';
        assert_false(id_parse("evt", span_of(text), &back));
        id_maker_init(&after, 0, last);
        assert_true(id_make(&after, 0) > last);
}

static void prefixes_have_one_to_five_letters(void **state) {
        static const char *const prefixes[] = {"e", "ep", "msg", "rply", "atmpt"};
        char text[ID_TEXT];
        int64_t back;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
                id_print(prefixes[i], INT64_MAX, text);
                assert_int_equal(strlen(text), strlen(prefixes[i]) + 1 + ID_LETTERS);
                assert_true(id_parse(prefixes[i], span_of(text), &back));
                assert_true(back == INT64_MAX);
                for (size_t k = 0; k < COUNT_OF(prefixes); k++)
                        assert_int_equal(id_parse(prefixes[k], span_of(text), &back), k == i);
                assert_false(id_parse(prefixes[i], span_from(span_of(text), 1), &back));
        }
        assert_false(id_parse("ep", SPAN(""), &back));
        assert_false(id_parse("ep", SPAN("ep_zzzzzzzzzzzzz"), &back)); /* beyond 63 bits */
}

static void times_are_read_strictly(void **state) {
        static const struct {
                const char *text;
                int64_t ms;
        } good[] = {{"2019-01-01T00:00:00Z", 1546300800000},
                    {"2019-01-01T02:00:00.25+02:00", 1546300800250},
                    {"2016-02-29t23:59:60z", 1456790400000},
                    {"1970-01-01 00:00:00.999999Z", 999}};
        static const char *const bad[] = {"2019-01-01",
                                          "2019-13-01T00:00:00Z",
                                          "2019-02-29T00:00:00Z",
                                          "2019-01-01T00:00:00",
                                          "2019-01-01T00:00:00Zx",
                                          "2019-01-01T00:00:00.Z",
                                          "+019-01-01T00:00:00Z",
                                          ""};
        int64_t ms;
        char text[CLOCK_TEXT];

        (void)state;
        for (size_t i = 0; i < COUNT_OF(good); i++) {
                assert_true(clock_parse(span_of(good[i].text), &ms));
                assert_true(ms == good[i].ms);
        }
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_false(clock_parse(span_of(bad[i]), &ms));
        clock_print(1546300800250, text);
        assert_string_equal(text, "2019-01-01T00:00:00.250Z");
        assert_true(clock_parse_http(SPAN("Sun, 06 Nov 1994 08:49:37 GMT"), &ms) &&
                    ms == 784111777000);
        assert_true(clock_parse_http(SPAN("Sunday, 06-Nov-94 08:49:37 GMT"), &ms) &&
                    ms == 784111777000);
        assert_true(clock_parse_http(SPAN("Sun Nov  6 08:49:37 1994"), &ms) && ms == 784111777000);
        assert_false(clock_parse_http(SPAN("Sun, 06 Nov 1994"), &ms));
}

static void numbers_are_plain_digits(void **state) {
        static const char *const bad[] = {"",
                                          "+1",
                                          "-1",
                                          " 1",
                                          "1 ",
                                          "0x1",
                                          "1_0",
                                          "18446744073709551616",
                                          "123456789012345678901"};
        uint64_t v;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_false(span_to_u64(span_of(bad[i]), UINT64_MAX, &v));
        assert_true(span_to_u64(SPAN("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
        assert_false(span_to_u64(SPAN("11"), 10, &v));
}

static void secrets_compare_whole(void **state) {
        (void)state;
        assert_true(span_eq_secret(SPAN("abc"), SPAN("abc")));
        assert_false(span_eq_secret(SPAN("abc"), SPAN("abd")));
        assert_false(span_eq_secret(SPAN("abc"), SPAN("ab")));
        assert_false(span_eq_secret(SPAN("abcabc"), SPAN("abc")));
        assert_false(span_eq_secret(SPAN("abc"), SPAN("")));
        Secret s = secret_copy(SPAN("hush"));
        assert_true(span_eq(secret_reveal(&s), SPAN("hush")));
        secret_done(&s);
        assert_null(s.hidden);
}

typedef struct Told {
        Note note;
        int *count;
} Told;

static void hear(Note *n) {
        ++*CONTAINER_OF(n, Told, note)->count;
}

static void *tell(void *arg) {
        Inbox *box = arg;
        static Told told[1000];
        static int count;

        for (size_t i = 0; i < COUNT_OF(told); i++) {
                told[i] = (Told){.note = {.read = hear}, .count = &count};
                inbox_send(box, &told[i].note);
        }
        return &count;
}

static void notes_arrive_in_order_from_another_thread(void **state) {
        Inbox box;
        pthread_t thread;
        size_t seen = 0;
        void *count;

        (void)state;
        inbox_init(&box, NULL, NULL);
        assert_int_equal(pthread_create(&thread, NULL, tell, &box), 0);
        Told *last = NULL;
        while (seen < 1000)
                for (Note *n = inbox_wait(&box, 10000), *next; n; n = next, seen++) {
                        Told *t = CONTAINER_OF(n, Told, note);
                        assert_true(!last || t == last + 1);
                        last = t;
                        next = n->next;
                        n->read(n);
                }
        pthread_join(thread, &count);
        assert_int_equal(*(int *)count, 1000);
        assert_null(inbox_wait(&box, 0));
        inbox_done(&box);
}

static void count_ring(void *arg) {
        ++*(int *)arg;
}

static void what_may_wait_rings_softly(void **state) {
        Note notes[5] = {0};
        int rings = 0;
        Inbox box;

        (void)state;
        inbox_init(&box, count_ring, &rings);
        inbox_send_later(&box, &notes[0]);
        inbox_send_later(&box, &notes[1]);
        assert_int_equal(rings, 1);
        inbox_send(&box, &notes[2]);
        assert_int_equal(rings, 2);
        inbox_send(&box, &notes[3]);
        inbox_send_later(&box, &notes[4]);
        assert_int_equal(rings, 2);
        Note *n = inbox_gather(&box, -1, 60000000);
        for (size_t i = 0; i < COUNT_OF(notes); i++, n = n->next)
                assert_ptr_equal(n, &notes[i]);
        assert_null(n);
        /* Nothing presses any more, and nobody will: it is given all the same. */
        inbox_send_later(&box, &notes[0]);
        assert_int_equal(rings, 3);
        assert_ptr_equal(inbox_gather(&box, -1, 1000), &notes[0]);
        inbox_send_later(&box, &notes[0]);
        assert_ptr_equal(inbox_wait(&box, -1), &notes[0]);
        inbox_done(&box);
}

static void *send_what_may_wait(void *arg) {
        static Note notes[100];
        Inbox *box = arg;

        for (size_t i = 0; i + 1 < COUNT_OF(notes); i++)
                inbox_send_later(box, &notes[i]);
        inbox_send(box, &notes[COUNT_OF(notes) - 1]);
        return NULL;
}

static void what_may_wait_is_gathered(void **state) {
        pthread_t thread;
        size_t n = 0;
        Inbox box;

        (void)state;
        inbox_init(&box, NULL, NULL);
        assert_int_equal(pthread_create(&thread, NULL, send_what_may_wait, &box), 0);
        for (Note *note = inbox_gather(&box, -1, 60000000); note; note = note->next)
                n++;
        assert_int_equal(n, 100);
        assert_int_equal(pthread_join(thread, NULL), 0);
        inbox_done(&box);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_buffer_keeps_its_maximum),
                cmocka_unit_test(formatted_text_is_whole_or_absent),
                cmocka_unit_test(text_becomes_json),
                cmocka_unit_test(text_is_told_from_what_is_none),
                cmocka_unit_test(an_error_keeps_its_first_sentence),
                cmocka_unit_test(an_arena_ends_everything_at_once),
                cmocka_unit_test(a_small_arena_grows_like_any),
                cmocka_unit_test(a_table_finds_what_it_was_given),
                cmocka_unit_test(hashing_depends_on_key_and_every_byte),
                cmocka_unit_test(a_heap_gives_the_earliest_and_keeps_turns),
                cmocka_unit_test(ids_grow_and_read_back),
                cmocka_unit_test(prefixes_have_one_to_five_letters),
                cmocka_unit_test(times_are_read_strictly),
                cmocka_unit_test(numbers_are_plain_digits),
                cmocka_unit_test(secrets_compare_whole),
                cmocka_unit_test(notes_arrive_in_order_from_another_thread),
                cmocka_unit_test(what_may_wait_rings_softly),
                cmocka_unit_test(what_may_wait_is_gathered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
