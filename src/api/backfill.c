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

/* ---- shapes ---- */

static const Field pages_fields[] = {
        {.name = "next",
         .type = FIELD_TEXT,
         .max = 256,
         .help = "`link` for a Link header with rel=\"next\", or a plain path to the next page's "
                 "URL, or to a cursor together with `as`."},
        {.name = "as", .type = FIELD_TEXT, .min = 1, .max = 64, .help = "The cursor's parameter."},
        {.name = "number",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 64,
         .help = "The query parameter that counts the pages."},
        {.name = "offset",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 64,
         .help = "The query parameter that says how many items come before the page."},
        {.name = "index",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 64,
         .help = "The same for one that counts from 1 on."},
        {.name = "from",
         .type = FIELD_INTEGER,
         .max = 1000000,
         .help = "The `number` of the first page; 1 when it is not given."},
        {.name = "list",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 256,
         .help = "Where the items are in a page, a plain path; its only list when it is not "
                 "given."},
};
static const Schema schema_pages = {
        .name = "BackfillPagesIn", SCHEMA_FIELDS(pages_fields), .strict = true};

static const Field in_fields[] = {
        {.name = "flow", .type = FIELD_TEXT, .required = true, .min = 1, .max = 100},
        {.name = "from",
         .type = FIELD_TEXT,
         .required = true,
         .min = 1,
         .max = 2048,
         .help = "Where the list is: connection:/path?query."},
        {.name = "source",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 100,
         .help = "Whose events the items become; the first of the flow's when it is not given."},
        {.name = "event",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 16384,
         .help = "A jq expression that makes the event of an item; the item itself when it is not "
                 "given. Nothing, or null: the item is left out."},
        {.name = "key",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .help = "A plain path to what tells items apart; .id when it is not given."},
        {.name = "pages",
         .type = FIELD_OBJECT,
         .of = &schema_pages,
         .help = "How the list goes on: one of next, number, offset, index."},
        {.name = "rate",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 100000,
         .help = "Items a second."},
        {.name = "maxPages",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 1000000,
         .help = "A list with more pages fails; 10,000 when it is not given."},
};
const Schema schema_backfill_in = {.name = "BackfillIn", SCHEMA_FIELDS(in_fields), .strict = true};

static const Field after_fields[] = {
        {.name = "after",
         .type = FIELD_OBJECT,
         .nullable = true,
         .help = "The `next` of an earlier answer; the beginning of the list when it is not "
                 "given."},
};
const Schema schema_backfill_report_in = {.name = "BackfillReportIn",
                                          .base = &schema_backfill_in,
                                          SCHEMA_FIELDS(after_fields),
                                          .strict = true};

static const Field row_fields[] = {
        {.name = "key", .type = FIELD_TEXT, .required = true},
        {.name = "status", .type = FIELD_INTEGER, .required = true},
        {.name = "code", .type = FIELD_TEXT, .required = true},
        {.name = "message", .type = FIELD_TEXT, .required = true},
        {.name = "writes", .type = FIELD_LIST, .item = FIELD_ANY, .required = true},
};
static const Schema schema_row = {.name = "BackfillReportRow", SCHEMA_FIELDS(row_fields)};

static const Field report_fields[] = {
        {.name = "data",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .of = &schema_row,
         .required = true,
         .help = "The items that would change something, or fail."},
        {.name = "seen", .type = FIELD_INTEGER, .required = true},
        {.name = "wouldChange", .type = FIELD_INTEGER, .required = true},
        {.name = "unchanged", .type = FIELD_INTEGER, .required = true},
        {.name = "failed", .type = FIELD_INTEGER, .required = true},
        {.name = "skipped", .type = FIELD_INTEGER, .required = true},
        {.name = "total", .type = FIELD_INTEGER, .nullable = true},
        {.name = "next",
         .type = FIELD_OBJECT,
         .nullable = true,
         .help = "Give it as `after` for what comes behind; null: that was all."},
};
const Schema schema_backfill_report_out = {.name = "BackfillReportOut",
                                           SCHEMA_FIELDS(report_fields)};

static const Field problem_fields[] = {
        {.name = "key", .type = FIELD_TEXT, .required = true},
        {.name = "event", .type = FIELD_TEXT, .nullable = true},
        {.name = "code", .type = FIELD_TEXT, .required = true},
        {.name = "message", .type = FIELD_TEXT, .required = true},
};
static const Schema schema_problem = {.name = "BackfillProblem", SCHEMA_FIELDS(problem_fields)};

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "flow", .type = FIELD_TEXT, .required = true},
        {.name = "source", .type = FIELD_TEXT, .required = true},
        {.name = "from", .type = FIELD_TEXT, .required = true},
        {.name = "event", .type = FIELD_TEXT, .nullable = true},
        {.name = "key", .type = FIELD_TEXT, .nullable = true},
        {.name = "rate", .type = FIELD_INTEGER, .nullable = true},
        {.name = "progress", .type = FIELD_TEXT, .required = true, .choices = backfill_progresses},
        {.name = "pages", .type = FIELD_INTEGER, .required = true, .help = "That are through."},
        {.name = "total",
         .type = FIELD_INTEGER,
         .nullable = true,
         .help = "Items of the list, where its pages say it."},
        {.name = "seen", .type = FIELD_INTEGER, .required = true, .help = "Items so far."},
        {.name = "open",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Items whose runs have not ended."},
        {.name = "succeeded",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Runs that did something."},
        {.name = "unchanged",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Runs that found nothing to do."},
        {.name = "failed",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Items that did not end well."},
        {.name = "dead",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Of these, events that are recorded, and whose jobs are dead."},
        {.name = "skipped",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Items that `event` left out."},
        {.name = "repeated",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Items with the key of one before: not run again."},
        {.name = "error",
         .type = FIELD_ANY,
         .nullable = true,
         .help = "Why the list could not be read on: {code, message}."},
        {.name = "problems",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .of = &schema_problem,
         .required = true,
         .help = "The first items that did not end well."},
        {.name = "createdAt", .type = FIELD_TIME, .required = true},
        {.name = "updatedAt", .type = FIELD_TIME, .required = true},
};
const Schema schema_backfill_out = {.name = "BackfillOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_backfill_list, "BackfillOut", schema_backfill_out);

static const Field list_fields[] = {LIST_FIELDS, LIST_ORDER_FIELD};
const Schema query_backfill_list = {SCHEMA_FIELDS(list_fields)};

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
