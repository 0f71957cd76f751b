/* SPDX-License-Identifier: Apache-2.0
 *
 * The slot: the server's place for us in its log. It is made once, and from then on nothing that is
 * committed is missed, for as long as it lives. The notebook knows which slot is ours and whether
 * its beginning was finished:
 *
 *   (nothing)  -> making      written before the slot is made, with the epoch of the backfill
 *   making     -> copying     written when there is one, before the first row is handed in
 *   copying    -> streaming   written once all that stood in the tables is in the ledger
 *
 * A slot that we find while `making` was made in vain: its snapshot ended with the connection, and
 * nobody has seen a row of it, so both are made anew. While `copying`, some rows were handed in,
 * and the log from the slot on is all that knows which of them were deleted since: what it says
 * until the next snapshot comes first, and then that snapshot. A slot that is gone or lost by then
 * has lost changes, and nobody but a person can say what that means; installing anew is how they
 * say it. */
#include "base/clock.h"
#include "base/random.h"
#include "watch/replication.h"

#include <errno.h>

#define BUSY_MS      1000
#define FAILURES_MAX 5 /* in a row, without getting any further */

static const char *source_of(const Replication *r) {
        return watch_trigger(r->watch)->source->name;
}

/* ---- the server's word ---- */

typedef struct Slot {
        bool exists, is_ours; /* of this database and plugin */
        bool is_lost;
        int64_t lag, unconfirmed; /* bytes */
        int state;                /* 0 reserved, 1 extended, 2 unreserved, 3 lost */
        char confirmed[32];
} Slot;

static int state_of(Span text) {
        static const char *const states[] = {"reserved", "extended", "unreserved"};

        for (int i = 0; i < (int)COUNT_OF(states); i++)
                if (span_eq(text, span_of(states[i])))
                        return i;
        return 3;
}

static int find_slot(Replication *r, Slot *ret, Err *e) {
        static const char sql[] =
                "SELECT plugin='pgoutput' AND database=current_database(), wal_status,"
                " pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint,"
                " pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint,"
                " confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name=$1";
        const char *values[] = {r->o->slot};
        PGresult *got;
        int err = pg_ask(r->pg, sql, values, 1, &got, e);

        *ret = (Slot){0};
        if (err == 0 && PQntuples(got) == 1) {
                *ret = (Slot){.exists = true,
                              .is_ours = span_eq(pg_cell(got, 0, 0), SPAN("t")),
                              .state = state_of(pg_cell(got, 0, 1)),
                              .lag = pg_number(got, 0, 2),
                              .unconfirmed = pg_number(got, 0, 3)};
                ret->is_lost = ret->state == 3;
                (void)snprintf(ret->confirmed, sizeof ret->confirmed, SPAN_FMT,
                               SPAN_ARG(pg_cell(got, 0, 4)));
        }
        PQclear(got);
        return err;
}

static int anew(const Replication *r, const char *what, Err *e) {
        return FAIL(
                e, -ENOTRECOVERABLE,
                "%s: changes were missed. To begin anew%s: grapnel trigger uninstall %s --apply, "
                "then grapnel trigger install %s --apply",
                what, r->o->snapshot ? ", with a snapshot" : "", source_of(r), source_of(r));
}

static int judge_lost(const Replication *r, Err *e) {
        char what[200];

        (void)snprintf(what, sizeof what,
                       "slot %s is lost, as the server kept no more of its log for it "
                       "(max_slot_wal_keep_size)",
                       r->o->slot);
        return anew(r, what, e);
}

int replication_gauges(Replication *r, int64_t *lag, Err *e) {
        Slot s;
        int err = find_slot(r, &s, e);

        *lag = 0;
        if (err < 0 || !s.exists)
                return err;
        *lag = s.lag;
        watch_gauge(r->watch, "slot_state", s.state);
        watch_gauge(r->watch, "lag_bytes", s.lag);
        watch_gauge(r->watch, "unconfirmed_bytes", s.unconfirmed);
        return s.is_lost ? judge_lost(r, e) : 0;
}

/* ---- dropping ---- */

/* A connection that is about to end may still hold it. */
static int drop(Replication *r, Err *e) {
        const char *values[] = {r->o->slot};

        for (;;) {
                PGresult *got;
                int err = pg_ask(r->pg, "SELECT pg_drop_replication_slot($1)", values, 1, &got, e);

                PQclear(got);
                if (err != -EBADMSG || strcmp(pg_state(r->pg), "55006") != 0)
                        return err;
                *e = (Err){0};
                err = watch_wait(r->watch, -1, BUSY_MS);
                if (err < 0)
                        return err;
        }
}

/* ---- what we remember ---- */

typedef enum Phase { PHASE_MAKING, PHASE_COPYING, PHASE_STREAMING } Phase;
static const char *const phases[] = {"making", "copying", "streaming"};

typedef struct Memory {
        bool has_slot; /* we made it */
        bool is_known; /* and of this publication */
        bool is_other_publication;
        Phase phase; /* if we know it */
        Buf epoch;   /* wall ms */
} Memory;

static void memory_done(Memory *m) {
        buf_done(&m->epoch);
}

static int get(Replication *r, const char *key, Buf *ret, Err *e) {
        Notes *notes = watch_notes(r->watch, e);

        return notes ? notes_get(notes, span_of(key), ret, e) : -EIO;
}

static int remember(Replication *r, const char *key, Span value, Err *e) {
        return notes_put(watch_notes(r->watch, e), span_of(key), value, e);
}

static int remember_phase(Replication *r, Phase phase, Err *e) {
        return remember(r, "phase", span_of(phases[phase]), e);
}

static Phase phase_of(Span text) {
        for (size_t i = 0; i < COUNT_OF(phases); i++)
                if (span_eq(text, span_of(phases[i])))
                        return (Phase)i;
        return PHASE_STREAMING;
}

static int recall(Replication *r, Memory *ret, Err *e) {
        AUTO(buf_done)
        Buf slot = BUF(256), publication = BUF(64), phase = BUF(64);
        int has_slot = get(r, "slot", &slot, e), has_phase = 0, err = has_slot < 0 ? has_slot : 0;

        *ret = (Memory){.epoch = BUF(64)};
        if (err == 0 && get(r, "publication", &publication, e) < 0)
                err = -EIO;
        if (err == 0)
                has_phase = get(r, "phase", &phase, e);
        if (err == 0 && has_phase >= 0 && get(r, "epoch", &ret->epoch, e) < 0)
                err = -EIO;
        if (err == 0 && has_phase > 0 && span_eq(buf_span(&slot), span_of(r->o->slot))) {
                ret->has_slot = true;
                ret->is_other_publication =
                        !span_eq(buf_span(&publication), span_of(r->publication));
                ret->is_known = !ret->is_other_publication;
                ret->phase = phase_of(buf_span(&phase));
        }
        return has_phase < 0 ? has_phase : err;
}

static int note_making(Replication *r, Memory *m, Err *e) {
        Notes *notes = watch_notes(r->watch, e);
        int err = notes ? notes_begin(notes, e) : -EIO;

        if (err < 0)
                return err;
        if (!m->is_known || m->phase != PHASE_MAKING || m->epoch.n == 0) {
                buf_clear(&m->epoch);
                must(buf_addf(&m->epoch, "%" PRId64, clock_wall_ms()) == 0);
        }
        err = remember(r, "slot", span_of(r->o->slot), e);
        if (err == 0)
                err = remember(r, "publication", span_of(r->publication), e);
        if (err == 0)
                err = remember(r, "epoch", buf_span(&m->epoch), e);
        if (err == 0)
                err = remember_phase(r, PHASE_MAKING, e);
        if (err == 0)
                return notes_commit(notes, e);
        notes_rollback(notes);
        return err;
}

/* ---- making ---- */

/* From now on the ordinary connection sees that snapshot, which lives until the next command of the
 * connection that made it. */
static int take_snapshot(Replication *r, const char *name, Err *e) {
        char sql[256];

        (void)snprintf(sql, sizeof sql,
                       "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                       " SET TRANSACTION SNAPSHOT '%s'",
                       name);
        return pg_do(r->pg, sql, e);
}

/* What stands in the tables under it. */
static int copy(Replication *r, const Memory *m, Err *e) {
        char time[CLOCK_TEXT];
        uint64_t epoch;
        int err;

        must(span_to_u64(buf_span(&m->epoch), INT64_MAX, &epoch));
        clock_print((int64_t)epoch, time);
        err = replication_backfill(r, buf_span(&m->epoch), span_of(time), e);
        return err == 0 ? remember_phase(r, PHASE_STREAMING, e) : err;
}

static int create(Replication *r, PGresult **ret, Err *e) {
        char sql[256];

        (void)snprintf(sql, sizeof sql,
                       "CREATE_REPLICATION_SLOT \"%s\" LOGICAL pgoutput (SNAPSHOT '%s')",
                       r->o->slot, r->o->snapshot ? "export" : "nothing");
        return pg_ask(r->walsender, sql, NULL, 0, ret, e);
}

static int make(Replication *r, Memory *m, Err *e) {
        PGresult *made = NULL;
        int err;

        if (!r->has_server_cap && r->o->max_lag == 0)
                return FAIL(e, -ENOTRECOVERABLE,
                            "nothing limits what the server of database %s would keep of its log "
                            "while Grapnel is away: give the trigger a max_lag, or the server a "
                            "max_slot_wal_keep_size",
                            r->o->name);
        err = note_making(r, m, e);
        if (err == 0)
                err = create(r, &made, e);
        if (err == 0)
                err = remember_phase(r, r->o->snapshot ? PHASE_COPYING : PHASE_STREAMING, e);
        if (err == 0 && r->o->snapshot)
                err = take_snapshot(r, PQgetvalue(made, 0, 2), e);
        if (err == 0 && r->o->snapshot)
                err = copy(r, m, e);
        PQclear(made);
        return err;
}

/* ---- going on with a copy that was broken off ---- */

/* A second slot, gone with its connection, has a place in the log and a snapshot that fits it. One
 * that an earlier process had may still be there, so each has a name of its own. */
static int next_snapshot(Replication *r, Pg *copier, PGresult **ret, uint64_t *ret_lsn, Err *e) {
        char sql[256];
        unsigned high, low;
        uint64_t own;
        int err;

        random_bytes(&own, sizeof own);
        (void)snprintf(sql, sizeof sql,
                       "CREATE_REPLICATION_SLOT \"%.32s_copy_%" PRIx64
                       "\" TEMPORARY LOGICAL pgoutput"
                       " (SNAPSHOT 'export')",
                       r->o->slot, own);
        err = pg_ask(copier, sql, NULL, 0, ret, e);
        if (err < 0)
                return err;
        if (sscanf(PQgetvalue(*ret, 0, 1), LSN_FMT, &high, &low) != 2)
                return FAIL(e, -EBADMSG, "the server says an odd place in its log: %s",
                            PQgetvalue(*ret, 0, 1));
        *ret_lsn = (uint64_t)high << 32 | low;
        return 0;
}

static int go_on(Replication *r, const Memory *m, Err *e) {
        Pg *copier = NULL;
        PGresult *made = NULL;
        uint64_t lsn = 0;
        int err = replication_open(r, true, &copier, e);

        if (err == 0)
                err = next_snapshot(r, copier, &made, &lsn, e);
        if (err == 0)
                err = replication_stream(r, lsn, e);
        if (err == 0)
                err = take_snapshot(r, PQgetvalue(made, 0, 2), e);
        PQclear(made);
        pg_close(copier);
        return err == 0 ? copy(r, m, e) : err;
}

/* ---- finding ---- */

static int judge_found(Replication *r, const Slot *s, const Memory *m, Err *e) {
        if (!s->is_ours)
                return FAIL(e, -ENOTRECOVERABLE,
                            "there is a replication slot %s of another database or plugin: give "
                            "the trigger a slot of another name",
                            r->o->slot);
        if (m->is_other_publication)
                return anew(r, "the publication was made anew, and the slot is older than it", e);
        if (!m->is_known)
                return FAIL(e, -ENOTRECOVERABLE,
                            "there is a replication slot %s already, and this Grapnel did not make "
                            "it: give the trigger a slot of another name, or, if nobody else reads "
                            "it, SELECT pg_drop_replication_slot('%s')",
                            r->o->slot, r->o->slot);
        return s->is_lost && m->phase != PHASE_MAKING ? judge_lost(r, e) : 0;
}

int replication_slot(Replication *r, Err *e) {
        AUTO(memory_done)
        Memory m = {0};
        Slot s;
        int err = find_slot(r, &s, e);

        if (err == 0)
                err = recall(r, &m, e);
        if (err < 0)
                return err;
        if (!s.exists && m.is_known && m.phase != PHASE_MAKING)
                return anew(r, "the replication slot is gone", e);
        if (!s.exists)
                return make(r, &m, e);
        err = judge_found(r, &s, &m, e);
        if (err < 0 || m.phase == PHASE_STREAMING)
                return err;
        if (!r->o->snapshot && !s.is_lost) /* it has a beginning already */
                return remember_phase(r, PHASE_STREAMING, e);
        if (m.phase == PHASE_COPYING)
                return go_on(r, &m, e);
        err = drop(r, e);
        return err == 0 ? make(r, &m, e) : err;
}

/* ---- the cap ---- */

/* How often in a row it ended without the slot's place having moved. */
static int64_t count_failures(Replication *r, const Slot *s, Err *e) {
        AUTO(buf_done)
        Buf before = BUF(128);
        AUTO(buf_done)
        Buf now = BUF(128);
        uint64_t n = 0;
        size_t blank;

        if (get(r, "failures", &before, e) < 0)
                return -1;
        blank = span_find(buf_span(&before), ' ');
        if (blank < before.n && span_eq(span_make(before.p, blank), span_of(s->confirmed)) &&
            !span_to_u64(span_from(buf_span(&before), blank + 1), 1000000, &n))
                n = 0;
        n++;
        must(buf_addf(&now, "%s %" PRIu64, s->confirmed, n) == 0);
        return remember(r, "failures", buf_span(&now), e) < 0 ? -1 : (int64_t)n;
}

int replication_give_up(Replication *r, int fault, Err *e) {
        AUTO(memory_done)
        Memory m = {0};
        Err ignored = {0}, lost = {0};
        int64_t lag = 0, n;
        Slot s;

        if (recall(r, &m, &ignored) < 0 || !m.has_slot)
                return fault; /* what is there is somebody else's */
        if (replication_gauges(r, &lag, &lost) == -ENOTRECOVERABLE) {
                *e = lost;
                return -ENOTRECOVERABLE;
        }
        if (r->o->max_lag == 0 || lag <= r->o->max_lag || find_slot(r, &s, &ignored) < 0 ||
            !s.exists || !s.is_ours)
                return fault;
        n = count_failures(r, &s, &ignored);
        if ((fault != -ENOTRECOVERABLE && n < FAILURES_MAX) || drop(r, &ignored) < 0)
                return fault;
        err_prefix(e,
                   "the server kept more than max_lag (%" PRId64
                   " bytes) of its log, so slot %s was "
                   "given up, and changes are missed; what stopped it",
                   r->o->max_lag, r->o->slot);
        return -ENOTRECOVERABLE;
}
