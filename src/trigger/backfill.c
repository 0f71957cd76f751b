/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/backfill.h"

#include "json/value.h"

const char *const backfill_progresses[] = {"running", "done", "failed", "cancelled", NULL};

/* ---- reading ---- */

static int64_t number_of(Span text, const char *name) {
        Span v = json_trim(json_member(text, span_of(name)));
        uint64_t n;

        return v.p && span_to_u64(v, INT64_MAX, &n) ? (int64_t)n : 0;
}

/* Decoded and ended by a NUL; empty when it is not there. */
static Span text_of(Span text, const char *name, Arena *a) {
        AUTO(buf_done)
        Buf b = BUF(BACKFILL_TEXT_MAX_BYTES);
        Span v = json_member(text, span_of(name));

        if (!v.p || json_kind(v) != JSON_STRING || json_text(v, &b) < 0 || b.n == 0)
                return SPAN("");
        v = arena_span(a, buf_span(&b));
        return v.p ? v : SPAN("");
}

static const char *word_of(Span text, const char *name, Arena *a) {
        Span v = text_of(text, name, a);

        return v.n ? v.p : NULL;
}

static Expr expr_of(Span text, const char *name, Arena *a, const char *fallback) {
        Span v = text_of(text, name, a);

        return (Expr){.text = v.n ? v : span_of(fallback)};
}

static const char *read_pages(Span text, Arena *a, BackfillPlan *ret) {
        Span from = json_member(text, SPAN("from"));
        Place at;

        ret->has_pages = text.p && json_kind(text) == JSON_OBJECT;
        if (!ret->has_pages)
                return NULL;
        ret->pages = (Pages){.next = expr_of(text, "next", a, NULL),
                             .list = expr_of(text, "list", a, "."),
                             .as = word_of(text, "as", a),
                             .number = word_of(text, "number", a),
                             .offset = word_of(text, "offset", a),
                             .index = word_of(text, "index", a),
                             .from = from.p ? number_of(text, "from") : 1,
                             .max = BACKFILL_PAGES_MAX};
        /* Where the list is may be all that is said. */
        ret->has_way = ret->pages.next.text.p || ret->pages.number || ret->pages.offset ||
                       ret->pages.index;
        if (!ret->has_way)
                ret->pages.next.text = SPAN("link");
        return pages_settle(&ret->pages, &at);
}

const char *backfill_plan(Span text, Arena *a, BackfillPlan *ret, const char **ret_member) {
        Span pages = json_member(text, SPAN("pages"));
        const char *wrong;

        *ret = (BackfillPlan){.flow = text_of(text, "flow", a),
                              .source = text_of(text, "source", a),
                              .from = text_of(text, "from", a),
                              .event = text_of(text, "event", a),
                              .key = text_of(text, "key", a),
                              .rate = number_of(text, "rate"),
                              .pages_max = number_of(text, "maxPages")};
        if (ret->pages_max == 0)
                ret->pages_max = BACKFILL_PAGES_MAX;
        *ret_member = "pages";
        wrong = read_pages(pages, a, ret);
        if (wrong)
                return wrong;
        *ret_member = "key";
        if (!path_parse(ret->key.n ? ret->key : SPAN(".id"), &ret->key_path))
                return "key is a plain path such as .id";
        return NULL;
}

static BackfillCounts counts_of(Span text) {
        return (BackfillCounts){.seen = number_of(text, "seen"),
                                .succeeded = number_of(text, "succeeded"),
                                .unchanged = number_of(text, "unchanged"),
                                .failed = number_of(text, "failed"),
                                .dead = number_of(text, "dead"),
                                .skipped = number_of(text, "skipped"),
                                .repeated = number_of(text, "repeated")};
}

static void read_at(Span text, Arena *a, BackfillAt *ret) {
        Span open = json_member(text, SPAN("open")), key, one;
        Span is_read = json_member(text, SPAN("isRead"));

        *ret = (BackfillAt){.pages = number_of(text, "pages"),
                            .items = number_of(text, "items"),
                            .url = text_of(text, "url", a),
                            .is_read = is_read.p && json_kind(is_read) == JSON_TRUE,
                            .counts = counts_of(json_member(text, SPAN("counts"))),
                            .n_problems = (size_t)number_of(text, "problems")};
        for (size_t pos = 0;
             open.p && ret->n_open < BACKFILL_OPEN_MAX && json_next(open, &pos, &key, &one);) {
                uint64_t id;

                if (span_to_u64(json_trim(one), INT64_MAX, &id))
                        ret->open[ret->n_open++] = (int64_t)id;
        }
}

static void read_problems(Span list, Arena *a, Backfill *ret) {
        Span key, one;

        for (size_t pos = 0; list.p && ret->n_problems < BACKFILL_PROBLEMS_MAX &&
                             json_next(list, &pos, &key, &one);)
                ret->problems[ret->n_problems++] =
                        (BackfillProblem){.key = text_of(one, "key", a),
                                          .code = text_of(one, "code", a),
                                          .message = text_of(one, "message", a),
                                          .event = number_of(one, "event")};
}

bool backfill_read(Span text, Arena *a, Backfill *ret) {
        const char *member;
        Span progress;

        memset(ret, 0, sizeof *ret);
        if (json_kind(text) != JSON_OBJECT || backfill_plan(text, a, &ret->plan, &member))
                return false;
        progress = text_of(text, "progress", a);
        for (int i = 0; backfill_progresses[i]; i++)
                if (span_eq(progress, span_of(backfill_progresses[i])))
                        ret->progress = (BackfillProgress)i;
        read_at(json_member(text, SPAN("at")), a, &ret->at);
        read_problems(json_member(text, SPAN("problems")), a, ret);
        if (ret->at.n_problems > ret->n_problems)
                ret->at.n_problems = ret->n_problems;
        ret->total = number_of(text, "total");
        ret->is_begun = json_member(text, SPAN("at")).p;
        return ret->plan.flow.n && ret->plan.source.n && ret->plan.from.n;
}

/* ---- writing ---- */

static int add_counts(Buf *b, const BackfillCounts *c) {
        return buf_addf(b,
                        ",\"counts\":{\"seen\":%" PRId64 ",\"succeeded\":%" PRId64
                        ",\"unchanged\":%" PRId64 ",\"failed\":%" PRId64 ",\"dead\":%" PRId64
                        ",\"skipped\":%" PRId64 ",\"repeated\":%" PRId64 "}",
                        c->seen, c->succeeded, c->unchanged, c->failed, c->dead, c->skipped,
                        c->repeated);
}

static int add_text(Buf *b, const char *before, Span text) {
        int r = buf_add(b, span_of(before));

        return r == 0 ? buf_add_json(b, text) : r;
}

static int add_problems(Buf *b, const BackfillNews *n) {
        int r = buf_add(b, SPAN(",\"problems\":["));

        for (size_t i = 0; r == 0 && i < n->n_problems; i++) {
                const BackfillProblem *p = &n->problems[i];

                r = add_text(b, i ? ",{\"key\":" : "{\"key\":", p->key);
                if (r == 0)
                        r = buf_addf(b, ",\"event\":%" PRId64, p->event);
                if (r == 0)
                        r = add_text(b, ",\"code\":", p->code);
                if (r == 0)
                        r = add_text(b, ",\"message\":", p->message);
                if (r == 0)
                        r = buf_add_char(b, '}');
        }
        return r == 0 ? buf_add_char(b, ']') : r;
}

static int add_at(Buf *b, const BackfillAt *at) {
        int r = buf_addf(b, ",\"at\":{\"pages\":%" PRId64 ",\"items\":%" PRId64 ",\"isRead\":%s",
                         at->pages, at->items, at->is_read ? "true" : "false");

        if (r == 0)
                r = add_text(b, ",\"url\":", at->url);
        if (r == 0)
                r = add_counts(b, &at->counts);
        if (r == 0)
                r = buf_addf(b, ",\"problems\":%zu,\"open\":[", at->n_problems);
        for (size_t i = 0; r == 0 && i < at->n_open; i++)
                r = buf_addf(b, "%s%" PRId64, i ? "," : "", at->open[i]);
        return r == 0 ? buf_add(b, SPAN("]}")) : r;
}

/* All members but those of `leave`, and an open brace. */
static int add_others(Buf *b, Span text, const char *const *leave) {
        Span key, value;
        int r = buf_add_char(b, '{');

        for (size_t pos = 0; r == 0 && json_next(text, &pos, &key, &value);) {
                const char *const *one = leave;

                while (*one && !span_eq(key, span_of(*one)))
                        one++;
                if (!*one)
                        r = buf_addf(b, "\"" SPAN_FMT "\":" SPAN_FMT ",", SPAN_ARG(key),
                                     SPAN_ARG(value));
        }
        return r;
}

int backfill_print(Span text, const BackfillNews *n, int64_t now_ms, Buf *b) {
        static const char *const news[] = {"progress", "updatedAt", "counts", "open", "error",
                                           "problems", "at",        "total",  NULL};
        int r = add_others(b, text, news);

        if (r == 0)
                r = buf_addf(b,
                             "\"progress\":\"%s\",\"updatedAt\":%" PRId64 ",\"total\":%" PRId64
                             ",\"open\":%zu",
                             backfill_progresses[n->progress], now_ms, n->total, n->n_open);
        if (r == 0)
                r = add_counts(b, n->counts);
        if (r == 0 && n->code) {
                r = add_text(b, ",\"error\":{\"code\":", span_of(n->code));
                if (r == 0)
                        r = add_text(b, ",\"message\":", n->message);
                if (r == 0)
                        r = buf_add_char(b, '}');
        }
        if (r == 0)
                r = add_problems(b, n);
        if (r == 0)
                r = add_at(b, n->at);
        return r == 0 ? buf_add_char(b, '}') : r;
}

int backfill_turn(Span text, BackfillProgress progress, int64_t now_ms, Buf *b) {
        static const char *const news[] = {"progress", "updatedAt", "error", NULL};
        int r = add_others(b, text, news);

        return r == 0 ? buf_addf(b, "\"progress\":\"%s\",\"updatedAt\":%" PRId64 "}",
                                 backfill_progresses[progress], now_ms)
                      : r;
}
