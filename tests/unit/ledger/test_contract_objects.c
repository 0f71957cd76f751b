/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects: written, changed, removed, told; by each store. */
#include "contract.h"

static Write object_of(ObjectKind kind, int64_t id, int64_t owner, const char *name,
                       const char *text) {
        return (Write){.kind = WRITE_OBJECT,
                       .object = {.object = {.kind = kind,
                                             .id = id,
                                             .owner = owner,
                                             .name = span_of(name),
                                             .text = span_of(text)}}};
}

/* Returns the version. */
static int64_t put(World *w, ObjectKind kind, int64_t id, int64_t owner, const char *name,
                   const char *text) {
        Write write = object_of(kind, id, owner, name, text);

        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_WRITTEN);
        assert_true(write.object.object.version > 0);
        return write.object.object.version;
}

static ObjectResult drop(World *w, ObjectKind kind, int64_t id, int64_t expects,
                         int64_t *ret_version) {
        Write write = object_of(kind, id, 0, "", "");

        write.object.removes = true;
        write.object.expects_version = expects;
        write_one(w->store, &write);
        if (ret_version)
                *ret_version = write.object.object.version;
        return write.object.result;
}

typedef struct Told {
        size_t n;
        char text[512]; /* "kind/id/owner/name/text " for each */
        int64_t versions[32];
} Told;

static void on_object(void *arg, const Object *o) {
        Told *t = arg;
        size_t used = strlen(t->text);

        assert_true(t->n < COUNT_OF(t->versions));
        t->versions[t->n++] = o->version;
        (void)snprintf(t->text + used, sizeof t->text - used,
                       "%d/%" PRId64 "/%" PRId64 "/" SPAN_FMT "/" SPAN_FMT " ", (int)o->kind, o->id,
                       o->owner, SPAN_ARG(o->name), SPAN_ARG(o->text));
}

static Told all(World *w) {
        Told t = {0};
        Err e = {0};

        assert_int_equal(w->ops->each_object(w->reader, on_object, &t, &e), 0);
        return t;
}

static void objects_are_told_by_kind_and_id(void **state) {
        World *w = *state;

        assert_int_equal(all(w).n, 0);
        int64_t app = put(w, OBJECT_APPLICATION, 20, 0, "acme", "{\"a\":1}");
        int64_t late = put(w, OBJECT_ENDPOINT, 40, 20, "", "{}");
        int64_t type = put(w, OBJECT_EVENT_TYPE, 10, 0, "order.paid", "{}");
        int64_t early = put(w, OBJECT_ENDPOINT, 30, 20, "main", "{}");
        Told t = all(w);
        assert_string_equal(t.text, "1/20/0/acme/{\"a\":1} 2/30/20/main/{} 2/40/20//{} "
                                    "3/10/0/order.paid/{} ");
        assert_true(app < late && late < type && type < early);
        assert_int_equal(t.versions[0], app);
        assert_int_equal(t.versions[1], early);
        assert_int_equal(t.versions[2], late);
        assert_int_equal(t.versions[3], type);
}

static void an_object_is_replaced_whole(void **state) {
        World *w = *state;
        int64_t first = put(w, OBJECT_APPLICATION, 20, 0, "acme", "{\"a\":1}");
        int64_t second = put(w, OBJECT_APPLICATION, 20, 0, "", "{}");
        Told t = all(w);

        assert_string_equal(t.text, "1/20/0//{} ");
        assert_true(second > first);
        assert_int_equal(t.versions[0], second);
}

static void a_name_is_one_objects(void **state) {
        World *w = *state;

        put(w, OBJECT_APPLICATION, 20, 0, "acme", "{}");
        put(w, OBJECT_APPLICATION, 21, 0, "", "{}");
        put(w, OBJECT_APPLICATION, 22, 0, "", "{}");
        Write write = object_of(OBJECT_APPLICATION, 23, 0, "acme", "{}");
        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_NAME_TAKEN);
        assert_int_equal(write.object.taken_by, 20);
        write = object_of(OBJECT_APPLICATION, 21, 0, "acme", "{}");
        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_NAME_TAKEN);
        /* Its own name, another kind's, another owner's, and one that is free again. */
        put(w, OBJECT_APPLICATION, 20, 0, "acme", "{\"again\":1}");
        put(w, OBJECT_EVENT_TYPE, 23, 0, "acme", "{}");
        put(w, OBJECT_ENDPOINT, 24, 20, "acme", "{}");
        put(w, OBJECT_ENDPOINT, 25, 21, "acme", "{}");
        put(w, OBJECT_APPLICATION, 20, 0, "other", "{}");
        put(w, OBJECT_APPLICATION, 21, 0, "acme", "{}");
        assert_int_equal(drop(w, OBJECT_APPLICATION, 21, 0, NULL), OBJECT_WRITTEN);
        put(w, OBJECT_APPLICATION, 26, 0, "acme", "{}");
        assert_string_equal(all(w).text,
                            "1/20/0/other/{} 1/22/0//{} 1/26/0/acme/{} 2/24/20/acme/{} "
                            "3/23/0/acme/{} ");
}

static void a_change_meets_what_it_expects(void **state) {
        World *w = *state;
        Write write = object_of(OBJECT_APPLICATION, 20, 0, "", "{}");

        write.object.must_exist = true;
        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_GONE);
        write.object.must_exist = false;
        write.object.expects_version = 1;
        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_GONE);
        assert_int_equal(drop(w, OBJECT_APPLICATION, 20, 0, NULL), OBJECT_GONE);
        assert_int_equal(all(w).n, 0);

        int64_t version = put(w, OBJECT_APPLICATION, 20, 0, "", "{}");
        write = object_of(OBJECT_APPLICATION, 20, 0, "", "{\"b\":2}");
        write.object.must_exist = true;
        write.object.expects_version = version + 1;
        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_CHANGED);
        assert_int_equal(drop(w, OBJECT_APPLICATION, 20, version + 1, NULL), OBJECT_CHANGED);
        assert_string_equal(all(w).text, "1/20/0//{} ");
        write.object.expects_version = version;
        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_WRITTEN);
        /* What had read the old version comes too late. */
        write.object.expects_version = version;
        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_CHANGED);
        assert_int_equal(drop(w, OBJECT_APPLICATION, 20, all(w).versions[0], NULL), OBJECT_WRITTEN);
        assert_int_equal(all(w).n, 0);
}

static void an_application_takes_what_it_owns_with_it(void **state) {
        World *w = *state;

        put(w, OBJECT_APPLICATION, 20, 0, "", "{}");
        put(w, OBJECT_APPLICATION, 21, 0, "", "{}");
        put(w, OBJECT_ENDPOINT, 30, 20, "", "{}");
        put(w, OBJECT_ENDPOINT, 31, 21, "", "{}");
        put(w, OBJECT_KEY, 32, 20, "", "{}");
        put(w, OBJECT_KEY, 33, 0, "", "{}");
        put(w, OBJECT_REPLAY, 34, 20, "", "{}");
        assert_int_equal(drop(w, OBJECT_ENDPOINT, 31, 0, NULL), OBJECT_WRITTEN);
        assert_int_equal(all(w).n, 6);
        assert_int_equal(drop(w, OBJECT_APPLICATION, 20, 0, NULL), OBJECT_WRITTEN);
        assert_string_equal(all(w).text, "1/21/0//{} 4/33/0//{} ");
        /* Nothing is made for an application that has gone. */
        Write write = object_of(OBJECT_ENDPOINT, 35, 20, "", "{}");
        write_one(w->store, &write);
        assert_int_equal(write.object.result, OBJECT_GONE);
        assert_int_equal(all(w).n, 2);
}

static void versions_only_grow(void **state) {
        World *w = *state;
        int64_t last = put(w, OBJECT_APPLICATION, 20, 0, "", "{}"), version;

        assert_int_equal(drop(w, OBJECT_APPLICATION, 20, 0, &version), OBJECT_WRITTEN);
        assert_true(version > last);
        last = version;
        if (w->ops == &store_sqlite) { /* what is in memory ends with the process */
                close_store(w);
                open_store(w);
                assert_int_equal(w->ops->last_id(w->store), 20);
        }
        version = put(w, OBJECT_APPLICATION, 20, 0, "", "{}");
        assert_true(version > last);
}

/* The second of the batch sees the first; the transaction fails with neither. */
static void objects_meet_in_one_batch(void **state) {
        World *w = *state;
        Write first = object_of(OBJECT_APPLICATION, 20, 0, "acme", "{}"),
              second = object_of(OBJECT_APPLICATION, 21, 0, "acme", "{}"),
              owned = object_of(OBJECT_ENDPOINT, 22, 20, "", "{}");
        Write *batch[] = {&first, &second, &owned};
        Err e = {0};

        assert_int_equal(w->ops->write(w->store, batch, 3, &e), 0);
        assert_int_equal(first.object.result, OBJECT_WRITTEN);
        assert_int_equal(second.object.result, OBJECT_NAME_TAKEN);
        assert_int_equal(second.object.taken_by, 20);
        assert_int_equal(owned.object.result, OBJECT_WRITTEN);
        assert_true(owned.object.object.version > first.object.object.version);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BOTH(objects_are_told_by_kind_and_id),
                BOTH(an_object_is_replaced_whole),
                BOTH(a_name_is_one_objects),
                BOTH(a_change_meets_what_it_expects),
                BOTH(an_application_takes_what_it_owns_with_it),
                BOTH(versions_only_grow),
                BOTH(objects_meet_in_one_batch),
        };

        return cmocka_run_group_tests_name("contract_objects", tests, NULL, NULL);
}
