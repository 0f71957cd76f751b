/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backfill would change, a part of the list at a time. */
#include "trigger/backfill_report.h"
#include "api/nouns.h"
#include "json/value.h"

enum { ANSWER_MAX_BYTES = 32 * 1024 * 1024 };

typedef struct Asking {
        BackfillPlan plan;
        BackfillPlace from;
} Asking;

static void put_next(Put *p, const BackfillReported *r) {
        if (!r->has_next) {
                put_null(p, "next");
                return;
        }
        put_open(p, "next", '{');
        put_text(p, "url", r->next.url.n ? r->next.url : SPAN(""));
        put_int(p, "pages", r->next.pages);
        put_int(p, "items", r->next.items);
        put_int(p, "skip", r->next.skip);
        put_close(p, '}');
}

static void on_done(void *arg, const BackfillReported *r) {
        AUTO(put_done)
        Put p = PUT(ANSWER_MAX_BYTES);
        Op *op = arg;

        if (r->code) {
                op_error(op, 424, r->code, arena_text(op->arena, r->message));
                return;
        }
        put_open(&p, NULL, '{');
        put_raw(&p, "data", r->rows);
        put_int(&p, "seen", r->seen);
        put_int(&p, "wouldChange", r->changed);
        put_int(&p, "unchanged", r->unchanged);
        put_int(&p, "failed", r->failed);
        put_int(&p, "skipped", r->skipped);
        if (r->total)
                put_int(&p, "total", r->total);
        else
                put_null(&p, "total");
        put_next(&p, r);
        put_close(&p, '}');
        op_json(op, 200, &p);
}

static int64_t number_of(Span object, const char *name) {
        Span v = json_trim(json_member(object, span_of(name)));
        uint64_t n = 0;

        return v.p && span_to_u64(v, INT32_MAX, &n) ? (int64_t)n : 0;
}

static void start(Op *op, Span text) {
        AUTO(buf_done)
        Buf url = BUF(64 * 1024);
        Asking *k = arena_alloc(op->arena, sizeof *k);
        Span after = value_of(&op->body, "after"), v;
        Backfiller *here = &op->admin->parts.backfillers[op->admin->parts.index];
        const char *member;

        must(k && !backfill_plan(text, op->arena, &k->plan, &member));
        if (after.p && json_kind(after) == JSON_OBJECT) {
                v = json_member(after, SPAN("url"));
                if (v.p && json_text(v, &url) == 0 && url.n)
                        k->from.url = arena_span(op->arena, buf_span(&url));
                k->from.pages = number_of(after, "pages");
                k->from.items = number_of(after, "items");
                k->from.skip = number_of(after, "skip");
        }
        if (k->from.pages >= k->plan.pages_max)
                op_error(op, 424, "too-many-pages", "the list has more pages than it may have");
        else
                backfill_report_start(op->admin->inlet, here->mapper, &k->plan, &k->from, on_done,
                                      op);
}

void backfill_report(Op *op) {
        backfill_wish(op, start);
}
