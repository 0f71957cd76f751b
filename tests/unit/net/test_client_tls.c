/* SPDX-License-Identifier: Apache-2.0
 *
 * The client against TLS servers: one with a certificate made for the test, and some that are
 * none. */
#include "desk.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

typedef struct Identity {
        EVP_PKEY *key;
        X509 *cert;
        SSL_CTX *server;
        char path[64]; /* the certificate as PEM */
} Identity;

static void add_extension(X509 *cert, int nid, const char *value) {
        X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

        must(x && X509_add_ext(cert, x, -1) == 1);
        X509_EXTENSION_free(x);
}

/* Signed by itself, for the name given, such as "IP:127.0.0.1", good for an hour from `from_s`. */
static Identity identity_make(const char *name, long from_s) {
        Identity id = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};

        must(id.key && id.cert && X509_set_version(id.cert, 2) == 1);
        must(ASN1_INTEGER_set(X509_get_serialNumber(id.cert), 1) == 1);
        must(X509_gmtime_adj(X509_getm_notBefore(id.cert), from_s) &&
             X509_gmtime_adj(X509_getm_notAfter(id.cert), from_s + 3600));
        X509_NAME *subject = X509_get_subject_name(id.cert);
        must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"test",
                                        -1, -1, 0) == 1);
        must(X509_set_issuer_name(id.cert, subject) == 1 && X509_set_pubkey(id.cert, id.key) == 1);
        add_extension(id.cert, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(id.cert, NID_subject_alt_name, name);
        must(X509_sign(id.cert, id.key, EVP_sha256()) > 0);
        id.server = SSL_CTX_new(TLS_server_method());
        must(id.server && SSL_CTX_use_certificate(id.server, id.cert) == 1 &&
             SSL_CTX_use_PrivateKey(id.server, id.key) == 1);
        (void)snprintf(id.path, sizeof id.path, "/tmp/grapnel-test-XXXXXX");
        int fd = mkstemp(id.path);
        FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
        must(file && PEM_write_X509(file, id.cert) == 1 && fclose(file) == 0);
        return id;
}

static void identity_done(Identity *id) {
        unlink(id->path);
        SSL_CTX_free(id->server);
        X509_free(id->cert);
        EVP_PKEY_free(id->key);
}

/* Answers every request whose head comes in one piece. */
static void serve_tls(PeerLink *l) {
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        SSL *ssl = SSL_new(((Identity *)l->peer->arg)->server);
        char in[4096];
        int n;

        must(ssl && SSL_set_fd(ssl, l->fd) == 1);
        if (SSL_accept(ssl) == 1) {
                while ((n = SSL_read(ssl, in, sizeof in)) > 0) {
                        atomic_fetch_add(&l->peer->requests, 1);
                        if (SSL_write(ssl, answer, sizeof answer - 1) <= 0)
                                break;
                }
        }
        SSL_free(ssl);
}

static void serve_garbage(PeerLink *l) {
        if (peer_fill(l))
                (void)peer_send(l, SPAN("220 mail.example.com ESMTP\r\n"));
}

static void serve_stalled(PeerLink *l) {
        while (peer_fill(l))
                buf_clear(&l->in);
}

static void ask(Desk *d, Asked *a, const Peer *p) {
        asked_init(a, d, "POST", p->port);
        (void)snprintf(a->url, sizeof a->url, "https://127.0.0.1:%d/", p->port);
        a->call.body = SPAN("secret");
        a->call.timeout_ms = p->serve == serve_stalled ? 300 : a->call.timeout_ms;
        desk_ask(d, a);
}

static void a_trusted_server_is_asked_on_one_connection(void **state) {
        Identity id = identity_make("IP:127.0.0.1", -60);
        Desk *d = desk_new(&(ClientLimits){.ca_file = id.path});
        Peer *p = peer_new(serve_tls, NULL, &id);
        Asked a;

        (void)state;
        for (unsigned i = 0; i < 5; i++) {
                ask(d, &a, p);
                if (a.answer.end != CLIENT_ANSWERED)
                        fail_msg("%s: %s", client_end_name(a.answer.end), a.answer.why);
                assert_true(span_eq(a.answer.body, SPAN("hi")));
                assert_int_equal(a.answer.tls_us > 0, i == 0);
                asked_done(&a);
        }
        assert_int_equal(p->connections, 1);
        assert_int_equal(p->requests, 5);
        desk_free(d);
        peer_free(p);
        identity_done(&id);
}

static void a_server_that_is_not_trusted_hears_nothing(void **state) {
        static const struct {
                const char *name;
                long from_s;
                bool is_known;
        } cases[] = {{"IP:127.0.0.1", -60, false},
                     {"IP:127.0.0.2", -60, true},
                     {"DNS:example.com", -60, true},
                     {"IP:127.0.0.1", -7200, true},
                     {"IP:127.0.0.1", 7200, true}};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                Identity id = identity_make(cases[i].name, cases[i].from_s);
                Desk *d = desk_new(&(ClientLimits){.ca_file = cases[i].is_known ? id.path : NULL});
                Peer *p = peer_new(serve_tls, NULL, &id);
                Asked a;

                ask(d, &a, p);
                if (a.answer.end != CLIENT_TLS)
                        fail_msg("%zu: %s: %s", i, client_end_name(a.answer.end), a.answer.why);
                assert_int_equal(p->requests, 0);
                asked_done(&a);
                desk_free(d);
                peer_free(p);
                identity_done(&id);
        }
}

static void what_is_no_tls_ends_as_tls(void **state) {
        void (*const serve[])(PeerLink *) = {serve_garbage, serve_stalled};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(serve); i++) {
                Desk *d = desk_new(NULL);
                Peer *p = peer_new(serve[i], NULL, NULL);
                Asked a;

                ask(d, &a, p);
                if (a.answer.end != CLIENT_TLS)
                        fail_msg("%zu: %s: %s", i, client_end_name(a.answer.end), a.answer.why);
                asked_done(&a);
                desk_free(d);
                peer_free(p);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_trusted_server_is_asked_on_one_connection),
                cmocka_unit_test(a_server_that_is_not_trusted_hears_nothing),
                cmocka_unit_test(what_is_no_tls_ends_as_tls),
        };

        return cmocka_run_group_tests_name("client_tls", tests, NULL, NULL);
}
