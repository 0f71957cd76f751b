/* SPDX-License-Identifier: Apache-2.0 */
#include "app/player.h"

#include "base/clock.h"

enum { ANSWER_MAX_BYTES = 32 * 1024 * 1024, REQUEST_MAX_BYTES = 32 * 1024 * 1024 };

struct Player {
        Stage *stage;
        Snapshot *snapshot;
        MockDesk desk;
        Arena *arena; /* of the play */
        SeenRun runs[JUDGE_RUNS_MAX];
        size_t n_runs;
};

static void on_ended(void *self, const Job *job, const JobResult *result, const Outcome *o) {
        Player *p = self;
        SeenRun *r;

        (void)result;
        if (p->n_runs == JUDGE_RUNS_MAX)
                return;
        r = &p->runs[p->n_runs++];
        *r = (SeenRun){.flow = arena_text(p->arena,
                                          span_from(job->target, span_find(job->target, ':') + 1)),
                       .code = arena_text(p->arena, span_of(o->code)),
                       .status = o->status,
                       .message = arena_span(p->arena, o->message)};
        must(r->flow && r->code);
}

static int64_t due(void *self) {
        const Player *p = self;

        return mock_desk_due(&p->desk);
}

static bool answer(void *self, int64_t now_ms) {
        Player *p = self;

        return mock_desk_answer(&p->desk, now_ms);
}

int player_new(Snapshot *s, Player **ret, Err *e) {
        Player *p = must_alloc(sizeof *p);
        StageCast cast = {.self = p,
                          .dialler = &p->desk.dialler,
                          .due = due,
                          .answer = answer,
                          .ended = on_ended};
        int r;

        mock_desk_init(&p->desk);
        p->snapshot = snapshot_ref(s);
        r = stage_new(s, &cast, &p->stage, e);
        if (r == 0)
                *ret = p;
        return r;
}

Player *player_free(Player *p) {
        if (!p)
                return NULL;
        stage_free(p->stage);
        mock_desk_done(&p->desk);
        snapshot_unref(p->snapshot);
        free(p);
        return NULL;
}

Stage *player_stage(Player *p) {
        return p->stage;
}

static int make_request(Player *p, const Fixture *f, Buf *out, Err *e) {
        const Source *source = snapshot_source(p->snapshot, span_of(f->source));
        HttpHeader headers[FIXTURE_HEADERS_MAX];
        RequestParts parts = {.source = source ? source->config : NULL,
                              .name = f->source,
                              .headers = headers,
                              .body = f->body.bytes.p ? f->body.bytes : SPAN(""),
                              .how = f->sign,
                              .id = span_of(f->id),
                              .signed_ms = clock_wall_ms() - f->age_ms};

        for (size_t i = 0; i < f->headers.n; i++)
                headers[parts.n_headers++] =
                        (HttpHeader){f->headers.at[i].name, f->headers.at[i].value};
        return request_make(&parts, out, e);
}

int player_play(Player *p, const Fixture *f, const MockRules *shared, Arena *a, Seen *ret, Err *e) {
        AUTO(buf_done)
        Buf request = BUF(REQUEST_MAX_BYTES), answered = BUF(ANSWER_MAX_BYTES);
        Span text;
        int r;

        *ret = (Seen){0};
        p->arena = a;
        p->n_runs = 0;
        mock_desk_begin(&p->desk, &f->mocks, shared, a);
        stage_set_time(f->time_ms);
        r = make_request(p, f, &request, e);
        if (r == 0)
                r = stage_play(p->stage, buf_span(&request), (unsigned)f->attempts, &answered, e);
        ret->calls = p->desk.calls;
        ret->n_calls = p->desk.n_calls;
        ret->runs = p->runs;
        ret->n_runs = p->n_runs;
        if (r < 0)
                return r;
        text = arena_span(a, answered.n ? buf_span(&answered) : SPAN(""));
        if (!text.p ||
            answer_read(text, a, &ret->status, &ret->headers, &ret->n_headers, &ret->body) < 0)
                return FAIL(e, -EBADMSG, "the source was not answered");
        return 0;
}
