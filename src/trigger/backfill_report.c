/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/backfill_report.h"

#include "base/clock.h"
#include "trigger/fetch.h"
#include "trigger/rehearsal.h"
#include "json/value.h"

typedef struct Report Report;

typedef struct Row {
        BackfillItem item;
        Report *owner;
        Span text; /* .p NULL: there is nothing to tell */
} Row;

struct Report {
        Inlet *in;
        Mapper *mapper;
        const BackfillPlan *plan;
        BackfillPlace from;
        Snapshot *snapshot;
        const Flow *flow;
        Arena *arena;
        Row rows[BACKFILL_REPORT_ITEMS_MAX];
        size_t n, running;
        Span list;
        size_t pos;
        size_t bytes;
        int64_t until_ms;
        bool is_whole; /* the page was gone through */
        bool is_going;
        Span next_url;
        BackfillReported ret;
        void (*done)(void *arg, const BackfillReported *r);
        void *arg;
        Note note;
};

static void go_on(Report *r);

/* ---- an item ---- */

static void row_done(Row *row) {
        Report *r = row->owner;

        r->running--;
        r->ret.seen++;
        go_on(r);
}

static void tell(Row *row, int status, Span code, Span message, Span writes) {
        AUTO(buf_done)
        Buf b = BUF(BACKFILL_REPORT_MAX_BYTES);
        int e = buf_add(&b, SPAN("{\"key\":"));

        if (e == 0)
                e = buf_add_json(&b, span_of(row->item.key));
        if (e == 0)
                e = buf_addf(&b,
                             ",\"status\":%d,\"code\":" SPAN_FMT ",\"message\":" SPAN_FMT
                             ",\"writes\":" SPAN_FMT "}",
                             status, SPAN_ARG(code), SPAN_ARG(message), SPAN_ARG(writes));
        row->text = e == 0 ? arena_span(row->owner->arena, buf_span(&b)) : (Span){NULL, 0};
        if (!row->text.p)
                row->text = SPAN("{\"key\":\"\",\"status\":500,\"code\":\"too-large\",\"message\":"
                                 "\"what the flow would do is too large to show\","
                                 "\"writes\":[]}");
        row->owner->bytes += row->text.n;
}

static void on_rehearsed(void *arg, Span json) {
        Row *row = arg;
        Report *r = row->owner;
        Span flow = json.p ? json_element(json_member(json, SPAN("flows")), 0) : (Span){NULL, 0};
        Span writes = flow.p ? json_member(flow, SPAN("writes")) : SPAN("[]");
        uint64_t status = 500;

        if (flow.p)
                (void)span_to_u64(json_trim(json_member(flow, SPAN("status"))), 999, &status);
        if (status >= 300)
                r->ret.failed++;
        else if (json_length(writes))
                r->ret.changed++;
        else
                r->ret.unchanged++;
        if (status >= 300 || json_length(writes))
                tell(row, (int)status,
                     flow.p ? json_member(flow, SPAN("code")) : SPAN("\"too-large\""),
                     flow.p ? json_member(flow, SPAN("message"))
                            : SPAN("\"what the flow would do is too large to show\""),
                     writes);
        row_done(row);
}

static Span type_of(Span body, Buf *b) {
        Span v = json_kind(body) == JSON_OBJECT ? json_member(body, SPAN("eventType"))
                                                : (Span){NULL, 0};

        if (!v.p && json_kind(body) == JSON_OBJECT)
                v = json_member(body, SPAN("type"));
        return v.p && json_text(v, b) == 0 && b->n ? buf_span(b) : (Span){NULL, 0};
}

/* The flow that it began with is no longer the one that would run. */
static bool is_reloaded(Report *r) {
        if (r->in->runner->snapshot == r->snapshot)
                return false;
        r->ret.code = "reloaded";
        r->ret.message = SPAN("The configuration was read again meanwhile: ask again.");
        return true;
}

static void on_made(BackfillItem *i) {
        AUTO(buf_done)
        Buf type = BUF(EVENT_WORD_MAX_BYTES), why = BUF(4096);
        Row *row = i->arg;
        Report *r = row->owner;
        int64_t now = clock_wall_ms();
        Event event = {.id = id_make(&r->in->ids, now),
                       .received_ms = now,
                       .source = r->plan->source,
                       .content_type = SPAN("application/json"),
                       .key = span_of(i->key),
                       .body = i->body};

        if (is_reloaded(r)) {
                row_done(row);
                return;
        }
        if (i->made == BACKFILL_MADE) {
                event.type = type_of(i->body, &type);
                must(rehearsal_start_one(r->in->runner, &event, r->flow, on_rehearsed, row) == 0);
                return;
        }
        if (i->made == BACKFILL_SKIPPED)
                r->ret.skipped++;
        else {
                r->ret.failed++;
                must(buf_add_json(&why, span_of(i->why)) == 0);
                tell(row, 422, SPAN("\"mapping-failed\""), buf_span(&why), SPAN("[]"));
        }
        row_done(row);
}

/* ---- the page ---- */

static int join(const Report *r, Buf *b) {
        int e = buf_add_char(b, '[');

        for (size_t i = 0; e == 0 && i < r->n; i++) {
                if (!r->rows[i].text.p)
                        continue;
                if (b->n > 1)
                        e = buf_add_char(b, ',');
                if (e == 0)
                        e = buf_add(b, r->rows[i].text);
        }
        return e == 0 ? buf_add_char(b, ']') : e;
}

static void finish(Note *n) {
        AUTO(buf_done)
        Buf b = BUF(4 * BACKFILL_REPORT_MAX_BYTES);
        Report *r = CONTAINER_OF(n, Report, note);

        if (!r->ret.code && join(r, &b) < 0) {
                r->ret.code = "too-large";
                r->ret.message = SPAN("What the flow would do is too large to show.");
        }
        r->ret.rows = b.n ? buf_span(&b) : SPAN("[]");
        r->done(r->arg, &r->ret);
        snapshot_unref(r->snapshot);
        arena_free(r->arena);
        free(r);
}

static void finish_later(Report *r) {
        r->note.read = finish;
        inbox_send(&r->in->loop->inbox, &r->note);
}

static void set_next(Report *r) {
        const BackfillPlace *from = &r->from;

        if (!r->is_whole) {
                r->ret.has_next = true;
                r->ret.next = *from;
                r->ret.next.skip += (int64_t)r->n;
        } else if (r->next_url.n) {
                r->ret.has_next = true;
                r->ret.next = (BackfillPlace){.url = r->next_url,
                                              .pages = from->pages + 1,
                                              .items = from->items + from->skip + (int64_t)r->n};
        }
}

/* False when there is no item, room or time for another. */
static bool begin_item(Report *r) {
        Span key, item;
        Row *row;

        if (r->ret.code || is_reloaded(r) || r->n == BACKFILL_REPORT_ITEMS_MAX ||
            clock_mono_ms() > r->until_ms || r->bytes > BACKFILL_REPORT_MAX_BYTES)
                return false;
        if (!json_next(r->list, &r->pos, &key, &item)) {
                r->is_whole = true;
                return false;
        }
        row = &r->rows[r->n++];
        *row = (Row){.owner = r, .item = {.item = item, .done = on_made, .arg = row}};
        r->running++;
        backfill_item_start(&row->item, r->plan, r->mapper);
        return true;
}

/* One loop for all: an item that ends at once does not deepen the stack. */
static void go_on(Report *r) {
        if (r->is_going)
                return;
        r->is_going = true;
        while (!r->is_whole && r->running < BACKFILL_REPORT_TOGETHER)
                if (!begin_item(r))
                        break;
        r->is_going = false;
        if (r->running > 0)
                return;
        set_next(r);
        finish_later(r);
}

static void on_page(void *arg, const FetchAnswer *a) {
        Report *r = arg;
        Span key, item;

        if (a->code) {
                r->ret.code = a->code;
                r->ret.message = arena_span(r->arena, a->message);
                finish_later(r);
                return;
        }
        r->list = arena_span(r->arena, a->list);
        r->next_url = arena_span(r->arena, a->next);
        r->ret.total = a->total;
        if (!r->list.p || !r->next_url.p)
                r->list = SPAN("[]");
        for (int64_t i = 0; i < r->from.skip; i++)
                if (!json_next(r->list, &r->pos, &key, &item))
                        break;
        r->until_ms = clock_mono_ms() + BACKFILL_REPORT_MS;
        go_on(r);
}

void backfill_report_start(Inlet *in, Mapper *mapper, const BackfillPlan *plan,
                           const BackfillPlace *from,
                           void (*done)(void *arg, const BackfillReported *r), void *arg) {
        Report *r = must_alloc(sizeof *r);
        char target[JOB_TARGET_MAX_BYTES];

        r->in = in;
        r->mapper = mapper;
        r->plan = plan;
        r->from = *from;
        r->snapshot = snapshot_ref(in->runner->snapshot);
        r->arena = arena_new(FETCH_MAX_BYTES + 4 * BACKFILL_REPORT_MAX_BYTES);
        r->done = done;
        r->arg = arg;
        (void)snprintf(target, sizeof target, "flow:" SPAN_FMT, SPAN_ARG(plan->flow));
        r->flow = snapshot_flow(r->snapshot, span_of(target));
        must(r->flow);
        fetch_start(in->runner,
                    &(FetchAsk){.from = plan->from,
                                .pages = plan->has_pages ? &plan->pages : NULL,
                                .is_guess = !plan->has_way,
                                .url = from->url,
                                .pages_before = from->pages,
                                .items_before = from->items},
                    on_page, r);
}
