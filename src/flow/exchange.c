/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/exchange.h"

#include "base/clock.h"
#include "flow/complaint.h"
#include "http/retry_after.h"
#include "json/check.h"
#include "json/value.h"

#define RETRY_AFTER_MAX_MS (24 * 3600 * 1000)

/* ---- missing ---- */

static const Option missing_options[] = {
        {.name = "fail",
         .type = OPTION_NUMBER,
         .offset = offsetof(Missing, status),
         .fallback = "404",
         .min = 400,
         .max = 499,
         .help = "The status that the source hears when nothing is found."},
        {.name = "message",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(Missing, message),
         .help = "What the person reads; holes {...} are filled."},
};

const OptionGroup step_missing = {
        "missing",
        "`missing: {fail: 404, message: 'There is no {.event.id}'}`, or `missing: null`.",
        missing_options, COUNT_OF(missing_options)};

int missing_prepare(StepBuild *b, const Node *node, Missing *ret) {
        *ret = (Missing){.status = 404};
        if (!node)
                return 0;
        if (node->kind == NODE_SCALAR && !node->quoted && span_eq(node->text, SPAN("null"))) {
                ret->as_null = true;
                return 0;
        }
        if (node->kind != NODE_MAP)
                return problem_add(b->problems, node->place,
                                   "missing is null, or a map {fail: 404, message: '...'}");
        if (options_read(node, missing_options, COUNT_OF(missing_options), ret, b->snapshot->arena,
                         b->problems) < 0)
                return -EINVAL;
        return build_template(b, &ret->message, &ret->text);
}

static void on_missing_text(Run *r, Span text) {
        const Missing *m = r->missing;

        run_fail(r, (int)m->status, "missing", false, SPAN_FMT, SPAN_ARG(text));
}

void missing_run(Run *r, const Missing *m, const Target *target) {
        if (m->as_null) {
                run_next(r, (Span){NULL, 0});
        } else if (m->text.n) {
                r->missing = m;
                run_template(r, &m->text, false, on_missing_text);
        } else
                run_fail(r, (int)m->status, "missing", false,
                         "%s knows no such entity (step " SPAN_FMT ").", target->config->name,
                         SPAN_ARG(r->current->name));
}

/* ---- what an answer means ---- */

typedef struct EndMeaning {
        const char *code, *sentence;
        bool retryable;
} EndMeaning;

static EndMeaning meaning_of(ClientEnd end) {
        switch (end) {
        case CLIENT_GATE:
                return (EndMeaning){"address-refused", "may not be dialled", false};
        case CLIENT_NAME:
                return (EndMeaning){"unreachable", "could not be found", true};
        case CLIENT_CONNECT:
                return (EndMeaning){"unreachable", "could not be reached", true};
        case CLIENT_TLS:
                return (EndMeaning){"unreachable", "could not be reached safely", true};
        case CLIENT_TIMEOUT:
                return (EndMeaning){"timeout", "did not answer in time", true};
        case CLIENT_BROKEN:
                return (EndMeaning){"broken", "broke off before it answered", true};
        case CLIENT_BAD_ANSWER:
        case CLIENT_TOO_BIG:
                return (EndMeaning){"unreadable-answer", "gave an answer that cannot be read",
                                    true};
        default:
                return (EndMeaning){"no-call", "could not be called", true};
        }
}

/* Nobody dialled: a job tries again when the breaker lets it, and if nothing was written before,
 * this was no try. */
static void fail_away(Run *r, int64_t away_ms) {
        const char *name = r->to->target->config->name;
        int64_t seconds = (away_ms + 999) / 1000;
        char *text = arena_printf(r->arena,
                                  "%s could not be reached lately. Try again in %" PRId64 " s.",
                                  name, seconds);
        Outcome o = {.status = 424,
                     .code = "unreachable",
                     .message = text ? span_of(text) : SPAN("It could not be reached lately."),
                     .retryable = true,
                     .not_tried = r->writes == 0,
                     .retry_after_s = seconds};

        run_fail_with(r, &o);
}

/* The person hears what it means; what the network said is in the attempt's calls. Where only an
 * operator can help, the reason goes along. */
static void fail_without_answer(Run *r, const ClientAnswer *a) {
        EndMeaning m = meaning_of(a->end);
        bool operators = a->end == CLIENT_GATE || a->end == CLIENT_FAULT;

        run_fail(r, 424, m.code, m.retryable, "%s %s%s%s.%s", r->to->target->config->name,
                 m.sentence, operators ? ": " : "", operators ? a->why : "",
                 m.retryable ? " Try again later." : "");
}

static void refused(Run *r, const ClientAnswer *a) {
        const char *name = r->to->target->config->name;
        Outcome o = {.status = a->status == 409 ? 409 : 424,
                     .code = a->status == 409 ? "conflict" : "target-refused",
                     .retry_after_s = -1};
        int64_t wait;

        if (a->status == 401 || a->status == 403) {
                run_fail(r, 424, "target-denied", false,
                         "%s does not accept Grapnel's credentials (%d). Tell whoever runs the "
                         "integration.",
                         name, a->status);
                return;
        }
        if (a->status >= 400 && a->status < 500)
                complaint_read(r, a->body, r->mapping, r->to->target, &o);
        if (a->status == 429 || a->status == 408 || a->status >= 500) {
                o.retryable = true;
                o.code = a->status == 429 ? "target-busy" : "target-failed";
                if (http_retry_after(client_answer_get(a, "retry-after"), clock_wall_ms(),
                                     RETRY_AFTER_MAX_MS, &wait))
                        o.retry_after_s = (wait + 999) / 1000;
        }
        if (!o.message.p) {
                char *text =
                        arena_printf(r->arena, "%s %s (%d).%s", name,
                                     a->status < 400 ? "answered with a redirect, which is not "
                                                       "followed"
                                     : o.retryable   ? "cannot take this now"
                                                     : "refused this",
                                     a->status, o.retryable ? " Try again later." : "");

                o.message = text ? span_of(text) : SPAN("The target refused this.");
        }
        run_fail_with(r, &o);
}

static void on_answer(Run *r, const ClientAnswer *a) {
        if (r->call.away_ms > 0)
                fail_away(r, r->call.away_ms);
        else if (a->end != CLIENT_ANSWERED)
                fail_without_answer(r, a);
        else if ((a->status >= 200 && a->status < 300) || a->status == 404)
                r->answered(r, a);
        else
                refused(r, a);
}

static void on_path(Run *r, Span path) {
        const Target *t = r->to->target;

        r->call.target = t;
        r->call.url = arena_printf(r->arena, "%s" SPAN_FMT, t->config->url, SPAN_ARG(path));
        r->call.then = on_answer;
        if (!r->call.url) {
                run_fail(r, 422, "too-large", false, "the address is too long");
                return;
        }
        if (r->n_asked < STEPS_MAX)
                r->asked[r->n_asked++] = (struct Asked){r->current->name, t};
        call_start(r);
}

void exchange_mapping(Run *r, const Program *mapping) {
        r->mapping = mapping;
}

void exchange_start(Run *r, const Address *to, void (*then)(Run *r, const ClientAnswer *a)) {
        r->to = to;
        r->answered = then;
        run_template(r, &to->path, true, on_path);
}

bool exchange_json(Run *r, const ClientAnswer *a, bool may_be_empty, Span *ret) {
        const char *name = r->to->target->config->name;
        JsonFault fault;

        *ret = SPAN("null");
        if (a->body.n == 0 && may_be_empty)
                return true;
        if (json_check(a->body, JSON_KEYS_MAX, &fault) < 0) {
                run_fail(r, 424, "unreadable-answer", true,
                         "%s gave an answer that is no JSON: %s at byte %zu.", name, fault.why,
                         fault.offset);
                return false;
        }
        *ret = arena_span(r->arena, a->body);
        if (!ret->p) {
                run_fail(r, 424, "too-large", false, "the answers of the steps are too large");
                return false;
        }
        return true;
}
