/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is calling: tokens, keys, and pages that borrow somebody's browser. */
#include "api/caller.h"

#include "base/clock.h"
#include "unit.h"

#define APP_ID 4242

typedef struct Room {
        Registry *registry;
        Secret token;
        Admin admin;
} Room;

static void set_up(Room *r, const char *token) {
        *r = (Room){.registry = registry_new(), .token = secret_copy(span_of(token))};
        if (token[0] == 0)
                r->token.n = 0;
        r->admin.parts = (AdminParts){.registry = r->registry, .token = &r->token};
}

static void clear(Room *r) {
        registry_free(r->registry);
        secret_done(&r->token);
}

static HttpHead head(const char *const *names_and_values) {
        HttpHead h = {.method = HTTP_POST, .host = SPAN("127.0.0.1:8081")};

        for (; names_and_values[0]; names_and_values += 2)
                h.headers[h.n_headers++] =
                        (HttpHeader){span_of(names_and_values[0]), span_of(names_and_values[1])};
        return h;
}

static Caller who(const Room *r, const char *authorization) {
        HttpHead h = authorization
                             ? head((const char *const[]){"authorization", authorization, NULL})
                             : head((const char *const[]){NULL});
        Caller c;

        caller_find(&r->admin, &h, &c);
        return c;
}

static void put_key(Room *r, int64_t id, int64_t owner, const char *hash, const char *more,
                    int64_t version) {
        char text[512];

        (void)snprintf(text, sizeof text, "{\"hash\":\"%s\"%s}", hash, more);
        assert_int_equal(registry_put(r->registry,
                                      &(Object){.kind = OBJECT_KEY,
                                                .id = id,
                                                .owner = owner,
                                                .name = SPAN(""),
                                                .text = span_of(text),
                                                .version = version},
                                      NULL),
                         0);
}

static void the_token_is_the_administrators(void **state) {
        Room r;

        (void)state;
        set_up(&r, "secret-token");
        assert_int_equal(who(&r, "Bearer secret-token").role, ROLE_ADMIN);
        assert_int_equal(who(&r, "bearer  secret-token ").role, ROLE_ADMIN);
        assert_int_equal(who(&r, "Bearer secret-toke").role, ROLE_OPEN);
        assert_int_equal(who(&r, "Bearer secret-token2").role, ROLE_OPEN);
        assert_int_equal(who(&r, "Bearer ").role, ROLE_OPEN);
        assert_int_equal(who(&r, "Basic secret-token").role, ROLE_OPEN);
        assert_int_equal(who(&r, NULL).role, ROLE_OPEN);
        HttpHead twice = head((const char *const[]){"authorization", "Bearer secret-token",
                                                    "authorization", "Bearer secret-token", NULL});
        Caller c;
        caller_find(&r.admin, &twice, &c);
        assert_int_equal(c.role, ROLE_OPEN);
        clear(&r);
        set_up(&r, "");
        assert_int_equal(who(&r, NULL).role, ROLE_ADMIN);
        assert_int_equal(who(&r, "Bearer anything").role, ROLE_ADMIN);
        clear(&r);
}

static void keys_open_what_they_were_made_for(void **state) {
        char key[KEY_TEXT], hash[KEY_HASH_TEXT], other[KEY_TEXT], other_hash[KEY_HASH_TEXT];
        char bearer[KEY_TEXT + 8], more[64];
        Room r;
        Caller c;

        (void)state;
        for (int open = 0; open < 2; open++) {
                set_up(&r, open ? "" : "secret-token");
                assert_int_equal(registry_put(r.registry,
                                              &(Object){.kind = OBJECT_APPLICATION,
                                                        .id = APP_ID,
                                                        .name = SPAN(""),
                                                        .text = SPAN("{}"),
                                                        .version = 1},
                                              NULL),
                                 0);
                key_make(7, key, hash);
                key_make(7, other, other_hash);
                assert_string_not_equal(key, other);
                (void)snprintf(bearer, sizeof bearer, "Bearer %s", key);
                assert_int_equal(who(&r, bearer).role, ROLE_OPEN); /* it is not there yet */
                put_key(&r, 7, 0, hash, ",\"role\":\"admin\"", 2);
                c = who(&r, bearer);
                assert_true(c.role == ROLE_ADMIN && c.key == 7 && c.application == 0);
                (void)snprintf(bearer, sizeof bearer, "Bearer %s", other);
                assert_int_equal(who(&r, bearer).role, ROLE_OPEN);
                /* Bound to an application it is no administrator's, whatever its text says. */
                key_make(8, key, hash);
                put_key(&r, 8, APP_ID, hash, ",\"role\":\"admin\",\"readOnly\":true", 3);
                (void)snprintf(bearer, sizeof bearer, "Bearer %s", key);
                c = who(&r, bearer);
                assert_true(c.role == ROLE_APPLICATION && c.application == APP_ID &&
                            c.is_read_only);
                (void)snprintf(more, sizeof more, ",\"role\":\"admin\",\"expiresAt\":%" PRId64,
                               clock_wall_ms() - 1);
                put_key(&r, 8, APP_ID, hash, more, 4);
                assert_int_equal(who(&r, bearer).role, ROLE_OPEN);
                bearer[7 + KEY_TEXT - 2] ^= 1;
                assert_int_equal(who(&r, bearer).role, ROLE_OPEN);
                clear(&r);
        }
}

static void pages_of_others_are_told_apart(void **state) {
        static const struct {
                const char *host, *origin, *site;
                HttpMethod method;
                bool with_token, forged;
        } cases[] = {
                {"127.0.0.1:8081", NULL, NULL, HTTP_POST, false, false},
                {"localhost:8081", NULL, NULL, HTTP_POST, false, false},
                {"[::1]:8081", NULL, NULL, HTTP_GET, false, false},
                {"127.9.9.9", NULL, NULL, HTTP_GET, false, false},
                {"127.0.0.1.evil.example", NULL, NULL, HTTP_GET, false, true},
                {"localhost.evil.example", NULL, NULL, HTTP_GET, false, true},
                {"evil.example:8081", NULL, NULL, HTTP_GET, false, true},
                {"grapnel.example", NULL, NULL, HTTP_GET, true, false},
                {"127.0.0.1:8081", "http://127.0.0.1:8081", "same-origin", HTTP_POST, false, false},
                {"127.0.0.1:8081", "http://evil.example", NULL, HTTP_POST, false, true},
                {"127.0.0.1:8081", "null", NULL, HTTP_DELETE, false, true},
                {"127.0.0.1:8081", NULL, "cross-site", HTTP_PATCH, false, true},
                {"127.0.0.1:8081", NULL, "same-site", HTTP_PUT, true, true},
                {"127.0.0.1:8081", NULL, "none", HTTP_POST, false, false},
                {"127.0.0.1:8081", NULL, "cross-site", HTTP_GET, false, false},
        };
        Room r;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                const char *headers[5] = {NULL};
                size_t n = 0;

                set_up(&r, cases[i].with_token ? "secret-token" : "");
                if (cases[i].origin) {
                        headers[n++] = "origin";
                        headers[n++] = cases[i].origin;
                }
                if (cases[i].site) {
                        headers[n++] = "sec-fetch-site";
                        headers[n++] = cases[i].site;
                }
                HttpHead h = head(headers);
                h.method = cases[i].method;
                h.host = span_of(cases[i].host);
                if ((caller_forged(&r.admin, &h) != NULL) != cases[i].forged)
                        fail_msg("case %zu", i);
                clear(&r);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_token_is_the_administrators),
                cmocka_unit_test(keys_open_what_they_were_made_for),
                cmocka_unit_test(pages_of_others_are_told_apart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
