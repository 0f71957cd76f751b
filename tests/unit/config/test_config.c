/* SPDX-License-Identifier: Apache-2.0
 *
 * What a good file becomes, and how problems are shown. */
#include "config_room.h"

#define STANDARD_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static const char *folder;
static char *const nothing[] = {NULL};
static char id_secret[] = "ID_SECRET=s1", crm_token[] = "CRM_TOKEN=t1",
            source_secret[] = "ONEPORTAL_SECRET=" STANDARD_SECRET;
static char *const brief_environment[] = {id_secret, crm_token, source_secret, NULL};

static Config *load_brief(Problems *p) {
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/config/brief.yaml", folder);
        return config_load(path, brief_environment, p);
}

static Config *parse_good(Span text, Problems *p) {
        Config *c = config_parse(text, "t", nothing, p);

        if (p->n)
                print_error("%s:%u: %s\n", p->item[0].place.file, p->item[0].place.line,
                            p->item[0].text);
        assert_int_equal(p->n, 0);
        assert_non_null(c);
        return c;
}

static void the_top_of_the_example_is_read(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = load_brief(p);

        (void)state;
        assert_int_equal(p->n, 0);
        assert_non_null(c);
        assert_string_equal(c->listen.host, "127.0.0.1");
        assert_int_equal(c->listen.port, 8080);
        assert_int_equal(c->admin.port, 8081);
        assert_string_equal(c->ledger, "sqlite:grapnel.db");
        assert_null(c->public_url);
        assert_int_equal(c->n_connections, 2);
        assert_int_equal(c->n_sources, 1);
        assert_int_equal(c->n_flows, 1);
}

static void the_connections_of_the_example_are_read(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = load_brief(p);

        (void)state;
        const ConnectionConfig *identity = config_connection(c, SPAN("identity"));
        const ConnectionConfig *crm = config_connection(c, SPAN("crm"));
        assert_non_null(identity);
        assert_non_null(crm);
        assert_null(config_connection(c, SPAN("crm2")));
        assert_string_equal(identity->url, "https://id.example.com/api/v1");
        assert_int_equal(identity->auth, AUTH_OAUTH2);
        assert_string_equal(identity->oauth2.token_url, "https://id.example.com/token");
        assert_string_equal(identity->oauth2.client_id, "grapnel");
        assert_true(span_eq(secret_reveal(&identity->oauth2.client_secret), SPAN("s1")));
        assert_int_equal(identity->concurrency, 64);
        assert_int_equal(identity->rate.count, 0);
        assert_int_equal(crm->auth, AUTH_BEARER);
        assert_true(span_eq(secret_reveal(&crm->bearer), SPAN("t1")));
        assert_int_equal(crm->concurrency, 8);
        assert_int_equal(crm->rate.count, 50);
        assert_int_equal(crm->rate.per_ms, 1000);
        assert_int_equal(crm->timeout_ms, 10000);
        assert_int_equal(crm->connect_timeout_ms, 5000);
        assert_int_equal(crm->answer_max_bytes, 8 << 20);
        assert_int_equal(crm->index, 1);
}

static void the_source_and_the_flow_of_the_example_are_read(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = load_brief(p);

        (void)state;
        const SourceConfig *s = config_source(c, SPAN("oneportal"));
        assert_non_null(s);
        assert_string_equal(s->verify.scheme->name, "standard");
        assert_int_equal(s->verify.n_secrets, 1);
        assert_int_equal(s->verify.window_ms, SIGN_WINDOW_DEFAULT_MS);
        assert_string_equal(s->reply, "problem");
        assert_int_equal(s->deadline_ms, 10000);
        assert_int_equal(s->body_max_bytes, 1 << 20);
        assert_null(s->once.text.p);
        assert_int_equal(s->unmatched, UNMATCHED_ACCEPT);

        const FlowConfig *f = &c->flows[0];
        assert_string_equal(f->name, "user-to-contact");
        assert_int_equal(f->n_on, 1);
        assert_string_equal(f->on[0], "oneportal");
        assert_int_equal(f->n_match, 2);
        assert_true(span_eq(f->match[0].path.text, SPAN(".entityType")));
        assert_true(span_eq(f->match[0].values->text, SPAN("USER")));
        assert_int_equal(f->match[1].values->kind, NODE_LIST);
        assert_int_equal(f->match[1].values->n, 2);
        assert_true(span_eq(f->subject.text, SPAN(".id")));
        assert_true(f->ordered);
        assert_int_equal(f->reply, REPLY_WAIT);
        assert_int_equal(f->wait_ms, 0);
        assert_false(f->retry_given);
        assert_int_equal(f->retry_tries, -1);
        assert_int_equal(f->n_steps, 3);
        assert_true(span_eq(f->steps[2]->entries[0].key, SPAN("saved")));
        assert_non_null(node_get(f->steps[2]->entries[0].value, "patch"));
}

static void defaults_are_as_the_manual_says(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = parse_good(SPAN("log: warn\n"), p);

        (void)state;
        assert_int_equal(c->keep_ms, (int64_t)30 * 86400000);
        assert_int_equal(c->keep_bytes, (int64_t)10 << 30);
        assert_int_equal(c->once_ms, (int64_t)7 * 86400000);
        assert_int_equal(c->connections_max, 10000);
        assert_int_equal(c->head_timeout_ms, 10000);
        assert_int_equal(c->body_timeout_ms, 30000);
        assert_int_equal(c->idle_timeout_ms, 60000);
        assert_int_equal(c->threads, 0);
        assert_int_equal(c->log_level, 2);
        assert_int_equal(c->n_allow, 0);
        assert_null(config_source(c, SPAN("any")));
}

static void a_flow_waits_in_each_spelling(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = parse_good(SPAN("sources: {s: {verify: none}}\n"
                                    "flows:\n"
                                    "  a: {on: s, reply: wait, steps: [{x: {}}]}\n"
                                    "  b: {on: s, reply: wait 3s, steps: [{x: {}}]}\n"
                                    "  c: {on: s, reply: {wait: 3s}, steps: [{x: {}}]}\n"
                                    "  d: {on: s, reply: accepted, steps: [{x: {}}]}\n"
                                    "  e: {on: s, steps: [{x: {}}]}\n"),
                               p);
        static const int64_t wait[] = {0, 3000, 3000, 0, 0};

        (void)state;
        for (size_t i = 0; i < 5; i++) {
                assert_int_equal(c->flows[i].reply, i < 3 ? REPLY_WAIT : REPLY_ACCEPTED);
                assert_int_equal(c->flows[i].wait_ms, wait[i]);
        }
}

static void order_and_retry_are_read(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = parse_good(
                SPAN("sources: {s: {verify: none}}\n"
                     "flows:\n"
                     "  a: {on: s, subject: .id, order: none, retry: none, steps: [{x: {}}]}\n"
                     "  b: {on: s, subject: .id, order: subject, retry: {tries: 3, base: 2s, "
                     "max: 1m}, steps: [{x: {}}]}\n"
                     "  c: {on: s, retry: {}, steps: [{x: {}}]}\n"),
                p);

        (void)state;
        assert_false(c->flows[0].ordered);
        assert_true(c->flows[0].retry_given);
        assert_int_equal(c->flows[0].retry_tries, 0);
        assert_true(c->flows[1].ordered);
        assert_int_equal(c->flows[1].retry_tries, 3);
        assert_int_equal(c->flows[1].retry_base_ms, 2000);
        assert_int_equal(c->flows[1].retry_cap_ms, 60000);
        assert_false(c->flows[2].ordered);
        assert_int_equal(c->flows[2].retry_tries, 10);
}

static void a_connection_keeps_its_parts(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = parse_good(
                SPAN("outbound: {allow: [10.0.0.0/8, 127.0.0.1/32]}\n"
                     "connections:\n"
                     "  a: {url: 'http://127.0.0.1:9/x//', basic: {user: u, password: pw}}\n"
                     "  b: {url: 'https://b.example.com', header: {name: X-Key, value: k}, "
                     "headers: {A: '1', B: two}}\n"),
                p);

        (void)state;
        assert_string_equal(c->connections[0].url, "http://127.0.0.1:9/x");
        assert_int_equal(c->connections[0].auth, AUTH_BASIC);
        assert_string_equal(c->connections[0].user, "u");
        assert_true(span_eq(secret_reveal(&c->connections[0].password), SPAN("pw")));
        assert_int_equal(c->connections[1].auth, AUTH_HEADER);
        assert_string_equal(c->connections[1].header, "X-Key");
        assert_int_equal(c->connections[1].n_headers, 2);
        assert_string_equal(c->connections[1].headers[1].name, "B");
        assert_string_equal(c->connections[1].headers[1].value, "two");
        assert_int_equal(c->n_allow, 2);
        assert_string_equal(c->allow[1], "127.0.0.1/32");
        assert_int_equal(c->allow_place[1].column, 32);
}

static void verification_is_read(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = parse_good(
                SPAN("sources:\n"
                     "  a: {verify: {scheme: hmac, header: X-Sig, prefix: 'v=', encoding: base64,"
                     " hash: sha512, secret: [0123456789abcdef, fedcba9876543210]}}\n"
                     "  b: {verify: none}\n"),
                p);
        const SignRule *rule = &c->sources[0].verify;

        (void)state;
        assert_string_equal(rule->scheme->name, "hmac");
        assert_string_equal(rule->form.header, "x-sig");
        assert_string_equal(rule->form.prefix, "v=");
        assert_int_equal(rule->form.encoding, SIGN_BASE64);
        assert_int_equal(rule->form.hash, SIGN_SHA512);
        assert_int_equal(rule->n_secrets, 2);
        assert_string_equal(c->sources[1].verify.scheme->name, "none");
}

static void expressions_know_where_they_begin(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = parse_good(SPAN("sources:\n"
                                    "  a:\n"
                                    "    verify: none\n"
                                    "    once: .id\n"
                                    "    prefer: '.a'\n"
                                    "    type: |  # a comment\n"
                                    "\n"
                                    "        .kind\n"
                                    "        | ascii\n"
                                    "    time: >-\r\n"
                                    "      .t\r\n"),
                               p);
        const SourceConfig *s = &c->sources[0];
        const struct {
                const Expr *e;
                unsigned line, column;
        } want[] = {{&s->once, 4, 11}, {&s->prefer, 5, 14}, {&s->type, 7, 9}, {&s->time, 11, 7}};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(want); i++) {
                assert_int_equal(want[i].e->place.line, want[i].line);
                assert_int_equal(want[i].e->place.column, want[i].column);
        }
        /* The first line of the text is the empty one. */
        assert_true(span_eq(s->type.text, SPAN("\n.kind\n| ascii\n")));
        assert_true(span_eq(s->time.text, SPAN(".t")));
}

static void a_snapshot_lives_until_its_last_user_leaves(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        Config *c = load_brief(p);

        (void)state;
        assert_ptr_equal(config_ref(c), c);
        assert_null(config_unref(c));
        assert_string_equal(c->ledger, "sqlite:grapnel.db");
        assert_null(config_unref(c));
        assert_null(config_unref(NULL));
}

static void a_file_cut_anywhere_is_answered(void **state) {
        AUTO(problems_end)
        Problems *all = problems_begin();
        AUTO(config_end)
        Config *c = load_brief(all);

        (void)state;
        assert_non_null(c);
        for (size_t n = 0; n < c->source.n; n++) {
                AUTO(problems_end)
                Problems *p = problems_begin();
                AUTO(buf_done)
                Buf out = BUF(1 << 20);
                AUTO(config_end)
                Config *part = config_parse((Span){c->source.p, n}, "t", brief_environment, p);

                assert_true((part == NULL) == (p->errors > 0));
                assert_int_equal(problems_print(p, &out), 0);
        }
}

static void expect_print(Span text, char *const *environment, const char *want) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = config_parse(text, "t", environment, p);
        AUTO(buf_done)
        Buf out = BUF(1 << 20);

        assert_true((c == NULL) == (p->errors > 0));
        assert_int_equal(problems_print(p, &out), 0);
        assert_int_equal(buf_add_char(&out, 0), 0);
        assert_string_equal(out.p, want);
}

static void problems_show_their_line(void **state) {
        char token[] = "T=sesame";
        char *const env[] = {token, NULL};

        (void)state;
        expect_print(SPAN("log: info\r\nlimits: {\t\xc3\xa4: 1, heade_timeout: 1}\r\n"), env,
                     "t:2:11: unknown key '\xc3\xa4'; known here: connections_max, head_timeout, "
                     "body_timeout, idle_timeout\n"
                     "    limits: {\t\xc3\xa4: 1, heade_timeout: 1}\n"
                     "             \t^\n"
                     "t:2:17: unknown key 'heade_timeout'; did you mean 'head_timeout'?\n"
                     "    limits: {\t\xc3\xa4: 1, heade_timeout: 1}\n"
                     "             \t      ^\n");
        /* The reference is not the secret: its line may be shown. */
        expect_print(SPAN("log: ${T}\n"), env,
                     "t:1:6: log: the value is not debug, info, warn or error\n"
                     "    log: ${T}\n"
                     "         ^\n");
}

static void a_long_line_is_shown_around_its_place(void **state) {
        AUTO(buf_done)
        Buf text = BUF(4096);
        AUTO(buf_done)
        Buf want = BUF(4096);

        (void)state;
        assert_int_equal(buf_addf(&text, "{ledger: 'sqlite:%0300d', log: x}", 0), 0);
        assert_int_equal(buf_addf(&want,
                                  "t:1:326: log: 'x' is not debug, info, warn or error\n"
                                  "    %072d', log: x}\n"
                                  "    %80s^\n%c",
                                  0, "", 0),
                         0);
        expect_print(buf_span(&text), nothing, want.p);
}

static void no_problem_shows_a_secret(void **state) {
        static const char *const texts[] = {
                "connections: {c: {url: nowhere, bearer: hunter2}}",
                "connections: {c: {url: 'https://u:hunter2@c.example.com'}}",
                "connections: {c: {url: 'https://c.example.com', bearer: [hunter2]}}",
                "connections: {c: {url: 'https://c.example.com', bearr: hunter2}}",
                "connections: {c: {url: 'https://c.example.com', pw: hunter2}}",
                "connections: {c: {url: 'https://c.example.com', basic: u:hunter2}}",
                "connections: {c: {url: 'https://c.example.com', basic: {usr: u, password: "
                "hunter2}}}",
                "connections: {c: {url: 'https://c.example.com', header: {name: a, value: "
                "\"hunter2\\n\"}}}",
                "connections:\n  c:\n    url: 'https://c.example.com'\n    bearer:\n      token: "
                "hunter2\n",
                "sources: {s: {verify: {scheme: standrd, secret: hunter2}}}",
                "sources: {s: {verify: {scheme: hmac, secret: [hunter2, b, c, d, e]}}}",
                "sources: {s: {verify: {scheme: hmac, secrt: hunter2}}}",
                "sources: {s: {verify: {scheme: standard, secret: hunter2}}}",
                "admin_token: &a hunter2\nlog: x",
                "admin_token: \"hunter2\nlog: x: y",
                "ledger: postgres://u:hunter2@db/x",
                "admin_token: hunter2\xff",
                "admin_token: hunter2: x",
                "connections: {c: {url: '${CRM}'}}",
                "connections: {c: {url: 'https://c.example.com', timeout: '${CRM}'}}",
                "ledger: '${CRM}'",
                "listen: '${CRM}'",
                "sources: {s: {verify: '${CRM}'}}",
                "sources: {s: {verify: {scheme: '${CRM}'}}}",
                "flows: {f: {on: s, reply: '${CRM}', order: '${CRM}', retry: '${CRM}', steps: "
                "'${CRM}', match: '${CRM}'}}",
        };
        char crm[] = "CRM=hunter2";
        char *const env[] = {crm, NULL};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
                AUTO(problems_end)
                Problems *p = problems_begin();
                AUTO(buf_done)
                Buf out = BUF(1 << 20);

                assert_null(config_parse(span_of(texts[i]), "t", env, p));
                assert_int_equal(problems_print(p, &out), 0);
                if (memmem(out.p, out.n, "hunter2", 7))
                        print_error("%.*s\n", SPAN_ARG(out));
                assert_null(memmem(out.p, out.n, "hunter2", 7));
        }
}

static void too_many_problems_are_counted(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(buf_done)
        Buf text = BUF(8192);
        AUTO(buf_done)
        Buf out = BUF(1 << 20);

        (void)state;
        for (int i = 0; i < PROBLEMS_MAX + 23; i++)
                assert_int_equal(buf_addf(&text, "key%d: 1\n", i), 0);
        assert_null(config_parse(buf_span(&text), "t", nothing, p));
        assert_int_equal(p->n, PROBLEMS_MAX);
        assert_int_equal(p->errors, PROBLEMS_MAX + 23);
        assert_int_equal(problems_print(p, &out), 0);
        assert_true(out.n > 12 && memcmp(out.p + out.n - 12, "and 23 more\n", 12) == 0);
}

static void hidden_lines_beyond_counting_hide_all(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();

        (void)state;
        problem_add(p, (Place){"t", 5000, 1}, "one");
        for (unsigned i = 1; i <= PROBLEM_SECRETS_MAX; i++)
                problem_hide_lines(p, i, i);
        assert_false(p->item[0].hidden);
        problem_hide_lines(p, 200, 200);
        assert_true(p->item[0].hidden);
        problem_add(p, (Place){"t", 6000, 1}, "two");
        assert_true(p->item[1].hidden);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_top_of_the_example_is_read),
                cmocka_unit_test(the_connections_of_the_example_are_read),
                cmocka_unit_test(the_source_and_the_flow_of_the_example_are_read),
                cmocka_unit_test(defaults_are_as_the_manual_says),
                cmocka_unit_test(a_flow_waits_in_each_spelling),
                cmocka_unit_test(order_and_retry_are_read),
                cmocka_unit_test(a_connection_keeps_its_parts),
                cmocka_unit_test(verification_is_read),
                cmocka_unit_test(expressions_know_where_they_begin),
                cmocka_unit_test(a_snapshot_lives_until_its_last_user_leaves),
                cmocka_unit_test(a_file_cut_anywhere_is_answered),
                cmocka_unit_test(problems_show_their_line),
                cmocka_unit_test(a_long_line_is_shown_around_its_place),
                cmocka_unit_test(no_problem_shows_a_secret),
                cmocka_unit_test(too_many_problems_are_counted),
                cmocka_unit_test(hidden_lines_beyond_counting_hide_all),
        };

        must(argc > 1);
        folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
