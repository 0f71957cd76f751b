/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints from their JSON: what is taken, what is refused and by which name, and what they want.
 */
#include "flow_unit.h"

#include "base/buf.h"

#define URL  "\"url\":\"https://example.com/hook\""
#define WITH "{" URL "," SECRETS ","

static Endpoint *make(const char *text) {
        Object o = endpoint_of(7, 3, 1, span_of(text));
        Endpoint *p = NULL;
        Err e = {0};

        if (endpoint_make(&o, &p, &e) < 0)
                fail_msg("%s: %s", text, e.text);
        return p;
}

static void refused(const char *text, const char *sentence) {
        Object o = endpoint_of(7, 3, 1, span_of(text));
        Endpoint *p = NULL;
        Err e = {0};

        if (endpoint_make(&o, &p, &e) == 0)
                fail_msg("was taken: %s", text);
        assert_null(p);
        assert_int_equal(e.code, -EINVAL);
        if (strncmp(e.text, sentence, strlen(sentence)) != 0)
                fail_msg("%s: said '%s', not '%s'", text, e.text, sentence);
}

static void is(Span s, const char *text) {
        if (!span_eq(s, span_of(text)))
                fail_msg("'%.*s' is not '%s'", SPAN_ARG(s), text);
}

static void what_is_not_said_has_its_default(void **state) {
        Endpoint *p = make("{" URL "," SECRETS "}");

        (void)state;
        assert_int_equal(p->id, 7);
        assert_int_equal(p->application, 3);
        assert_int_equal(p->version, 1);
        assert_string_equal(p->target, target_of(7).text);
        assert_int_equal(p->uid.n, 0);
        assert_string_equal(p->url, "https://example.com/hook");
        is(p->authority, "example.com");
        is(p->path, "/hook");
        assert_int_equal(p->query.n, 0);
        assert_false(p->is_disabled);
        assert_int_equal(p->n_types + p->n_channels + p->n_headers, 0);
        assert_string_equal(p->profile->name, "standard");
        assert_int_equal(p->n_keys, 1);
        assert_int_equal(p->keys[0].until_ms, 0);
        assert_int_equal(p->format, FORMAT_PLAIN);
        assert_int_equal(p->order, ORDER_NONE);
        assert_memory_equal(&p->retry, &retry_default, sizeof retry_default);
        assert_int_equal(p->timeout_ms, ENDPOINT_TIMEOUT_MS);
        assert_int_equal(p->concurrency, ENDPOINT_CONCURRENCY);
        assert_int_equal(p->rate, 0);
        assert_int_equal(p->failing_since_ms, 0);
        endpoint_unref(p);
        /* null says nothing either. */
        p = make(WITH "\"uid\":null,\"disabled\":null,\"filterTypes\":null,\"channels\":null,"
                      "\"headers\":null,\"auth\":null,\"profile\":null,\"format\":null,"
                      "\"order\":null,\"retry\":null,\"timeout\":null,\"concurrency\":null,"
                      "\"rateLimit\":null,\"failingSince\":null,\"disabledReason\":null}");
        assert_int_equal(p->timeout_ms, ENDPOINT_TIMEOUT_MS);
        assert_memory_equal(&p->retry, &retry_default, sizeof retry_default);
        endpoint_unref(p);
}

static void every_member_is_read(void **state) {
        Endpoint *p =
                make("{\"uid\":\"crm\",\"url\":\"http://Hooks.Example.COM:8080/a/b?x=1&y\","
                     "\"description\":\"d\",\"metadata\":{},\"version\":3,\"disabled\":true,"
                     "\"disabledReason\":\"failing\",\"rateLimit\":50,"
                     "\"filterTypes\":[\"user.updated\",\"order.*\"],\"channels\":[\"eu\",\"us\"],"
                     "\"headers\":{\"X-Key\":\"a b\",\"X-Empty\":\"\"},"
                     "\"secrets\":[{\"key\":\"" SECRET "\"},{\"key\":\"" SECRET "\",\"until\":99}],"
                     "\"failingSince\":1764000000000,\"profile\":\"rfc9421\","
                     "\"format\":\"cloudevents-structured\",\"timeout\":100,\"concurrency\":1000,"
                     "\"retry\":[0,0.5,604800],\"order\":\"all\",\"auth\":{\"bearer\":\"t.k/n\"},"
                     "\"from a later version\":[1,{}]}");

        (void)state;
        is(p->uid, "crm");
        assert_string_equal(p->url, "http://Hooks.Example.COM:8080/a/b?x=1&y");
        is(p->authority, "hooks.example.com:8080");
        is(p->path, "/a/b");
        is(p->query, "x=1&y");
        assert_true(p->is_disabled);
        assert_int_equal(p->rate, 50);
        assert_int_equal(p->n_types, 2);
        is(p->types[1], "order.*");
        assert_int_equal(p->n_channels, 2);
        is(p->channels[0], "eu");
        assert_int_equal(p->n_headers, 3);
        is(p->headers[0].name, "X-Key");
        is(p->headers[0].value, "a b");
        is(p->headers[2].name, "Authorization");
        is(p->headers[2].value, "Bearer t.k/n");
        assert_int_equal(p->n_keys, 2);
        assert_int_equal(p->keys[1].until_ms, 99);
        assert_int_equal(p->failing_since_ms, 1764000000000);
        assert_string_equal(p->profile->name, "rfc9421");
        assert_int_equal(p->format, FORMAT_CLOUDEVENTS_STRUCTURED);
        assert_int_equal(p->timeout_ms, 100);
        assert_int_equal(p->concurrency, 1000);
        assert_int_equal(p->order, ORDER_ALL);
        assert_int_equal(p->retry.n, 3);
        assert_int_equal(p->retry.pause_ms[0], 0);
        assert_int_equal(p->retry.pause_ms[1], 500);
        assert_int_equal(p->retry.pause_ms[2], 604800000);
        assert_int_equal(p->retry.jitter_percent, retry_default.jitter_percent);
        assert_int_equal(p->retry.hint_max_ms, retry_default.hint_max_ms);
        endpoint_unref(p);
        p = make(WITH "\"retry\":[],\"order\":\"subject\",\"format\":\"cloudevents\","
                      "\"auth\":{\"basic\":{\"user\":\"u\",\"password\":\"p:w\"}}}");
        assert_int_equal(p->retry.n, 0);
        assert_int_equal(p->order, ORDER_SUBJECT);
        assert_int_equal(p->format, FORMAT_CLOUDEVENTS);
        is(p->headers[0].value, "Basic dTpwOnc=");
        endpoint_unref(p);
}

/* What the text says of a member, and how the refusal begins. */
static void each_refusal_names_its_member(void **state) {
        static const char *const cases[][2] = {
                {"\"uid\":5", "uid: must be a text"},
                {"\"disabled\":\"no\"", "disabled: must be true or false"},
                {"\"disabled\":0", "disabled: must be true or false"},
                {"\"filterTypes\":\"order\"", "filterTypes: must be a list"},
                {"\"filterTypes\":{}", "filterTypes: must be a list"},
                {"\"filterTypes\":[\"a\",1]", "filterTypes: must hold texts only"},
                {"\"filterTypes\":[\"\"]", "filterTypes: must hold texts only"},
                {"\"channels\":7", "channels: must be a list"},
                {"\"channels\":[null]", "channels: must hold texts only"},
                {"\"channels\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\","
                 "\"11\"]",
                 "channels: must be a list of at most 10"},
                {"\"headers\":[]", "headers: must be a map"},
                {"\"headers\":\"X: 1\"", "headers: must be a map"},
                {"\"headers\":{\"X\":1}", "headers: must be texts"},
                {"\"auth\":\"Bearer x\"", "auth: must be"},
                {"\"auth\":[]", "auth: must be"},
                {"\"auth\":{}", "auth: must be"},
                {"\"auth\":{\"bearer\":5}", "auth: must be"},
                {"\"auth\":{\"bearer\":\"a\\r\\nX: 1\"}", "auth: is too long, or holds a control"},
                {"\"auth\":{\"basic\":{\"user\":\"u\"}}", "auth.basic: needs a user"},
                {"\"auth\":{\"basic\":{\"user\":\"u:v\",\"password\":\"p\"}}",
                 "auth.basic: needs a user"},
                {"\"auth\":{\"basic\":\"dTpw\"}", "auth.basic: needs a user"},
                {"\"profile\":\"svix\"", "profile: 'svix' is not known"},
                {"\"profile\":1", "profile: must be a text"},
                {"\"format\":\"xml\"", "format: 'xml' is not known"},
                {"\"format\":true", "format: must be a text"},
                {"\"order\":\"fifo\"", "order: 'fifo' is not known"},
                {"\"order\":[]", "order: must be a text"},
                {"\"timeout\":99", "timeout: must be a whole number from 100 to 60000"},
                {"\"timeout\":60001", "timeout: "},
                {"\"timeout\":1000.5", "timeout: "},
                {"\"timeout\":\"15s\"", "timeout: "},
                {"\"concurrency\":0", "concurrency: must be a whole number from 1 to 1000"},
                {"\"concurrency\":1001", "concurrency: "},
                {"\"concurrency\":-1", "concurrency: "},
                {"\"concurrency\":4294967297", "concurrency: "},
                {"\"rateLimit\":0", "rateLimit: must be a whole number from 1 to 100000"},
                {"\"rateLimit\":100001", "rateLimit: "},
                {"\"failingSince\":-1", "failingSince: "},
                {"\"failingSince\":\"2025\"", "failingSince: "},
                {"\"batch\":5", "batch: must be"},
                {"\"batch\":{\"events\":1}", "batch: events must be a whole number from 2 to 250"},
                {"\"batch\":{\"events\":251}", "batch: events"},
                {"\"batch\":{\"wait\":-1}", "batch: wait must be a whole number from 0 to 60000"},
                {"\"batch\":{\"bytes\":1023}", "batch: bytes"},
                {"\"batch\":{},\"order\":\"all\"", "batch: order all"},
                {"\"batch\":{},\"format\":\"cloudevents\"", "batch: format cloudevents"},
                {"\"retry\":5", "retry: must be a list of at most 32"},
                {"\"retry\":[\"5\"]", "retry: a pause is from 0 to 604800"},
                {"\"retry\":[-1]", "retry: a pause is from 0 to 604800"},
                {"\"retry\":[604801]", "retry: a pause is from 0 to 604800"},
                {"\"retry\":[1e300]", "retry: a pause is from 0 to 604800"},
                {"\"retry\":[null]", "retry: a pause is from 0 to 604800"},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                AUTO(buf_done)
                Buf text = BUF(4096);

                assert_int_equal(buf_addf(&text, WITH "%s}%c", cases[i][0], 0), 0);
                refused(text.p, cases[i][1]);
        }
}

static void what_is_no_object_is_refused(void **state) {
        static const char *const texts[] = {
                "", "null", "[]", "\"x\"", "{\"url\":", "{\"url\":1,\"url\":2}", "{} {}"};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(texts); i++)
                refused(texts[i], "the endpoint is no JSON object");
        refused("{}", "url: is missing");
        refused("{\"url\":null}", "url: is missing");
        refused("{\"url\":{}}", "url: must be a text");
}

/* `n` times `item`, as a list or (with keys) a map of them. */
static void add_many(Buf *b, const char *open, const char *item, size_t n, const char *close) {
        assert_int_equal(buf_addf(b, "%s", open), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_addf(b, "%s%.*s%zu%s", i ? "," : "", (int)strcspn(item, "#"),
                                          item, i, item + strcspn(item, "#") + 1),
                                 0);
        assert_int_equal(buf_addf(b, "%s%c", close, 0), 0);
}

static void as_many_as_there_may_be_and_one_more(void **state) {
        static const struct {
                const char *open, *item, *close, *sentence;
                size_t max;
        } cases[] = {
                {WITH "\"filterTypes\":[", "\"type.#\"", "]}",
                 "filterTypes: must be a list of at "
                 "most 500",
                 ENDPOINT_TYPES_MAX},
                {WITH "\"headers\":{", "\"X-#\":\"v\"", "}}",
                 "headers: must be a map of at most 50", ENDPOINT_HEADERS_MAX},
                {WITH "\"auth\":{\"bearer\":\"t\"},\"headers\":{", "\"X-#\":\"v\"", "}}",
                 "headers: must be a map of at most 50", ENDPOINT_HEADERS_MAX},
                {WITH "\"retry\":[", "#", "]}", "retry: must be a list of at most 32",
                 RETRY_STEPS_MAX},
                {"{" URL ",\"secrets\":[", "{\"key\":\"" SECRET "\",\"until\":1#}", "]}",
                 "secrets: are too many", PROFILE_KEYS_MAX},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                AUTO(buf_done)
                Buf most = BUF(1 << 16), more = BUF(1 << 16);

                add_many(&most, cases[i].open, cases[i].item, cases[i].max, cases[i].close);
                endpoint_unref(make(most.p));
                add_many(&more, cases[i].open, cases[i].item, cases[i].max + 1, cases[i].close);
                refused(more.p, cases[i].sentence);
        }
}

static void refused_long(const char *open, size_t n, const char *close, const char *sentence) {
        AUTO(buf_done)
        Buf b = BUF(4 << 20);
        char *at = NULL;

        assert_int_equal(buf_addf(&b, "%s", open), 0);
        assert_int_equal(buf_room(&b, n, &at), 0);
        memset(at, 'x', n);
        b.n += n;
        assert_int_equal(buf_addf(&b, "%s%c", close, 0), 0);
        refused(b.p, sentence);
}

static void what_is_too_long_is_refused(void **state) {
        enum { MUCH = 2 << 20 };

        (void)state;
        refused_long(WITH "\"uid\":\"", OBJECT_NAME_MAX_BYTES + 1, "\"}", "uid: is longer than");
        refused_long(WITH "\"uid\":\"", MUCH, "\"}", "uid: ");
        refused_long("{\"url\":\"https://h/", 2048, "\"," SECRETS "}", "url: ");
        refused_long("{\"url\":\"https://h/", MUCH, "\"," SECRETS "}", "url: ");
        refused_long(WITH "\"filterTypes\":[\"", MUCH, "\"]}", "filterTypes: is too long");
        refused_long(WITH "\"channels\":[\"", MUCH, "\"]}", "channels: is too long");
        refused_long(WITH "\"headers\":{\"X\":\"", MUCH, "\"}}", "headers: ");
        refused_long(WITH "\"headers\":{\"X\":\"", ENDPOINT_HEADERS_MAX_BYTES, "\"}}",
                     "headers: have more than");
        refused_long(WITH "\"headers\":{\"X\":\"1\"},\"auth\":{\"bearer\":\"",
                     ENDPOINT_HEADERS_MAX_BYTES - 10, "\"}}", "headers: have more than");
        refused_long(WITH "\"headers\":{\"", 257, "\":\"v\"}}", "headers: ");
        refused_long(WITH "\"auth\":{\"bearer\":\"", MUCH, "\"}}", "auth: is too long");
        refused_long(WITH "\"auth\":{\"basic\":{\"user\":\"u\",\"password\":\"", 8192, "\"}}}",
                     "auth.basic: is too long");
        refused_long(WITH "\"format\":\"", MUCH, "\"}", "format: ");
        refused_long("{" URL ",\"secrets\":[{\"key\":\"whsec_", 8192, "\"}]}", "secrets: ");
}

/* Reference faults 4.1.2: what two readers take for two hosts, or for what is no web at all. */
static void strange_urls_are_refused(void **state) {
        static const char *const urls[] = {
                "http://2130706433/",
                "http://0x7f000001/",
                "http://0177.0.0.1/",
                "http://017700000001/",
                "http://127.1/",
                "http://0x7f.1/",
                "http://1.2.3/",
                "http://0/",
                "http://00000127.0.0.1/",
                "http://127.0.0.1.5/",
                "http://256.1.1.1/",
                "http://①②⑦.⓪.⓪.①/",
                "http://１２７.0.0.1/",
                "http://exämple.com/",
                "http://host\\\\@127.2.2.2/",
                "http://a@127.0.0.1/",
                "http://a:b@h/",
                "http:127.0.0.1",
                "http:///127.0.0.1",
                "//host/x",
                "/x",
                "host",
                "",
                " ",
                "http://h\\t.example/",
                "http://h\\n.example/",
                "http://h .example/",
                " http://h.example/",
                "http://h.example/ ",
                "http://h%00.example/",
                "http://h%2eexample/",
                "http://h.example/%00",
                "http://h.example/%zz",
                "http://h.example/a/../b",
                "http://h.example/.",
                "http://h.example/a\\\\b",
                "http://h.example:0/",
                "http://h.example:65536/",
                "http://h.example:080/",
                "http://h.example:/",
                "http://h.example:x/",
                "http://h.example:80:80/",
                "file:///etc/passwd",
                "gopher://h/",
                "ftp://h/",
                "data:,x",
                "javascript:x",
                "ws://h/",
                "https://",
                "http://.",
                "http://..",
                "http://-a.example/",
                "http://a..b/",
                "http://h.example/#frag",
                "http://h.example#frag",
                "http://[::1/",
                "http://[::1]x/",
                "http://[fe80::1%25lo]/",
                "http://[::g]/",
                "http://[127.0.0.1]/",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(urls); i++) {
                AUTO(buf_done)
                Buf text = BUF(4096);

                assert_int_equal(buf_addf(&text, "{\"url\":\"%s\"," SECRETS "}%c", urls[i], 0), 0);
                refused(text.p, "url: ");
        }
}

/* As the Host header says it, since receivers verify that: their side sees no URL. */
static void the_authority_is_that_of_the_host_header(void **state) {
        static const char *const cases[][4] = {
                {"https://Example.COM", "example.com", "", ""},
                {"HTTPS://example.com/", "example.com", "/", ""},
                {"https://example.com:443/p", "example.com", "/p", ""},
                {"http://example.com:80/p", "example.com", "/p", ""},
                {"https://example.com:80/p", "example.com:80", "/p", ""},
                {"http://example.com:443/p", "example.com:443", "/p", ""},
                {"http://[2001:DB8::1]/p", "[2001:db8::1]", "/p", ""},
                {"http://[::1]:80/p?q", "[::1]", "/p", "q"},
                {"http://[::1]:8080?q=[1]", "[::1]:8080", "", "q=[1]"},
                {"http://127.0.0.1:8080/%41", "127.0.0.1:8080", "/%41", ""},
                /* What libcurl 7.88.1 sends. */
                {"http://example.com./p", "example.com.", "/p", ""},
                {"http://example.com.", "example.com.", "", ""},
                {"http://example.com.:8080/p", "example.com.:8080", "/p", ""},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                AUTO(buf_done)
                Buf text = BUF(4096);

                assert_int_equal(buf_addf(&text, "{\"url\":\"%s\"," SECRETS "}%c", cases[i][0], 0),
                                 0);
                Endpoint *p = make(text.p);
                assert_string_equal(p->url, cases[i][0]);
                is(p->authority, cases[i][1]);
                is(p->path, cases[i][2]);
                is(p->query, cases[i][3]);
                endpoint_unref(p);
        }
}

static void header_refused(const char *name, const char *value, const char *sentence) {
        AUTO(buf_done)
        Buf text = BUF(4096);

        assert_int_equal(buf_add(&text, SPAN(WITH "\"headers\":{")), 0);
        assert_int_equal(buf_add_json(&text, span_of(name)), 0);
        assert_int_equal(buf_add_char(&text, ':'), 0);
        assert_int_equal(buf_add_json(&text, span_of(value)), 0);
        assert_int_equal(buf_addf(&text, "}}%c", 0), 0);
        refused(text.p, sentence);
}

static void header_names_are_tokens(void **state) {
        (void)state;
        header_refused("", "v", "headers: a name holds");
        for (int c = 1; c < 256; c++) {
                char name[8] = "X";
                bool is_token =
                        c < 127 && (strchr("!#$%&'*+-.^_`|~", c) || (c >= '0' && c <= '9') ||
                                    (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));

                if (is_token)
                        continue;
                /* JSON is UTF-8: the upper half as two bytes. */
                (void)snprintf(name + 1, sizeof name - 1, c < 128 ? "%c" : "%c%c",
                               c < 128 ? c : 0xc0 | c >> 6, 0x80 | (c & 0x3f));
                header_refused(name, "v", "headers: a name holds");
        }
}

static void header_values_hold_no_control_bytes(void **state) {
        (void)state;
        for (int c = 1; c < 128; c++) {
                char value[8];

                if ((c >= 32 && c != 127) || c == '\t')
                        continue;
                (void)snprintf(value, sizeof value, "a%cb", c);
                header_refused("X-Key", value, "headers: the value of X-Key holds a control byte");
        }
        header_refused("X-Key", "a\r\nHost: evil", "headers: the value of X-Key");
        refused(WITH "\"headers\":{\"X-Key\":\"a\\u0000b\"}}", "the endpoint is no JSON object");
        Endpoint *p = make(WITH "\"headers\":{\"X-Key\":\"a\\tb \\u00e9\"}}");
        is(p->headers[0].value, "a\tb \xc3\xa9");
        endpoint_unref(p);
}

/* Whatever profile signs, none of its headers can be said by the endpoint too. */
static void no_profile_says_what_an_endpoint_may(void **state) {
        (void)state;
        for (size_t i = 0; profiles[i]; i++) {
                AUTO(arena_freep)
                Arena *a = arena_new(1 << 16);
                Signer signer = {.profile = profiles[i], .svix_names = true};
                SignMessage m = {.id = SPAN("msg_1"),
                                 .type = SPAN("a.b"),
                                 .method = SPAN("POST"),
                                 .authority = SPAN("h"),
                                 .body = SPAN("{}")};
                SignHeaders made = {.n = 0};
                ProfileKey *key = NULL;

                if (profiles[i]->secrets) {
                        key = profile_key_new(profiles[i], SPAN(SECRET), NULL);
                        assert_non_null(key);
                        signer.keys[signer.n_keys++] = key;
                }
                assert_int_equal(profile_sign(&signer, &m, a, &made, NULL), 0);
                for (size_t k = 0; k < made.n; k++)
                        header_refused(made.at[k].name, "x", "headers: ");
                profile_key_free(key);
        }
}

static void authorization_is_said_once(void **state) {
        (void)state;
        refused(WITH "\"headers\":{\"authorization\":\"x\"},\"auth\":{\"bearer\":\"y\"}}",
                "auth: the headers hold an Authorization");
        refused(WITH "\"headers\":{\"AUTHORIZATION\":\"x\"},"
                     "\"auth\":{\"basic\":{\"user\":\"u\",\"password\":\"p\"}}}",
                "auth: the headers hold an Authorization");
}

static void what_grapnel_sets_is_nobody_elses(void **state) {
        static const char *const names[] = {
                "Content-Length",
                "Transfer-Encoding",
                "connection",
                "EXPECT",
                "Host",
                "Upgrade",
                "TE",
                "Trailer",
                "Keep-Alive",
                "Proxy-Connection",
                "Content-Type",
                "Webhook-Id",
                "Webhook-Timestamp",
                "Webhook-Signature",
                "Content-Digest",
                "Signature",
                "Signature-Input",
                "Svix-Id",
                "svix-timestamp",
                "svix-signature",
                "Stripe-Signature",
                "X-GitHub-Delivery",
                "X-GitHub-Event",
                "X-Hub-Signature-256",
                "X-Shopify-Hmac-SHA256",
                "X-Shopify-Topic",
                "X-Shopify-Triggered-At",
                "X-Shopify-Webhook-Id",
                "X-Slack-Request-Timestamp",
                "X-Slack-Signature",
                "traceparent",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(names); i++) {
                char sentence[64];

                (void)snprintf(sentence, sizeof sentence, "headers: %s is set by Grapnel",
                               names[i]);
                for (char *c = sentence + 9; *c != ' '; c++)
                        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
                header_refused(names[i], "1", sentence);
        }
        header_refused("CE-Id", "1", "headers: those that begin with ce-");
        header_refused("ce-extension", "1", "headers: those that begin with ce-");
        endpoint_unref(make(WITH "\"headers\":{\"ce-\":\"1\",\"X-Signature\":\"2\"}}"));
        endpoint_unref(make(WITH "\"headers\":{\"User-Agent\":\"x\",\"Hosts\":\"y\","
                                 "\"Authorization\":\"z\"}}"));
}

static void keys_are_those_of_the_profile(void **state) {
        static const char *const cases[][3] = {
                /* profile, secret, how the refusal begins; NULL: taken */
                {"standard", SECRET, NULL},
                {"standard", "whsec_c2hvcnQ=", "secrets: "},
                {"standard",
                 "whpk_"
                 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
                 "secrets: "},
                {"standard", "not base64!", "secrets: "},
                {"standard", "", "secrets: "},
                {"rfc9421", SECRET, NULL},
                {"github", "sixteen or more bytes", NULL},
                {"github", "fifteen bytes..", "secrets: "},
                {"stripe", SECRET, NULL},
                {"slack", "tab\\tis no printable byte", "secrets: "},
                {"shopify", "sixteen or more bytes", NULL},
                {"none", "sixteen or more bytes", "secrets: "},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                AUTO(buf_done)
                Buf text = BUF(4096);

                assert_int_equal(buf_addf(&text,
                                          "{" URL ",\"profile\":\"%s\","
                                          "\"secrets\":[{\"key\":\"%s\"}]}%c",
                                          cases[i][0], cases[i][1], 0),
                                 0);
                if (cases[i][2]) {
                        refused(text.p, cases[i][2]);
                        continue;
                }
                Endpoint *p = make(text.p);
                assert_string_equal(p->profile->name, cases[i][0]);
                assert_int_equal(p->n_keys, 1);
                endpoint_unref(p);
        }
        for (size_t i = 0; profiles[i]; i++) {
                AUTO(buf_done)
                Buf text = BUF(4096);

                assert_int_equal(
                        buf_addf(&text, "{" URL ",\"profile\":\"%s\"}%c", profiles[i]->name, 0), 0);
                if (profiles[i]->secrets)
                        refused(text.p, "secrets: one is needed to sign with");
                else
                        endpoint_unref(make(text.p));
        }
}

static void secrets_of_another_shape_are_refused(void **state) {
        static const char *const cases[] = {
                "\"" SECRET "\"",
                "{\"key\":\"" SECRET "\"}",
                "[\"" SECRET "\"]",
                "[{}]",
                "[{\"key\":5}]",
                "[null]",
                /* A moment that cannot be read must not become "for ever". */
                "[{\"key\":\"" SECRET "\"},{\"key\":\"" SECRET "\",\"until\":\"soon\"}]",
                "[{\"key\":\"" SECRET "\"},{\"key\":\"" SECRET "\",\"until\":1e12}]",
                "[{\"key\":\"" SECRET "\"},{\"key\":\"" SECRET "\",\"until\":-1}]",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                AUTO(buf_done)
                Buf text = BUF(4096);

                assert_int_equal(buf_addf(&text, "{" URL ",\"secrets\":%s}%c", cases[i], 0), 0);
                refused(text.p, "secrets: ");
        }
        endpoint_unref(make("{" URL ",\"profile\":\"none\",\"secrets\":[]}"));
        endpoint_unref(make("{" URL ",\"profile\":\"none\",\"secrets\":null}"));
}

/* ---- what it wants ---- */

static bool wants(const Endpoint *p, const char *type, const char *a, const char *b) {
        Span channels[] = {span_of(a), span_of(b)};

        return endpoint_wants(p, span_of(type), channels, b ? 2 : a ? 1 : 0);
}

static void types_are_exact_or_begin_so(void **state) {
        Endpoint *p = make(WITH "\"filterTypes\":[\"user.updated\",\"order.*\",\"a.b.*\",\".*\","
                                "\"x*\"]}");

        (void)state;
        assert_true(wants(p, "user.updated", NULL, NULL));
        assert_true(wants(p, "order", NULL, NULL));
        assert_true(wants(p, "order.paid", NULL, NULL));
        assert_true(wants(p, "order.paid.twice", NULL, NULL));
        assert_true(wants(p, "order.", NULL, NULL));
        assert_true(wants(p, "a.b", NULL, NULL));
        assert_true(wants(p, "a.b.c", NULL, NULL));
        assert_true(wants(p, "x*", NULL, NULL));
        assert_false(wants(p, "user.updated.twice", NULL, NULL));
        assert_false(wants(p, "user.update", NULL, NULL));
        assert_false(wants(p, "User.Updated", NULL, NULL));
        assert_false(wants(p, "orders", NULL, NULL));
        assert_false(wants(p, "orderx.paid", NULL, NULL));
        assert_false(wants(p, "Order.paid", NULL, NULL));
        assert_false(wants(p, "a", NULL, NULL));
        assert_false(wants(p, "a.bc", NULL, NULL));
        assert_false(wants(p, "xy", NULL, NULL));
        endpoint_unref(p);
        p = make("{" URL "," SECRETS "}");
        assert_true(wants(p, "anything", NULL, NULL));
        assert_true(wants(p, "", NULL, NULL));
        endpoint_unref(p);
}

static void channels_are_shared_or_do_not_matter(void **state) {
        Endpoint *any = make("{" URL "," SECRETS "}"),
                 *two = make(WITH "\"channels\":[\"eu\",\"us\"]}"),
                 *both = make(WITH "\"channels\":[\"eu\"],\"filterTypes\":[\"a\"]}");

        (void)state;
        assert_true(wants(any, "a", NULL, NULL));
        assert_true(wants(any, "a", "eu", NULL));
        assert_true(wants(two, "a", "us", NULL));
        assert_true(wants(two, "a", "asia", "eu"));
        assert_false(wants(two, "a", "asia", NULL));
        assert_false(wants(two, "a", "e", "EU"));
        assert_false(wants(two, "a", NULL, NULL));
        assert_true(wants(both, "a", "eu", NULL));
        assert_false(wants(both, "b", "eu", NULL));
        assert_false(wants(both, "a", "us", NULL));
        endpoint_unref(any);
        endpoint_unref(two);
        endpoint_unref(both);
}

static void a_disabled_one_wants_nothing(void **state) {
        Endpoint *p = make(WITH "\"disabled\":true}");

        (void)state;
        assert_false(wants(p, "a", NULL, NULL));
        endpoint_unref(p);
        p = make(WITH "\"disabled\":false,\"disabledReason\":\"gone\"}");
        assert_true(wants(p, "a", NULL, NULL));
        endpoint_unref(p);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_not_said_has_its_default),
                cmocka_unit_test(every_member_is_read),
                cmocka_unit_test(each_refusal_names_its_member),
                cmocka_unit_test(what_is_no_object_is_refused),
                cmocka_unit_test(as_many_as_there_may_be_and_one_more),
                cmocka_unit_test(what_is_too_long_is_refused),
                cmocka_unit_test(strange_urls_are_refused),
                cmocka_unit_test(the_authority_is_that_of_the_host_header),
                cmocka_unit_test(header_names_are_tokens),
                cmocka_unit_test(header_values_hold_no_control_bytes),
                cmocka_unit_test(no_profile_says_what_an_endpoint_may),
                cmocka_unit_test(authorization_is_said_once),
                cmocka_unit_test(what_grapnel_sets_is_nobody_elses),
                cmocka_unit_test(keys_are_those_of_the_profile),
                cmocka_unit_test(secrets_of_another_shape_are_refused),
                cmocka_unit_test(types_are_exact_or_begin_so),
                cmocka_unit_test(channels_are_shared_or_do_not_matter),
                cmocka_unit_test(a_disabled_one_wants_nothing),
        };

        return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
