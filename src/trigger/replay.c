/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/replay.h"

#include "base/id.h"
#include "trigger/message.h"
#include "json/value.h"

const char *const replay_kinds[] = {"recover", "missing", "filter", NULL};
const char *const replay_ends[] = {"failed", "delivered", "any", NULL};

/* ---- reading ---- */

static int64_t number_of(Span text, const char *name) {
        Span v = json_trim(json_member(text, span_of(name)));
        uint64_t n;

        return v.p && span_to_u64(v, INT64_MAX, &n) ? (int64_t)n : 0;
}

/* What we wrote ourselves has no escapes. */
static int choice_of(Span text, const char *name, const char *const *names) {
        Span v = json_trim(json_member(text, span_of(name)));

        for (int i = 0; v.n > 2 && names[i]; i++)
                if (span_eq((Span){v.p + 1, v.n - 2}, span_of(names[i])))
                        return i;
        return 0;
}

static bool read_texts(Span list, size_t max, Arena *a, const Span **ret, size_t *ret_n) {
        Span *texts = arena_alloc(a, (max + 1) * sizeof *texts), key, one;
        size_t n = 0;

        if (!texts)
                return false;
        for (size_t pos = 0; list.p && n < max && json_next(list, &pos, &key, &one);) {
                AUTO(buf_done)
                Buf text = BUF(EVENT_WORD_MAX_BYTES);

                if (json_text(one, &text) < 0)
                        return false;
                texts[n++] = arena_span(a, text.n ? buf_span(&text) : SPAN(""));
        }
        *ret = texts;
        *ret_n = n;
        return true;
}

bool replay_read(Span text, Arena *a, Replay *ret) {
        static const char *const progress[] = {"running", "done", "cancelled", NULL};

        if (json_kind(text) != JSON_OBJECT)
                return false;
        *ret = (Replay){.kind = (ReplayKind)choice_of(text, "kind", replay_kinds),
                        .end = (ReplayEnd)choice_of(text, "state", replay_ends),
                        .application = number_of(text, "application"),
                        .endpoint = number_of(text, "endpoint"),
                        .since_ms = number_of(text, "since"),
                        .until_ms = number_of(text, "until"),
                        .cursor = number_of(text, "cursor"),
                        .rate = number_of(text, "rate"),
                        .total = number_of(text, "total"),
                        .done = number_of(text, "done"),
                        .is_running = choice_of(text, "progress", progress) == 0};
        return read_texts(json_member(text, SPAN("types")), REPLAY_TYPES_MAX, a, &ret->types,
                          &ret->n_types);
}

static bool changes(Span key) {
        static const char *const names[] = {"cursor", "done", "progress", "updatedAt"};

        for (size_t i = 0; i < COUNT_OF(names); i++)
                if (span_eq(key, span_of(names[i])))
                        return true;
        return false;
}

int replay_progress(Span text, int64_t cursor, int64_t done, const char *progress, int64_t now_ms,
                    Buf *out) {
        Span key, value;
        int r = buf_add(out, SPAN("{"));

        for (size_t pos = 0; r == 0 && json_next(text, &pos, &key, &value);)
                if (!changes(key))
                        r = buf_addf(out, "\"" SPAN_FMT "\":" SPAN_FMT ",", SPAN_ARG(key),
                                     SPAN_ARG(value));
        return r < 0 ? r
                     : buf_addf(out,
                                "\"cursor\":%" PRId64 ",\"done\":%" PRId64
                                ",\"progress\":\"%s\",\"updatedAt\":%" PRId64 "}",
                                cursor, done, progress, now_ms);
}

static int state_of(const Replay *r) {
        if (r->kind == REPLAY_RECOVER || (r->kind == REPLAY_FILTER && r->end == REPLAY_FAILED))
                return JOB_DEAD;
        return r->kind == REPLAY_FILTER && r->end == REPLAY_DELIVERED ? JOB_DONE : -1;
}

bool replay_query(const Replay *r, size_t max, Arena *a, EventQuery *ret) {
        char id[ID_TEXT];

        id_print("app", r->application, id);
        *ret = (EventQuery){.oldest_first = true,
                            .before_id = r->cursor,
                            .source = arena_span(a, span_of(id)),
                            .state = state_of(r),
                            .types = r->types,
                            .n_types = r->n_types,
                            .from_ms = r->since_ms,
                            .to_ms = r->until_ms,
                            .with_jobs = true,
                            .max = max};
        if (r->endpoint && r->kind != REPLAY_MISSING) {
                /* Those of the file also have deliveries of events that sources told. */
                ret->source = (Span){NULL, 0};
                id_print("ep", r->endpoint, id);
                ret->target = span_of(arena_printf(a, "endpoint:%s", id));
        }
        return ret->source.p || ret->target.p;
}

/* ---- which of an event's deliveries ---- */

static bool has_job(const EventView *v, const Endpoint *p) {
        for (size_t i = 0; i < v->n_jobs; i++)
                if (span_eq(v->jobs[i].target, span_of(p->target)))
                        return true;
        return false;
}

static bool wants(const EventView *v, const Endpoint *p) {
        AUTO(arena_freep)
        Arena *a = arena_new(64 * 1024);
        const Span *channels = NULL;
        size_t n = 0;
        Span meta = v->event.meta;

        return read_texts(meta.n ? json_member(meta, SPAN("channels")) : (Span){NULL, 0},
                          MESSAGE_CHANNELS_MAX, a, &channels, &n) &&
               endpoint_wants(p, v->event.type, channels, n);
}

static Endpoint *endpoint_of(Registry *registry, int64_t id) {
        char text[ID_TEXT], target[ENDPOINT_TARGET_TEXT];

        id_print("ep", id, text);
        (void)snprintf(target, sizeof target, "endpoint:%s", text);
        return registry_endpoint(registry, span_of(target));
}

static size_t missing(const Replay *r, Registry *registry, const EventView *v, size_t max,
                      Endpoint **ret) {
        Endpoint *p = endpoint_of(registry, r->endpoint);
        bool is_one = p && !has_job(v, p) && wants(v, p);

        if (is_one && max > 0)
                ret[0] = p;
        else
                endpoint_unref(p);
        return is_one;
}

static bool ended_so(const Replay *r, JobState state) {
        int want = state_of(r);

        return want < 0 ? state == JOB_DONE || state == JOB_DEAD : state == (JobState)want;
}

size_t replay_targets(const Replay *r, Registry *registry, const EventView *v, size_t max,
                      Endpoint **ret) {
        size_t n = 0;

        if (r->kind == REPLAY_MISSING)
                return missing(r, registry, v, max, ret);
        for (size_t i = 0; i < v->n_jobs; i++) {
                const JobView *j = &v->jobs[i];
                Endpoint *p = ended_so(r, j->state) ? registry_endpoint(registry, j->target) : NULL;

                if (!p || p->is_disabled || (r->endpoint && p->id != r->endpoint)) {
                        endpoint_unref(p);
                        continue;
                }
                if (n < max)
                        ret[n] = p;
                else
                        endpoint_unref(p);
                n++;
        }
        return n;
}
