/* SPDX-License-Identifier: Apache-2.0
 *
 * Failures as RFC 9457 problem details. `type` is left out, which means about:blank: the status
 * says what kind of problem it is, and `code` says it finer. `pointer` of an error points into
 * the source's own entity; `field` is what the target calls the place. Successes are a small
 * object of JSON, or the full data when that was asked for. */
#include "http/head.h"
#include "reply/body.h"

static int add_retry(Buf *b, const Outcome *o) {
        int r = body_add_name(b, "retryable");

        r = r < 0 ? r : buf_addf(b, "%s", o->retryable ? "true" : "false");
        if (r < 0 || o->retry_after_s < 0)
                return r;
        r = body_add_name(b, "retry_after");
        return r < 0 ? r : buf_addf(b, "%" PRId64, o->retry_after_s);
}

static int write_failure(Buf *b, const Outcome *o) {
        int r = body_add_text(b, "title", span_of(http_status_phrase(o->status)));

        r = r < 0 ? r : body_add_name(b, "status");
        r = r < 0 ? r : buf_addf(b, "%d", o->status);
        r = r < 0 ? r : body_add_text(b, "detail", o->message);
        r = r < 0 ? r : body_add_text(b, "instance", o->event_url);
        r = r < 0 ? r : body_add_text(b, "code", span_of(o->code));
        r = r < 0 ? r : add_retry(b, o);
        r = r < 0 ? r : body_add_text(b, "event", o->event);
        return r < 0 ? r : body_add_errors(b, o, "detail");
}

static int write_success(Buf *b, const Outcome *o) {
        int r = body_add_text(b, "event", o->event);

        if (o->status == 202) /* the rest of the story will be found there */
                r = r < 0 ? r : body_add_text(b, "url", o->event_url);
        else
                r = r < 0 ? r : body_add_text(b, "code", span_of(o->code));
        return r < 0 ? r : body_add_text(b, "message", o->message);
}

static int problem_write(const Outcome *o, Reply *ret) {
        bool is_success = outcome_is_success(o);

        if (outcome_has_data(o))
                return body_is_data(o, ret, "application/json");
        ret->content_type = is_success ? "application/json" : "application/problem+json";
        int r = buf_add_char(&ret->body, '{');
        if (r == 0)
                r = is_success ? write_success(&ret->body, o) : write_failure(&ret->body, o);
        return r < 0 ? r : buf_add_char(&ret->body, '}');
}

const Dialect dialect_problem = {
        .name = "problem",
        .help = "application/problem+json (RFC 9457), with errors that point into the entity",
        .has_hints = true,
        .write = problem_write,
};
