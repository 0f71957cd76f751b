/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream of changes (PostgreSQL manual, "Streaming Replication Protocol"). The server sends
 * each transaction once it is committed, whole and one after the other, in the order of their
 * commits. Changes are handed in by slices of bounded size; a transaction is acknowledged when all
 * of it is in the ledger. Whatever breaks before is sent again, and has the same ids. */
#include "base/clock.h"
#include "watch/replication.h"
#include "json/check.h"

#include <errno.h>
#include <poll.h>

#define SLICE_EVENTS     1000
#define SLICE_BYTES      ((size_t)8 * 1024 * 1024)
#define SLICE_MAX_BYTES  ((size_t)2 * 1024 * 1024 * 1024)
#define CONTEXT_MAX      ((size_t)64 * 1024)
#define STATUS_MS        5000 /* so often at least we say how far we are */
#define STATUS_MIN_MS    50   /* and so often at most, unless we are asked */
#define BUSY_MS          1000
#define SEND_MS          30000
#define HEAD_BYTES       25 /* of what holds a message of pgoutput */
#define KEEPALIVE_BYTES  18
#define HEARTBEAT_PREFIX "grapnel-heartbeat"

typedef struct Stream {
        Replication *r;
        PGconn *conn;
        /* The slice: events that are not handed in yet. */
        Arena *arena;
        EnvelopeEvent *events;
        size_t n;
        /* The transaction that is being sent. */
        bool is_inside;
        ReplicationPlace at;
        Buf context;
        uint64_t committed; /* behind the last transaction that came whole */
        uint64_t durable;   /* up to here all is in the ledger */
        uint64_t said;      /* the server knows of it */
        uint64_t until;     /* it ends when all before that is durable; 0: never */
        bool is_there;
        int64_t status_ms, heartbeat_ms, gauges_ms, heard_ms;
} Stream;

/* ---- bytes ---- */

static uint64_t get64(const char *p) {
        uint64_t x = 0;

        for (int i = 0; i < 8; i++)
                x = x << 8 | (unsigned char)p[i];
        return x;
}

static void put64(char *p, uint64_t x) {
        for (int i = 7; i >= 0; i--, x >>= 8)
                p[i] = (char)(x & 0xff);
}

static int broke(const char *words, Err *e) {
        char text[REPLICATION_WORDS];

        replication_words(words, text);
        return FAIL(e, -ENOTCONN, "the replication broke: %s", text[0] ? text : "no word of why");
}

/* ---- what we say ---- */

static int flush(Stream *s, Err *e) {
        for (int left; (left = PQflush(s->conn)) != 0;) {
                int r = left > 0 ? watch_poll(s->r->watch, PQsocket(s->conn), POLLOUT | POLLIN,
                                              SEND_MS)
                                 : -EIO;

                if (r == -ECANCELED)
                        return r;
                if (r <= 0 || !PQconsumeInput(s->conn))
                        return broke(PQerrorMessage(s->conn), e);
        }
        return 0;
}

/* Standby status update: up to `durable` the server may forget. */
static int say(Stream *s, Err *e) {
        char m[34] = {'r'};
        int n;

        put64(m + 1, s->durable);
        put64(m + 9, s->durable);
        put64(m + 17, s->durable);
        put64(m + 25, 0); /* our clock is of no use to it */
        while ((n = PQputCopyData(s->conn, m, sizeof m)) == 0) {
                int r = flush(s, e);

                if (r < 0)
                        return r;
        }
        if (n < 0)
                return broke(PQerrorMessage(s->conn), e);
        s->said = s->durable;
        s->status_ms = clock_mono_ms();
        return flush(s, e);
}

static int say_if_due(Stream *s, Err *e) {
        int64_t ago = clock_mono_ms() - s->status_ms;

        return ago >= STATUS_MS || (ago >= STATUS_MIN_MS && s->said != s->durable) ? say(s, e) : 0;
}

/* ---- the slice ---- */

static void begin_slice(Stream *s) {
        arena_free(s->arena);
        s->arena = arena_new(SLICE_MAX_BYTES);
        s->events = arena_alloc(s->arena, SLICE_EVENTS * sizeof *s->events);
        must(s->events);
        s->n = 0;
}

static int hand_in(Stream *s, Err *e) {
        int r = s->n ? watch_submit(s->r->watch, s->events, s->n, e) : 0;

        if (r < 0)
                return r;
        if (s->n)
                begin_slice(s);
        if (s->committed > s->durable)
                s->durable = s->committed;
        return say_if_due(s, e);
}

static int add_event(Stream *s, const Shape *shape, const PgoutputMessage *m, Err *e) {
        int r;

        if (!shape->is_ours) {
                s->at.index++; /* it has its place, whoever looks */
                return 0;
        }
        r = replication_event(s->r, shape, m, &s->at, s->arena, &s->events[s->n], e);
        s->at.index++;
        if (r < 0)
                return r;
        s->n++;
        return s->n == SLICE_EVENTS || arena_used(s->arena) >= SLICE_BYTES ? hand_in(s, e) : 0;
}

/* ---- messages ---- */

static bool is_behind(const Stream *s, uint64_t lsn) {
        return s->until && lsn >= s->until;
}

static int on_begin(Stream *s, const PgoutputMessage *m) {
        if (is_behind(s, m->lsn)) {
                s->is_there = true;
                return 0;
        }
        s->is_inside = true;
        s->at = (ReplicationPlace){.lsn = m->lsn, .micros = m->micros, .xid = m->xid};
        buf_clear(&s->context);
        return 0;
}

static int on_commit(Stream *s, const PgoutputMessage *m, Err *e) {
        s->is_inside = false;
        s->committed = m->end_lsn;
        return s->n ? 0 : hand_in(s, e);
}

/* pg_logical_emit_message(true, 'grapnel', '{"actor":"..."}'): who does what follows in this
 * transaction. What is no JSON is an actor's name; what is too long is left out. */
static int on_context(Stream *s, Span content, Err *e) {
        JsonFault fault;
        int r;

        buf_clear(&s->context);
        s->at.context = (Span){NULL, 0};
        if (content.n == 0 || content.n > CONTEXT_MAX / 8)
                return 0;
        if (json_check(content, SIZE_MAX, &fault) == 0)
                r = buf_add(&s->context, content);
        else {
                r = buf_add(&s->context, SPAN("{\"actor\":"));
                if (r == 0)
                        r = buf_add_json(&s->context, content);
                if (r == 0)
                        r = buf_add_char(&s->context, '}');
        }
        s->at.context = buf_span(&s->context);
        return r < 0 ? FAIL(e, r, "the context of a transaction is too large") : 0;
}

static int on_message(Stream *s, const PgoutputMessage *m, Err *e) {
        if (span_eq(m->prefix, SPAN(HEARTBEAT_PREFIX)) &&
            span_eq(m->content, span_of(s->r->o->slot)))
                s->heard_ms = clock_mono_ms();
        if (m->is_transactional && s->is_inside && span_eq(m->prefix, SPAN("grapnel")))
                return on_context(s, m->content, e);
        return 0;
}

static int on_change(Stream *s, const PgoutputMessage *m, uint32_t relation, Err *e) {
        const Shape *shape = shapes_find(s->r->shapes, relation);

        if (!shape || !s->is_inside)
                return FAIL(e, -EBADMSG, "a change came %s",
                            shape ? "outside of a transaction" : "of a table that was not told of");
        return add_event(s, shape, m, e);
}

static int on_truncate(Stream *s, const PgoutputMessage *m, Err *e) {
        uint32_t relation;
        int r = 0;

        for (size_t pos = 0; r == 0 && pgoutput_table(m, &pos, &relation);)
                r = on_change(s, m, relation, e);
        return r;
}

static int take(Stream *s, Span bytes, Err *e) {
        PgoutputMessage m;
        const char *why;

        if (pgoutput_read(bytes, &m, &why) < 0)
                return FAIL(e, -EBADMSG, "the replication said something odd: %s", why);
        switch (m.kind) {
        case PGOUTPUT_BEGIN:
                return on_begin(s, &m);
        case PGOUTPUT_COMMIT:
                return on_commit(s, &m, e);
        case PGOUTPUT_RELATION:
                return shapes_take(s->r->shapes, s->r, &m, e);
        case PGOUTPUT_INSERT:
        case PGOUTPUT_UPDATE:
        case PGOUTPUT_DELETE:
                return on_change(s, &m, m.relation, e);
        case PGOUTPUT_TRUNCATE:
                return on_truncate(s, &m, e);
        case PGOUTPUT_MESSAGE:
                return on_message(s, &m, e);
        case PGOUTPUT_ORIGIN:
        case PGOUTPUT_TYPE:
                break;
        }
        return 0;
}

/* The server has read its log up to there. When nothing of it is left with us, all that we wanted
 * of it is in the ledger: what is committed later stands behind it. */
static int on_keepalive(Stream *s, Span m, Err *e) {
        uint64_t end = get64(m.p + 1);

        if (!s->is_inside && s->n == 0 && end > s->durable)
                s->durable = end;
        if (!s->is_inside && is_behind(s, end))
                s->is_there = true;
        return m.p[17] ? say(s, e) : 0;
}

static int take_outer(Stream *s, Span m, Err *e) {
        if (m.n >= HEAD_BYTES && m.p[0] == 'w')
                return take(s, span_from(m, HEAD_BYTES), e);
        if (m.n >= KEEPALIVE_BYTES && m.p[0] == 'k')
                return on_keepalive(s, m, e);
        return FAIL(e, -EBADMSG, "the replication said something odd: an unknown message");
}

/* ---- the connection ---- */

static int ended(Stream *s, Err *e) {
        PGresult *last = PQgetResult(s->conn);
        int r = broke(last ? PQresultErrorMessage(last) : PQerrorMessage(s->conn), e);

        PQclear(last);
        return r;
}

/* All that has come. 0 when there is nothing more for now. */
static int drain(Stream *s, Err *e) {
        for (;;) {
                char *m = NULL;
                int n = PQgetCopyData(s->conn, &m, 1), r;

                if (n == 0 || n == -1)
                        return n == 0 ? 0 : ended(s, e);
                if (n < 0)
                        return broke(PQerrorMessage(s->conn), e);
                r = take_outer(s, span_make(m, (size_t)n), e);
                PQfreemem(m);
                if (r == 0)
                        r = say_if_due(s, e);
                if (r < 0 || s->is_there)
                        return r;
                if (watch_stops(s->r->watch))
                        return -ECANCELED;
        }
}

/* A message that is no part of any transaction comes back to us; meanwhile the log has moved, and
 * the slot may move with it although nobody changes our tables. */
static int beat(Stream *s, Err *e) {
        const char *values[] = {s->r->o->slot};
        int64_t now = clock_mono_ms();
        PGresult *got;
        int r;

        watch_gauge(s->r->watch, "heartbeat_ms", now - s->heard_ms);
        if (now - s->heartbeat_ms < s->r->o->heartbeat_ms)
                return 0;
        s->heartbeat_ms = now;
        r = pg_ask(s->r->pg, "SELECT pg_logical_emit_message(false, '" HEARTBEAT_PREFIX "', $1)",
                   values, 1, &got, e);
        PQclear(got);
        return r;
}

static int look(Stream *s, Err *e) {
        int64_t now = clock_mono_ms(), lag;
        int r = beat(s, e);

        if (r < 0 || now - s->gauges_ms < REPLICATION_GAUGES_MS)
                return r;
        s->gauges_ms = now;
        r = replication_gauges(s->r, &lag, e);
        /* A table that was renamed, or taken out of the publication, says nothing more. */
        return r == 0 ? replication_look(s->r, e) : r;
}

static int64_t pause_of(const Stream *s) {
        int64_t pause = s->r->o->heartbeat_ms < REPLICATION_GAUGES_MS ? s->r->o->heartbeat_ms
                                                                      : REPLICATION_GAUGES_MS;

        return s->said != s->durable && pause > STATUS_MIN_MS ? STATUS_MIN_MS : pause;
}

static int follow(Stream *s, Err *e) {
        for (;;) {
                int r = PQconsumeInput(s->conn) ? drain(s, e) : broke(PQerrorMessage(s->conn), e);

                if (r == 0)
                        r = hand_in(s, e);
                if (s->is_there)
                        return r;
                if (r == 0)
                        r = look(s, e);
                if (r == 0)
                        r = watch_wait(s->r->watch, PQsocket(s->conn), pause_of(s));
                if (r < 0)
                        return r;
        }
}

/* ---- the beginning ---- */

static int start(Stream *s, Err *e) {
        AUTO(buf_done)
        Buf sql = BUF(1024);
        const ReplicationOptions *o = s->r->o;

        must(buf_addf(&sql,
                      "START_REPLICATION SLOT \"%s\" LOGICAL 0/0 (proto_version '1',"
                      " publication_names '\"%s\"', messages 'true')",
                      o->slot, o->publication) == 0 &&
             buf_add_char(&sql, 0) == 0);
        for (;;) {
                int r = pg_do(s->r->walsender, sql.p, e);

                /* Whoever read it before us, such as we ourselves until a crash, is about to end.
                 */
                bool is_held = r == -EBADMSG && strcmp(pg_state(s->r->walsender), "55006") == 0;

                watch_gauge(s->r->watch, "standby", is_held);
                if (!is_held)
                        return r;
                *e = (Err){0};
                r = watch_wait(s->r->watch, -1, BUSY_MS);
                if (r < 0)
                        return r;
        }
}

/* What comes later is for another stream, from that place on. */
static int leave(Stream *s, Err *e) {
        Replication *r = s->r;
        int err;

        if (s->durable < s->until)
                s->durable = s->until;
        err = say(s, e);
        if (err < 0)
                return err;
        pg_close(r->walsender);
        r->walsender = NULL;
        return replication_open(r, true, &r->walsender, e);
}

int replication_stream(Replication *r, uint64_t until, Err *e) {
        int64_t now = clock_mono_ms();
        Stream s = {.r = r,
                    .conn = pg_conn(r->walsender),
                    .context = BUF(CONTEXT_MAX),
                    .until = until,
                    .status_ms = now,
                    .heartbeat_ms = now - r->o->heartbeat_ms,
                    .gauges_ms = now - REPLICATION_GAUGES_MS,
                    .heard_ms = now};
        int err = start(&s, e);

        begin_slice(&s);
        if (err == 0) {
                watch_works(r->watch);
                err = follow(&s, e);
                if (err == -ECANCELED && s.said != s.durable)
                        (void)!say(&s, NULL); /* so that less comes again */
                if (err == 0)
                        err = leave(&s, e);
        }
        buf_done(&s.context);
        arena_free(s.arena);
        return err;
}
