/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/exchange.h"

#include "base/clock.h"
#include "flow/complaint.h"
#include "flow/lookups.h"
#include "flow/run.h"
#include "flow/runner.h"
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

int missing_prepare(Build *b, const Node *node, Missing *ret) {
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

static void on_missing_text(Act *a, Span text) {
        const Missing *m = a->missing;

        act_fail(a, (int)m->status, "missing", false, SPAN_FMT, SPAN_ARG(text));
}

void missing_run(Act *a, const Missing *m, const Target *target) {
        if (m->as_null) {
                act_done(a, (Span){NULL, 0});
        } else if (m->text.n) {
                a->missing = m;
                act_template(a, &m->text, false, on_missing_text);
        } else
                act_fail(a, (int)m->status, "missing", false,
                         "%s knows no such entity (step " SPAN_FMT ").", target->config->name,
                         SPAN_ARG(a->step->name));
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
static void fail_away(Act *a, int64_t away_ms) {
        const char *name = a->to->target->config->name;
        int64_t seconds = (away_ms + 999) / 1000;
        char *text = arena_printf(a->run->arena,
                                  "%s could not be reached lately. Try again in %" PRId64 " s.",
                                  name, seconds);
        Outcome o = {.status = 424,
                     .code = "unreachable",
                     .message = text ? span_of(text) : SPAN("It could not be reached lately."),
                     .retryable = true,
                     .not_tried = a->run->writes == 0,
                     .retry_after_s = seconds};

        act_fail_with(a, &o);
}

/* The person hears what it means; what the network said is in the attempt's calls. Where only an
 * operator can help, the reason goes along. */
static void fail_without_answer(Act *a, const ClientAnswer *answer) {
        EndMeaning m = meaning_of(answer->end);
        bool operators = answer->end == CLIENT_GATE || answer->end == CLIENT_FAULT;

        act_fail(a, 424, m.code, m.retryable, "%s %s%s%s.%s", a->to->target->config->name,
                 m.sentence, operators ? ": " : "", operators ? answer->why : "",
                 m.retryable ? " Try again later." : "");
}

/* Where only an operator can help. */
static void denied(Act *a, const ClientAnswer *answer, Outcome *o) {
        char *text = arena_printf(a->run->arena,
                                  "%s does not accept Grapnel's credentials (%d). Tell whoever "
                                  "runs the integration.",
                                  a->to->target->config->name, answer->status);

        o->code = "target-denied";
        o->message = text ? span_of(text) : SPAN("The target does not accept Grapnel.");
}

static const char *plain_words(const ClientAnswer *answer, const Outcome *o) {
        if (answer->status < 400)
                return "answered with a redirect, which is not followed";
        return o->retryable ? "cannot take this now" : "refused this";
}

void exchange_refusal(Act *a, const ClientAnswer *answer, Outcome *o) {
        const char *name = a->to->target->config->name;
        int64_t wait;

        *o = (Outcome){.status = answer->status == 409 ? 409 : 424,
                       .code = answer->status == 409 ? "conflict" : "target-refused",
                       .retry_after_s = -1};
        if (answer->status == 401 || answer->status == 403) {
                denied(a, answer, o);
                return;
        }
        if (answer->status >= 400 && answer->status < 500)
                complaint_read(a, answer->body, a->mapping, a->to->target, o);
        if (answer->status == 429 || answer->status == 408 || answer->status >= 500) {
                o->retryable = true;
                o->code = answer->status == 429 ? "target-busy" : "target-failed";
                if (http_retry_after(client_answer_get(answer, "retry-after"), clock_wall_ms(),
                                     RETRY_AFTER_MAX_MS, &wait))
                        o->retry_after_s = (wait + 999) / 1000;
        }
        if (!o->message.p) {
                char *text =
                        arena_printf(a->run->arena, "%s %s (%d).%s", name, plain_words(answer, o),
                                     answer->status, o->retryable ? " Try again later." : "");

                o->message = text ? span_of(text) : SPAN("The target refused this.");
        }
}

static void fail_refused(Act *a, const ClientAnswer *answer) {
        Outcome o;

        exchange_refusal(a, answer, &o);
        act_fail_with(a, &o);
}

/* The entity is another one by now than the step saw. */
static void changed(Act *a, const ClientAnswer *answer) {
        if (act_again(a, a->seen_by))
                return;
        act_fail(a, 424, "keeps-changing", true,
                 "%s changed the entity while it was being written (%d). Try again later.",
                 a->to->target->config->name, answer->status);
}

/* What is kept is told apart by whom was asked, and where. */
static Span lookup_key(Act *a) {
        const Call *c = &a->call;
        char *key = arena_printf(a->run->arena, "%zu %s", c->target->config->index, c->url);

        return key ? span_of(key) : (Span){NULL, 0};
}

/* One test may not answer another's calls. */
static bool may_keep(const Act *a) {
        return a->keep_ms && !a->run->dialler;
}

static bool use_kept(Act *a) {
        ClientAnswer answer = {.end = CLIENT_ANSWERED};
        Span key = may_keep(a) ? lookup_key(a) : (Span){NULL, 0};

        if (!key.p)
                return false;
        answer.body = lookups_get(a->run->runner->snapshot->lookups, key, a->keep_ms,
                                  clock_mono_ms(), a->run->arena, &answer.status);
        if (!answer.body.p)
                return false;
        answer.is_kept = true;
        run_tell(a, a->call.method, span_of(a->call.url), &answer);
        a->answered(a, &answer);
        return true;
}

static void keep(Act *a, const ClientAnswer *answer) {
        Span key = may_keep(a) && answer->status == 200 ? lookup_key(a) : (Span){NULL, 0};

        if (key.p)
                lookups_put(a->run->runner->snapshot->lookups, key, answer->status, answer->body,
                            clock_mono_ms());
}

static void on_answer(Act *a, const ClientAnswer *answer) {
        bool (*refused)(Act *, const ClientAnswer *) = a->refused;

        a->refused = NULL;
        if (a->call.away_ms > 0) {
                fail_away(a, a->call.away_ms);
        } else if (answer->end != CLIENT_ANSWERED) {
                fail_without_answer(a, answer);
        } else if ((answer->status >= 200 && answer->status < 300) || answer->status == 404) {
                keep(a, answer);
                a->answered(a, answer);
        } else if (answer->status == 412 && a->if_match.p) {
                changed(a, answer);
        } else if (!refused || !refused(a, answer))
                fail_refused(a, answer);
}

void exchange_go_on(Act *a, const char *url, void (*then)(Act *a, const ClientAnswer *answer)) {
        a->answered = then;
        a->call.target = a->to->target;
        a->call.url = url;
        a->call.then = on_answer;
        if (use_kept(a))
                return;
        if (a->if_match.p) {
                a->match_header = (HttpHeader){SPAN("If-Match"), a->if_match};
                a->call.more = &a->match_header;
                a->call.n_more = 1;
        }
        call_start(a);
}

void exchange_at(Act *a, const Address *to, const char *url,
                 void (*then)(Act *a, const ClientAnswer *answer)) {
        a->to = to;
        exchange_go_on(a, url, then);
}

void exchange_catch(Act *a, bool (*refused)(Act *a, const ClientAnswer *answer)) {
        a->refused = refused;
}

static void on_path(Act *a, Span path) {
        char *url = arena_printf(a->run->arena, "%s" SPAN_FMT, a->to->target->config->url,
                                 SPAN_ARG(path));

        if (url)
                a->addressed(a, url);
        else
                act_fail(a, 422, "too-large", false, "the address is too long");
}

void exchange_address(Act *a, const Address *to, void (*then)(Act *a, const char *url)) {
        a->to = to;
        a->addressed = then;
        act_template(a, &to->path, true, on_path);
}

static void on_address(Act *a, const char *url) {
        exchange_go_on(a, url, a->answered);
}

void exchange_mapping(Act *a, const Program *mapping) {
        a->mapping = mapping;
}

void exchange_start(Act *a, const Address *to, void (*then)(Act *a, const ClientAnswer *answer)) {
        a->answered = then;
        exchange_address(a, to, on_address);
}

bool exchange_json(Act *a, const ClientAnswer *answer, bool may_be_empty, Span *ret) {
        const char *name = a->to->target->config->name;
        JsonFault fault;

        *ret = SPAN("null");
        if (answer->body.n == 0 && may_be_empty)
                return true;
        if (json_check(answer->body, JSON_KEYS_MAX, &fault) < 0) {
                act_fail(a, 424, "unreadable-answer", true,
                         "%s gave an answer that is no JSON: %s at byte %zu.", name, fault.why,
                         fault.offset);
                return false;
        }
        *ret = arena_span(a->run->arena, answer->body);
        if (!ret->p) {
                act_fail(a, 424, "too-large", false, "the answers of the steps are too large");
                return false;
        }
        return true;
}
