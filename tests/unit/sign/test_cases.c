/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/sign: lines of a word and a value, an empty line after each case. In values
 * \n is a line end and \xNN a byte; secrets are divided by blanks. What a case leaves out stays
 * as in the case before it, except its headers; `anew` forgets all of it. */
#include "sign/sign.h"
#include "unit.h"

enum { HEADERS_MAX = 8, TEXT_MAX = 20000, LINE_MAX_BYTES = 24000 };

typedef struct Text {
        char p[TEXT_MAX];
        size_t n;
} Text;

typedef struct Case {
        Text name, scheme, secret, into, prefix, encoding, hash, user, body, verdict, now, window;
        Text covers, timestamp, entry, id, unit, secret_encoding; /* of a form */
        Text method, path, query, public_url, member;
        Text keys, issuer, audience, party, body_hash, claim; /* of a token */
        Text header_names[HEADERS_MAX], header_values[HEADERS_MAX];
        size_t n_headers;
} Case;

static const char *cases_folder;
static const char *const verdicts[] = {"ok", "missing", "malformed", "stale", "wrong", "nokey"};

static Span span_text(const Text *t) {
        return (Span){t->p, t->n};
}

static void text_set(Text *t, Span s) {
        t->n = 0;
        for (size_t i = 0; i < s.n; i++) {
                unsigned byte = (unsigned char)s.p[i];

                if (byte == '\\' && i + 1 < s.n && s.p[i + 1] == 'n') {
                        byte = '\n';
                        i += 1;
                } else if (byte == '\\' && i + 3 < s.n && s.p[i + 1] == 'x') {
                        assert_int_equal(sscanf(s.p + i + 2, "%2x", &byte), 1);
                        i += 3;
                }
                assert_in_range(t->n, 0, TEXT_MAX - 2);
                t->p[t->n++] = (char)byte;
        }
        t->p[t->n] = 0;
}

static Span get(const void *arg, const char *name, size_t *count) {
        const Case *c = arg;
        Span first = {NULL, 0};

        *count = 0;
        for (size_t i = 0; i < c->n_headers; i++)
                if (span_eq_nocase(span_text(&c->header_names[i]), span_of(name)) &&
                    (*count)++ == 0)
                        first = span_text(&c->header_values[i]);
        return first;
}

static int64_t number(const Text *t) {
        uint64_t n = 0;

        assert_true(t->n == 0 || span_to_u64(span_text(t), INT64_MAX, &n));
        return (int64_t)n;
}

static const char *text_or_null(const Text *t) {
        return t->n ? t->p : NULL;
}

/* The place of a word in the list, which begins with what stands for none. */
static int choice(const Text *t, const char *const *list) {
        for (int i = 0; list[i]; i++)
                if (span_eq(span_text(t), span_of(list[i])))
                        return i;
        return 0;
}

static void secrets_of(const Case *c, SignRule *ret) {
        Span secrets = span_text(&c->secret);

        for (size_t end; secrets.n > 0; secrets = span_from(secrets, end + 1)) {
                static Text one;

                end = span_find(secrets, ' ');
                text_set(&one, (Span){secrets.p, end});
                assert_in_range(ret->n_secrets, 0, SIGN_SECRETS_MAX - 1);
                ret->secrets[ret->n_secrets++] = secret_copy(span_text(&one));
        }
}

/* "ver 2.0": the claim and its value. */
static void claim_of(const Case *c, SignRule *ret) {
        static char name[100];
        static const char *value;
        static SignClaim claim;
        size_t end = span_find(span_text(&c->claim), ' ');

        if (c->claim.n == 0)
                return;
        (void)snprintf(name, sizeof name, "%.*s", (int)end, c->claim.p);
        value = c->claim.p + end + 1;
        claim = (SignClaim){name, &value, 1};
        ret->jwt.claims = &claim;
        ret->jwt.n_claims = 1;
}

static void rule_of(const Case *c, SignRule *ret) {
        static const char *const encodings[] = {"hex", "base64", "base64url", NULL};
        static const char *const secret_encodings[] = {"text", "hex", "base64", "base64url", NULL};
        static const char *const units[] = {"s", "ms", "rfc3339", NULL};
        static const char *const hashes[] = {"sha1", "sha256", "sha384", "sha512", NULL};
        Err e = {0};

        *ret = (SignRule){
                .scheme = sign_scheme_find(span_text(&c->scheme)),
                .window_ms = number(&c->window),
                .form = {.header = text_or_null(&c->into),
                         .prefix = c->prefix.p,
                         .covers = text_or_null(&c->covers),
                         .timestamp = text_or_null(&c->timestamp),
                         .timestamp_entry = text_or_null(&c->entry),
                         .id = text_or_null(&c->id),
                         .unit = (SignUnit)choice(&c->unit, units),
                         .encoding = (SignEncoding)choice(&c->encoding, encodings),
                         .hash = c->hash.n ? (SignHash)choice(&c->hash, hashes) : SIGN_SHA256,
                         .secret = (SignSecret)choice(&c->secret_encoding, secret_encodings)},
                .user = c->user.p,
                .public_url = text_or_null(&c->public_url),
                .path = text_or_null(&c->member),
                .jwt = {.keys = text_or_null(&c->keys),
                        .issuer = text_or_null(&c->issuer),
                        .audience = text_or_null(&c->audience),
                        .party = text_or_null(&c->party),
                        .body_hash = text_or_null(&c->body_hash)},
        };
        assert_non_null(ret->scheme);
        secrets_of(c, ret);
        claim_of(c, ret);
        if (ret->scheme->prepare(ret, &e) < 0)
                fail_msg("%s: %s", c->name.p, e.text);
}

static void run(const Case *c) {
        SignRule rule;
        SignInput in = {.get = get,
                        .arg = c,
                        .body = span_text(&c->body),
                        .now_ms = number(&c->now),
                        .method = c->method.p,
                        .path = span_text(&c->path),
                        .query = c->query.n ? span_text(&c->query) : (Span){NULL, 0}};
        const char *why = NULL;

        rule_of(c, &rule);
        SignVerdict v = sign_check(&rule, &in, &why);
        if (!span_eq(span_of(verdicts[v]), span_text(&c->verdict)))
                fail_msg("%s: %s (%s), not %s", c->name.p, verdicts[v], why, c->verdict.p);
        if ((v == SIGN_OK) != (why[0] == 0))
                fail_msg("%s: a refusal needs a reason, and nothing else does", c->name.p);
        sign_rule_done(&rule);
}

static void read_line(Case *c, Span line) {
        const struct {
                const char *word;
                Text *text;
        } words[] = {
                {"name", &c->name},
                {"scheme", &c->scheme},
                {"into", &c->into},
                {"prefix", &c->prefix},
                {"encoding", &c->encoding},
                {"hash", &c->hash},
                {"user", &c->user},
                {"body", &c->body},
                {"verdict", &c->verdict},
                {"now", &c->now},
                {"window", &c->window},
                {"signed", &c->covers},
                {"timestamp", &c->timestamp},
                {"entry", &c->entry},
                {"id", &c->id},
                {"unit", &c->unit},
                {"secret_encoding", &c->secret_encoding},
                {"method", &c->method},
                {"path", &c->path},
                {"query", &c->query},
                {"public_url", &c->public_url},
                {"keys", &c->keys},
                {"issuer", &c->issuer},
                {"party", &c->party},
                {"audience", &c->audience},
                {"claim", &c->claim},
                {"body_hash", &c->body_hash},
                {"member", &c->member},
        };
        size_t end = span_find(line, ' ');
        Span word = {line.p, end}, value = span_trim(span_from(line, end), " ");

        if (span_eq(word, SPAN("anew"))) { /* nothing stays from the cases before */
                *c = (Case){0};
                return;
        }
        if (span_eq(word, SPAN("secret"))) { /* read when its parts are known */
                memcpy(c->secret.p, value.p, value.n);
                c->secret.n = value.n;
                return;
        }
        if (span_eq(word, SPAN("header"))) {
                size_t colon = span_find(value, ':');

                assert_in_range(c->n_headers, 0, HEADERS_MAX - 1);
                text_set(&c->header_names[c->n_headers], (Span){value.p, colon});
                text_set(&c->header_values[c->n_headers++], span_from(value, colon + 1));
                return;
        }
        for (size_t i = 0; i < COUNT_OF(words); i++)
                if (span_eq(word, span_of(words[i].word))) {
                        text_set(words[i].text, value);
                        return;
                }
        fail_msg("unknown word in \"%.*s\"", (int)line.n, line.p);
}

static size_t run_file(const char *file) {
        static char line[LINE_MAX_BYTES];
        static Case c;
        char path[1024];
        size_t n_cases = 0;

        c = (Case){0};

        (void)snprintf(path, sizeof path, "%s/sign/%s", cases_folder, file);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        for (;;) {
                bool is_end = !fgets(line, sizeof line, f);
                Span s = is_end ? (Span){"", 0} : span_trim(span_of(line), "\n");

                if (s.n == 0 && c.name.n > 0) {
                        run(&c);
                        n_cases++;
                        c.name.n = c.n_headers = 0;
                } else if (s.n > 0 && s.p[0] != '#') {
                        read_line(&c, s);
                }
                if (is_end)
                        break;
        }
        (void)fclose(f);
        return n_cases;
}

static void standard_webhooks(void **state) {
        (void)state;
        assert_true(run_file("standard.case") > 110);
}

static void hmac_in_a_header(void **state) {
        (void)state;
        assert_true(run_file("hmac.case") > 40);
}

static void credentials(void **state) {
        (void)state;
        assert_true(run_file("credentials.case") > 50);
}

static void vendors(void **state) {
        (void)state;
        assert_true(run_file("vendors.case") > 220);
}

static void tokens(void **state) {
        (void)state;
        assert_true(run_file("jwt.case") > 120);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(standard_webhooks),
                cmocka_unit_test(hmac_in_a_header),
                cmocka_unit_test(credentials),
                cmocka_unit_test(vendors),
                cmocka_unit_test(tokens),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
