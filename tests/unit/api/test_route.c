/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of routes: which path goes where, who may go there, and the document that is written
 * from it. */
#include "api/route.h"

#include "api/caller.h"
#include "api/openapi.h"
#include "unit.h"
#include "json/check.h"
#include "json/value.h"

static void patterns_fit_whole_paths(void **state) {
        static const struct {
                const char *pattern, *path;
                bool fits;
        } cases[] = {
                {"/a/{x}", "/a/1", true},
                {"/a/{x}", "/a/1/", true},
                {"/a/{x}", "/a/", false},
                {"/a/{x}", "/a", false},
                {"/a/{x}", "/a/1/2", false},
                {"/a/{x}", "/b/1", false},
                {"/a/{x}", "/a//", false},
                {"/a/{x}/b", "/a/1/b", true},
                {"/a/{x}/b", "/a//b", false},
                {"/a/{x}/b", "/a/1/c", false},
                {"/a", "/a", true},
                {"/a", "/a/", true},
                {"/a", "/a//", false},
                {"/a", "/ab", false},
                {"/a", "a", false},
                {"/a", "", false},
                {"/a", "/", false},
                {"/a/{x}", "/a/%2f", true},
                {"/a/{x}/{y}", "/a/1/2", true},
                {"/a/{x}/{y}", "/a/1", false},
        };
        RouteMatch m;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++)
                if (route_fits(cases[i].pattern, span_of(cases[i].path), &m) != cases[i].fits)
                        fail_msg("%s and %s", cases[i].pattern, cases[i].path);
        assert_true(route_fits("/a/{x}/b/{yy}", SPAN("/a/1/b/2"), &m));
        assert_int_equal(m.n, 2);
        assert_true(span_eq(m.names[1], SPAN("yy")) && span_eq(m.params[1], SPAN("2")));
}

/* Rows are out by their shape before they are compared: by nothing that would have fitted. */
static void what_is_compared_first_is_no_other_opinion(void **state) {
        static const char *const paths[] = {
                "",
                "/",
                "//",
                "/healthz",
                "/healthz/",
                "/healthz//",
                "/api/v1/app",
                "/api/v1/app/",
                "/api/v1/app//",
                "/api/v1/app/a",
                "/api/v1/app/msg",
                "/api/v1/app/a/msg/",
                "/api/v1/app/a//msg",
                "/api/v1/app/a/msg/batch",
                "/api/v1/app/a/msg/b",
                "/api/v1/app/a/msg/b/",
                "/api/v1/app/a/msg/b//",
                "/api/v1/app/a/endpoint/e/secret/rotate",
                "/api/v1/app/a/endpoint//secret/rotate",
                "/api/v1/replay/r/cancel",
                "/api/v1/replay/cancel",
                "api/v1/app",
                "/api/v1/app/a/nothing",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(paths); i++)
                for (HttpMethod method = HTTP_GET; method <= HTTP_DELETE; method++) {
                        const Route *want = NULL;
                        RouteMatch found, m;

                        for (size_t k = 0; k < routes_n && !want; k++)
                                if ((routes[k].method == method ||
                                     (method == HTTP_HEAD && routes[k].method == HTTP_GET)) &&
                                    route_fits(routes[k].path, span_of(paths[i]), &m))
                                        want = &routes[k];
                        route_find(method, span_of(paths[i]), &found);
                        if (found.route != want)
                                fail_msg("%s %s", http_method_name(method), paths[i]);
                }
}

/* "{app_id}" becomes "app_id-1": a path that the route answers. */
static Span example_of(const Route *r, char *room, size_t n) {
        size_t k = 0;

        for (const char *p = r->path; *p && k < n - 2; p++) {
                if (*p == '}')
                        room[k++] = '1';
                else if (*p != '{')
                        room[k++] = *p;
        }
        return (Span){room, k};
}

static void every_route_is_found_by_its_path(void **state) {
        char room[256];
        RouteMatch m;

        (void)state;
        for (size_t i = 0; i < routes_n; i++) {
                Span path = example_of(&routes[i], room, sizeof room);

                route_find(routes[i].method, path, &m);
                /* A HEAD row may lie behind its GET row, which answers it. */
                if (!m.route || (m.route != &routes[i] && routes[i].method != HTTP_HEAD))
                        fail_msg("%s %s", http_method_name(routes[i].method), routes[i].path);
                room[path.n] = '/';
                route_find(routes[i].method, (Span){room, path.n + 1}, &m);
                assert_non_null(m.route);
                route_find(HTTP_OPTIONS, path, &m);
                assert_null(m.route);
                assert_true(m.allowed & 1u << routes[i].method);
                assert_false(m.allowed & 1u << HTTP_OPTIONS);
        }
        route_find(HTTP_GET, SPAN("/api/v1/nothing"), &m);
        assert_true(!m.route && !m.allowed);
        route_find(HTTP_POST, SPAN("/api/v1/app/a/msg/batch"), &m);
        assert_string_equal(m.route->operation, "v1.message.create-batch");
        route_find(HTTP_HEAD, SPAN("/api/v1/app"), &m);
        assert_string_equal(m.route->operation, "v1.application.list");
}

static void rows_are_whole(void **state) {
        (void)state;
        for (size_t i = 0; i < routes_n; i++) {
                const Route *r = &routes[i];

                assert_true(r->tag && r->operation && r->summary && r->run && r->statuses[0]);
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(r->operation, routes[k].operation);
                if (r->role == ROLE_APPLICATION && !strstr(r->path, "{app_id}"))
                        fail_msg("%s is an application's and names none", r->path);
                /* What makes things or tells secrets keeps no answers: they would be kept too. */
                if (r->repeats)
                        assert_int_equal(r->method, HTTP_POST);
        }
}

/* ---- who may ---- */

static void each_role_may_what_the_table_says(void **state) {
        static const Role callers[] = {ROLE_OPEN, ROLE_ANY, ROLE_APPLICATION, ROLE_ADMIN};

        (void)state;
        for (size_t i = 0; i < routes_n; i++)
                for (size_t k = 0; k < COUNT_OF(callers); k++) {
                        Caller who = {.role = callers[k]};

                        assert_int_equal(role_allows(routes[i].role, &who),
                                         callers[k] >= routes[i].role);
                }
}

/* The rows that an application's key may use, word for word: a row that is added, or whose role
 * changes, has to be looked at here. */
static void an_applications_key_may_use_these(void **state) {
        static const char *const its[] = {
                "v1.application.get",
                "v1.endpoint.list",
                "v1.endpoint.create",
                "v1.endpoint.get",
                "v1.endpoint.update",
                "v1.endpoint.patch",
                "v1.endpoint.delete",
                "v1.endpoint.get-headers",
                "v1.endpoint.update-headers",
                "v1.endpoint.patch-headers",
                "v1.endpoint.get-secret",
                "v1.endpoint.rotate-secret",
                "v1.endpoint.recover",
                "v1.endpoint.replay-missing",
                "v1.endpoint.get-stats",
                "v1.event-type.list",
                "v1.event-type.get",
                "v1.message.list",
                "v1.message.get",
                "v1.message-attempt.list-by-endpoint",
                "v1.message-attempt.list-by-msg",
                "v1.message-attempt.list-attempted-messages",
                "v1.message-attempt.get",
                "v1.message-attempt.list-attempted-destinations",
                "v1.message-attempt.resend",
                "v1.authentication.logout",
                "v1.background-task.list",
                "v1.background-task.get",
        };
        Caller who = {.role = ROLE_APPLICATION};
        size_t n = 0;

        (void)state;
        for (size_t i = 0; i < routes_n; i++) {
                bool listed = false;

                for (size_t k = 0; k < COUNT_OF(its); k++)
                        listed |= strcmp(routes[i].operation, its[k]) == 0;
                n += listed;
                if (routes[i].role != ROLE_OPEN && role_allows(routes[i].role, &who) != listed)
                        fail_msg("%s", routes[i].operation);
        }
        assert_int_equal(n, COUNT_OF(its));
}

/* ---- the document ---- */

static void check_refs(Span root, Span value) {
        Span key, v;

        if (json_kind(value) != JSON_OBJECT && json_kind(value) != JSON_ARRAY)
                return;
        for (size_t pos = 0; json_next(value, &pos, &key, &v);) {
                if (span_eq(key, SPAN("$ref"))) {
                        AUTO(buf_done)
                        Buf ref = BUF(256);

                        assert_int_equal(json_text(v, &ref), 0);
                        if (!json_at(root, span_from(buf_span(&ref), 1)).p)
                                fail_msg("no %.*s", (int)ref.n, ref.p);
                }
                check_refs(root, v);
        }
}

static void the_document_is_whole(void **state) {
        AUTO(buf_done)
        Buf b = BUF(8 * 1024 * 1024);
        JsonFault fault;
        Span root, paths, schemas, key, value;
        size_t operations = 0;

        (void)state;
        assert_int_equal(openapi_print(&b), 0);
        root = buf_span(&b);
        assert_int_equal(json_check(root, SIZE_MAX, &fault), 0);
        check_refs(root, root);
        paths = json_member(root, SPAN("paths"));
        for (size_t pos = 0; json_next(paths, &pos, &key, &value);) {
                assert_int_equal(json_member_count(paths, key), 1);
                operations += json_length(value);
        }
        assert_int_equal(operations, routes_n);
        schemas = json_at(root, SPAN("/components/schemas"));
        for (size_t pos = 0; json_next(schemas, &pos, &key, &value);)
                assert_int_equal(json_member_count(schemas, key), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(patterns_fit_whole_paths),
                cmocka_unit_test(what_is_compared_first_is_no_other_opinion),
                cmocka_unit_test(every_route_is_found_by_its_path),
                cmocka_unit_test(rows_are_whole),
                cmocka_unit_test(each_role_may_what_the_table_says),
                cmocka_unit_test(an_applications_key_may_use_these),
                cmocka_unit_test(the_document_is_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
