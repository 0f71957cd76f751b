/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/backfill_round.h"

#include "base/clock.h"
#include "trigger/arrival.h"
#include "json/value.h"

#define SECOND_US INT64_C(1000000)

/* ---- an item ---- */

typedef struct Turn {
        BackfillItem item;
        Round *round;
        char key[ID_TEXT + BACKFILL_KEY_MAX_BYTES + 1];
} Turn;

static void end(Turn *t) {
        Round *r = t->round;

        r->pending--;
        r->owner->asked--;
        r->is_dirty = true;
        free(t);
        round_came_back(r);
}

static bool is_open(const Round *r, int64_t event) {
        for (size_t i = 0; i < r->now.n_open; i++)
                if (r->now.open[i] == event)
                        return true;
        return false;
}

static void give_up(Round *r, const char *code, Span message) {
        r->code = code;
        (void)snprintf(r->message, sizeof r->message, SPAN_FMT, SPAN_ARG(message));
        r->is_dirty = true;
}

/* The configuration has changed: the other items would find the same. */
static bool is_gone(const ArrivalOut *out) {
        return strcmp(out->code, "unknown-flow") == 0 || strcmp(out->code, "unknown-source") == 0;
}

/* One that is known is this page's own, from before a restart; or another item has the same key,
 * and is the same thing. */
static void on_recorded(void *arg, const ArrivalOut *out) {
        Turn *t = arg;
        Round *r = t->round;

        if (out->fault == -EAGAIN) {
                r->is_faulty = true;
        } else if (out->fault < 0 && is_gone(out)) {
                give_up(r, "gone",
                        SPAN("The configuration no longer has the flow, or its source."));
        } else if (out->fault < 0) {
                r->now.counts.seen++;
                round_problem(r, span_of(t->item.key), 0, out->code, span_of(out->why));
        } else {
                bool is_new = out->n_new > 0 || (r->is_again && !is_open(r, out->first));

                r->now.counts.seen++;
                if (!is_new)
                        r->now.counts.repeated++;
                else {
                        must(r->now.n_open < BACKFILL_OPEN_MAX);
                        r->now.open[r->now.n_open++] = out->first;
                        r->look_ms = BACKFILLER_LOOK_MS;
                }
        }
        end(t);
}

static void on_made(BackfillItem *i) {
        Turn *t = i->arg;
        Round *r = t->round;
        char meta[64];

        if (i->made != BACKFILL_MADE) {
                r->now.counts.seen++;
                if (i->made == BACKFILL_SKIPPED)
                        r->now.counts.skipped++;
                else
                        round_problem(r, span_of(i->key), 0, "mapping-failed", span_of(i->why));
                end(t);
                return;
        }
        (void)snprintf(t->key, sizeof t->key, "%s:%s", r->name, i->key);
        (void)snprintf(meta, sizeof meta, "\"backfill\":\"%s\"", r->name);
        arrival_send_to(
                r->owner->in, span_of(r->target), r->b->plan.source,
                &(EnvelopeEvent){.body = i->body, .key = span_of(t->key), .meta = span_of(meta)},
                on_recorded, t);
}

/* By its rate: one has its moment, and what was missed is not made up for. */
static bool has_moment(Round *r) {
        int64_t now = clock_mono_us(), rate = r->b->plan.rate;

        if (rate <= 0)
                return true;
        if (r->next_us > now)
                return false;
        if (r->next_us < now - SECOND_US / 10)
                r->next_us = now - SECOND_US / 10;
        r->next_us += SECOND_US / rate;
        return true;
}

/* False at the end of the page. */
static bool begin_item(Round *r) {
        Span key, item;
        Turn *t;

        if (!json_next(buf_span(&r->page), &r->pos, &key, &item)) {
                r->pos = r->page.n;
                return false;
        }
        t = must_alloc(sizeof *t);
        *t = (Turn){.round = r, .item = {.item = item, .done = on_made, .arg = t}};
        r->read++;
        r->pending++;
        r->owner->asked++;
        backfill_item_start(&t->item, &r->b->plan, r->owner->mapper);
        return true;
}

/* ---- a page ---- */

static int64_t pause_ms(const Round *r, int64_t asked_ms) {
        int64_t ms = INT64_C(500) << r->tries;

        if (asked_ms > ms)
                ms = asked_ms;
        return ms < BACKFILLER_WAIT_MAX_MS ? ms : BACKFILLER_WAIT_MAX_MS;
}

/* Who begins is there and sees it at once; later it may be worth to wait. */
static void failed(Round *r, const FetchAnswer *a) {
        if (a->is_retryable && r->now.pages > 0 && ++r->tries < BACKFILLER_TRIES)
                r->next_us = clock_mono_us() + pause_ms(r, a->wait_ms) * 1000;
        else
                give_up(r, a->code, a->message);
}

static void on_page(void *arg, const FetchAnswer *a) {
        Round *r = arg;

        r->is_fetching = false;
        r->owner->asked--;
        if (a->code)
                failed(r, a);
        else if (buf_add(&r->page, a->list) < 0 || a->next.n > URL_MAX_BYTES)
                give_up(r, "too-large", SPAN("The page is too large."));
        else {
                r->has_page = true;
                r->has_next = a->next.n > 0;
                r->tries = 0;
                (void)snprintf(r->next_url, sizeof r->next_url, SPAN_FMT, SPAN_ARG(a->next));
                r->b->total = a->total;
                r->is_dirty = true;
        }
        round_came_back(r);
}

static void begin_page(Round *r) {
        const BackfillPlan *plan = &r->b->plan;

        if (r->next_us > clock_mono_us() && r->tries > 0)
                return;
        if (r->now.pages >= plan->pages_max) {
                char text[128];

                (void)snprintf(text, sizeof text, "The list has more than %" PRId64 " pages.",
                               plan->pages_max);
                give_up(r, "too-many-pages", span_of(text));
                return;
        }
        r->is_fetching = true;
        r->owner->asked++;
        buf_clear(&r->page);
        r->pos = 0;
        r->read = 0;
        fetch_start(r->owner->in->runner,
                    &(FetchAsk){.from = plan->from,
                                .pages = plan->has_pages ? &plan->pages : NULL,
                                .is_guess = !plan->has_way,
                                .url = r->now.url,
                                .pages_before = r->now.pages,
                                .items_before = r->now.items},
                    on_page, r);
}

static void end_page(Round *r) {
        r->has_page = false;
        r->is_again = false;
        r->now.pages++;
        r->now.items += r->read;
        r->now.is_read = !r->has_next;
        memcpy(r->url, r->next_url, sizeof r->url);
        r->now.url = span_of(r->url);
        r->now.n_problems = r->b->n_problems;
        r->b->at = r->now;
}

bool round_read(Round *r) {
        if (r->code || r->now.is_read || r->is_fetching || r->owes)
                return false;
        if (!r->has_page) {
                begin_page(r);
                return false;
        }
        while (!r->is_faulty && r->pending < BACKFILLER_AHEAD &&
               r->now.n_open + r->pending < BACKFILL_OPEN_MAX && r->pos < r->page.n &&
               has_moment(r))
                if (!begin_item(r))
                        break;
        if (r->pending > 0 || r->is_faulty || r->pos < r->page.n)
                return false;
        end_page(r);
        return true;
}
