/* SPDX-License-Identifier: Apache-2.0 */
#include "reply/outcome.h"

/* A span that says "not there" by its NULL goes on saying so. */
static bool copy_span(Arena *a, Span *s) {
        if (!s->p)
                return true;
        *s = arena_span(a, *s);
        return s->p != NULL;
}

OutcomeKind outcome_kind(const Outcome *o) {
        if (o->status >= 200 && o->status < 300)
                return o->status == 202 ? OUTCOME_ACCEPTED : OUTCOME_DONE;
        if (o->status == 401 && o->event.n == 0)
                return OUTCOME_STRANGER;
        return o->retryable || o->status == 429 || o->status == 503 ? OUTCOME_LATER
                                                                    : OUTCOME_REFUSED;
}

Outcome *outcome_copy(Arena *a, const Outcome *o) {
        Outcome *copy = arena_alloc(a, sizeof *copy);
        bool is_whole = copy != NULL;

        must(o->n_errors <= OUTCOME_ERRORS_MAX);
        if (!copy)
                return NULL;
        *copy = *o;
        copy->code = o->code ? arena_text(a, span_of(o->code)) : NULL;
        is_whole = !o->code || copy->code;
        Span *const spans[] = {&copy->message, &copy->data, &copy->event, &copy->event_url,
                               &copy->request};
        for (size_t i = 0; i < COUNT_OF(spans); i++)
                is_whole = is_whole && copy_span(a, spans[i]);
        for (size_t i = 0; i < copy->n_errors; i++) {
                OutcomeError *e = &copy->errors[i];

                is_whole = is_whole && copy_span(a, &e->pointer) && copy_span(a, &e->detail) &&
                           copy_span(a, &e->field);
        }
        return is_whole ? copy : NULL;
}
