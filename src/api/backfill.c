/* SPDX-License-Identifier: Apache-2.0
 *
 * One flow run for each item of a list: what is asked for becomes an object (trigger/backfill.h),
 * and whoever carries it out goes on from its page after a restart. */
#include "trigger/backfill.h"
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "json/value.h"

enum { BACKFILLS_MAX = 1000, KEPT_MAX = 100, SWEEP_MAX = 8 };

/* ---- showing ---- */

static void put_number_or_null(Put *p, const char *key, Span text) {
        int64_t n = text_int(text, key, 0);

        if (n)
                put_int(p, key, n);
        else
                put_null(p, key);
}

static void put_problems(Put *p, Span list) {
        Span key, one;

        put_open(p, "problems", '[');
        for (size_t pos = 0; list.p && json_next(list, &pos, &key, &one);) {
                int64_t event = text_int(one, "event", 0);

                put_open(p, NULL, '{');
                text_show(p, "key", one, "key", "\"\"");
                if (event)
                        put_id(p, "event", "evt", event);
                else
                        put_null(p, "event");
                text_show(p, "code", one, "code", "\"\"");
                text_show(p, "message", one, "message", "\"\"");
                put_close(p, '}');
        }
        put_close(p, ']');
}

static void put_counts(Put *p, Span counts) {
        static const char *const names[] = {"seen", "succeeded", "unchanged", "failed",
                                            "dead", "skipped",   "repeated"};

        for (size_t i = 0; i < COUNT_OF(names); i++)
                put_int(p, names[i], counts.p ? text_int(counts, names[i], 0) : 0);
}

static void show(Put *p, const Entry *e) {
        Span text = e->object.text, at = text_member(text, "at");

        put_open(p, NULL, '{');
        put_id(p, "id", "bfl", e->object.id);
        text_show(p, "flow", text, "flow", "null");
        text_show(p, "source", text, "source", "null");
        text_show(p, "from", text, "from", "null");
        text_show(p, "event", text, "event", "null");
        text_show(p, "key", text, "key", "null");
        put_number_or_null(p, "rate", text);
        text_show(p, "progress", text, "progress", "\"running\"");
        put_int(p, "pages", at.p ? text_int(at, "pages", 0) : 0);
        put_number_or_null(p, "total", text);
        put_counts(p, text_member(text, "counts"));
        put_int(p, "open", text_int(text, "open", 0));
        text_show(p, "error", text, "error", "null");
        put_problems(p, text_member(text, "problems"));
        text_show_time(p, "createdAt", text, "createdAt");
        text_show_time(p, "updatedAt", text, "updatedAt");
        put_close(p, '}');
}

static void answer(Op *op, int status, const Entry *e) {
        AUTO(put_done)
        Put p = PUT(BACKFILL_TEXT_MAX_BYTES);

        show(&p, e);
        op_json(op, status, &p);
}

/* ---- asking for one ---- */

static bool is_progress(const Entry *e, BackfillProgress progress) {
        Span v = text_member(e->object.text, "progress");

        return v.n > 2 && span_eq((Span){v.p + 1, v.n - 2}, span_of(backfill_progresses[progress]));
}

/* Whoever asks for another also takes away some that have ended. */
static void sweep(Op *op) {
        Registry *r = op->admin->parts.registry;
        Entry *oldest[SWEEP_MAX];
        size_t n = registry_count(r, OBJECT_BACKFILL, 0) > KEPT_MAX
                           ? registry_page(r, OBJECT_BACKFILL, 0, 0, false, SWEEP_MAX, oldest)
                           : 0;

        for (size_t i = 0; i < n; i++) {
                if (!is_progress(oldest[i], BACKFILL_RUNNING))
                        op_remove_aside(op, oldest[i]);
                entry_unref(oldest[i]);
        }
}

static void on_written(Op *op, Entry *e) {
        backfiller_wake(op->admin->parts.backfillers, op->admin->parts.n, e->object.id);
        answer(op, 202, e);
        entry_unref(e);
}

static Span new_text(Op *op, Span wish) {
        AUTO(buf_done)
        Buf b = BUF(BACKFILL_TEXT_MAX_BYTES);
        int64_t now = clock_wall_ms();
        int r = buf_addf(&b, "{\"createdAt\":%" PRId64 ",", now);

        if (r == 0)
                r = buf_add(&b, span_from(wish, 1));
        if (r == 0) {
                Span text = arena_span(op->arena, buf_span(&b));

                buf_clear(&b);
                r = text.p ? backfill_turn(text, BACKFILL_RUNNING, now, &b) : -ENOMEM;
        }
        return r == 0 ? arena_span(op->arena, buf_span(&b)) : (Span){NULL, 0};
}

static void create(Op *op, Span wish) {
        sweep(op);
        if (registry_count(op->admin->parts.registry, OBJECT_BACKFILL, 0) >= BACKFILLS_MAX)
                op_error(op, 409, "limit_reached", "1,000 backfills are under way");
        else
                op_write(op,
                         &(ObjectWrite){.object = {.kind = OBJECT_BACKFILL,
                                                   .id = op_new_id(op),
                                                   .name = SPAN(""),
                                                   .text = new_text(op, wish)}},
                         on_written, NULL);
}

void backfill_create(Op *op) {
        backfill_wish(op, create);
}

/* ---- those that there are ---- */

void backfill_list(Op *op) {
        AUTO(put_done)
        Put p = PUT(LIST_LIMIT_MAX * BACKFILL_TEXT_MAX_BYTES);
        Entry *entries[LIST_LIMIT_MAX + 1];
        char first[ID_TEXT], last[ID_TEXT];
        ListAsk l = list_ask(op, true);
        size_t n;
        bool done;

        if (!list_objects(op, &l, OBJECT_BACKFILL, "bfl", 0, entries, &n, &done))
                return;
        if (n) {
                id_print("bfl", entries[0]->object.id, first);
                id_print("bfl", entries[n - 1]->object.id, last);
        }
        list_open(&p);
        for (size_t i = 0; i < n; i++) {
                show(&p, entries[i]);
                entry_unref(entries[i]);
        }
        list_close(&p, span_of(n ? first : NULL), span_of(n ? last : NULL), done, false);
        op_json(op, 200, &p);
}

static Entry *find(Op *op) {
        int64_t id;

        return id_parse("bfl", op_param(op, "backfill_id"), &id)
                       ? registry_by_id(op->admin->parts.registry, OBJECT_BACKFILL, id)
                       : NULL;
}

void backfill_get(Op *op) {
        Entry *e = find(op);

        if (e)
                answer(op, 200, e);
        else
                op_missing(op);
        entry_unref(e);
}

static void turn(Op *op, const Entry *e, BackfillProgress progress,
                 void (*then)(Op *op, Entry *written)) {
        AUTO(buf_done)
        Buf b = BUF(BACKFILL_TEXT_MAX_BYTES);
        int r = backfill_turn(e->object.text, progress, clock_wall_ms(), &b);

        op_write(op,
                 &(ObjectWrite){.object = {.kind = OBJECT_BACKFILL,
                                           .id = e->object.id,
                                           .name = SPAN(""),
                                           .text = r == 0 ? arena_span(op->arena, buf_span(&b))
                                                          : (Span){NULL, 0}},
                                .was = e},
                 then, NULL);
}

static void on_cancelled(Op *op, Entry *e) {
        answer(op, 200, e);
        entry_unref(e);
}

/* One that has ended stays as it is; what is recorded of it goes on. */
void backfill_cancel(Op *op) {
        Entry *e = find(op);

        if (!e)
                op_missing(op);
        else if (!is_progress(e, BACKFILL_RUNNING))
                answer(op, 200, e);
        else
                turn(op, e, BACKFILL_CANCELLED, on_cancelled);
        entry_unref(e);
}

void backfill_resume(Op *op) {
        Entry *e = find(op);

        if (!e)
                op_missing(op);
        else if (is_progress(e, BACKFILL_RUNNING))
                answer(op, 202, e);
        else if (is_progress(e, BACKFILL_DONE))
                op_error(op, 409, "done", "it has gone through the whole list: start another one");
        else
                turn(op, e, BACKFILL_RUNNING, on_written);
        entry_unref(e);
}
