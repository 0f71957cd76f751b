/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "trigger/backfill_round.h"

#define ARENA_MAX_BYTES (1024 * 1024)

/* ---- rounds ---- */

/* What it knows of the object goes; the next turn reads it anew. */
static void forget(Round *r) {
        r->entry = entry_unref(r->entry);
        r->arena = arena_free(r->arena);
        r->b = NULL;
        r->has_page = r->owes = r->is_dirty = r->is_faulty = r->is_over = false;
        r->code = NULL;
        r->tries = 0;
        r->next_us = 0;
}

static void end_round(Round *r) {
        list_remove(&r->owner->rounds, &r->link);
        forget(r);
        buf_done(&r->page);
        buf_done(&r->text);
        free(r);
}

static bool may_run(const Round *r) {
        size_t before = 0;

        LIST_EACH(&r->owner->rounds, l) {
                if (l == &r->link)
                        return !r->owner->stopping && before < BACKFILLER_ACTIVE;
                before++;
        }
        return false;
}

void round_problem(Round *r, Span key, int64_t event, const char *code, Span message) {
        Backfill *b = r->b;
        BackfillProblem *p = &b->problems[b->n_problems];

        r->now.counts.failed++;
        r->is_dirty = true;
        if (b->n_problems == BACKFILL_PROBLEMS_MAX)
                return;
        if (message.n > BACKFILL_MESSAGE_MAX_BYTES)
                message.n = BACKFILL_MESSAGE_MAX_BYTES;
        *p = (BackfillProblem){.key = arena_span(r->arena, key),
                               .code = arena_span(r->arena, span_of(code)),
                               .message = arena_span(r->arena, message),
                               .event = event};
        b->n_problems += p->key.p && p->code.p && p->message.p;
}

/* ---- when ---- */

static int64_t earlier(int64_t a, int64_t b) {
        return a < b ? a : b;
}

/* When it can go on by itself, monotonic ms; what is asked for comes back through
 * round_came_back. */
static int64_t due_of(const Round *r) {
        int64_t due = INT64_MAX;
        bool has_room = r->has_page && !r->code && !r->owes && !r->is_faulty &&
                        r->pos < r->page.n && r->pending < BACKFILLER_AHEAD &&
                        r->now.n_open + r->pending < BACKFILL_OPEN_MAX;

        if (!may_run(r))
                return INT64_MAX;
        if (!r->entry)
                return r->wait_ms;
        due = earlier(due, round_look_due(r));
        if (has_room || (!r->has_page && !r->is_fetching && r->tries > 0 && !r->code))
                due = earlier(due, r->next_us / 1000 + 1);
        if (r->is_dirty && !r->is_saving)
                due = earlier(due, r->saved_ms + BACKFILLER_SAVE_MS);
        return due < r->wait_ms ? r->wait_ms : due;
}

static void on_timer(uv_timer_t *t);

static void set_timer(Backfiller *p, int64_t first_ms) {
        int64_t now = clock_mono_ms();

        LIST_EACH(&p->rounds, l)
        first_ms = earlier(first_ms, due_of(CONTAINER_OF(l, Round, link)));
        if (first_ms == INT64_MAX || uv_is_closing((uv_handle_t *)&p->timer))
                return;
        /* Not 0: libuv would call it again before it looks at anything else. */
        (void)uv_timer_start(&p->timer, on_timer, first_ms > now ? (uint64_t)(first_ms - now) : 1,
                             0);
}

void round_came_back(Round *r) {
        set_timer(r->owner, 0);
}

/* From what the object says, after a while: what is under way has come back. */
static void again(Round *r, const char *why) {
        Backfiller *p = r->owner;

        if (p->failed)
                p->failed(p->arg, r->id, why);
        forget(r);
        r->wait_ms = clock_mono_ms() + BACKFILLER_AGAIN_MS;
}

/* ---- its object ---- */

/* False: there is none, or it is not to run. */
static bool load(Round *r) {
        r->entry = registry_by_id(r->owner->in->registry, OBJECT_BACKFILL, r->id);
        r->arena = arena_new(ARENA_MAX_BYTES);
        r->b = arena_alloc(r->arena, sizeof *r->b);
        if (!r->entry || !r->b || !backfill_read(r->entry->object.text, r->arena, r->b) ||
            r->b->progress != BACKFILL_RUNNING || r->b->at.url.n > URL_MAX_BYTES)
                return false;
        (void)snprintf(r->url, sizeof r->url, SPAN_FMT, SPAN_ARG(r->b->at.url));
        (void)snprintf(r->target, sizeof r->target, "flow:" SPAN_FMT, SPAN_ARG(r->b->plan.flow));
        r->b->at.url = span_of(r->url);
        r->b->n_problems = r->b->at.n_problems;
        r->now = r->b->at;
        r->is_again = r->b->is_begun;
        r->owes = !r->b->is_begun;
        r->look_ms = BACKFILLER_LOOK_MS;
        r->looked_ms = 0;
        return true;
}

/* Somebody else wrote it, or it went. */
static bool is_stale(const Round *r) {
        Entry *e = registry_by_id(r->owner->in->registry, OBJECT_BACKFILL, r->id);
        bool stale = !e || e->object.version != r->entry->object.version;

        entry_unref(e);
        return stale;
}

static void on_saved(LedgerRequest *q) {
        Round *r = q->arg;
        Registry *registry = r->owner->in->registry;
        ObjectResult result = q->write.object.result;

        r->is_saving = false;
        r->owner->asked--;
        if (q->result < 0 || (result == OBJECT_WRITTEN &&
                              registry_put(registry, &q->write.object.object, NULL) < 0)) {
                r->is_faulty = true;
        } else if (result == OBJECT_WRITTEN) {
                Entry *e = registry_by_id(registry, OBJECT_BACKFILL, r->id);

                /* When somebody has written since, what is here is of no version that there is. */
                if (e && e->object.version == q->write.object.object.version) {
                        entry_unref(r->entry);
                        r->entry = entry_ref(e);
                }
                entry_unref(e);
                r->owes = false;
        } else {
                /* Somebody else wrote. What the object says by now holds, as soon as the registry
                 * has heard of it. */
                r->wait_ms = clock_mono_ms() + BACKFILLER_LOOK_MS;
                r->is_over = false;
        }
        round_came_back(r);
}

static void save(Round *r, BackfillProgress progress) {
        Object o = r->entry->object;
        int64_t version = o.version;
        const BackfillNews news = {.progress = progress,
                                   .at = &r->b->at,
                                   .counts = &r->now.counts,
                                   .n_open = r->now.n_open,
                                   .total = r->b->total,
                                   .problems = r->b->problems,
                                   .n_problems = r->b->n_problems,
                                   .code = r->code,
                                   .message = span_of(r->message)};

        buf_clear(&r->text);
        if (backfill_print(o.text, &news, clock_wall_ms(), &r->text) < 0) {
                r->is_faulty = true;
                return;
        }
        o.text = buf_span(&r->text);
        r->request = (LedgerRequest){
                .ask = ASK_WRITE,
                .home = &r->owner->in->loop->inbox,
                .done = on_saved,
                .arg = r,
                .write = {.kind = WRITE_OBJECT,
                          .object = {.object = o, .must_exist = true, .expects_version = version}}};
        if (ledger_send(r->owner->in->ledger, &r->request) < 0) {
                r->is_faulty = true;
                return;
        }
        r->is_saving = true;
        r->is_dirty = false;
        r->is_over = progress != BACKFILL_RUNNING;
        r->saved_ms = clock_mono_ms();
        r->owner->asked++;
}

static void save_if_due(Round *r) {
        bool is_through = (r->code || r->now.is_read) && r->pending == 0 && !r->owes;

        if (r->is_saving)
                return;
        if (is_through && r->now.n_open == 0 && r->looking == 0 && !r->is_fetching)
                save(r, r->code ? BACKFILL_FAILED : BACKFILL_DONE);
        else if (r->owes || (r->is_dirty && clock_mono_ms() >= r->saved_ms + BACKFILLER_SAVE_MS))
                save(r, BACKFILL_RUNNING);
}

/* ---- turns ---- */

/* False: the round is gone. */
static bool go_on(Round *r) {
        if (!may_run(r) || clock_mono_ms() < r->wait_ms)
                return true;
        /* It may have been resumed this very moment. */
        if (r->is_over && !r->is_saving && !r->is_faulty)
                forget(r);
        if (!r->entry && !load(r)) {
                end_round(r);
                return false;
        }
        if (r->is_faulty || is_stale(r)) {
                if (round_rests(r) && r->is_faulty)
                        again(r, "what it is at could not be written");
                else if (round_rests(r))
                        forget(r);
                return true;
        }
        if (r->is_over)
                return true;
        if (round_read(r))
                r->owes = r->is_dirty = true;
        round_look(r);
        save_if_due(r);
        return true;
}

static void on_timer(uv_timer_t *t) {
        Backfiller *p = t->data;

        LIST_EACH(&p->rounds, l)
        (void)go_on(CONTAINER_OF(l, Round, link));
        set_timer(p, INT64_MAX);
}

/* ---- waking ---- */

typedef struct Wake {
        Note note;
        Backfiller *home;
        int64_t backfill;
} Wake;

static void on_wake(Note *n) {
        Wake *w = CONTAINER_OF(n, Wake, note);
        Backfiller *p = w->home;
        bool is_there = p->stopping;

        LIST_EACH(&p->rounds, l)
        is_there |= CONTAINER_OF(l, Round, link)->id == w->backfill;
        if (!is_there) {
                Round *r = must_alloc(sizeof *r);

                *r = (Round){.owner = p,
                             .id = w->backfill,
                             .page = BUF(FETCH_MAX_BYTES),
                             .text = BUF(BACKFILL_TEXT_MAX_BYTES)};
                id_print("bfl", r->id, r->name);
                list_push(&p->rounds, &r->link);
        }
        free(w);
        set_timer(p, 0);
}

void backfiller_wake(Backfiller *all, unsigned n, int64_t backfill) {
        Backfiller *home = &all[(uint64_t)backfill % n];
        Wake *w = must_alloc(sizeof *w);

        *w = (Wake){.note = {.read = on_wake}, .home = home, .backfill = backfill};
        inbox_send(&home->in->loop->inbox, &w->note);
}

void backfiller_init(Backfiller *p, Inlet *in, Mapper *mapper) {
        *p = (Backfiller){.in = in, .mapper = mapper};
        list_init(&p->rounds);
        must(uv_timer_init(&in->loop->uv, &p->timer) == 0);
        p->timer.data = p;
}

void backfiller_stop(Backfiller *p) {
        p->stopping = true;
        (void)uv_timer_stop(&p->timer);
}

void backfiller_close(Backfiller *p) {
        p->stopping = true;
        uv_close((uv_handle_t *)&p->timer, NULL);
        LIST_EACH(&p->rounds, l) {
                Round *r = CONTAINER_OF(l, Round, link);

                if (round_rests(r))
                        end_round(r);
        }
}
