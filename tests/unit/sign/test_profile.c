/* SPDX-License-Identifier: Apache-2.0 */
#include "case_file.h"
#include "sign/profile.h"

#include <pthread.h>

enum { SECRETS_MAX = PROFILE_KEYS_MAX + 1, HEADERS_MAX = PROFILE_HEADERS_MAX, ROOM = 64 * 1024 };

static const char *cases_folder;
static const char hmac_secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
static const char pair_secret[] =
        "whsk_n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcUmtAuPk//z2JcRL368WCsjLb1yUX0IL+g8+zDdzkPRu"
        "w==";
static const char text_secret[] = "It's a Secret to Everybody";

/* What every message is like unless its test says otherwise. */
static SignMessage message_new(void) {
        return (SignMessage){
                .id = SPAN("msg_1"),
                .time_ms = 1700000000999,
                .event_ms = 1699999999123,
                .type = SPAN("user.updated"),
                .method = SPAN("POST"),
                .authority = SPAN("example.com"),
                .path = SPAN("/hooks"),
                .content_type = SPAN("application/json"),
                .body = SPAN("{}"),
        };
}

static const Profile *profile_named(const char *name) {
        const Profile *p = profile_find(span_of(name));

        if (!p)
                fail_msg("no profile %s", name);
        return p;
}

static ProfileKey *key_new(const Profile *p, Span secret) {
        Err e = {0};
        ProfileKey *k = profile_key_new(p, secret, &e);

        if (!k)
                fail_msg("%s: %s", p->name, e.text);
        return k;
}

/* A secret that the profile takes; .p is NULL where it takes none. */
static const char *secret_for(const Profile *p) {
        if (profile_secret_check(p, span_of(hmac_secret), NULL) < 0)
                return NULL;
        return p->makes[PROFILE_ED25519] ? hmac_secret : text_secret;
}

static Signer signer_new(const Profile *p) {
        Signer s = {.profile = p};

        if (secret_for(p))
                s.keys[s.n_keys++] = key_new(p, span_of(secret_for(p)));
        return s;
}

static void signer_done(Signer *s) {
        for (size_t i = 0; i < s->n_keys; i++)
                profile_key_free((ProfileKey *)s->keys[i]);
}

static Span header_named(const SignHeaders *h, const char *name) {
        for (size_t i = 0; i < h->n; i++)
                if (strcmp(h->at[i].name, name) == 0)
                        return h->at[i].value;
        return (Span){NULL, 0};
}

/* --- cases -------------------------------------------------------------------------------- */

typedef struct Case {
        Arena *a;
        const Profile *profile;
        const char *name, *refused;
        Span secrets[SECRETS_MAX], headers[HEADERS_MAX];
        size_t n_secrets, n_headers;
        SignMessage message;
        bool svix;
} Case;

static Case case_new(void) {
        return (Case){.a = arena_new(8 << 20), .message = message_new()};
}

static void assert_headers(const Case *c, const SignHeaders *got) {
        AUTO(buf_done)
        Buf line = BUF(ROOM);

        for (size_t i = 0; i < got->n && i < c->n_headers; i++) {
                buf_clear(&line);
                assert_int_equal(buf_addf(&line, "%s: ", got->at[i].name), 0);
                assert_int_equal(buf_add(&line, got->at[i].value), 0);
                if (!span_eq(buf_span(&line), c->headers[i]))
                        fail_msg("%s: %s: " SPAN_FMT ", not " SPAN_FMT, c->profile->name, c->name,
                                 SPAN_ARG(buf_span(&line)), SPAN_ARG(c->headers[i]));
        }
        if (got->n != c->n_headers)
                fail_msg("%s: %s: %zu headers, not %zu", c->profile->name, c->name, got->n,
                         c->n_headers);
}

static void run(const Case *c) {
        Signer s = {.profile = c->profile, .svix_names = c->svix};
        SignHeaders got = {.n = 0};
        Err e = {0};

        for (size_t i = 0; i < c->n_secrets; i++)
                s.keys[s.n_keys++] = key_new(c->profile, c->secrets[i]);
        int r = profile_sign(&s, &c->message, c->a, &got, &e);
        if (r < 0 && !c->refused)
                fail_msg("%s: %s: refused: %s", c->profile->name, c->name, e.text);
        if (c->refused &&
            (r != -EINVAL || e.code != -EINVAL || !strstr(e.text, c->refused) || got.n > 0))
                fail_msg("%s: %s: %d, \"%s\"", c->profile->name, c->name, r, e.text);
        if (!c->refused)
                assert_headers(c, &got);
        signer_done(&s);
}

static void read_key(Case *c, const char *key, Span value) {
        const struct {
                const char *key;
                Span *span;
        } spans[] = {
                {"id", &c->message.id},
                {"type", &c->message.type},
                {"method", &c->message.method},
                {"authority", &c->message.authority},
                {"path", &c->message.path},
                {"query", &c->message.query},
                {"content-type", &c->message.content_type},
                {"body", &c->message.body},
        };
        Span kept = arena_span(c->a, value);

        assert_non_null(kept.p);
        for (size_t i = 0; i < COUNT_OF(spans); i++)
                if (strcmp(spans[i].key, key) == 0) {
                        *spans[i].span = kept;
                        return;
                }
        if (strcmp(key, "case") == 0)
                c->name = kept.p;
        else if (strcmp(key, "profile") == 0)
                c->profile = profile_named(kept.p);
        else if (strcmp(key, "secret") == 0 && c->n_secrets < SECRETS_MAX)
                c->secrets[c->n_secrets++] = kept;
        else if (strcmp(key, "header") == 0 && c->n_headers < HEADERS_MAX)
                c->headers[c->n_headers++] = kept;
        else if (strcmp(key, "refused") == 0)
                c->refused = kept.p;
        else if (strcmp(key, "svix") == 0)
                c->svix = true;
        else if (strcmp(key, "time") == 0)
                c->message.time_ms = strtoll(kept.p, NULL, 10);
        else if (strcmp(key, "event") == 0)
                c->message.event_ms = strtoll(kept.p, NULL, 10);
        else
                fail_msg("unknown word %s", key);
}

static void each_profile_makes_its_headers(void **state) {
        char folder[1024];
        size_t n_cases = 0;

        (void)state;
        (void)snprintf(folder, sizeof folder, "%s/sign", cases_folder);
        CaseFile f = case_open(folder, "profile.case");
        Case c = case_new();
        while (case_next(&f)) {
                if (f.key[0]) {
                        read_key(&c, f.key, buf_span(&f.value));
                        continue;
                }
                if (c.profile) {
                        run(&c);
                        n_cases++;
                }
                arena_free(c.a);
                c = case_new();
        }
        arena_free(c.a);
        case_close(&f);
        assert_true(n_cases > 130);
}

/* --- rotation ----------------------------------------------------------------------------- */

/* The value that each key makes alone, all of them in a row. */
static void add_alone(const Signer *all, const char *name, const char *divider, Buf *ret) {
        SignMessage m = message_new();

        for (size_t i = 0; i < all->n_keys; i++) {
                Signer one = {.profile = all->profile, .keys = {all->keys[i]}, .n_keys = 1};
                AUTO(arena_freep)
                Arena *a = arena_new(ROOM);
                SignHeaders h = {.n = 0};

                assert_int_equal(profile_sign(&one, &m, a, &h, NULL), 0);
                assert_int_equal(buf_addf(ret, "%s", i ? divider : ""), 0);
                assert_int_equal(buf_add(ret, header_named(&h, name)), 0);
        }
}

static Signer signer_of_new_keys(const Profile *p, size_t n) {
        Signer s = {.profile = p};

        for (size_t i = 0; i < n; i++) {
                AUTO(buf_done)
                Buf secret = BUF(300);
                ProfileKind kind =
                        p->makes[PROFILE_ED25519] && i % 2 ? PROFILE_ED25519 : PROFILE_HMAC;

                assert_int_equal(profile_secret_new(p, kind, &secret, NULL), 0);
                s.keys[s.n_keys++] = key_new(p, buf_span(&secret));
                assert_int_equal(profile_key_kind(s.keys[i]), kind);
        }
        return s;
}

static void all_live_keys_sign_where_receivers_look_at_several(void **state) {
        SignMessage m = message_new();

        (void)state;
        for (size_t n = 1; n <= PROFILE_KEYS_MAX; n++) {
                Signer s = signer_of_new_keys(profile_named("standard"), n);
                AUTO(arena_freep)
                Arena *a = arena_new(ROOM);
                AUTO(buf_done)
                Buf want = BUF(ROOM);
                SignHeaders h = {.n = 0};

                assert_int_equal(profile_sign(&s, &m, a, &h, NULL), 0);
                add_alone(&s, "webhook-signature", " ", &want);
                assert_true(span_eq(header_named(&h, "webhook-signature"), buf_span(&want)));
                signer_done(&s);
        }
}

static void stripe_and_rfc9421_take_eleven_keys_too(void **state) {
        SignMessage m = message_new();
        AUTO(arena_freep)
        Arena *a = arena_new(ROOM);
        SignHeaders h = {.n = 0};

        (void)state;
        Signer stripe = signer_of_new_keys(profile_named("stripe"), PROFILE_KEYS_MAX);
        assert_int_equal(profile_sign(&stripe, &m, a, &h, NULL), 0);
        assert_int_equal(header_named(&h, "Stripe-Signature").n, strlen("t=1700000000") + 11 * 68);

        Signer rfc = signer_of_new_keys(profile_named("rfc9421"), PROFILE_KEYS_MAX);
        h.n = 0;
        assert_int_equal(profile_sign(&rfc, &m, a, &h, NULL), 0);
        assert_non_null(strstr(header_named(&h, "Signature").p, ", sig11=:"));
        assert_non_null(strstr(header_named(&h, "Signature-Input").p, ", sig11=(\"@method\""));
        for (size_t i = 0; i < rfc.n_keys; i++)
                assert_non_null(strstr(header_named(&h, "Signature-Input").p,
                                       profile_key_id(rfc.keys[i]).p));
        signer_done(&stripe);
        signer_done(&rfc);
}

static void a_twelfth_key_is_refused(void **state) {
        SignMessage m = message_new();
        AUTO(arena_freep)
        Arena *a = arena_new(ROOM);
        SignHeaders h = {.n = 0};
        Err e = {0};

        (void)state;
        Signer s = signer_of_new_keys(profile_named("standard"), PROFILE_KEYS_MAX);
        s.n_keys++;
        assert_int_equal(profile_sign(&s, &m, a, &h, &e), -EINVAL);
        assert_non_null(strstr(e.text, "more than 11"));
        assert_int_equal(h.n, 0);
        s.n_keys--;
        signer_done(&s);
}

/* --- hostile input ------------------------------------------------------------------------ */

static void assert_plain(const SignHeaders *h) {
        for (size_t i = 0; i < h->n; i++) {
                Span v = h->at[i].value;

                assert_true(v.n > 0 && v.p[0] != ' ' && v.p[v.n - 1] != ' ' && v.p[v.n] == 0);
                for (size_t k = 0; k < v.n; k++)
                        assert_in_range((unsigned char)v.p[k], ' ', '~');
        }
}

/* Every byte in every field of every profile: a refusal with a sentence, or plain headers. */
static void no_byte_breaks_out_of_a_header(void **state) {
        static const size_t fields[] = {
                offsetof(SignMessage, id),     offsetof(SignMessage, type),
                offsetof(SignMessage, method), offsetof(SignMessage, authority),
                offsetof(SignMessage, path),   offsetof(SignMessage, query),
                offsetof(SignMessage, body),   offsetof(SignMessage, content_type),
        };

        (void)state;
        for (const Profile *const *p = profiles; *p; p++) {
                Signer s = signer_new(*p);

                for (size_t f = 0; f < COUNT_OF(fields); f++)
                        for (unsigned byte = 0; byte < 256; byte++) {
                                char hostile[] = {'a', (char)byte, 'b'};
                                AUTO(arena_freep)
                                Arena *a = arena_new(ROOM);
                                SignMessage m = message_new();
                                SignHeaders h = {.n = 0};
                                Err e = {0};

                                *(Span *)((char *)&m + fields[f]) =
                                        span_make(hostile, sizeof hostile);
                                int r = profile_sign(&s, &m, a, &h, &e);
                                assert_true(r == 0 || (r == -EINVAL && e.text[0] && h.n == 0));
                                assert_plain(&h);
                                /* What is signed by RFC 9421 has one line for each component. */
                                if ((*p)->secrets && strcmp((*p)->name, "rfc9421") == 0 &&
                                    (byte < ' ' || byte > '~') && byte != '\t' && f != 1 && f != 6)
                                        assert_int_equal(r, -EINVAL);
                        }
                signer_done(&s);
        }
}

static void no_room_is_said_and_leaves_the_headers_alone(void **state) {
        SignMessage m = message_new();

        (void)state;
        for (const Profile *const *p = profiles; *p; p++) {
                Signer s = signer_new(*p);
                size_t n_refused = 0;
                int r = -ENOMEM;

                s.svix_names = true;
                for (size_t room = 0; r < 0 && room < ROOM; room += 16) {
                        AUTO(arena_freep)
                        Arena *a = arena_new(room);
                        SignHeaders h = {.n = 1, .at = {{"x", SPAN("y")}}};
                        Err e = {0};

                        r = profile_sign(&s, &m, a, &h, &e);
                        assert_true(r == 0 || r == -ENOMEM);
                        assert_int_equal(e.code, r);
                        assert_true(r == 0 ? h.n > 1 : h.n == 1);
                        n_refused += r < 0;
                }
                assert_int_equal(r, 0);
                assert_true(n_refused > 0);
                signer_done(&s);
        }
}

/* --- threads ------------------------------------------------------------------------------ */

typedef struct Share {
        const Signer *signer;
        Span want; /* of the last header */
        bool is_wrong;
} Share;

static void *sign_often(void *arg) {
        Share *share = arg;
        SignMessage m = message_new();

        for (size_t i = 0; i < 300; i++) {
                AUTO(arena_freep)
                Arena *a = arena_new(ROOM);
                SignHeaders h = {.n = 0};

                share->is_wrong |= profile_sign(share->signer, &m, a, &h, NULL) != 0 ||
                                   !span_eq(h.at[h.n - 1].value, share->want);
        }
        return NULL;
}

static void keys_serve_several_threads(void **state) {
        static const char *const names[] = {"standard", "rfc9421"};
        SignMessage m = message_new();

        (void)state;
        for (size_t i = 0; i < COUNT_OF(names); i++) {
                Signer s = signer_of_new_keys(profile_named(names[i]), 4);
                AUTO(arena_freep)
                Arena *a = arena_new(ROOM);
                SignHeaders h = {.n = 0};
                pthread_t threads[4];
                Share shares[4];

                assert_int_equal(profile_sign(&s, &m, a, &h, NULL), 0);
                for (size_t t = 0; t < COUNT_OF(threads); t++) {
                        shares[t] = (Share){&s, h.at[h.n - 1].value, false};
                        assert_int_equal(pthread_create(&threads[t], NULL, sign_often, &shares[t]),
                                         0);
                }
                for (size_t t = 0; t < COUNT_OF(threads); t++) {
                        assert_int_equal(pthread_join(threads[t], NULL), 0);
                        assert_false(shares[t].is_wrong);
                }
                signer_done(&s);
        }
}

/* --- secrets ------------------------------------------------------------------------------ */

static void secrets_are_judged_by_profile(void **state) {
        char folder[1024];
        size_t n_cases = 0;
        const Profile *p = NULL;

        (void)state;
        (void)snprintf(folder, sizeof folder, "%s/sign", cases_folder);
        CaseFile f = case_open(folder, "secret.case");
        AUTO(buf_done)
        Buf secret = BUF(ROOM), why = BUF(ROOM);
        while (case_next(&f)) {
                Span value = buf_span(&f.value);

                if (strcmp(f.key, "profile") == 0) {
                        p = profile_find(value);
                        assert_non_null(p);
                        continue;
                }
                if (f.key[0]) {
                        Buf *into = strcmp(f.key, "secret") == 0 ? &secret : &why;

                        buf_clear(into);
                        assert_int_equal(buf_add(into, value), 0);
                        assert_int_equal(buf_add(into, SPAN("\0")), 0);
                        continue;
                }
                if (why.n == 0)
                        continue;
                Err e = {0}, again = {0};
                Span text = {secret.p, secret.n - 1};
                bool is_good = strcmp(why.p, "good") == 0;
                int r = profile_secret_check(p, text, &e);
                AUTO(profile_key_freep)
                ProfileKey *k = profile_key_new(p, text, &again);

                if (r != (is_good ? 0 : -EINVAL) || (!is_good && !strstr(e.text, why.p)))
                        fail_msg("%s, line %u: %d, \"%s\"", p->name, f.line, r, e.text);
                assert_true(is_good == (k != NULL));
                assert_string_equal(e.text, again.text);
                /* The sentence goes to logs and people: nothing of the secret may. */
                if (text.n >= 12)
                        for (size_t i = 6; i + 6 <= text.n && i < 100; i++)
                                assert_null(memmem(e.text, strlen(e.text), text.p + i, 6));
                buf_clear(&why);
                n_cases++;
        }
        case_close(&f);
        assert_true(n_cases > 50);
}

static void new_secrets_are_good_long_and_never_the_same(void **state) {
        (void)state;
        for (const Profile *const *p = profiles; *p; p++)
                for (ProfileKind kind = 0; kind <= PROFILE_KINDS; kind++) {
                        AUTO(buf_done)
                        Buf one = BUF(300), other = BUF(300), small = BUF(20);
                        Err e = {0};
                        int r = profile_secret_new(*p, kind, &one, &e);

                        if (kind == PROFILE_KINDS || !(*p)->makes[kind]) {
                                assert_int_equal(r, -EINVAL);
                                assert_non_null(strstr(e.text, (*p)->name));
                                continue;
                        }
                        assert_int_equal(r, 0);
                        assert_int_equal(profile_secret_new(*p, kind, &other, NULL), 0);
                        assert_int_equal(profile_secret_check(*p, buf_span(&one), &e), 0);
                        assert_int_equal(one.n, other.n);
                        assert_false(span_eq(buf_span(&one), buf_span(&other)));
                        assert_in_range(one.n, 32 + 6, PROFILE_SECRET_MAX_BYTES);
                        assert_int_equal(profile_secret_new(*p, kind, &small, NULL), -EMSGSIZE);
                        assert_int_equal(small.n, 0);
                }
}

static void the_forms_of_new_secrets(void **state) {
        static const struct {
                const char *profile;
                ProfileKind kind;
                const char *prefix;
                size_t bytes;
        } forms[] = {
                {"standard", PROFILE_HMAC, "whsec_", 6 + 44},
                {"standard", PROFILE_ED25519, "whsk_", 5 + 88},
                {"rfc9421", PROFILE_HMAC, "whsec_", 6 + 44},
                {"rfc9421", PROFILE_ED25519, "whsk_", 5 + 88},
                {"stripe", PROFILE_HMAC, "whsec_", 6 + 64},
                {"github", PROFILE_HMAC, "", 64},
                {"slack", PROFILE_HMAC, "", 64},
                {"shopify", PROFILE_HMAC, "", 64},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(forms); i++) {
                AUTO(buf_done)
                Buf b = BUF(300);

                assert_int_equal(profile_secret_new(profile_named(forms[i].profile), forms[i].kind,
                                                    &b, NULL),
                                 0);
                assert_true(span_starts(buf_span(&b), span_of(forms[i].prefix)));
                assert_int_equal(b.n, forms[i].bytes);
        }
}

static void a_pair_tells_its_public_key(void **state) {
        AUTO(buf_done)
        Buf public = BUF(300), small = BUF(20);
        Err e = {0};

        (void)state;
        assert_int_equal(profile_public_key(span_of(pair_secret), &public, NULL), 0);
        assert_true(span_eq(buf_span(&public),
                            SPAN("whpk_JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")));
        assert_int_equal(profile_public_key(span_of(pair_secret), &small, NULL), -EMSGSIZE);
        assert_int_equal(small.n, 0);
        assert_int_equal(profile_public_key(span_of(hmac_secret), &small, &e), -EINVAL);
        assert_non_null(strstr(e.text, "whsk_"));
        assert_int_equal(profile_public_key(buf_span(&public), &small, NULL), -EINVAL);
        assert_int_equal(profile_public_key(SPAN(""), &small, NULL), -EINVAL);
}

/* RFC 8037 appendix A.3 for the thumbprint; the other was made with node:crypto. */
static void keys_have_names_that_tell_nothing(void **state) {
        static const struct {
                const char *profile, *secret, *id;
        } keys[] = {
                {"standard",
                 "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWv"
                 "Ahpo9wdRGg==",
                 "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
                {"rfc9421", hmac_secret, "87a45d80ab404a8d"},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(keys); i++) {
                AUTO(profile_key_freep)
                ProfileKey *k = key_new(profile_named(keys[i].profile), span_of(keys[i].secret));

                assert_true(span_eq(profile_key_id(k), span_of(keys[i].id)));
        }
}

static void profiles_are_found_by_name(void **state) {
        (void)state;
        for (const Profile *const *p = profiles; *p; p++) {
                assert_ptr_equal(profile_find(span_of((*p)->name)), *p);
                assert_true(strlen((*p)->help) > 10);
        }
        assert_null(profile_find(SPAN("")));
        assert_null(profile_find(SPAN("Standard")));
        assert_null(profile_find(SPAN("standard ")));
        assert_null(profile_key_free(NULL));
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_profile_makes_its_headers),
                cmocka_unit_test(all_live_keys_sign_where_receivers_look_at_several),
                cmocka_unit_test(stripe_and_rfc9421_take_eleven_keys_too),
                cmocka_unit_test(a_twelfth_key_is_refused),
                cmocka_unit_test(no_byte_breaks_out_of_a_header),
                cmocka_unit_test(no_room_is_said_and_leaves_the_headers_alone),
                cmocka_unit_test(keys_serve_several_threads),
                cmocka_unit_test(secrets_are_judged_by_profile),
                cmocka_unit_test(new_secrets_are_good_long_and_never_the_same),
                cmocka_unit_test(the_forms_of_new_secrets),
                cmocka_unit_test(a_pair_tells_its_public_key),
                cmocka_unit_test(keys_have_names_that_tell_nothing),
                cmocka_unit_test(profiles_are_found_by_name),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
