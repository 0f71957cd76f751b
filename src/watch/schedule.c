/* SPDX-License-Identifier: Apache-2.0
 *
 * schedule: an event at each moment that a cron expression names. What is remembered is the last
 * moment that was handed in, never "each minute"; so a start after a pause knows what was missed.
 * The id of an event is its moment: two processes that share a ledger make one event of it. */
#include "base/clock.h"
#include "watch/cron.h"
#include "watch/row_change.h"
#include "watch/watch.h"

#include <errno.h>

#define LAST_NOTE    "last"
#define ABOUT_NOTE   "about" /* of which moments that is the last one */
#define LOOK_MS      5000    /* the clock may be set meanwhile, or stand still with the machine */
#define ON_TIME_S    60      /* later than this, a moment was missed */
#define CLOCK_FAST_S 3600    /* the last moment is so far ahead only if the clock was */

enum { ALL_MAX = 100, ARENA_BYTES = 64 * 1024 };

typedef enum Missed { MISSED_ONCE, MISSED_SKIP, MISSED_ALL } Missed;
static const char *const policies[] = {
        [MISSED_ONCE] = "once", [MISSED_SKIP] = "skip", [MISSED_ALL] = "all", NULL};

typedef struct ScheduleOptions {
        const char *text, *zone_name;
        int missed;
        Cron cron;
} ScheduleOptions;

#define AT(field) offsetof(ScheduleOptions, field)

static const Option options[] = {
        {.name = "schedule",
         .type = OPTION_TEXT,
         .offset = AT(text),
         .required = true,
         .shape = "cron expression",
         .help = "Minute, hour, day of the month, month, day of the week: `30 2 * * mon-fri`; or "
                 "`@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."},
        {.name = "zone",
         .type = OPTION_TEXT,
         .offset = AT(zone_name),
         .fallback = "UTC",
         .shape = "IANA time zone",
         .help = "Whose clocks it goes by, such as `Europe/Helsinki`."},
        {.name = "missed",
         .type = OPTION_CHOICE,
         .offset = AT(missed),
         .fallback = "once",
         .choices = policies,
         .help = "What becomes of moments that went by while nobody looked. `once`: the last of "
                 "them comes late; `skip`: none does; `all`: each does, at most the last 100."},
};

static int prepare(TriggerBuild *b, void *into) {
        ScheduleOptions *o = into;
        const Node *text = node_get(b->map, "schedule"), *zone = node_get(b->map, "zone");
        Zone *z = NULL;
        Err e = {0};
        int r = 0;

        if (cron_parse(span_of(o->text), &o->cron, &e) < 0)
                r = problem_add(b->problems, text->text_place, "schedule: %s", e.text);
        e = (Err){0};
        if (zone_open(span_of(o->zone_name), &z, &e) < 0)
                return problem_add(b->problems, zone ? zone->text_place : b->map->place, "zone: %s",
                                   e.text);
        int64_t next;
        if (r == 0 && !cron_next(&o->cron, z, clock_wall_ms() / 1000, &next))
                r = problem_add(b->problems, text->text_place,
                                "schedule: there is no such day within ten years");
        zone_close(z);
        return r;
}

/* ---- at work ---- */

typedef struct Clockwork {
        Watch *watch;
        const ScheduleOptions *o;
        Zone *zone;
        Notes *notes;
        int64_t last_s;
} Clockwork;

static int remember(Clockwork *c, int64_t moment_s, Err *e) {
        char text[32];

        (void)snprintf(text, sizeof text, "%" PRId64, moment_s);
        c->last_s = moment_s;
        return notes_put(c->notes, SPAN(LAST_NOTE), span_of(text), e);
}

/* 1: it goes by the same clock as when the last moment was noted. */
static int is_same(Clockwork *c, Buf *about, Err *e) {
        AUTO(buf_done)
        Buf was = BUF(8192);
        int r;

        if (buf_addf(about, "%s\n%s", c->o->zone_name, c->o->text) < 0)
                return FAIL(e, -EMSGSIZE, "the expression is too long");
        r = notes_get(c->notes, SPAN(ABOUT_NOTE), &was, e);
        return r < 0 ? r : r == 0 || span_eq(buf_span(&was), buf_span(about));
}

/* The first time there is nothing that could have been missed, nor when the expression is another
 * one: its moments were not waited for. */
static int recall(Clockwork *c, Err *e) {
        AUTO(buf_done)
        Buf text = BUF(64);
        AUTO(buf_done)
        Buf about = BUF(8192);
        int same = is_same(c, &about, e), r;
        uint64_t last;

        if (same < 0)
                return same;
        r = notes_get(c->notes, SPAN(LAST_NOTE), &text, e);
        if (r < 0)
                return r;
        if (r == 1 && same && span_to_u64(buf_span(&text), INT64_MAX, &last)) {
                c->last_s = (int64_t)last;
                r = 0;
        } else
                r = remember(c, clock_wall_ms() / 1000, e);
        return r < 0 ? r : notes_put(c->notes, SPAN(ABOUT_NOTE), buf_span(&about), e);
}

static void moment_text(int64_t moment_s, char ret[CLOCK_TEXT]) {
        clock_print(moment_s * 1000, ret);
}

static int hand_in(Clockwork *c, int64_t moment_s, int64_t before_s, bool is_late, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(ARENA_BYTES);
        const char *source = watch_trigger(c->watch)->source->name;
        char at[CLOCK_TEXT], before[CLOCK_TEXT], now[CLOCK_TEXT], id[32], more[320];
        EnvelopeEvent event;

        moment_text(moment_s, at);
        moment_text(before_s, before);
        clock_print(clock_wall_ms(), now);
        (void)snprintf(id, sizeof id, "%" PRId64, moment_s);
        (void)snprintf(more, sizeof more,
                       "\"schedule\":{\"at\":\"%s\",\"after\":\"%s\",\"made\":\"%s\",\"zone\":"
                       "\"%s\",\"late\":%s}",
                       at, before, now, c->o->zone_name, is_late ? "true" : "false");
        RowChange change = {.source = span_of(source),
                            .kind = "schedule",
                            .table = span_of(source),
                            .op = "schedule",
                            .index = -1,
                            .time = span_of(at),
                            .time_is = "schedule",
                            .more = span_of(more),
                            .id = span_of(id)};
        if (!row_change_event(&change, a, &event))
                return FAIL(e, -EMSGSIZE, "the event is too large");
        int r = watch_submit(c->watch, &event, 1, e);

        return r < 0 ? r : remember(c, moment_s, e);
}

/* The moments from the last one to now, oldest first; of more than fit the last ones. */
static size_t due(Clockwork *c, int64_t now_s, int64_t ret[ALL_MAX], size_t *ret_all) {
        int64_t at = c->last_s, next;
        size_t n = 0;

        while (cron_next(&c->o->cron, c->zone, at, &next) && next <= now_s &&
               n < (size_t)ALL_MAX * 1000) {
                ret[n++ % ALL_MAX] = next;
                at = next;
        }
        *ret_all = n;
        if (n > ALL_MAX) {
                int64_t turned[ALL_MAX];

                for (size_t i = 0; i < ALL_MAX; i++)
                        turned[i] = ret[(n + i) % ALL_MAX];
                memcpy(ret, turned, sizeof turned);
                n = ALL_MAX;
        }
        return n;
}

static int catch_up(Clockwork *c, int64_t now_s, Err *e) {
        int64_t moments[ALL_MAX];
        size_t all, n = due(c, now_s, moments, &all), from = 0;
        int64_t before = c->last_s;
        int r = 0;

        if (n == 0)
                return 0;
        if (c->o->missed != MISSED_ALL)
                from = n - 1;
        else if (all > n)
                watch_gauge(c->watch, "left_out", (int64_t)(all - n));
        for (size_t i = from; r == 0 && i < n; i++) {
                bool is_late = now_s - moments[i] > ON_TIME_S;

                if (is_late && c->o->missed == MISSED_SKIP)
                        r = remember(c, moments[i], e);
                else
                        r = hand_in(c, moments[i], i > from ? moments[i - 1] : before, is_late, e);
        }
        return r;
}

static int tick(Clockwork *c, Err *e) {
        for (;;) {
                int64_t now_ms = clock_wall_ms(), next, wait_ms = LOOK_MS;
                int r;

                /* Put back by much: it would be silent until then. Ids are known, so nothing comes
                 * twice. */
                if (c->last_s > now_ms / 1000 + CLOCK_FAST_S && remember(c, now_ms / 1000, e) < 0)
                        return -EIO;
                r = catch_up(c, now_ms / 1000, e);
                if (r < 0)
                        return r;
                watch_works(c->watch);
                if (cron_next(&c->o->cron, c->zone, c->last_s, &next)) {
                        int64_t left = next * 1000 - clock_wall_ms();

                        watch_gauge(c->watch, "next_s", next);
                        wait_ms = left < 0 ? 0 : left < LOOK_MS ? left : LOOK_MS;
                }
                r = watch_wait(c->watch, -1, wait_ms);
                if (r < 0)
                        return r;
        }
}

static int run(Watch *w, const void *options_, Err *e) {
        const ScheduleOptions *o = options_;
        Clockwork c = {.watch = w, .o = o};
        int r = zone_open(span_of(o->zone_name), &c.zone, e);

        if (r == 0) {
                c.notes = watch_notes(w, e);
                r = c.notes ? recall(&c, e) : -EIO;
        }
        if (r == 0)
                r = tick(&c, e);
        zone_close(c.zone);
        return r == -ECANCELED ? 0 : r;
}

const TriggerKind trigger_schedule = {
        .name = "schedule",
        .help = "Makes an event at each moment that a cron expression names.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(ScheduleOptions),
        .prepare = prepare,
        .run = run,
};
