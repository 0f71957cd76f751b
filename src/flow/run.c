/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/run.h"

#include "base/clock.h"
#include "flow/runner.h"
#include "flow/step.h"
#include "flow/view.h"

/* Of the time until the deadline, what is kept for undoing: a fourth, and not more than this. */
#define UNDO_MAX_MS          5000
#define UNDO_ARENA_MAX_BYTES (16 * 1024 * 1024)

/* ---- the story ---- */

void run_tell(const Act *act, const char *method, Span url, const ClientAnswer *a) {
        Run *r = act->run;
        size_t before = r->story.n;
        int e = buf_addf(&r->story, "%s{\"step\":\"" SPAN_FMT "\",", before > 1 ? "," : "",
                         SPAN_ARG(act->step->name));

        if (e == 0 && act->walk->item)
                e = buf_addf(&r->story, "\"item\":%zu,", act->walk->item);
        if (e == 0)
                e = buf_addf(&r->story, "%s\"method\":\"%s\",\"url\":",
                             r->phase == RUN_UNDOING ? "\"undo\":true," : "", method);
        if (e == 0)
                e = buf_add_json(&r->story, url);
        if (e == 0)
                e = buf_addf(&r->story, ",\"end\":\"%s\",\"status\":%d,\"us\":%" PRId64,
                             client_end_name(a->end), a->status, a->total_us);
        if (e == 0 && a->is_kept)
                e = buf_add(&r->story, SPAN(",\"kept\":true"));
        if (e == 0 && a->address[0])
                e = buf_addf(&r->story, ",\"address\":\"%s\"", a->address);
        if (e == 0 && a->why[0]) {
                e = buf_add(&r->story, SPAN(",\"why\":"));
                if (e == 0)
                        e = buf_add_json(&r->story, span_of(a->why));
        }
        if (e == 0)
                e = buf_add_char(&r->story, '}');
        if (e < 0)
                r->story.n = before;
}

/* ---- acts ---- */

static const Outcome no_room = {.status = 422,
                                .code = "too-large",
                                .message = {"the results of the steps are too large",
                                            sizeof "the results of the steps are too large" - 1},
                                .retry_after_s = -1};

Act *run_act(Walk *w, size_t index) {
        Run *r = w->run;
        Link *link = list_pop(&r->spare);
        Act *a = link ? CONTAINER_OF(link, Act, link) : arena_alloc(r->arena, sizeof *a);
        const Step *s = &w->list->steps[index];
        Undo *u = s->undo ? arena_alloc(r->arena, sizeof *u) : NULL;

        if (!a || (s->undo && !u)) {
                if (a)
                        list_push(&r->spare, &a->link);
                walk_fail(w, &no_room);
                return NULL;
        }
        *a = (Act){.run = r, .walk = w, .step = s, .index = index, .undo = u};
        link_init(&a->link);
        list_push(&r->acts, &a->link);
        return a;
}

void run_act_gone(Run *r, Act *a) {
        list_remove(&r->acts, &a->link);
        list_push(&r->spare, &a->link);
}

void run_did(Act *a) {
        Run *r = a->run;

        if (a->is_skipped || !a->undo)
                return;
        *a->undo = (Undo){r->undo, a->walk, a->step};
        r->undo = a->undo;
}

/* ---- the ends ---- */

static void succeed(Walk *w);

bool run_is_rehearsed(const Run *r) {
        return r->host != &r->runner->host;
}

/* The answer is made while somebody waits for it; nobody hears it otherwise. */
static bool make_answer(Walk *w) {
        Run *r = w->run;

        if (w->list == &r->flow->answer || !r->flow->answer.n || r->partly ||
            !(r->job->waiter || run_is_rehearsed(r)))
                return false;
        r->walk = walk_new(r, w, w->base + w->list->n, NULL, 0, &r->flow->answer);
        if (!r->walk) {
                run_broke_off(r, &no_room);
                return true;
        }
        r->walk->outer = NULL; /* that one is over */
        r->walk->done = succeed;
        walk_start(r->walk);
        return true;
}

/* What the last write was; a program's is its own affair. */
static Span updated(const Run *r) {
        if (!r->told_verb)
                return span_of(
                        arena_printf(r->arena, SPAN_FMT " was run.", SPAN_ARG(r->told_target)));
        return span_of(arena_printf(r->arena, "%s in %.*s%s%.*s.", r->told_verb,
                                    SPAN_ARG(r->told_target), r->told_fields.n ? ": " : "",
                                    SPAN_ARG(r->told_fields)));
}

static void succeed(Walk *w) {
        Run *r = w->run;
        Outcome *o = &r->outcome;

        if (make_answer(w))
                return;
        r->phase = RUN_ENDED;
        if (r->partly) {
                *o = *r->partly;
                return;
        }
        *o = (Outcome){
                .status = 200, .retry_after_s = -1, .data = r->data, .is_answer = r->is_answer};
        if (r->writes) {
                o->code = "updated";
                o->message = updated(r);
        } else if (r->unchanged) {
                o->code = "unchanged";
                o->message = span_of(arena_printf(r->arena, "Nothing to change in %.*s.",
                                                  SPAN_ARG(r->told_target)));
        } else if (r->emitted) {
                o->code = "emitted";
                o->message = SPAN("Passed on as an event.");
        } else {
                o->code = "done";
                o->message = SPAN("Done.");
        }
}

/* ---- undoing ---- */

void run_partly(Run *r, const Outcome *o) {
        Outcome all = *o;

        if (r->partly) {
                char *text = arena_printf(r->arena, SPAN_FMT " " SPAN_FMT,
                                          SPAN_ARG(r->partly->message), SPAN_ARG(o->message));

                all = *r->partly;
                all.retryable |= o->retryable;
                if (text)
                        all.message = span_of(text);
        }
        r->partly = outcome_copy(r->arena, &all);
        if (!r->partly)
                r->partly = &no_room;
}

void run_item_failed(Run *r, Span step, size_t item, const Outcome *o) {
        Outcome first = *o;

        if (r->unsettled && (r->unsettled->retryable || !o->retryable))
                return; /* the first is told, and whether a second try may help */
        char *text = arena_printf(r->arena, "Item %zu of step " SPAN_FMT " failed: " SPAN_FMT, item,
                                  SPAN_ARG(step), SPAN_ARG(o->message));
        if (text)
                first.message = span_of(text);
        first.not_tried = false;
        if (r->unsettled) {
                first = *r->unsettled;
                first.retryable = true;
        }
        r->unsettled = outcome_copy(r->arena, &first);
        if (!r->unsettled)
                r->unsettled = &no_room;
}

static void undo_next(Run *r);

static void add_to_message(Run *r, Span step, const char *what, Span why) {
        char *text =
                arena_printf(r->arena, SPAN_FMT " Step " SPAN_FMT " %s" SPAN_FMT,
                             SPAN_ARG(r->outcome.message), SPAN_ARG(step), what, SPAN_ARG(why));

        if (text)
                r->outcome.message = span_of(text);
}

static void on_undone(Walk *w) {
        Run *r = w->run;
        const Step *s = w->arg;

        if (r->partly)
                add_to_message(r, s->name, "could not be undone: ", r->partly->message);
        undo_next(r);
}

/* The others are undone all the same. */
static void on_not_undone(Walk *w, const Outcome *o) {
        const Step *s = w->arg;

        add_to_message(w->run, s->name, "could not be undone: ", o->message);
        undo_next(w->run);
}

static void undo(Run *r, const Undo *u) {
        Walk *from = u->walk;

        r->partly = NULL; /* from here on of this undoing */
        r->walk = walk_new(r, from, from->base + from->list->n, NULL, 0, u->step->undo);
        must(r->walk);         /* the first in an arena of its own, and small */
        r->walk->outer = NULL; /* that one has failed */
        r->walk->done = on_undone;
        r->walk->failed = on_not_undone;
        r->walk->item = from->item;
        r->walk->items = from->items;
        r->walk->arg = (void *)u->step;
        walk_start(r->walk);
}

static void undo_next(Run *r) {
        while (r->undo) {
                const Undo *u = r->undo;

                r->undo = u->earlier;
                if (!r->is_late) {
                        undo(r, u);
                        return;
                }
                add_to_message(r, u->step->name, "was not undone: no time was left.", SPAN(""));
        }
        r->phase = RUN_ENDED;
}

void run_broke_off(Run *r, const Outcome *o) {
        r->outcome = *o;
        if (o->status < 300) {
                /* A step may end the flow well; what failed before has failed. */
                if (r->partly || r->unsettled)
                        r->outcome = r->partly ? *r->partly : *r->unsettled;
                r->phase = RUN_ENDED;
                return;
        }
        r->phase = RUN_UNDOING;
        if (r->undo) {
                r->spent = r->arena; /* it may be full: perhaps that is what failed */
                r->arena = arena_new(UNDO_ARENA_MAX_BYTES);
                heap_remove(&r->runner->deadlines, &r->deadline);
                heap_push(&r->runner->deadlines, &r->deadline, r->until_ms);
                runner_set_timer(r->runner);
        }
        undo_next(r);
}

/* ---- the run ---- */

static void end(Run *r) {
        Runner *runner = r->runner;
        const Outcome *o = &r->outcome;
        JobResult result = {.verdict = o->status < 300 ? JOB_SUCCEEDED
                                       : o->not_tried  ? JOB_NOT_TRIED
                                       : o->retryable  ? JOB_RETRY
                                                       : JOB_FAILED,
                            .wait_hint_ms = o->retry_after_s >= 0 ? o->retry_after_s * 1000 : -1};

        must(r->acts.n == 0);
        if (buf_add_char(&r->story, ']') < 0)
                r->story.n = 0;
        result.attempt = (Attempt){.started_ms = r->started_ms,
                                   .took_us = clock_mono_us() - r->started_us,
                                   .status = o->status,
                                   .code = span_of(o->code),
                                   .message = o->message,
                                   .detail = buf_span(&r->story)};
        heap_remove(&runner->deadlines, &r->deadline);
        list_remove(&runner->runs, &r->link);
        r->host->ended(r->host->self, r->job, &result, o);
        buf_done(&r->story);
        if (r->spent)
                arena_free(r->spent);
        arena_free(r->arena);
        runner_run_gone(runner, r);
}

/* One loop for all walks: a step that ends at once does not deepen the stack. */
void run_go(Run *r) {
        if (r->is_going)
                return;
        r->is_going = true;
        for (Link *link; (link = list_pop(&r->ready));)
                walk_go(CONTAINER_OF(link, Walk, link));
        r->is_going = false;
        if (r->phase == RUN_ENDED)
                end(r);
}

void run_begin(Run *r, int64_t until_ms) {
        int64_t now = clock_mono_ms(), left = until_ms > now ? until_ms - now : 0;
        int64_t kept = !r->flow->may_undo ? 0 : left / 4 > UNDO_MAX_MS ? UNDO_MAX_MS : left / 4;
        const MapRoot roots[] = {{SPAN("event"), view_of_event(r->job->event, r->arena)},
                                 {SPAN("meta"), runner_meta(r)}};

        list_init(&r->ready);
        list_init(&r->acts);
        list_init(&r->spare);
        r->until_ms = until_ms;
        heap_push(&r->runner->deadlines, &r->deadline, until_ms - kept);
        runner_set_timer(r->runner);
        r->walk = walk_new(r, NULL, 0, roots, COUNT_OF(roots), &r->flow->steps);
        must(r->walk);
        r->walk->done = succeed;
        walk_start(r->walk);
        run_go(r);
}

/* Whom it waits for. */
static const char *awaited(const Run *r) {
        LIST_EACH(&r->acts, it) {
                const Act *a = CONTAINER_OF(it, Act, link);

                if (a->call.target)
                        return a->call.target->config->name;
        }
        return "The system";
}

void run_expire(Run *r) {
        Outcome o = {.status = 424, .code = "timeout", .retryable = true, .retry_after_s = -1};

        if (r->phase == RUN_ENDED)
                return;
        r->is_late = r->phase == RUN_UNDOING;
        o.message = span_of(arena_printf(
                r->arena, "%s did not answer in time. Nothing is certain; try again later.",
                awaited(r)));
        if (!o.message.p)
                o.message = SPAN("There was no answer in time.");
        walk_fail(r->walk, &o);
}
