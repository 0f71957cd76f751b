/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/replayer.h"

#include "base/clock.h"
#include "trigger/message.h"

#define ARENA_MAX_BYTES (16 * 1024 * 1024)
#define SECOND_US       INT64_C(1000000)

/* One delivery that is asked for. */
typedef struct Turn {
        LedgerRequest request;
        struct Round *round;
        Job *job;
} Turn;

/* One replay, from page to page. */
typedef struct Round {
        Link link;
        Replayer *owner;
        int64_t id;
        Arena *arena; /* of the page */
        Entry *entry; /* the object, as it was when the page began */
        Replay replay;
        LedgerRequest request; /* for a page, or to write down how far it is */
        Turn *turns;
        size_t n, next, pending, made;
        int64_t cursor; /* behind the page */
        bool more, is_asked, is_faulty;
        int64_t next_us; /* not before: by its rate, or after a fault */
        Buf text;        /* the object's next one */
} Round;

static void go_on(Round *r);
static void begin_page(Round *r);

/* ---- rounds ---- */

static void drop_page(Round *r) {
        for (size_t i = 0; i < r->n; i++)
                job_free(r->turns[i].job);
        free(r->turns);
        r->turns = NULL;
        r->n = r->next = r->made = 0;
        r->arena = arena_free(r->arena);
        r->entry = entry_unref(r->entry);
}

static void end_round(Round *r) {
        list_remove(&r->owner->rounds, &r->link);
        drop_page(r);
        buf_done(&r->text);
        free(r);
}

static bool may_run(const Round *r) {
        size_t before = 0;

        LIST_EACH(&r->owner->rounds, l) {
                if (l == &r->link)
                        return !r->owner->stopping && before < REPLAYER_ACTIVE;
                before++;
        }
        return false;
}

static void on_timer(uv_timer_t *t);

/* The earliest moment at which one may go on by itself. */
static void set_timer(Replayer *p) {
        int64_t now = clock_mono_us(), first = INT64_MAX;

        LIST_EACH(&p->rounds, l) {
                const Round *r = CONTAINER_OF(l, Round, link);

                if (!r->is_asked && r->pending == 0 && may_run(r) && r->next_us < first)
                        first = r->next_us;
        }
        if (first == INT64_MAX || uv_is_closing((uv_handle_t *)&p->timer))
                return;
        (void)uv_timer_start(&p->timer, on_timer,
                             first > now ? (uint64_t)(first - now + 999) / 1000 : 0, 0);
}

static void on_timer(uv_timer_t *t) {
        Replayer *p = t->data;

        LIST_EACH(&p->rounds, l) {
                Round *r = CONTAINER_OF(l, Round, link);

                if (!r->is_asked && r->pending == 0 && r->next_us <= clock_mono_us() && may_run(r))
                        go_on(r);
        }
        set_timer(p);
}

/* ---- asking the ledger ---- */

static bool ask(Round *r, const LedgerRequest *q, void (*done)(LedgerRequest *q)) {
        r->request = *q;
        r->request.home = &r->owner->in->loop->inbox;
        r->request.done = done;
        r->request.arg = r;
        r->is_asked = ledger_send(r->owner->in->ledger, &r->request) == 0;
        r->owner->asked += r->is_asked;
        return r->is_asked;
}

static void answered(Round *r) {
        r->is_asked = false;
        r->owner->asked--;
}

/* The page is left as it is and begun anew after a while. */
static void later(Round *r, const char *why) {
        Replayer *p = r->owner;

        if (p->failed)
                p->failed(p->arg, r->id, why);
        drop_page(r);
        r->is_faulty = false;
        r->next_us = clock_mono_us() + REPLAYER_AGAIN_MS * INT64_C(1000);
        set_timer(p);
}

/* ---- how far it is ---- */

static void on_saved(LedgerRequest *q) {
        Round *r = q->arg;
        Registry *registry = r->owner->in->registry;
        bool more = r->more;

        answered(r);
        if (q->result < 0) {
                later(r, q->error.text);
                return;
        }
        if (q->write.object.result == OBJECT_WRITTEN &&
            registry_put(registry, &q->write.object.object, NULL) < 0) {
                later(r, "there are too many objects");
                return;
        }
        /* Somebody else wrote: it was cancelled, or went with its application. What the next look
         * at it says, holds. */
        if (q->write.object.result == OBJECT_GONE ||
            (q->write.object.result == OBJECT_WRITTEN && !more)) {
                Replayer *p = r->owner;

                end_round(r);
                set_timer(p);
                return;
        }
        drop_page(r);
        set_timer(r->owner);
}

static void save(Round *r) {
        Object o = r->entry->object;
        int64_t version = o.version;

        buf_clear(&r->text);
        if (replay_progress(r->entry->object.text, r->cursor, r->replay.done + (int64_t)r->made,
                            r->more ? "running" : "done", clock_wall_ms(), &r->text) < 0) {
                later(r, "its text is too large");
                return;
        }
        o.text = buf_span(&r->text);
        if (!ask(r,
                 &(LedgerRequest){.ask = ASK_WRITE,
                                  .write = {.kind = WRITE_OBJECT,
                                            .object = {.object = o,
                                                       .must_exist = true,
                                                       .expects_version = version}}},
                 on_saved))
                later(r, "the ledger is full");
}

/* ---- deliveries ---- */

static void on_turn(LedgerRequest *q) {
        Turn *t = q->arg;
        Round *r = t->round;

        r->pending--;
        r->owner->asked--;
        if (q->result < 0)
                r->is_faulty = true;
        else if (q->write.replay.done) {
                r->made++;
                inlet_wake(r->owner->in, t->job->shard, t->job->target, q->write.replay.done_id);
        }
        if (r->pending == 0 || r->next < r->n)
                go_on(r);
        set_timer(r->owner);
}

static bool send_turn(Round *r) {
        Turn *t = &r->turns[r->next];

        t->request = (LedgerRequest){
                .ask = ASK_WRITE,
                .home = &r->owner->in->loop->inbox,
                .done = on_turn,
                .arg = t,
                .write = {.kind = WRITE_REPLAY,
                          .replay = {.job = t->job,
                                     .only_missing = r->replay.kind == REPLAY_MISSING}}};
        if (ledger_send(r->owner->in->ledger, &t->request) < 0) {
                r->is_faulty = true;
                return false;
        }
        r->next++;
        r->pending++;
        r->owner->asked++;
        return true;
}

/* By its rate: one has its moment, and what was missed is not made up for. */
static bool has_moment(Round *r) {
        int64_t now = clock_mono_us();

        if (r->replay.rate <= 0)
                return true;
        if (r->next_us > now)
                return false;
        if (r->next_us < now - SECOND_US / 10)
                r->next_us = now - SECOND_US / 10;
        r->next_us += SECOND_US / r->replay.rate;
        return true;
}

static void go_on(Round *r) {
        Replayer *p = r->owner;

        if (r->is_asked)
                return;
        if (!r->entry) {
                begin_page(r);
                return;
        }
        while (!r->is_faulty && !p->stopping && r->next < r->n && r->pending < REPLAYER_AHEAD &&
               has_moment(r))
                if (!send_turn(r))
                        break;
        if (r->pending > 0 || (r->next < r->n && !r->is_faulty) || p->stopping)
                return;
        if (r->is_faulty)
                later(r, "the ledger could not write");
        else
                save(r);
}

/* ---- pages ---- */

static void add_turns(Round *r, const EventView *v) {
        Endpoint **targets = arena_alloc(r->arena, (v->n_jobs + 1) * sizeof *targets);
        size_t n = targets ? replay_targets(&r->replay, r->owner->in->registry, v, v->n_jobs + 1,
                                            targets)
                           : 0;
        Event *event;

        if (n == 0)
                return;
        event = event_new(&(Event){.id = v->event.id, .subject = v->event.subject});
        r->turns = realloc(r->turns, (r->n + n) * sizeof *r->turns);
        must(r->turns);
        for (size_t i = 0; i < n; i++) {
                r->turns[r->n++] =
                        (Turn){.round = r, .job = message_job(r->owner->in, event, targets[i])};
                endpoint_unref(targets[i]);
        }
        event_unref(event);
}

static void on_page(LedgerRequest *q) {
        Round *r = q->arg;
        EventPage *page = q->events.ret;

        answered(r);
        if (q->result < 0) {
                later(r, q->error.text);
                return;
        }
        r->more = page->more;
        r->cursor = r->replay.cursor;
        for (size_t i = 0; i < page->n; i++) {
                add_turns(r, page->events[i]);
                r->cursor = page->events[i]->event.id;
        }
        if (page->more)
                r->cursor = page->next_before_id;
        event_page_free(page);
        go_on(r);
        set_timer(r->owner);
}

static void begin_page(Round *r) {
        Replayer *p = r->owner;
        EventQuery query;

        r->entry = registry_by_id(p->in->registry, OBJECT_REPLAY, r->id);
        r->arena = arena_new(ARENA_MAX_BYTES);
        if (!r->entry || !replay_read(r->entry->object.text, r->arena, &r->replay) ||
            !r->replay.is_running) {
                end_round(r);
                set_timer(p);
        } else if (!replay_query(&r->replay, REPLAYER_PAGE, r->arena, &query) ||
                   !ask(r, &(LedgerRequest){.ask = ASK_EVENTS, .events = {.query = query}},
                        on_page))
                later(r, "the ledger could not be asked");
}

/* ---- waking ---- */

typedef struct Wake {
        Note note;
        Replayer *home;
        int64_t replay;
} Wake;

static void on_wake(Note *n) {
        Wake *w = CONTAINER_OF(n, Wake, note);
        Replayer *p = w->home;
        bool is_there = p->stopping;

        LIST_EACH(&p->rounds, l)
        is_there |= CONTAINER_OF(l, Round, link)->id == w->replay;
        if (!is_there) {
                Round *r = must_alloc(sizeof *r);

                *r = (Round){.owner = p, .id = w->replay, .text = BUF(OBJECT_TEXT_MAX_BYTES)};
                list_push(&p->rounds, &r->link);
                set_timer(p);
        }
        free(w);
}

void replayer_wake(Replayer *all, unsigned n, int64_t replay) {
        Replayer *home = &all[(uint64_t)replay % n];
        Wake *w = must_alloc(sizeof *w);

        *w = (Wake){.note = {.read = on_wake}, .home = home, .replay = replay};
        inbox_send(&home->in->loop->inbox, &w->note);
}

void replayer_init(Replayer *p, Inlet *in) {
        *p = (Replayer){.in = in};
        list_init(&p->rounds);
        must(uv_timer_init(&in->loop->uv, &p->timer) == 0);
        p->timer.data = p;
}

void replayer_stop(Replayer *p) {
        p->stopping = true;
        (void)uv_timer_stop(&p->timer);
}

void replayer_close(Replayer *p) {
        p->stopping = true;
        uv_close((uv_handle_t *)&p->timer, NULL);
        LIST_EACH(&p->rounds, l) {
                Round *r = CONTAINER_OF(l, Round, link);

                if (!r->is_asked && r->pending == 0)
                        end_round(r);
        }
}
