/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/rehearsal.h"

#include "base/clock.h"
#include "flow/step.h"
#include "flow/view.h"
#include "json/check.h"
#include "json/value.h"

typedef struct Rehearsal Rehearsal;

/* One flow. */
typedef struct Scene {
        Rehearsal *owner;
        const Flow *flow;
        Job *job;
        Dialler dialler;
        Outcome *outcome; /* NULL until it has ended */
        Buf writes;       /* elements of an array */
        Span calls;       /* the attempt's detail */
        bool is_full;
} Scene;

struct Rehearsal {
        Loop *loop;
        Snapshot *snapshot;
        const Source *source;
        Event *event;
        RunnerHost host;
        Scene scenes[FLOWS_PER_EVENT_MAX];
        size_t n, running;
        Outcome *told; /* what the source would hear: the first failure, else the last success */
        bool is_begun;
        Arena *arena;
        void (*done)(void *arg, Span json);
        void *arg;
        Note note; /* no flow: it is done later all the same */
};

/* ---- what would be written ---- */

/* Where a credential may stand, the name alone is shown. */
static bool is_shown(Span name) {
        return !span_eq_nocase(name, SPAN("authorization")) &&
               !span_eq_nocase(name, SPAN("cookie")) &&
               !span_eq_nocase(name, SPAN("proxy-authorization"));
}

static int add_headers(Buf *b, const Call *c) {
        int r = buf_add(b, SPAN(",\"headers\":{"));

        if (r == 0 && c->content_type)
                r = buf_addf(b, "\"Content-Type\":\"%s\"", c->content_type);
        for (size_t i = 0; r == 0 && i < c->n_more; i++) {
                if (i || c->content_type)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = buf_add_json(b, c->more[i].name);
                if (r == 0)
                        r = buf_add_char(b, ':');
                if (r == 0)
                        r = is_shown(c->more[i].name) ? buf_add_json(b, c->more[i].value)
                                                      : buf_add(b, SPAN("\"(not shown)\""));
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

static int add_body(Buf *b, const char *key, Span body) {
        JsonFault fault;
        int r = buf_addf(b, ",\"%s\":", key);

        if (r < 0)
                return r;
        return json_check(body, SIZE_MAX, &fault) == 0 ? buf_add(b, body) : buf_add_json(b, body);
}

static Span member_of(Span object, Span raw_key) {
        AUTO(buf_done)
        Buf text = BUF(64 * 1024);

        return json_key_text(raw_key, &text) < 0
                       ? (Span){NULL, 0}
                       : json_member(object, text.n ? buf_span(&text) : SPAN(""));
}

/* "changes": {"email": {"from": "a", "to": "b"}}: each member of a merge patch beside what is
 * there.
 */
static int add_changes(Buf *b, Span had, Span patch) {
        Span key, value;
        int r = buf_add(b, SPAN(",\"changes\":{")), n = 0;

        for (size_t pos = 0; r == 0 && json_next(patch, &pos, &key, &value);) {
                Span from = member_of(had, key);

                r = buf_addf(b, "%s\"" SPAN_FMT "\":{\"from\":", n++ ? "," : "", SPAN_ARG(key));
                if (r == 0)
                        r = buf_add(b, from.p ? from : SPAN("null"));
                if (r == 0)
                        r = buf_add(b, SPAN(",\"to\":"));
                if (r == 0)
                        r = buf_add(b, value);
                if (r == 0)
                        r = buf_add_char(b, '}');
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

static int add_write(Buf *b, const Call *c) {
        Span had = c->act->had;
        JsonFault fault;
        int r = buf_addf(b,
                         "%s{\"step\":\"" SPAN_FMT "\",\"method\":\"%s\",\"url\":", b->n ? "," : "",
                         SPAN_ARG(c->act->step->name), c->method);

        if (r == 0)
                r = buf_add_json(b, span_of(c->url));
        if (r == 0)
                r = add_headers(b, c);
        if (r == 0 && c->body.p)
                r = add_body(b, "body", c->body);
        if (r == 0 && strcmp(c->method, "PATCH") == 0 && had.p && c->body.p &&
            json_kind(had) == JSON_OBJECT && json_check(c->body, SIZE_MAX, &fault) == 0 &&
            json_kind(c->body) == JSON_OBJECT)
                r = add_changes(b, had, c->body);
        return r == 0 ? buf_add_char(b, '}') : r;
}

/* ---- the pretence ---- */

/* An answer that nobody gave, on its way through the loop's inbox. */
typedef struct Pretence {
        Note note;
        Call *call; /* NULL: it was cancelled */
} Pretence;

static void on_pretence(Note *n) {
        Pretence *p = CONTAINER_OF(n, Pretence, note);
        Call *call = p->call;
        HttpHeader json = {SPAN("Content-Type"), SPAN("application/json")};
        ClientAnswer a = {.end = CLIENT_ANSWERED, .status = 204, .body = SPAN("")};

        free(p);
        if (!call)
                return;
        if (call->body.p) {
                a.status = 200;
                a.headers = &json;
                a.n_headers = 1;
                a.body = call->body;
        }
        (void)snprintf(a.why, sizeof a.why, "not sent: this is a rehearsal");
        call->client.handle = NULL;
        call_answer(call, &a);
}

static bool is_read(const Call *c) {
        return strcmp(c->method, "GET") == 0 || strcmp(c->method, "HEAD") == 0;
}

static bool take(void *self, Call *c) {
        Scene *s = self;
        Pretence *p;
        size_t before = s->writes.n;

        if (is_read(c))
                return false;
        if (add_write(&s->writes, c) < 0) {
                s->writes.n = before;
                s->is_full = true;
        }
        p = must_alloc(sizeof *p);
        *p = (Pretence){.note = {.read = on_pretence}, .call = c};
        c->client.handle = p; /* the client has none of this call */
        inbox_send(&s->owner->loop->inbox, &p->note);
        return true;
}

static void drop(void *self, Call *c) {
        Pretence *p = c->client.handle;

        (void)self;
        p->call = NULL;
        c->client.handle = NULL;
}

static void note(void *self, const Act *a, const char *verb, Span to, Span value) {
        Scene *s = self;
        size_t before = s->writes.n;
        int r = buf_addf(&s->writes, "%s{\"step\":\"" SPAN_FMT "\",\"%s\":", s->writes.n ? "," : "",
                         SPAN_ARG(a->step->name), verb);

        if (r == 0)
                r = buf_add_json(&s->writes, to);
        if (r == 0)
                r = add_body(&s->writes, "body", value);
        if (r == 0)
                r = buf_add_char(&s->writes, '}');
        if (r < 0) {
                s->writes.n = before;
                s->is_full = true;
        }
}

static int add_program(Buf *b, const Act *a, char *const *words, Span input) {
        int r = buf_addf(b, "%s{\"step\":\"" SPAN_FMT "\",\"exec\":[", b->n ? "," : "",
                         SPAN_ARG(a->step->name));

        for (size_t i = 0; r == 0 && words[i]; i++) {
                if (i)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = buf_add_json(b, span_of(words[i]));
        }
        if (r == 0)
                r = buf_add_char(b, ']');
        if (r == 0)
                r = add_body(b, "body", input);
        return r == 0 ? buf_add_char(b, '}') : r;
}

/* It is taken to have ended well and said nothing. */
static void execute(void *self, const Act *a, char *const *words, Span input, ProgramSaid *ret) {
        Scene *s = self;
        size_t before = s->writes.n;

        (void)ret;
        if (add_program(&s->writes, a, words, input) < 0) {
                s->writes.n = before;
                s->is_full = true;
        }
}

/* ---- the result ---- */

static int add_scene(const Scene *s, Buf *b) {
        const Outcome *o = s->outcome;
        int r = buf_addf(b, "{\"flow\":\"%s\",\"status\":%d,\"code\":", s->flow->config->name,
                         o->status);

        if (r == 0)
                r = buf_add_json(b, span_of(o->code));
        if (r == 0)
                r = buf_add(b, SPAN(",\"message\":"));
        if (r == 0)
                r = buf_add_json(b, o->message);
        if (r == 0)
                r = buf_addf(b, ",\"calls\":" SPAN_FMT ",\"writes\":[",
                             SPAN_ARG(s->calls.n ? s->calls : SPAN("[]")));
        if (r == 0 && s->writes.n)
                r = buf_add(b, buf_span(&s->writes));
        return r == 0 ? buf_add(b, SPAN("]}")) : r;
}

static bool any_waits(const Rehearsal *r) {
        for (size_t i = 0; i < r->n; i++)
                if (r->scenes[i].flow->config->reply == REPLY_WAIT)
                        return true;
        return false;
}

static const Outcome *reply_of(const Rehearsal *r) {
        static const Outcome accepted = {.status = 202,
                                         .code = "accepted",
                                         .message = {"Accepted; it is being worked on.", 32},
                                         .retry_after_s = -1};
        static const Outcome unmatched = {.status = 404,
                                          .code = "unmatched",
                                          .message = {"no flow wants this event", 24},
                                          .retry_after_s = -1};

        if (r->n == 0 && r->source->config->unmatched == UNMATCHED_REFUSE)
                return &unmatched;
        return any_waits(r) ? r->told : &accepted;
}

static int add_reply(const Rehearsal *r, Buf *b) {
        AUTO(buf_done)
        Buf body = BUF(REHEARSAL_MAX_BYTES);
        Reply reply = {.body = body};
        Outcome o = *reply_of(r);
        int e;

        if (o.status < 300 && !o.is_answer)
                o.data = (Span){NULL, 0}; /* as without Prefer: return=representation */
        o.request = r->event->body;
        e = dialect_write(r->source->dialect, &o, &reply);
        body = reply.body;
        if (e == 0)
                e = buf_addf(b, ",\"reply\":{\"status\":%d,\"contentType\":", reply.status);
        if (e == 0)
                e = buf_add_json(b, span_of(reply.content_type ? reply.content_type : ""));
        if (e == 0)
                e = add_body(b, "body", body.n ? buf_span(&body) : SPAN(""));
        return e == 0 ? buf_add_char(b, '}') : e;
}

static int add_all(const Rehearsal *r, Buf *b) {
        char id[ID_TEXT];
        int e;

        id_print("evt", r->event->id, id);
        e = buf_addf(b, "{\"event\":\"%s\",\"source\":\"%s\",\"flows\":[", id,
                     r->source->config->name);
        for (size_t i = 0; e == 0 && i < r->n; i++) {
                if (i)
                        e = buf_add_char(b, ',');
                if (e == 0)
                        e = r->scenes[i].is_full ? -EMSGSIZE : add_scene(&r->scenes[i], b);
        }
        if (e == 0)
                e = buf_add_char(b, ']');
        if (e == 0)
                e = add_reply(r, b);
        return e == 0 ? buf_add_char(b, '}') : e;
}

static void finish(Rehearsal *r) {
        AUTO(buf_done)
        Buf b = BUF(REHEARSAL_MAX_BYTES);
        int e = add_all(r, &b);

        r->done(r->arg, e == 0 ? buf_span(&b) : (Span){NULL, 0});
        for (size_t i = 0; i < r->n; i++)
                buf_done(&r->scenes[i].writes);
        event_unref(r->event);
        snapshot_unref(r->snapshot);
        arena_free(r->arena);
        free(r);
}

static void on_note(Note *n) {
        finish(CONTAINER_OF(n, Rehearsal, note));
}

static void finish_later(Rehearsal *r) {
        r->note.read = on_note;
        inbox_send(&r->loop->inbox, &r->note);
}

/* ---- the runs ---- */

static void on_ended(void *self, Job *job, const JobResult *result, const Outcome *o) {
        Rehearsal *r = self;
        Scene *s = r->scenes;

        while (s->job != job)
                s++;
        s->outcome = outcome_copy(r->arena, o);
        s->calls = arena_span(r->arena, result->attempt.detail);
        if (!s->outcome) {
                s->is_full = true;
                s->outcome = arena_alloc(r->arena, sizeof *s->outcome);
                must(s->outcome);
                *s->outcome = (Outcome){.status = o->status, .code = "", .retry_after_s = -1};
        }
        if (s->flow->config->reply == REPLY_WAIT && (!r->told || r->told->status < 300))
                r->told = s->outcome;
        s->job = job_free(job);
        if (--r->running == 0 && !r->is_begun)
                finish_later(r);
}

static bool comes_from(const FlowConfig *f, const char *source) {
        for (size_t i = 0; i < f->n_on; i++)
                if (strcmp(f->on[i], source) == 0)
                        return true;
        return false;
}

static bool wants_type(const FlowConfig *f, Span type) {
        for (size_t i = 0; i < f->n_types; i++)
                if (span_eq(type, span_of(f->types[i])))
                        return true;
        return f->n_types == 0;
}

static void begin(Rehearsal *r, Runner *runner, const Flow *flow) {
        Scene *s = &r->scenes[r->n++];
        int64_t patience = flow->config->reply == REPLY_WAIT ? r->source->config->deadline_ms
                                                             : REHEARSAL_MAX_MS;

        *s = (Scene){.owner = r,
                     .flow = flow,
                     .job = job_new(1, r->event, span_of(flow->target), 0),
                     .dialler = {s, take, drop, note, execute},
                     .writes = BUF(REHEARSAL_MAX_BYTES)};
        r->running++;
        runner_rehearse(runner, s->job, flow, clock_mono_ms() + patience, &r->host, &s->dialler);
}

static void begin_all(Rehearsal *r, Runner *runner) {
        const Snapshot *s = r->snapshot;
        Span view = view_of_event(r->event, r->arena);

        for (size_t i = 0; i < s->config->n_flows && r->n < FLOWS_PER_EVENT_MAX; i++) {
                const Flow *f = &s->flows[i];

                if (comes_from(f->config, r->source->config->name) &&
                    wants_type(f->config, r->event->type) && plan_matches(&f->plan, view))
                        begin(r, runner, f);
        }
}

/* `only` NULL: all that want the event. */
static int start(Runner *runner, const Event *event, const Flow *only,
                 void (*done)(void *arg, Span json), void *arg) {
        Snapshot *snapshot = runner->snapshot;
        const Source *source = snapshot_source(snapshot, event->source);
        Rehearsal *r;

        if (!source)
                return -ENOENT;
        r = must_alloc(sizeof *r);
        r->loop = runner->hub->loop;
        r->snapshot = snapshot_ref(snapshot);
        r->source = source;
        r->event = event_new(event);
        r->host = (RunnerHost){r, on_ended};
        r->arena = arena_new(REHEARSAL_MAX_BYTES);
        r->done = done;
        r->arg = arg;
        r->is_begun = true;
        if (only)
                begin(r, runner, only);
        else
                begin_all(r, runner);
        r->is_begun = false;
        if (r->running == 0)
                finish_later(r);
        return 0;
}

int rehearsal_start(Runner *runner, const Event *event, void (*done)(void *arg, Span json),
                    void *arg) {
        return start(runner, event, NULL, done, arg);
}

int rehearsal_start_one(Runner *runner, const Event *event, const Flow *flow,
                        void (*done)(void *arg, Span json), void *arg) {
        return start(runner, event, flow, done, arg);
}
