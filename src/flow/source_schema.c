/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/source_schema.h"

#include "config/file.h"

/* File names are relative to the configuration's folder, so that both move together. */
static int add_path(Span file, const char *config_file, Buf *out) {
        const char *slash = strrchr(config_file, '/');
        int r = 0;

        if (!span_starts(file, SPAN("/")) && slash)
                r = buf_add(out, (Span){config_file, (size_t)(slash - config_file) + 1});
        if (r == 0)
                r = buf_add(out, file);
        return r == 0 ? buf_add_char(out, 0) : r;
}

int source_schema_load(const SourceConfig *c, const char *config_file, Arena *a, Problems *problems,
                       const JsonSchema **ret) {
        AUTO(buf_done)
        Buf path = BUF(4096);
        AUTO(buf_done)
        Buf text = BUF(JSON_SCHEMA_MAX_BYTES);
        JsonSchema *made = NULL;
        Err e = {0};
        int r;

        *ret = NULL;
        if (!c->schema.text.p)
                return 0;
        if (add_path(c->schema.text, config_file, &path) < 0 ||
            memchr(c->schema.text.p, 0, c->schema.text.n))
                return problem_add(problems, c->schema.place, "schema: this is no name of a file");
        r = file_read(path.p, &text, &e);
        if (r < 0)
                return problem_add(problems, c->schema.place, "schema: %s %s", path.p, e.text);
        if (r == FILE_WORLD_WRITABLE)
                problem_warn(problems, c->schema.place,
                             "anyone on this machine can write %s; take the right away (chmod o-w)",
                             path.p);
        if (json_schema_compile(buf_span(&text), true, a, &made, &e) < 0)
                return problem_add(problems, c->schema.place, "schema: %s: %s", path.p, e.text);
        *ret = made;
        return 0;
}

static void add_errors(const JsonViolations *told, Arena *a, Outcome *ret) {
        for (size_t i = 0; i < told->n && ret->n_errors < OUTCOME_ERRORS_MAX; i++) {
                const JsonViolation *v = &told->list[i];

                ret->errors[ret->n_errors++] =
                        (OutcomeError){arena_span(a, span_of(v->pointer)),
                                       arena_span(a, span_of(v->text)), (Span){NULL, 0}};
        }
}

bool source_schema_fits(const Source *s, Span body, Arena *a, Outcome *ret) {
        AUTO(freep)
        JsonViolations *told = NULL;
        const JsonViolation *first;
        int r;

        if (!s->schema)
                return true;
        told = must_alloc(sizeof *told);
        r = json_schema_judge(s->schema, body, told);
        *ret = (Outcome){.status = 422, .code = "schema-not-met", .retry_after_s = -1};
        if (r == 0)
                return true;
        if (r == -ENOMEM) {
                ret->status = 503;
                ret->code = "busy";
                ret->retryable = true;
                ret->message = SPAN("there is no memory to judge the body; try again soon");
                return false;
        }
        if (r < 0) {
                ret->message = SPAN("it would take too long to tell whether the body fits the "
                                    "source's schema");
                return false;
        }
        first = &told->list[0];
        const char *message = arena_printf(a, "the body does not fit the source's schema: %s %s",
                                           first->pointer[0] ? first->pointer : "it", first->text);
        ret->message = message ? span_of(message)
                               : SPAN("the body does not fit the source's "
                                      "schema");
        add_errors(told, a, ret);
        return false;
}
