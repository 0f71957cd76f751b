/* SPDX-License-Identifier: Apache-2.0 */
#include "app/noticing.h"

#include "base/log.h"
#include "trigger/polling.h"
#include "trigger/submission.h"

enum { PROBLEMS_ARENA = 4 * 1024 * 1024 };

static void on_told(void *self, const WatchStatus *s) {
        LogLevel level = s->state == WATCH_WORKING || s->state == WATCH_STARTING ? LOG_INFO
                         : s->state == WATCH_FAILING                             ? LOG_WARN
                                                                                 : LOG_ERROR;

        (void)self;
        log_fact(level, "trigger", "source", span_of(s->source), "kind", span_of(s->kind), "state",
                 span_of(watch_state_name(s->state)), s->why[0] ? "why" : NULL, span_of(s->why),
                 NULL);
}

char *noticing_notes_path(const Config *c) {
        Span ledger = span_of(c->ledger);
        AUTO(buf_done)
        Buf path = BUF(8192);
        char *text;

        if (span_starts(ledger, SPAN("memory:")))
                return strdup(":memory:");
        if (span_starts(ledger, SPAN("sqlite:")))
                must(buf_addf(&path, SPAN_FMT "-triggers", SPAN_ARG(span_from(ledger, 7))) == 0);
        else
                must(buf_add(&path, SPAN("grapnel-triggers.db")) == 0);
        must(buf_add_char(&path, 0) == 0);
        text = path.p;
        path = (Buf){0};
        return text;
}

Watches *noticing_new(const Config *c, Inlet *inlet) {
        char *path = noticing_notes_path(c);
        WatchPort port = {.self = inlet,
                          .submit = submission_send,
                          .read = polling_read,
                          .told = on_told,
                          .notes_path = path};
        Watches *ws;

        must(path);
        ws = watches_new(&port);
        free(path);
        return ws;
}

static void on_unprepared(const char *statement, const char *why) {
        log_fact(LOG_WARN, "a statement cannot be prepared", "statement", span_of(statement), "why",
                 span_of(why), NULL);
}

Desks *noticing_desks(void) {
        return desks_new(on_unprepared);
}

static Problems *problems_new(Arena *a) {
        Problems *p = arena_alloc(a, sizeof *p);

        must(p);
        p->arena = a;
        return p;
}

void noticing_set(Watches *ws, Desks *desks, Config *c) {
        AUTO(arena_freep)
        Arena *a = arena_new(PROBLEMS_ARENA);
        Triggers *t = triggers_build(c, problems_new(a));
        Statements *s = t ? statements_build(c, t, problems_new(a)) : NULL;

        must(t && s); /* they were checked */
        desks_set(desks, s);
        watches_set(ws, t);
}

void noticing_check(Config *c, Problems *problems) {
        Triggers *t = triggers_build(c, problems);

        if (t) {
                polling_check(t, problems);
                statements_unref(statements_build(c, t, problems));
        }
        triggers_unref(t);
}
