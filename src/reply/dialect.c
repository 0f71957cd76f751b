/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of dialects. A new one is a file with one Dialect in it and a row here. */
#include "reply/body.h"

const Dialect *const dialects[] = {
        &dialect_problem,         &dialect_plain,       &dialect_status,
        &dialect_kratos,          &dialect_okta_inline, &dialect_okta_event,
        &dialect_entra_extension, &dialect_graph,       &dialect_zitadel,
        &dialect_keycloak,        &dialect_scim,        &dialect_trivore,
        &dialect_slack,           &dialect_action_json, NULL,
};

const Dialect *dialect_find(Span name) {
        for (const Dialect *const *d = dialects; *d; d++)
                if (span_eq(name, span_of((*d)->name)))
                        return *d;
        return NULL;
}

static int status_for(const Dialect *d, const Outcome *o) {
        const DialectStatus *s = &d->status;
        OutcomeKind kind = outcome_kind(o);
        int status = kind == OUTCOME_DONE       ? s->done
                     : kind == OUTCOME_ACCEPTED ? s->accepted
                     : kind == OUTCOME_LATER    ? s->later
                     : kind == OUTCOME_REFUSED  ? s->refused
                                                : 0;

        /* A refusal that looks like a success is for sources that cannot hear one, and only where
         * the ledger holds what was refused. */
        if (kind == OUTCOME_REFUSED && !d->write && status < 300 && o->event.n == 0)
                status = 0;
        return status ? status : o->status;
}

static int write_one(const Dialect *d, const Outcome *o, Reply *ret) {
        buf_clear(&ret->body);
        ret->status = status_for(d, o);
        ret->content_type = NULL;
        /* RFC 9110 15.3.5, 15.3.6: neither has content. */
        return !d->write || ret->status == 204 || ret->status == 205 ? 0 : d->write(o, ret);
}

int dialect_write(const Dialect *d, const Outcome *o, Reply *ret) {
        must(o->n_errors <= OUTCOME_ERRORS_MAX);
        int r = write_one(d, o, ret);
        bool is_misfit = r == DIALECT_MISFIT;

        if (r < 0 || (!is_misfit && (d->max_bytes == 0 || ret->body.n <= d->max_bytes)))
                return r;
        Outcome bare = {.status = outcome_is_success(o) ? 500 : o->status,
                        .code = is_misfit ? "answer-misfit" : "answer-too-large",
                        .message = is_misfit ? SPAN("The flow's answer is nothing that this "
                                                    "source can read.")
                                             : SPAN("The answer is larger than this source reads."),
                        .retryable = o->retryable,
                        .retry_after_s = o->retry_after_s,
                        .event = o->event,
                        .event_url = o->event_url,
                        .request = o->request};
        r = write_one(d, &bare, ret);
        must(r <= 0);
        return r;
}

/* ---- the reference ---- */

static int add_status(Buf *out, const Dialect *d, int status, bool retryable, Span data) {
        Outcome o = {.status = status,
                     .retryable = retryable,
                     .retry_after_s = -1,
                     .data = data,
                     .event = status == 401 ? SPAN("") : SPAN("evt_0"),
                     .request = SPAN("{\"type\":\"microsoft.graph.authenticationEvent."
                                     "attributeCollectionSubmit\"}")}; /* for who reads it */
        Reply reply = {.body = BUF(4096)};
        int r = dialect_write(d, &o, &reply);

        if (r == 0)
                r = buf_addf(out, " %d%s |", reply.status, reply.body.n ? " and a body" : "");
        buf_done(&reply.body);
        return r;
}

int dialects_print_reference(Buf *out) {
        int r = buf_add(out, SPAN("| `reply` | done | done, with data | accepted | refused | "
                                  "try again later | not verified |\n"
                                  "|---|---|---|---|---|---|---|\n"));

        for (const Dialect *const *d = dialects; *d && r == 0; d++) {
                r = buf_addf(out, "| `%s` |", (*d)->name);
                r = r < 0 ? r : add_status(out, *d, 200, false, SPAN(""));
                r = r < 0 ? r : add_status(out, *d, 200, false, SPAN("{\"commands\":[]}"));
                r = r < 0 ? r : add_status(out, *d, 202, false, SPAN(""));
                r = r < 0 ? r : add_status(out, *d, 424, false, SPAN(""));
                r = r < 0 ? r : add_status(out, *d, 424, true, SPAN(""));
                r = r < 0 ? r : add_status(out, *d, 401, false, SPAN(""));
                r = r < 0 ? r : buf_add_char(out, '\n');
        }
        for (const Dialect *const *d = dialects; *d && r == 0; d++)
                r = buf_addf(out, "%s- `%s`: %s.\n", d == dialects ? "\n" : "", (*d)->name,
                             (*d)->help);
        return r;
}
