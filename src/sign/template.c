/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/template.h"

enum { HEADER_NAME_MAX_BYTES = 128 };

static const struct {
        const char *word;
        SignHole hole;
} words[] = {
        {"body", HOLE_BODY}, {"timestamp", HOLE_TIMESTAMP},
        {"id", HOLE_ID},     {"method", HOLE_METHOD},
        {"url", HOLE_URL},
};

static bool is_header_name(Span s) {
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_'))
                        return false;
        }
        return s.n > 0 && s.n <= HEADER_NAME_MAX_BYTES;
}

static char *lower_copy(Span s) {
        char *copy = must_alloc(s.n + 1);

        for (size_t i = 0; i < s.n; i++)
                copy[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
        return copy;
}

/* What stands between the braces. */
static int read_hole(Span word, struct SignPart *ret, Err *e) {
        Span header = SPAN("header:");

        for (size_t i = 0; i < COUNT_OF(words); i++)
                if (span_eq(word, span_of(words[i].word))) {
                        ret->hole = words[i].hole;
                        return 0;
                }
        if (!span_starts(word, header) || !is_header_name(span_from(word, header.n)))
                return FAIL(e, -EINVAL,
                            "in what is signed, {" SPAN_FMT "} is unknown; there are {body}, "
                            "{timestamp}, {id}, {method}, {url}, {header:Name}",
                            word.n > 40 ? 40 : (int)word.n, word.p);
        ret->hole = HOLE_HEADER;
        ret->header = lower_copy(span_from(word, header.n));
        return 0;
}

static int read_part(SignTemplate *t, Span *rest, Err *e) {
        struct SignPart *part = &t->parts[t->n];
        size_t end = span_find(*rest, rest->p[0] == '{' ? '}' : '{');

        if (t->n == SIGN_TEMPLATE_PARTS_MAX)
                return FAIL(e, -EINVAL, "what is signed has more than %d parts",
                            SIGN_TEMPLATE_PARTS_MAX);
        t->n++;
        if (rest->p[0] != '{') {
                part->literal = (Span){rest->p, end};
                *rest = span_from(*rest, end);
                return 0;
        }
        if (end == rest->n)
                return FAIL(e, -EINVAL, "in what is signed, a { has no }");
        Span word = {rest->p + 1, end - 1};
        *rest = span_from(*rest, end + 1);
        return read_hole(word, part, e);
}

SignTemplate *sign_template_new(Span text, Err *e) {
        AUTO(sign_template_freep)
        SignTemplate *t = must_alloc(sizeof *t);
        size_t n_bodies = 0;

        if (text.n > SIGN_TEMPLATE_MAX_BYTES) {
                (void)FAIL(e, -EINVAL, "what is signed is longer than %d bytes",
                           SIGN_TEMPLATE_MAX_BYTES);
                return NULL;
        }
        t->text = must_alloc(text.n + 1);
        if (text.n)
                memcpy(t->text, text.p, text.n);
        for (Span rest = {t->text, text.n}; rest.n > 0;)
                if (read_part(t, &rest, e) < 0)
                        return NULL;
        for (size_t i = 0; i < t->n; i++)
                n_bodies += t->parts[i].hole == HOLE_BODY;
        if (n_bodies != 1) {
                (void)FAIL(e, -EINVAL, "what is signed holds {body} exactly once");
                return NULL;
        }
        return TAKE(t);
}

SignTemplate *sign_template_free(SignTemplate *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n; i++)
                free(t->parts[i].header);
        free(t->text);
        free(t);
        return NULL;
}

bool sign_template_has(const SignTemplate *t, SignHole hole) {
        for (size_t i = 0; i < t->n; i++)
                if (t->parts[i].hole == hole)
                        return true;
        return false;
}
