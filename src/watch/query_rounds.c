/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks, and tells rows that are new from those that the round before had read too. A round begins
 * an overlap below the highest cursor and goes on, page by page, to the end. What it has read is
 * all that has to be known in the next one: whatever lies below that is not read again. And should
 * a row be handed in twice, after a crash or because a set was full, it has the same id, made of
 * its key, cursor and content: the ledger knows it. */
#include "base/clock.h"
#include "base/random.h"
#include "watch/outbox.h"
#include "watch/query.h"
#include "watch/row_change.h"

#include <errno.h>
#include <openssl/evp.h>

#define ABOUT_NOTE     "about" /* which cursor the mark is one of */
#define MARK_NOTE      "mark"  /* the letter of a Stage, and the cursor */
#define SEEN_NOTE      "seen"
#define ROW_PREFIX     "k/"
#define LOOK_MS        60000 /* at what is never seen */
#define AHEAD_MS       5000  /* of the clock: worth a word */
#define PAGE_MAX_BYTES ((size_t)1024 * 1024 * 1024)

enum {
        HASH_BYTES = 16,
        SEEN_MAX = 100000, /* of one round */
        ROWS_MAX = 100000, /* remembered */
        ROW_MAX_BYTES = 64 * 1024,
};

typedef enum Stage {
        STAGE_FIRST = 'F', /* the very first round has not ended */
        STAGE_ON = 'R',
        STAGE_WHOLE = 'W', /* every row that was ever seen is remembered */
} Stage;

typedef struct Hash {
        unsigned char p[HASH_BYTES];
} Hash;

/* Of more than fit, the last ones: those have the highest cursors. */
typedef struct Seen {
        Hash *at;
        size_t n, next; /* added ever; the place of the next */
} Seen;

typedef struct Rounds {
        Watch *watch;
        const QueryOptions *o;
        const QueryDesk *desk;
        void *self;
        Notes *notes;
        Stage stage;
        Buf mark, key_names;
        Seen before, now;
        bool primes; /* this round reads, and hands nothing in */
        bool is_dirty;
        size_t n_remembered;
        int64_t looked_ms, read;
} Rounds;

/* ---- what was seen ---- */

static int by_bytes(const void *a, const void *b) {
        return memcmp(a, b, sizeof(Hash));
}

static size_t seen_count(const Seen *s) {
        return s->n < SEEN_MAX ? s->n : SEEN_MAX;
}

static void seen_add(Seen *s, const Hash *h) {
        s->at[s->next] = *h;
        s->next = (s->next + 1) % SEEN_MAX;
        s->n++;
}

static void seen_sort(Seen *s) {
        qsort(s->at, seen_count(s), sizeof *s->at, by_bytes);
}

static bool seen_has(const Seen *s, const Hash *h) {
        return bsearch(h, s->at, seen_count(s), sizeof *s->at, by_bytes) != NULL;
}

/* Each with its length before it, so that no two rows look alike. */
static void hash_of(const Span *parts, size_t n, Hash *ret) {
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        unsigned char md[EVP_MAX_MD_SIZE];

        must(c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1);
        for (size_t i = 0; i < n; i++) {
                uint64_t length = parts[i].n;

                must(EVP_DigestUpdate(c, &length, sizeof length) == 1);
                must(EVP_DigestUpdate(c, parts[i].p, parts[i].n) == 1);
        }
        must(EVP_DigestFinal_ex(c, md, NULL) == 1);
        EVP_MD_CTX_free(c);
        memcpy(ret->p, md, HASH_BYTES);
}

static void hash_text(const Hash *h, char ret[2 * HASH_BYTES + 1]) {
        for (size_t i = 0; i < HASH_BYTES; i++)
                (void)snprintf(ret + 2 * i, 3, "%02x", h->p[i]);
}

/* ---- the notebook ---- */

static int put_text(Rounds *r, const char *key, Span value, Err *e) {
        return notes_put(r->notes, span_of(key), value, e);
}

static int put_mark(Rounds *r, Err *e) {
        AUTO(buf_done)
        Buf text = BUF(2 * 1024 * 1024);

        must(buf_add_char(&text, (char)r->stage) == 0 && buf_add(&text, buf_span(&r->mark)) == 0);
        return put_text(r, MARK_NOTE, buf_span(&text), e);
}

static int take_key(void *arg, Span key, Span value) {
        (void)value;
        return buf_add(arg, key) < 0 ? -ENOMEM : 0;
}

static int count_row(void *arg, Span key, Span value) {
        (void)key;
        (void)value;
        ++*(size_t *)arg;
        return 0;
}

/* Keys of remembered rows have one length. */
static int forget_rows(Rounds *r, Err *e) {
        size_t each = sizeof ROW_PREFIX - 1 + HASH_BYTES;
        AUTO(buf_done)
        Buf keys = BUF(each * (ROWS_MAX + 1));
        int err = notes_each(r->notes, SPAN(ROW_PREFIX), SPAN(""), take_key, &keys, e);

        for (size_t i = 0; err == 0 && i + each <= keys.n; i += each)
                err = notes_delete(r->notes, span_make(keys.p + i, each), e);
        r->n_remembered = 0;
        return err;
}

/* Another cursor than the one that was noted: all begins anew. */
static int begin_anew(Rounds *r, Span about, Err *e) {
        int err = notes_begin(r->notes, e);

        r->stage = STAGE_FIRST;
        buf_clear(&r->mark);
        if (err == 0)
                err = forget_rows(r, e);
        if (err == 0)
                err = notes_delete(r->notes, SPAN(SEEN_NOTE), e);
        if (err == 0)
                err = notes_delete(r->notes, SPAN(MARK_NOTE), e);
        if (err == 0)
                err = put_text(r, ABOUT_NOTE, about, e);
        if (err == 0)
                return notes_commit(r->notes, e);
        notes_rollback(r->notes);
        return err;
}

static int recall_seen(Rounds *r, Err *e) {
        AUTO(buf_done)
        Buf seen = BUF(sizeof(Hash) * SEEN_MAX);
        int err = notes_get(r->notes, SPAN(SEEN_NOTE), &seen, e);

        if (err < 0)
                return err;
        r->before.n = seen.n / sizeof(Hash);
        if (r->before.n)
                memcpy(r->before.at, seen.p, r->before.n * sizeof(Hash));
        return 0;
}

/* What is remembered goes stale while nobody keeps it. */
static int recall_rows(Rounds *r, Err *e) {
        if (r->o->remembers)
                return notes_each(r->notes, SPAN(ROW_PREFIX), SPAN(""), count_row, &r->n_remembered,
                                  e);
        if (r->stage != STAGE_WHOLE)
                return forget_rows(r, e);
        r->stage = STAGE_ON;
        return put_mark(r, e) < 0 ? -EIO : forget_rows(r, e);
}

static int recall(Rounds *r, Err *e) {
        AUTO(buf_done)
        Buf about = BUF(1024);
        AUTO(buf_done)
        Buf was = BUF(64 * 1024);
        AUTO(buf_done)
        Buf mark = BUF(2 * 1024 * 1024);
        int err;

        must(buf_addf(&about, "%s\n%s\n%.200s", r->o->name, r->o->cursor, r->desk->type(r->self)) ==
             0);
        err = notes_get(r->notes, SPAN(ABOUT_NOTE), &was, e);
        if (err < 0)
                return err;
        if (!span_eq(buf_span(&was), buf_span(&about)))
                return begin_anew(r, buf_span(&about), e);
        err = notes_get(r->notes, SPAN(MARK_NOTE), &mark, e);
        if (err < 0)
                return err;
        if (mark.n) {
                r->stage = (Stage)mark.p[0];
                must(buf_add(&r->mark, span_from(buf_span(&mark), 1)) == 0);
        }
        err = recall_seen(r, e);
        return err < 0 ? err : recall_rows(r, e);
}

/* ---- remembered rows ---- */

static void row_note_key(Span key, char ret[sizeof ROW_PREFIX - 1 + HASH_BYTES]) {
        Hash h;

        hash_of(&key, 1, &h);
        memcpy(ret, ROW_PREFIX, sizeof ROW_PREFIX - 1);
        memcpy(ret + sizeof ROW_PREFIX - 1, h.p, HASH_BYTES);
}

static int remember(Rounds *r, Span key, Span row, Err *e) {
        char name[sizeof ROW_PREFIX - 1 + HASH_BYTES];
        AUTO(buf_done)
        Buf was = BUF(ROW_MAX_BYTES);
        int had;

        row_note_key(key, name);
        had = notes_get(r->notes, span_make(name, sizeof name), &was, e);
        if (had < 0)
                return had;
        if (!had && r->n_remembered >= ROWS_MAX) {
                r->stage = r->stage == STAGE_WHOLE ? STAGE_ON : r->stage;
                return 0;
        }
        r->n_remembered += !had;
        return notes_put(r->notes, span_make(name, sizeof name),
                         row.n <= ROW_MAX_BYTES ? row : SPAN(""), e);
}

/* ---- events ---- */

typedef struct Batch {
        Rounds *r;
        Arena *arena;
        EnvelopeEvent *events;
        Span *keys, *rows; /* of the events; in priming, of all */
        size_t n;
} Batch;

/* What is known of the row as it was. 1: it is the very same. */
static int look_back(Batch *b, Span key, Span row, RowChange *c, Err *e) {
        Rounds *r = b->r;
        char name[sizeof ROW_PREFIX - 1 + HASH_BYTES];
        AUTO(buf_done)
        Buf was = BUF(ROW_MAX_BYTES);
        int had = 0;

        if (r->stage == STAGE_FIRST) {
                c->op = "snapshot";
                c->is_backfill = true;
                return 0;
        }
        c->op = "update";
        if (r->o->remembers) {
                row_note_key(key, name);
                had = notes_get(r->notes, span_make(name, sizeof name), &was, e);
        }
        if (had < 0)
                return had;
        if (had && was.n) {
                c->previous = arena_span(b->arena, buf_span(&was));
                return span_eq(c->previous, row);
        }
        if (!had && r->stage == STAGE_WHOLE)
                c->op = "insert";
        else
                c->previous_missing = had ? "too-large" : "not-remembered";
        return 0;
}

static int add_event(Batch *b, const QueryRow *row, Span key, const Hash *h, Err *e) {
        Rounds *r = b->r;
        char id[2 * HASH_BYTES + 1], now[CLOCK_TEXT];
        int same;

        hash_text(h, id);
        clock_print(clock_wall_ms(), now);
        RowChange c = {.source = span_of(watch_trigger(r->watch)->source->name),
                       .kind = "query",
                       .database = r->o->name,
                       .table = span_of(r->o->table),
                       .fresh = row->row,
                       .key = key,
                       .index = -1,
                       .time = row->time.p ? row->time : arena_span(b->arena, span_of(now)),
                       .time_is = row->time.p ? "change" : "capture",
                       .id = span_of(id)};
        same = look_back(b, key, row->row, &c, e);
        if (same)
                return same < 0 ? same : 0;
        if (!row_change_event(&c, b->arena, &b->events[b->n]))
                return FAIL(e, -EMSGSIZE, "a row is too large for an event: " SPAN_FMT,
                            key.n > 100 ? 100 : (int)key.n, key.p);
        b->keys[b->n] = key;
        b->rows[b->n++] = row->row;
        return 0;
}

static int look_at_row(Batch *b, const QueryRow *row, Err *e) {
        Rounds *r = b->r;
        AUTO(buf_done)
        Buf text = BUF(1024 * 1024);
        Span key;
        Hash h;
        bool was_seen;

        if (outbox_key(&text, buf_span(&r->key_names), row->row) < 0)
                return FAIL(e, -ENOTRECOVERABLE, "a row of the query does not have its key");
        key = arena_span(b->arena, buf_span(&text));
        if (!key.p)
                return FAIL(e, -EMSGSIZE, "a page of rows is too large: make `rows` smaller");
        hash_of((Span[]){key, row->cursor, row->row}, 3, &h);
        was_seen = seen_has(&r->before, &h);
        seen_add(&r->now, &h);
        if (was_seen)
                return 0;
        r->is_dirty = true;
        if (!r->primes)
                return add_event(b, row, key, &h, e);
        b->keys[b->n] = key;
        b->rows[b->n++] = row->row;
        return 0;
}

/* What was handed in is noted, and not before. */
static int note_page(Rounds *r, const Batch *b, bool is_last, Err *e) {
        int err = notes_begin(r->notes, e);

        for (size_t i = 0; err == 0 && r->o->remembers && i < b->n; i++)
                err = remember(r, b->keys[i], b->rows[i], e);
        if (is_last && r->stage == STAGE_FIRST)
                r->stage = r->o->remembers && r->n_remembered < ROWS_MAX ? STAGE_WHOLE : STAGE_ON;
        if (err == 0)
                err = put_mark(r, e);
        if (err == 0 && is_last)
                err = put_text(r, SEEN_NOTE,
                               span_make(r->now.at, seen_count(&r->now) * sizeof(Hash)), e);
        if (err == 0)
                return notes_commit(r->notes, e);
        notes_rollback(r->notes);
        return err;
}

static int take_page(Rounds *r, const QueryPage *p, Err *e) {
        Batch b = {.r = r, .arena = p->arena};
        int err = 0;

        b.events = arena_alloc(p->arena, (p->n + 1) * sizeof *b.events);
        b.keys = arena_alloc(p->arena, (p->n + 1) * sizeof *b.keys);
        b.rows = arena_alloc(p->arena, (p->n + 1) * sizeof *b.rows);
        if (!b.events || !b.keys || !b.rows)
                return FAIL(e, -EMSGSIZE, "a page of rows is too large: make `rows` smaller");
        for (size_t i = 0; err == 0 && i < p->n; i++)
                err = look_at_row(&b, &p->rows[i], e);
        if (err == 0 && !r->primes && b.n)
                err = watch_submit(r->watch, b.events, b.n, e);
        if (err < 0)
                return err;
        r->read += (int64_t)p->n;
        if (r->is_dirty && p->n) {
                buf_clear(&r->mark);
                must(buf_add(&r->mark, p->rows[p->n - 1].cursor) == 0);
        }
        return r->is_dirty || r->stage == STAGE_FIRST ? note_page(r, &b, p->is_last, e) : 0;
}

/* ---- one round ---- */

/* 1: there may be more. */
static int ask_page(Rounds *r, bool is_first, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(PAGE_MAX_BYTES);
        QueryPage p = {.arena = a};
        int err = is_first ? r->desk->first(r->self, buf_span(&r->mark), &p, e)
                           : r->desk->next(r->self, &p, e);

        if (err == 0)
                err = take_page(r, &p, e);
        if (err < 0)
                return err;
        watch_works(r->watch);
        return watch_stops(r->watch) ? -ECANCELED : !p.is_last;
}

/* Where the very first round begins: only an overlap below the end, when what is there is neither
 * sent nor remembered. */
static int begin_first(Rounds *r, Err *e) {
        r->primes = r->stage == STAGE_FIRST && r->o->existing == QUERY_SKIP;
        return r->primes && !r->o->remembers && !r->mark.n ? r->desk->top(r->self, &r->mark, e) : 0;
}

static int ask_all(Rounds *r, Err *e) {
        int64_t begun_ms = clock_mono_ms();
        Seen was = r->before;
        int more = begin_first(r, e);

        r->is_dirty = false;
        r->read = 0;
        r->now.n = r->now.next = 0;
        if (more == 0)
                more = ask_page(r, true, e);
        while (more == 1)
                more = ask_page(r, false, e);
        if (more < 0)
                return more;
        r->before = r->now;
        seen_sort(&r->before);
        r->now = was;
        watch_gauge(r->watch, "rows_read", r->read);
        watch_gauge(r->watch, "took_ms", clock_mono_ms() - begun_ms);
        watch_gauge(r->watch, "remembered", (int64_t)r->n_remembered);
        return 0;
}

/* ---- what a person should know ---- */

static int look(Rounds *r, Err *e) {
        int64_t now = clock_mono_ms(), blind = 0, ahead_ms = 0;
        char text[400] = "";
        int err;

        if (now - r->looked_ms < LOOK_MS)
                return 0;
        r->looked_ms = now;
        err = r->desk->blind(r->self, &blind, e);
        if (err == 0 && r->mark.n)
                err = r->desk->ahead(r->self, buf_span(&r->mark), &ahead_ms, e);
        if (err < 0)
                return err;
        watch_gauge(r->watch, "blind", blind);
        if (blind)
                (void)snprintf(text, sizeof text,
                               "%" PRId64 "%s of the query's rows have no %s or no key: they are "
                               "never seen",
                               blind, blind == QUERY_BLIND_MAX ? " or more" : "", r->o->cursor);
        else if (r->before.n > SEEN_MAX)
                (void)snprintf(text, sizeof text,
                               "more than %d rows lie within the overlap and are handed in again: "
                               "make it shorter",
                               SEEN_MAX);
        else if (r->n_remembered >= ROWS_MAX)
                (void)snprintf(text, sizeof text,
                               "%d rows are remembered and no more can be: of others it is not "
                               "known what they were",
                               ROWS_MAX);
        else if (ahead_ms > AHEAD_MS)
                (void)snprintf(text, sizeof text,
                               "the highest %s is %" PRId64 " s ahead of the database's clock: "
                               "rows from now on are read in each round",
                               r->o->cursor, ahead_ms / 1000);
        watch_remarks(r->watch, text);
        return 0;
}

/* ---- the whole ---- */

/* Not all triggers of a start at the same moment, again and again. */
static int64_t first_rest(const Rounds *r) {
        uint32_t any;

        random_bytes(&any, sizeof any);
        return r->o->every_ms / 2 + any % (r->o->every_ms / 2 + 1);
}

static int go_on(Rounds *r, Err *e) {
        int64_t rest = first_rest(r);

        for (;;) {
                int err = ask_all(r, e);

                if (err == 0)
                        err = look(r, e);
                if (err == 0)
                        err = watch_wait(r->watch, -1, rest);
                if (err < 0)
                        return err;
                rest = r->o->every_ms;
        }
}

static void name_keys(Rounds *r) {
        for (size_t i = 0; i < r->o->n_key; i++) {
                must(buf_add_char(&r->key_names, i ? ',' : '[') == 0);
                must(buf_add_json(&r->key_names, span_of(r->o->key[i])) == 0);
        }
        must(buf_add_char(&r->key_names, ']') == 0);
}

int query_rounds(Watch *w, const QueryOptions *o, const QueryDesk *desk, Err *e) {
        Rounds r = {.watch = w,
                    .o = o,
                    .desk = desk,
                    .stage = STAGE_FIRST,
                    .mark = BUF(1024 * 1024),
                    .key_names = BUF(16 * 1024),
                    .looked_ms = INT64_MIN / 2};
        int err = desk->open(w, o, &r.self, e);

        r.before.at = must_alloc(SEEN_MAX * sizeof(Hash));
        r.now.at = must_alloc(SEEN_MAX * sizeof(Hash));
        name_keys(&r);
        if (err == 0) {
                r.notes = watch_notes(w, e);
                err = r.notes ? recall(&r, e) : -EIO;
        }
        if (err == 0)
                err = go_on(&r, e);
        desk->close(r.self);
        free(r.before.at);
        free(r.now.at);
        buf_done(&r.mark);
        buf_done(&r.key_names);
        return err == -ECANCELED ? 0 : err;
}
