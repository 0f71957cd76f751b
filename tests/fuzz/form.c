/* SPDX-License-Identifier: Apache-2.0
 *
 * A form that is accepted, written down again, reads back as the same pairs; what Twilio's scheme
 * makes of any form under a secret that nobody knows is a refusal. */
#include "http/form.h"
#include "base/random.h"
#include "http/url.h"
#include "sign/sign.h"

static void check_again(const FormPair *pairs, size_t n, Arena *a) {
        AUTO(buf_done)
        Buf out = BUF(1 << 24);
        FormPair *again = NULL;
        FormFault fault;
        size_t n_again = 0;

        for (size_t i = 0; i < n; i++) {
                must(i == 0 || buf_add_char(&out, '&') == 0);
                must(url_encode(&out, pairs[i].name) == 0 && buf_add_char(&out, '=') == 0 &&
                     url_encode(&out, pairs[i].value) == 0);
        }
        must(form_parse(buf_span(&out), a, &again, &n_again, &fault) == 0 && n_again == n);
        for (size_t i = 0; i < n; i++)
                must(span_eq(again[i].name, pairs[i].name) &&
                     span_eq(again[i].value, pairs[i].value));
}

static Span get(const void *arg, const char *name, size_t *count) {
        (void)arg;
        *count = 1;
        return strcmp(name, "content-type") == 0 ? SPAN("application/x-www-form-urlencoded")
                                                 : SPAN("AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
}

static void check_twilio(Span text) {
        unsigned char random[32];
        SignRule rule = {.scheme = sign_scheme_find(SPAN("twilio")),
                         .public_url = "https://hooks.example.com"};
        size_t line = span_find(text, '\n');
        SignInput in = {.get = get,
                        .method = "POST",
                        .path = SPAN("/in/app"),
                        .query = {text.p, line},
                        .body = span_from(text, line + 1)};
        const char *why = NULL;

        random_bytes(random, sizeof random);
        rule.secrets[rule.n_secrets++] = secret_copy(span_make(random, sizeof random));
        must(rule.scheme->prepare(&rule, NULL) == 0);
        must(sign_check(&rule, &in, &why) != SIGN_OK && why[0]);
        sign_rule_done(&rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span text = {(const char *)data, size};
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 26);
        FormPair *pairs = NULL;
        FormFault fault;
        size_t n = 0;

        if (form_parse(text, a, &pairs, &n, &fault) == 0)
                check_again(pairs, n, a);
        else
                must(fault.why[0] && fault.offset <= size && n == 0);
        check_twilio(text);
        return 0;
}
