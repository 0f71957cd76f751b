/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry: whatever comes in whatever order, what it holds is what the ledger holds. */
#include "flow/registry.h"

#include "base/random.h"
#include "flow_unit.h"

#include <malloc.h>
#include <pthread.h>

static void put(Registry *r, Object o) {
        Err e = {0};

        if (registry_put(r, &o, &e) < 0)
                fail_msg("%s", e.text);
}

static void take(Registry *r, ObjectKind kind, int64_t id, int64_t version) {
        registry_remove(r, &(Object){.kind = kind, .id = id, .version = version});
}

static int64_t version_of(Registry *r, ObjectKind kind, int64_t id) {
        Entry *e = registry_by_id(r, kind, id);
        int64_t version = e ? e->object.version : 0;

        entry_unref(e);
        return version;
}

static int64_t named(Registry *r, ObjectKind kind, int64_t owner, const char *name) {
        Entry *e = registry_by_name(r, kind, owner, span_of(name));
        int64_t id = e ? e->object.id : 0;

        entry_unref(e);
        return id;
}

static Object app_named(int64_t id, int64_t version, const char *name) {
        Object o = application_of(id, version);

        o.name = span_of(name);
        return o;
}

/* The endpoints' ids of an application, as one text; "none" without an application. */
static void endpoints_are(Registry *r, int64_t application, const char *want) {
        EndpointSet *set = registry_endpoints(r, application);
        char text[512] = "";

        for (size_t i = 0; set && i < set->n; i++)
                (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%" PRId64,
                               i ? " " : "", set->endpoints[i]->id);
        assert_string_equal(set ? text : "none", want);
        endpoint_set_unref(set);
}

static bool has_target(Registry *r, int64_t id) {
        TargetText target = target_of(id);
        Endpoint *p = registry_endpoint(r, span_of(target.text));
        bool has = p;

        if (p)
                assert_int_equal(p->id, id);
        endpoint_unref(p);
        return has;
}

static void what_was_put_is_found(void **state) {
        Registry *r = registry_new();
        Object app = app_named(10, 1, "acme"), ep = endpoint_at(20, 10, 2);
        char id[ID_TEXT];

        (void)state;
        assert_null(registry_by_id(r, OBJECT_APPLICATION, 10));
        assert_null(registry_endpoints(r, 10));
        put(r, app);
        endpoints_are(r, 10, "");
        ep.name = SPAN("crm");
        put(r, ep);
        Entry *e = registry_by_id(r, OBJECT_ENDPOINT, 20);
        assert_true(span_eq(e->object.text, ep.text));
        assert_true(span_eq(e->object.name, SPAN("crm")));
        assert_int_equal(e->object.owner, 10);
        assert_int_equal(e->endpoint->id, 20);
        entry_unref(e);
        endpoints_are(r, 10, "20");
        assert_true(has_target(r, 20));
        assert_false(has_target(r, 21));
        assert_null(registry_endpoint(r, SPAN("flow:a")));
        assert_null(registry_endpoint(r, SPAN("")));
        /* Each kind has its own ids and names. */
        assert_null(registry_by_id(r, OBJECT_ENDPOINT, 10));
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "acme"), 10);
        assert_int_equal(named(r, OBJECT_ENDPOINT, 10, "crm"), 20);
        assert_int_equal(named(r, OBJECT_ENDPOINT, 11, "crm"), 0);
        assert_int_equal(named(r, OBJECT_ENDPOINT, 0, "crm"), 0);
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, ""), 0);
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "acm"), 0);
        /* As the API's paths say it: by id or by name, of the right owner only. */
        id_print("ep", 20, id);
        e = registry_find(r, OBJECT_ENDPOINT, 10, "ep", span_of(id));
        assert_int_equal(e->object.id, 20);
        entry_unref(e);
        assert_null(registry_find(r, OBJECT_ENDPOINT, 11, "ep", span_of(id)));
        assert_null(registry_find(r, OBJECT_ENDPOINT, 10, "app", span_of(id)));
        e = registry_find(r, OBJECT_ENDPOINT, 10, "ep", SPAN("crm"));
        assert_int_equal(e->object.id, 20);
        entry_unref(e);
        assert_null(registry_find(r, OBJECT_ENDPOINT, 10, "ep", SPAN("")));
        registry_free(r);
}

static void the_newest_version_stays_whatever_comes_last(void **state) {
        Registry *r = registry_new();
        uint64_t changes;

        (void)state;
        put(r, application_of(10, 1));
        put(r, endpoint_at(20, 10, 5));
        changes = registry_changes(r);
        put(r, endpoint_of(20, 10, 4, SPAN("{\"url\":\"http://old/\"," SECRETS "}")));
        put(r, endpoint_of(20, 10, 5, SPAN("{\"url\":\"http://same/\"," SECRETS "}")));
        assert_int_equal(registry_changes(r), changes);
        Endpoint *p = registry_endpoint(r, span_of(target_of(20).text));
        assert_string_equal(p->url, "https://example.com/hook");
        put(r, endpoint_of(20, 10, 6, SPAN("{\"url\":\"http://new/\"," SECRETS "}")));
        assert_true(registry_changes(r) > changes);
        /* Who holds the one before keeps it as it was. */
        assert_string_equal(p->url, "https://example.com/hook");
        endpoint_unref(p);
        p = registry_endpoint(r, span_of(target_of(20).text));
        assert_string_equal(p->url, "http://new/");
        assert_int_equal(p->version, 6);
        endpoint_unref(p);
        assert_int_equal(registry_count(r, OBJECT_ENDPOINT, 10), 1);
        registry_free(r);
}

static void a_removed_object_does_not_come_back(void **state) {
        Registry *r = registry_new();

        (void)state;
        put(r, application_of(10, 1));
        put(r, endpoint_at(20, 10, 2));
        take(r, OBJECT_ENDPOINT, 20, 4);
        assert_false(has_target(r, 20));
        endpoints_are(r, 10, "");
        /* A write of before the removal comes late. */
        put(r, endpoint_at(20, 10, 3));
        assert_false(has_target(r, 20));
        assert_int_equal(version_of(r, OBJECT_ENDPOINT, 20), 0);
        endpoints_are(r, 10, "");
        assert_int_equal(registry_count(r, OBJECT_ENDPOINT, 10), 0);
        registry_free(r);
}

static void an_application_takes_its_own_along(void **state) {
        Registry *r = registry_new();
        Object key = {.kind = OBJECT_KEY, .id = 30, .owner = 10, .text = SPAN("{}"), .version = 3};
        Object replay = {
                .kind = OBJECT_REPLAY, .id = 31, .owner = 10, .text = SPAN("{}"), .version = 3};
        Object named_one = endpoint_at(21, 10, 3);
        EndpointSet *held;

        (void)state;
        put(r, app_named(10, 1, "acme"));
        put(r, application_of(11, 1));
        put(r, endpoint_at(20, 10, 2));
        named_one.name = SPAN("crm");
        put(r, named_one);
        put(r, key);
        put(r, replay);
        put(r, endpoint_at(22, 11, 4));
        held = registry_endpoints(r, 10);
        take(r, OBJECT_APPLICATION, 10, 5);
        assert_int_equal(version_of(r, OBJECT_APPLICATION, 10), 0);
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "acme"), 0);
        assert_int_equal(named(r, OBJECT_ENDPOINT, 10, "crm"), 0);
        assert_int_equal(version_of(r, OBJECT_KEY, 30), 0);
        assert_int_equal(version_of(r, OBJECT_REPLAY, 31), 0);
        assert_false(has_target(r, 20));
        assert_false(has_target(r, 21));
        endpoints_are(r, 10, "none");
        /* What was written to it before comes late, and what somebody holds stays. */
        put(r, endpoint_at(23, 10, 4));
        put(r, application_of(10, 4));
        assert_false(has_target(r, 23));
        endpoints_are(r, 10, "none");
        assert_int_equal(held->n, 2);
        assert_int_equal(held->endpoints[0]->id, 20);
        endpoint_set_unref(held);
        endpoints_are(r, 11, "22");
        registry_free(r);
}

static size_t bytes_in_use(void) {
        struct mallinfo2 m = mallinfo2();

        return m.uordblks + m.hblkhd;
}

/* Whoever was asked about leaves nothing behind: else tenants that come and go for years would fill
 * the memory, and in the end the tables. */
static void what_was_removed_takes_no_room(void **state) {
        enum { TURNS = 20000 };
        Registry *r = registry_new();
        size_t before = 0;

        (void)state;
        for (int64_t i = 0; i < TURNS; i++) {
                int64_t app = 1000 + 2 * i;
                Object key = {.kind = OBJECT_KEY,
                              .id = app + 1,
                              .owner = app,
                              .text = SPAN("{}"),
                              .version = 4 * i + 2};

                put(r, application_of(app, 4 * i + 1));
                put(r, key);
                endpoints_are(r, app, "");
                take(r, OBJECT_APPLICATION, app, 4 * i + 3);
                if (i == TURNS / 2)
                        before = bytes_in_use();
        }
        /* The list of what was lately removed is of one size. */
        assert_true(bytes_in_use() < before + 64 * 1024);
        registry_free(r);
}

/* A full registry says so; what the ledger took in the meantime is there all the same, and may
 * change: a start must be able to read it. */
static void a_full_one_still_takes_what_was_written(void **state) {
        enum { MAX = 10 };
        Registry *r = registry_new_for(MAX);

        (void)state;
        for (int64_t id = 1; id <= MAX + 100; id++) {
                assert_int_equal(registry_full(r), id > MAX);
                put(r, application_of(id, id));
        }
        assert_int_equal(registry_count(r, OBJECT_APPLICATION, 0), MAX + 100);
        put(r, application_of(MAX + 1, 1000));
        assert_int_equal(version_of(r, OBJECT_APPLICATION, MAX + 1), 1000);
        for (int64_t id = 1; id <= 101; id++)
                take(r, OBJECT_APPLICATION, id, 2000);
        assert_false(registry_full(r));
        registry_free(r);
}

static void names_go_where_their_objects_say(void **state) {
        Registry *r = registry_new();

        (void)state;
        put(r, app_named(10, 1, "a"));
        put(r, app_named(10, 2, "b"));
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "a"), 0);
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "b"), 10);
        put(r, app_named(11, 3, "a"));
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "a"), 11);
        /* 12 took the name of 11 after 11 had given it up; that comes the other way round. */
        put(r, app_named(12, 5, "a"));
        put(r, app_named(11, 4, "c"));
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "a"), 12);
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "c"), 11);
        /* The same with a removal. */
        put(r, app_named(13, 7, "a"));
        take(r, OBJECT_APPLICATION, 12, 6);
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "a"), 13);
        /* And with the making of one whose name went to another long ago. */
        put(r, app_named(14, 2, "a"));
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "a"), 13);
        put(r, app_named(14, 6, "d"));
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "a"), 13);
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "d"), 14);
        /* A name goes away. */
        put(r, application_of(13, 8));
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, "a"), 0);
        registry_free(r);
}

static void long_names_are_told_apart(void **state) {
        char name[OBJECT_NAME_MAX_BYTES + 2] = "", other[OBJECT_NAME_MAX_BYTES + 2] = "";
        Registry *r = registry_new();

        (void)state;
        memset(name, 'x', OBJECT_NAME_MAX_BYTES);
        memset(other, 'x', OBJECT_NAME_MAX_BYTES + 1);
        put(r, app_named(10, 1, name));
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, name), 10);
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, other), 0);
        name[OBJECT_NAME_MAX_BYTES - 1] = 0;
        assert_int_equal(named(r, OBJECT_APPLICATION, 0, name), 0);
        registry_free(r);
}

/* ---- pages ---- */

static void page_is(Registry *r, int64_t after, bool newest_first, size_t max, const char *want) {
        Entry *entries[16];
        char text[256] = "";
        size_t n = registry_page(r, OBJECT_ENDPOINT, 10, after, newest_first, max, entries);

        assert_true(n <= max);
        for (size_t i = 0; i < n; i++) {
                (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%" PRId64,
                               i ? " " : "", entries[i]->object.id);
                entry_unref(entries[i]);
        }
        assert_string_equal(text, want);
}

static void pages_go_both_ways(void **state) {
        static const int64_t ids[] = {50, 20, 40, 60, 30};
        Registry *r = registry_new();

        (void)state;
        page_is(r, 0, false, 10, "");
        page_is(r, 0, true, 10, "");
        put(r, application_of(10, 1));
        put(r, application_of(11, 1));
        put(r, endpoint_at(45, 11, 2));
        for (size_t i = 0; i < COUNT_OF(ids); i++)
                put(r, endpoint_at(ids[i], 10, 3));
        page_is(r, 0, false, 10, "20 30 40 50 60");
        page_is(r, 0, true, 10, "60 50 40 30 20");
        page_is(r, 0, false, 2, "20 30");
        page_is(r, 30, false, 2, "40 50");
        page_is(r, 50, false, 2, "60");
        page_is(r, 60, false, 2, "");
        page_is(r, 0, true, 2, "60 50");
        page_is(r, 50, true, 2, "40 30");
        page_is(r, 30, true, 2, "20");
        page_is(r, 20, true, 2, "");
        /* After one that is gone meanwhile, or never was. */
        take(r, OBJECT_ENDPOINT, 40, 4);
        page_is(r, 40, false, 2, "50 60");
        page_is(r, 40, true, 2, "30 20");
        page_is(r, 35, false, 1, "50");
        page_is(r, 1, true, 9, "");
        page_is(r, 0, false, 0, "");
        endpoints_are(r, 10, "20 30 50 60");
        assert_int_equal(registry_count(r, OBJECT_ENDPOINT, 10), 4);
        assert_int_equal(registry_count(r, OBJECT_ENDPOINT, 11), 1);
        assert_int_equal(registry_count(r, OBJECT_ENDPOINT, 12), 0);
        assert_int_equal(registry_count(r, OBJECT_APPLICATION, 0), 2);
        registry_free(r);
}

static void a_set_stays_as_it_was_while_it_is_held(void **state) {
        Registry *r = registry_new();
        EndpointSet *before, *same, *after;

        (void)state;
        put(r, application_of(10, 1));
        put(r, endpoint_at(20, 10, 2));
        before = registry_endpoints(r, 10);
        same = registry_endpoints(r, 10);
        assert_ptr_equal(before, same);
        endpoint_set_unref(same);
        put(r, endpoint_at(21, 10, 3));
        put(r, endpoint_of(20, 10, 4, SPAN("{\"url\":\"http://new/\"," SECRETS "}")));
        after = registry_endpoints(r, 10);
        assert_int_equal(before->n, 1);
        assert_string_equal(before->endpoints[0]->url, "https://example.com/hook");
        assert_int_equal(after->n, 2);
        assert_string_equal(after->endpoints[0]->url, "http://new/");
        take(r, OBJECT_ENDPOINT, 20, 5);
        assert_string_equal(after->endpoints[0]->url, "http://new/");
        registry_free(r);
        /* Even longer than the registry. */
        assert_int_equal(before->endpoints[0]->id, 20);
        endpoint_set_unref(before);
        endpoint_set_unref(after);
}

static void an_endpoint_that_cannot_be_made_changes_nothing(void **state) {
        Registry *r = registry_new();
        Object bad = endpoint_of(20, 10, 3, SPAN("{\"url\":\"ftp://x/\"," SECRETS "}"));
        Err e = {0};

        (void)state;
        put(r, application_of(10, 1));
        put(r, endpoint_at(20, 10, 2));
        assert_int_equal(registry_put(r, &bad, &e), -EINVAL);
        assert_int_equal(strncmp(e.text, "url: ", 5), 0);
        assert_int_equal(version_of(r, OBJECT_ENDPOINT, 20), 2);
        assert_true(has_target(r, 20));
        registry_free(r);
}

enum { OBJECTS = 40, WRITES = 400 };

typedef struct History {
        struct {
                Object object;
                bool removes;
        } at[WRITES];
        int64_t last[OBJECTS]; /* version of each at the end; 0: it was removed, or never was */
} History;

/* What the ledger did, one after the other: no id is given twice. */
static void history_make(History *h, Rng *rng) {
        bool is_gone[OBJECTS] = {false};

        memset(h, 0, sizeof *h);
        for (size_t i = 0; i < WRITES; i++) {
                size_t k = (size_t)rng_below(rng, OBJECTS);
                bool removes = h->last[k] && k > 0 && rng_below(rng, 12) == 0;

                k = is_gone[k] ? 0 : k;
                h->at[i].object = endpoint_at(100 + (int64_t)k, 10, 2 + (int64_t)i);
                h->at[i].removes = removes && k > 0;
                is_gone[k] = h->at[i].removes;
                h->last[k] = is_gone[k] ? 0 : 2 + (int64_t)i;
        }
}

static void history_shuffle(History *h, Rng *rng) {
        for (size_t i = WRITES - 1; i > 0; i--) {
                size_t k = (size_t)rng_below(rng, i + 1);
                __typeof__(h->at[0]) one = h->at[i];

                h->at[i] = h->at[k];
                h->at[k] = one;
        }
}

/* Each loop hears of its own writes; together they hear in any order. */
static void any_order_ends_the_same(void **state) {
        enum { ROUNDS = 40 };
        History h;

        (void)state;
        for (uint64_t round = 1; round <= ROUNDS; round++) {
                Registry *r = registry_new();
                Rng rng = {round};
                size_t alive = 0;

                put(r, application_of(10, 1));
                history_make(&h, &rng);
                history_shuffle(&h, &rng);
                for (size_t i = 0; i < WRITES; i++) {
                        if (h.at[i].removes)
                                registry_remove(r, &h.at[i].object);
                        else
                                put(r, h.at[i].object);
                }
                for (size_t k = 0; k < OBJECTS; k++) {
                        int64_t id = 100 + (int64_t)k;

                        assert_int_equal(version_of(r, OBJECT_ENDPOINT, id), h.last[k]);
                        assert_int_equal(has_target(r, id), h.last[k] != 0);
                        alive += h.last[k] != 0;
                }
                assert_true(alive > 0 && alive < OBJECTS);
                assert_int_equal(registry_count(r, OBJECT_ENDPOINT, 10), alive);
                registry_free(r);
        }
}

/* ---- many ---- */

static void a_hundred_thousand_endpoints(void **state) {
        enum { APPS = 100, EACH = 1000 };
        Registry *r = registry_new();
        size_t before = bytes_in_use();

        (void)state;
        for (int64_t a = 0; a < APPS; a++) {
                put(r, application_of(1 + a, 1));
                for (int64_t i = 0; i < EACH; i++)
                        put(r, endpoint_at(1000 + i * APPS + a, 1 + a, 2));
        }
        /* None under the sanitizers, whose heap is their own. */
        print_message("[   INFO   ] %zu bytes for each of %d endpoints\n",
                      (bytes_in_use() - before) / (APPS * EACH), APPS * EACH);
        for (int64_t a = 0; a < APPS; a++)
                assert_int_equal(registry_count(r, OBJECT_ENDPOINT, 1 + a), EACH);
        for (int64_t id = 1000; id < 1000 + APPS * EACH; id += 997)
                assert_true(has_target(r, id));
        EndpointSet *set = registry_endpoints(r, 7);
        assert_int_equal(set->n, EACH);
        for (size_t i = 1; i < set->n; i++)
                assert_true(set->endpoints[i - 1]->id < set->endpoints[i]->id);
        endpoint_set_unref(set);
        for (int64_t a = 1; a < APPS; a++)
                take(r, OBJECT_APPLICATION, 1 + a, 3);
        assert_int_equal(registry_count(r, OBJECT_APPLICATION, 0), 1);
        assert_false(has_target(r, 1001));
        assert_true(has_target(r, 1000));
        registry_free(r);
}

/* ---- threads ---- */

enum { READERS = 3, SHARED_APPS = 4, SHARED_EACH = 8, TURNS = 3000 };

typedef struct Shared {
        Registry *registry;
        _Atomic bool is_over;
        _Atomic unsigned long seen;
} Shared;

/* Whatever a reader gets is whole: a set in the order of ids, and endpoints of that application. */
static void *read_all(void *arg) {
        Shared *s = arg;
        uint64_t changes = 0;

        for (int64_t n = 0; !atomic_load(&s->is_over); n++) {
                int64_t app = 1 + n % SHARED_APPS;
                EndpointSet *set = registry_endpoints(s->registry, app);
                Entry *entries[4];

                for (size_t i = 0; set && i < set->n; i++) {
                        must(set->endpoints[i]->application == app);
                        must(i == 0 || set->endpoints[i - 1]->id < set->endpoints[i]->id);
                        must(endpoint_wants(set->endpoints[i], SPAN("a"), NULL, 0));
                }
                endpoint_set_unref(set);
                size_t got = registry_page(s->registry, OBJECT_ENDPOINT, app, 0, n % 2, 4, entries);
                for (size_t i = 0; i < got; i++) {
                        must(entries[i]->object.owner == app);
                        entry_unref(entries[i]);
                }
                TargetText target = target_of(100 + n % (SHARED_APPS * SHARED_EACH));
                endpoint_unref(registry_endpoint(s->registry, span_of(target.text)));
                must(registry_changes(s->registry) >= changes);
                changes = registry_changes(s->registry);
                atomic_fetch_add(&s->seen, 1);
        }
        return NULL;
}

static void readers_beside_a_writer(void **state) {
        Shared s = {.registry = registry_new()};
        pthread_t threads[READERS];
        int64_t version = 1, id = 100;
        Rng rng = {1};

        (void)state;
        for (int64_t a = 0; a < SHARED_APPS; a++)
                put(s.registry, application_of(1 + a, version++));
        for (size_t i = 0; i < READERS; i++)
                must(pthread_create(&threads[i], NULL, read_all, &s) == 0);
        for (size_t turn = 0; turn < TURNS || atomic_load(&s.seen) < TURNS; turn++) {
                int64_t any = 100 + (int64_t)rng_below(&rng, (uint64_t)(id - 99));

                if (turn % 8 == 7)
                        take(s.registry, OBJECT_ENDPOINT, any, version++);
                else if (turn % 2 && id > 100 && version_of(s.registry, OBJECT_ENDPOINT, any))
                        put(s.registry, endpoint_at(any, 1 + any % SHARED_APPS, version++));
                else if (id < 100 + SHARED_APPS * SHARED_EACH) {
                        put(s.registry, endpoint_at(id, 1 + id % SHARED_APPS, version++));
                        id++;
                }
        }
        atomic_store(&s.is_over, true);
        for (size_t i = 0; i < READERS; i++)
                must(pthread_join(threads[i], NULL) == 0);
        assert_true(atomic_load(&s.seen) >= TURNS);
        registry_free(s.registry);
}

/* ---- what the file declares ---- */

static Object declared(int64_t id, int64_t application, const char *name) {
        Object o = endpoint_at(id, application, 0);

        o.name = span_of(name);
        return o;
}

static void declare(Registry *r, const Object *all, size_t n) {
        Err e = {0};

        if (registry_declare(r, all, n, &e) < 0)
                fail_msg("%s", e.text);
}

static void the_file_says_which_there_are(void **state) {
        Registry *r = registry_new();
        const Object first[] = {declared(5, 1, "a"), declared(6, 1, "b"), declared(7, 2, "a")};
        const Object then[] = {declared(6, 1, "b"), declared(7, 1, "c")};
        int64_t before;

        (void)state;
        put(r, app_named(1, 1, "one"));
        put(r, app_named(2, 2, "two"));
        put(r, endpoint_at(100, 1, 3));
        declare(r, first, 3);
        endpoints_are(r, 1, "5 6 100");
        endpoints_are(r, 2, "7");
        assert_true(registry_declares(r, 2));
        before = version_of(r, OBJECT_ENDPOINT, 6);
        declare(r, then, 2);
        endpoints_are(r, 1, "6 7 100");
        endpoints_are(r, 2, "");
        assert_false(registry_declares(r, 2));
        assert_false(has_target(r, 5));
        assert_true(version_of(r, OBJECT_ENDPOINT, 6) > before);
        assert_int_equal(named(r, OBJECT_ENDPOINT, 1, "c"), 7);
        assert_int_equal(named(r, OBJECT_ENDPOINT, 2, "a"), 0);
        declare(r, first, 3); /* and what was gone comes again */
        endpoints_are(r, 1, "5 6 100");
        endpoints_are(r, 2, "7");
        declare(r, NULL, 0);
        endpoints_are(r, 1, "100");
        registry_free(r);
}

static void a_declaration_that_does_not_fit_changes_nothing(void **state) {
        Registry *r = registry_new();
        const Object good[] = {declared(5, 1, "a")};
        const Object taken[] = {declared(6, 1, "b"), declared(7, 1, "mine")};
        const Object homeless[] = {declared(6, 1, "b"), declared(7, 9, "c")};
        Object broken[] = {declared(6, 1, "b"), declared(7, 1, "c")};
        Object mine = endpoint_at(100, 1, 3);
        Err e = {0};

        (void)state;
        broken[1].text = SPAN("{}");
        mine.name = SPAN("mine");
        put(r, app_named(1, 1, "one"));
        put(r, mine);
        declare(r, good, 1);
        assert_int_equal(registry_declare(r, taken, 2, &e), -EEXIST);
        assert_non_null(strstr(e.text, "'mine'"));
        assert_int_equal(registry_declare(r, homeless, 2, &e), -ENOENT);
        assert_int_equal(registry_declare(r, broken, 2, &e), -EINVAL);
        endpoints_are(r, 1, "5 100");
        registry_free(r);
}

/* Health is noted in the registry alone; a reload that came between wins. */
static void a_declared_one_may_change_and_is_still_the_files(void **state) {
        Registry *r = registry_new();
        const Object good[] = {declared(5, 1, "a")};
        Object late = good[0];
        Entry *e;

        (void)state;
        put(r, app_named(1, 1, "one"));
        declare(r, good, 1);
        late.version = version_of(r, OBJECT_ENDPOINT, 5) + 1;
        put(r, late);
        assert_int_equal(version_of(r, OBJECT_ENDPOINT, 5), late.version);
        declare(r, good, 1);
        assert_int_equal(version_of(r, OBJECT_ENDPOINT, 5), late.version + 1);
        put(r, late);
        assert_int_equal(version_of(r, OBJECT_ENDPOINT, 5), late.version + 1);
        e = registry_by_id(r, OBJECT_ENDPOINT, 5);
        assert_true(e->is_declared);
        entry_unref(e);
        registry_free(r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_put_is_found),
                cmocka_unit_test(the_newest_version_stays_whatever_comes_last),
                cmocka_unit_test(a_removed_object_does_not_come_back),
                cmocka_unit_test(an_application_takes_its_own_along),
                cmocka_unit_test(what_was_removed_takes_no_room),
                cmocka_unit_test(a_full_one_still_takes_what_was_written),
                cmocka_unit_test(names_go_where_their_objects_say),
                cmocka_unit_test(long_names_are_told_apart),
                cmocka_unit_test(pages_go_both_ways),
                cmocka_unit_test(a_set_stays_as_it_was_while_it_is_held),
                cmocka_unit_test(an_endpoint_that_cannot_be_made_changes_nothing),
                cmocka_unit_test(any_order_ends_the_same),
                cmocka_unit_test(a_hundred_thousand_endpoints),
                cmocka_unit_test(the_file_says_which_there_are),
                cmocka_unit_test(a_declaration_that_does_not_fit_changes_nothing),
                cmocka_unit_test(a_declared_one_may_change_and_is_still_the_files),
                cmocka_unit_test(readers_beside_a_writer),
        };

        return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
