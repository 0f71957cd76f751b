/* SPDX-License-Identifier: Apache-2.0 */
#include "app/stage.h"

#include "base/clock.h"
#include "flow/writes.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLAY_MAX_MS 60000 /* of real time: a play that takes longer hangs */

enum { STAGE_JOBS_MAX = 64 }; /* whose runs are counted; of more the first run is looked at */

struct Stage {
        StageCast cast;
        Snapshot *snapshot;
        Ledger *ledger;
        Registry *registry;
        Shelf *shelf;
        Idempotency *idempotency;
        Writes *writes;
        Part part;
        Hub hub;
        Inlet inlet;
        Replayer replayer;
        Backfiller backfiller;
        _Atomic unsigned undrained;
        RunnerHost real;
        struct InletCounts before; /* as they stood when the play began */
        unsigned attempts;
        struct StageJob {
                int64_t id;
                unsigned runs;
                bool is_unready; /* its last run failed, and the next one is looked at too */
        } jobs[STAGE_JOBS_MAX];
        size_t n_jobs;

        /* The source's side. */
        uv_tcp_t source;
        uv_write_t write;
        Buf *answer;
        bool is_full, is_over, is_closed;
        char room[65536];
};

/* ---- ledger and engine, new for each play ---- */

/* Memory cannot fail. */
static void on_broken(void *arg, const Err *why) {
        (void)arg;
        (void)fprintf(stderr, "grapnel: %s\n", why->text);
        abort();
}

static int open_ledger(Stage *s, Ledger **ret, Err *e) {
        const Config *c = s->snapshot->config;
        LedgerOptions o = {
                .url = SPAN("memory:"),
                .later_us = 1,
                .store = {.node = "node", .lease_ms = 30000, .once_ms = c->once_ms},
                .keep = {.before_ms = c->keep_ms, .bytes_max = c->keep_bytes, .max = 256},
                .broken = on_broken};

        return ledger_open(&o, ret, e);
}

static int renew(Stage *s, Err *e) {
        Ledger *fresh = NULL;
        int r = open_ledger(s, &fresh, e);

        if (r < 0)
                return r;
        part_renew(&s->part, fresh);
        ledger_close(s->ledger);
        s->ledger = fresh;
        return 0;
}

/* ---- the life of it ---- */

static struct StageJob *job_of(Stage *s, int64_t id) {
        for (size_t i = 0; i < s->n_jobs; i++)
                if (s->jobs[i].id == id)
                        return &s->jobs[i];
        if (s->n_jobs == STAGE_JOBS_MAX)
                return NULL;
        s->jobs[s->n_jobs] = (struct StageJob){.id = id};
        return &s->jobs[s->n_jobs++];
}

static void on_ended(void *self, Job *job, const JobResult *result, const Outcome *o) {
        Stage *s = self;
        struct StageJob *j = job_of(s, job->id);

        if (j)
                j->is_unready = ++j->runs < s->attempts && result->verdict != JOB_SUCCEEDED;
        s->cast.ended(s->cast.self, job, result, o);
        s->real.ended(s->real.self, job, result, o);
}

int stage_new(Snapshot *snapshot, const StageCast *cast, Stage **ret, Err *e) {
        static const ServerLimits limits = {.connections_max = 10,
                                            .head_ms = PLAY_MAX_MS,
                                            .body_ms = PLAY_MAX_MS,
                                            .idle_ms = PLAY_MAX_MS,
                                            .write_ms = PLAY_MAX_MS};
        Stage *s = must_alloc(sizeof *s);
        int r;

        (void)signal(SIGPIPE, SIG_IGN);
        s->cast = *cast;
        s->snapshot = snapshot_ref(snapshot);
        s->undrained = 1;
        s->registry = registry_new();
        s->shelf = shelf_new();
        s->idempotency = idem_new();
        s->writes = writes_new();
        r = open_ledger(s, &s->ledger, e);
        PartShares all = {.ledger = s->ledger,
                          .registry = s->registry,
                          .shelf = s->shelf,
                          .idempotency = s->idempotency,
                          .writes = s->writes,
                          .hubs = &s->hub,
                          .inlets = &s->inlet,
                          .replayers = &s->replayer,
                          .backfillers = &s->backfiller,
                          .n = 1,
                          .undrained = &s->undrained};
        if (r == 0)
                r = part_init(&s->part, 0, &all, snapshot, e);
        if (r < 0)
                return r; /* the process is about to end */
        ServerHandler handler = inlet_handler(&s->inlet);
        s->part.server = server_new(&s->part.loop, &limits, &handler);
        s->real = s->part.runner->host;
        s->part.runner->host = (RunnerHost){.self = s, .ended = on_ended};
        s->part.runner->dialler = cast->dialler;
        atomic_store(&s->inlet.recovered, true);
        *ret = s;
        return 0;
}

Stage *stage_free(Stage *s) {
        if (!s)
                return NULL;
        part_stop(&s->part);
        loop_run(&s->part.loop);
        ledger_close(s->ledger);
        parts_done(&s->part, 1);
        registry_free(s->registry);
        shelf_free(s->shelf);
        idem_free(s->idempotency);
        writes_free(s->writes);
        snapshot_unref(s->snapshot);
        free(s);
        return NULL;
}

/* ---- the source's side ---- */

static void on_closed(uv_handle_t *h) {
        Stage *s = h->data;

        s->is_closed = true;
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *ret) {
        Stage *s = h->data;

        (void)size;
        *ret = uv_buf_init(s->room, sizeof s->room);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b) {
        Stage *s = stream->data;

        if (n > 0 && buf_add(s->answer, (Span){b->base, (size_t)n}) < 0)
                s->is_full = true;
        if (n < 0)
                s->is_over = true;
}

static void on_written(uv_write_t *w, int status) {
        (void)w;
        (void)status; /* who refuses the body answers before its end: what counts is the answer */
}

static int send_request(Stage *s, Span request, Err *e) {
        uv_buf_t b = uv_buf_init((char *)request.p, (unsigned)request.n);
        int ends[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
                return FAIL(e, -errno, "socketpair: %s", strerror(errno));
        must(uv_tcp_init(&s->part.loop.uv, &s->source) == 0);
        s->source.data = s;
        s->is_closed = false;
        r = server_give(s->part.server, ends[1]);
        if (r == 0)
                r = uv_tcp_open(&s->source, ends[0]);
        if (r == 0)
                r = uv_read_start((uv_stream_t *)&s->source, on_alloc, on_read);
        if (r == 0)
                r = uv_write(&s->write, (uv_stream_t *)&s->source, &b, 1, on_written);
        return r < 0 ? FAIL(e, r, "a pair of sockets: %s", uv_strerror(r)) : 0;
}

/* Who was not answered is never let go. */
static void hang_up(Stage *s, bool is_answered) {
        uv_close((uv_handle_t *)&s->source, on_closed);
        while (!s->is_closed || (is_answered && !server_idle(s->part.server)))
                (void)uv_run(&s->part.loop.uv, UV_RUN_ONCE);
}

/* ---- time ---- */

/* Every webhook that came has been answered, or its record was heard of. */
static bool is_taken_in(const Stage *s) {
        const struct InletCounts *c = &s->inlet.counts, *b = &s->before;

        return c->webhooks - b->webhooks ==
               c->refused + c->repeats + c->accepted - b->refused - b->repeats - b->accepted;
}

static bool ledger_is_quiet(Stage *s) {
        EngineGauges g = engine_gauges(s->part.engine);

        return g.unsettled == 0 && !g.is_asking && g.ready == 0 &&
               atomic_load(&s->inlet.coming) == 0 && s->inlet.keeping == 0;
}

/* Is all that its runs do a wait, for answers of the dialler or for a pause to end? */
static bool runs_wait(const Stage *s) {
        LIST_EACH(&s->part.runner->runs, it) {
                const Run *r = CONTAINER_OF(it, Run, link);

                if (r->acts.n == 0)
                        return false;
                LIST_EACH(&r->acts, act) {
                        const Act *a = CONTAINER_OF(act, Act, link);

                        if (a->phase != ACT_PAUSING &&
                            (a->phase != ACT_STEPPING || a->call.phase != CALL_TAKEN))
                                return false;
                }
        }
        return true;
}

static int64_t sooner(int64_t a, int64_t b) {
        return a < b ? a : b;
}

/* Does a job wait for a run that is to be looked at? */
static bool wants_more(const Stage *s) {
        bool is_unready = false;

        for (size_t i = 0; i < s->n_jobs; i++)
                is_unready |= s->jobs[i].is_unready;
        return is_unready && s->part.engine_due_ms != INT64_MAX;
}

/* When something happens by itself (monotonic ms); INT64_MAX: never. */
static int64_t next_moment(const Stage *s, int64_t now) {
        const HeapNode *deadline = heap_first(&s->part.runner->deadlines);
        const HeapNode *pause = heap_first(&s->part.runner->pauses);
        const HeapNode *patience = heap_first(&s->inlet.patience);
        int64_t next = s->cast.due(s->cast.self);

        if (deadline)
                next = sooner(next, deadline->due);
        if (pause)
                next = sooner(next, pause->due);
        if (patience)
                next = sooner(next, patience->due);
        if (wants_more(s))
                next = sooner(next, now + s->part.engine_due_ms - clock_wall_ms());
        return next;
}

/* Whoever sleeps by the real clock looks again. */
static void go_forward(Stage *s, int64_t ms) {
        clock_skip(ms);
        runner_set_timer(s->part.runner);
        inlet_set_timer(&s->inlet);
}

static bool seems_done(Stage *s) {
        return s->is_over && is_taken_in(s) && ledger_is_quiet(s) && s->part.runner->runs.n == 0 &&
               engine_gauges(s->part.engine).in_memory == 0 && !wants_more(s);
}

/* The engine may not have told yet that it waits for a retry: it steps once a turn. */
static bool is_done(Stage *s) {
        if (!seems_done(s))
                return false;
        (void)uv_run(&s->part.loop.uv, UV_RUN_NOWAIT);
        return seems_done(s);
}

static int64_t real_ms(void) {
        return (int64_t)(uv_hrtime() / 1000000);
}

/* One turn that does not wait, and then what can be waited for is skipped. False: nothing moved. */
static bool turn(Stage *s) {
        uv_loop_t *loop = &s->part.loop.uv;
        int64_t now, next;

        (void)uv_run(loop, UV_RUN_NOWAIT);
        now = clock_mono_ms();
        if (s->cast.answer(s->cast.self, now))
                return true;
        if (!is_taken_in(s) || !ledger_is_quiet(s) || !runs_wait(s))
                return false;
        next = next_moment(s, now);
        if (next == INT64_MAX)
                return false;
        go_forward(s, next > now ? next - now : 0);
        return true;
}

static void on_guard(uv_timer_t *t) {
        (void)t; /* it only wakes the loop */
}

static int play(Stage *s, Err *e) {
        int64_t until = real_ms() + PLAY_MAX_MS;
        uv_timer_t guard;

        must(uv_timer_init(&s->part.loop.uv, &guard) == 0);
        while (!is_done(s) && real_ms() < until) {
                if (turn(s) || is_done(s))
                        continue;
                must(uv_timer_start(&guard, on_guard, 5, 0) == 0);
                (void)uv_run(&s->part.loop.uv, UV_RUN_ONCE);
        }
        uv_close((uv_handle_t *)&guard, NULL);
        (void)uv_run(&s->part.loop.uv, UV_RUN_NOWAIT);
        if (!is_done(s))
                return FAIL(e, -ETIMEDOUT, "nothing more happens, and it has not ended");
        return 0;
}

int stage_play(Stage *s, Span request, unsigned attempts, Buf *answer, Err *e) {
        int r = renew(s, e);

        if (r < 0)
                return r;
        s->before = s->inlet.counts;
        s->attempts = attempts;
        s->n_jobs = 0;
        s->answer = answer;
        s->is_full = s->is_over = false;
        r = send_request(s, request, e);
        if (r == 0)
                r = play(s, e);
        hang_up(s, r == 0);
        if (r == 0 && s->is_full)
                r = FAIL(e, -EMSGSIZE, "the answer is too large");
        return r;
}

void stage_set_time(int64_t wall_ms) {
        struct timespec now;

        must(clock_gettime(CLOCK_REALTIME, &now) == 0);
        clock_set_wall(wall_ms ? wall_ms : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* ---- what the ledger holds ---- */

typedef struct Looking {
        LedgerRequest request;
        bool is_done;
} Looking;

static void on_looked(LedgerRequest *q) {
        Looking *l = q->arg;

        l->is_done = true;
}

static void look(Stage *s, Looking *l) {
        l->is_done = false;
        l->request.home = &s->part.loop.inbox;
        l->request.done = on_looked;
        l->request.arg = l;
        must(ledger_send(s->ledger, &l->request) == 0);
        while (!l->is_done)
                (void)uv_run(&s->part.loop.uv, UV_RUN_ONCE);
}

EventView *stage_event(Stage *s) {
        Looking l = {.request = {.ask = ASK_EVENTS, .events = {.query = {.state = -1, .max = 1}}}};
        int64_t id = 0;

        look(s, &l);
        if (l.request.result < 0)
                return NULL;
        if (l.request.events.ret->n)
                id = l.request.events.ret->events[0]->event.id;
        event_page_free(l.request.events.ret);
        if (!id)
                return NULL;
        l = (Looking){.request = {.ask = ASK_EVENT, .event = {.id = id}}};
        look(s, &l);
        return l.request.result < 0 ? NULL : l.request.event.ret;
}

/* ---- one expression ---- */

typedef struct Evaluating {
        MapCall call;
        Arena *arena;
        Span value;
        Err *e;
        bool is_done;
} Evaluating;

static void on_mapped(MapCall *c) {
        Evaluating *v = c->arg;

        v->is_done = true;
        if (c->end == MAP_OK)
                v->value = arena_span(v->arena, c->output);
        else if (c->end != MAP_EMPTY)
                (void)FAIL(v->e, -EINVAL, "%s%s",
                           c->end == MAP_UNSAFE ? "jq would round the number at " : "", c->why);
}

int stage_evaluate(Stage *s, const Program *p, const MapRoot *roots, size_t n, Arena *a, Span *ret,
                   Err *e) {
        Evaluating v = {.arena = a, .e = e};

        *ret = (Span){NULL, 0};
        if (program_is_path(p)) {
                Span value = program_path_get(p, roots, n);

                if (value.p)
                        *ret = arena_span(a, value);
                return 0;
        }
        v.call =
                (MapCall){.program = p, .roots = roots, .n_roots = n, .done = on_mapped, .arg = &v};
        int r = map_run(s->part.runner->map, &v.call, e);
        while (r == 0 && !v.is_done)
                (void)uv_run(&s->part.loop.uv, UV_RUN_ONCE);
        *ret = v.value;
        return r < 0 ? r : e->code;
}
