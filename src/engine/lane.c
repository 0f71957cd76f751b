/* SPDX-License-Identifier: Apache-2.0
 *
 * What may cross on the way between an engine and the ledger, and why no job overtakes.
 *
 * The ground: a lane belongs to one loop; that loop sends the records, settles and claims of the
 * lane, they take effect in that order, and so come the replies. The ledger blocks a new job
 * whose lane has an earlier one that waits, is blocked, or lies there with nobody holding it. It
 * does not look at held ones: those are here, where they stand in line. And a claim, going by
 * ids, does not give a job whose lane has an earlier one waiting or blocked: it blocks that job
 * too. Only the ledger can know them.
 *
 * The head holds the lane until its end is confirmed, not only until its run is over. So the next
 * one is never written down as done while the one before it is not, whatever fails in between.
 *
 *  1. The head fails; its waiting is on its way. Jobs recorded before that commit are queued in
 *     the ledger. Their replies come before the head's, so they find the head here and stand.
 *     What is recorded after it is blocked by the ledger.
 *  2. The head's waiting is confirmed. All that stand are parked: settled as blocked. From now
 *     on only claims bring queued jobs of the lane.
 *  3. The head may be due at once and be claimed by a claim that was already on its way, before
 *     the parkings are committed. It stands until the last of them is confirmed: its end must
 *     find them blocked in the ledger, or nobody would wake them.
 *  4. A job recorded (or another one claimed) between that claim and the parkings is queued,
 *     since nothing was waiting or blocked in that moment, though a parked one stands before it.
 *     Its reply comes before theirs are confirmed: it finds the lane parking and, being later
 *     than the parked, is parked too.
 *  5. A parking is refused (full disk): it is tried again and the lane stays parked meanwhile.
 *  6. The head ends and wakes a blocked one, which then waits in the ledger, due at once. Until
 *     it is claimed, new ones are blocked: nothing stands here that could overtake.
 *  7. A spilled job of the lane lies in the ledger while the head runs here: new ones are blocked
 *     behind it, and the head's end wakes none of them before it. Does the head fail instead,
 *     then the spilled one is behind a waiting one, and the claim blocks it.
 *     Is the spilled one claimed and stands here when the head ends, then that end wakes one
 *     which is behind it. When it is claimed it stands, too, or the claim finds that its lane
 *     waits again, and blocks it.
 *  8. The process dies between the commit of the head's waiting and those of the parkings. What
 *     was standing is recovered as queued: the claim blocks it.
 *  9. Ids of two makers cross: a job is recorded after one with a later id, and finds that one
 *     running. Order goes by ids wherever there is a choice, since the ledger knows no other. So
 *     when the later one fails, the earlier one is not behind it and must not be parked: each
 *     would be blocked by the other. It goes on.
 * 10. There is no room for a job, or no time any more: it is given back, queued and held by nobody,
 *     and comes again by a claim, in the order of the ids. Until that is confirmed (a full disk may
 * refuse it for long) the ledger takes it for held, and a claim gives a later one of the lane as if
 * it were its turn: that one is given back too. */
#include "engine/lane.h"

#include "engine/state.h"

typedef struct Lane {
        Job *head;         /* ready, running, or its end is not confirmed */
        List standing;     /* in the order of their ids */
        size_t parking;    /* settles as blocked that are not confirmed ... */
        int64_t parked_id; /* ... and the first of them: the others are later */
        size_t giving;     /* given back, not confirmed ... */
        int64_t given_id;  /* ... and the first of them */
} Lane;

void lanes_init(Lanes *l, size_t max) {
        l->table = table_new(max);
        l->n_parked = 0;
}

typedef struct Giving {
        void (*give)(void *arg, Job *job);
        void *arg;
} Giving;

static void give_lane(void *arg, Span key, void *value) {
        const Giving *g = arg;
        Lane *lane = value;
        Link *at;

        (void)key;
        while ((at = list_pop(&lane->standing)))
                g->give(g->arg, CONTAINER_OF(at, Job, link));
        free(lane);
}

void lanes_done(Lanes *l, void (*give)(void *arg, Job *job), void *arg) {
        Giving g = {give, arg};

        table_each(l->table, give_lane, &g);
        l->table = table_free(l->table);
}

static Lane *lane_of(const Lanes *l, const Job *job) {
        return table_get(l->table, key_u64(&job->lane));
}

static Lane *lane_make(Lanes *l, const Job *job) {
        Lane *lane = must_alloc(sizeof *lane);

        list_init(&lane->standing);
        must(table_put(l->table, key_u64(&job->lane), lane) == 0);
        return lane;
}

static void stand(Lane *lane, Job *job) {
        Link *after = lane->standing.head.prev;

        /* Nearly always the last: ids grow. */
        while (after != &lane->standing.head && CONTAINER_OF(after, Job, link)->id > job->id)
                after = after->prev;
        job->link.prev = after;
        job->link.next = after->next;
        after->next->prev = &job->link;
        after->next = &job->link;
        lane->standing.n++;
}

static void count_parking(Lanes *l, Lane *lane, const Job *job) {
        if (lane->parking++ == 0) {
                l->n_parked++;
                lane->parked_id = job->id;
        }
}

static void count_giving(Lanes *l, Lane *lane, const Job *job) {
        if (lane->giving++ == 0) {
                l->n_parked++;
                lane->given_id = job->id;
        } else if (job->id < lane->given_id) {
                lane->given_id = job->id;
        }
}

/* The lane goes when nobody is left, here or on the way. */
static void lane_rest(Lanes *l, Lane *lane, uint64_t key) {
        if (lane->head || lane->standing.n > 0 || lane->parking > 0 || lane->giving > 0)
                return;
        table_remove(l->table, key_u64(&key));
        free(lane);
}

void lane_give(Lanes *l, Job *job) {
        Lane *lane = lane_of(l, job);

        must(job->lane && job->state == JOB_QUEUED && !link_on(&job->link));
        count_giving(l, lane ? lane : lane_make(l, job), job);
}

void lane_give_head(Lanes *l, Job *head) {
        Lane *lane = lane_of(l, head);

        must(lane && lane->head == head);
        lane->head = NULL;
        count_giving(l, lane, head);
}

typedef struct GivingStanding {
        Lanes *lanes;
        Giving to;
} GivingStanding;

static void give_standing(void *arg, Span key, void *value) {
        const GivingStanding *g = arg;
        Lane *lane = value;
        Link *at;

        (void)key;
        while ((at = list_pop(&lane->standing))) {
                Job *job = CONTAINER_OF(at, Job, link);

                count_giving(g->lanes, lane, job);
                g->to.give(g->to.arg, job);
        }
}

void lanes_give_standing(Lanes *l, void (*give)(void *arg, Job *job), void *arg) {
        table_each(l->table, give_standing, &(GivingStanding){l, {give, arg}});
}

void lane_given(Lanes *l, Job *job) {
        Lane *lane = lane_of(l, job);

        must(lane && lane->giving > 0);
        if (--lane->giving == 0)
                l->n_parked--;
        lane_rest(l, lane, job->lane);
}

LanePlace lane_add(Lanes *l, Job *job) {
        Lane *lane = lane_of(l, job);

        must(job->lane && job->state == JOB_QUEUED && !link_on(&job->link));
        if (!lane)
                lane = lane_make(l, job);
        if (lane->parking > 0 && job->id > lane->parked_id) {
                count_parking(l, lane, job);
                return LANE_PARK;
        }
        if (lane->giving > 0 && job->id > lane->given_id) {
                count_giving(l, lane, job);
                return LANE_GIVE;
        }
        if (lane->parking > 0 || lane->head) {
                stand(lane, job);
                return LANE_STAND;
        }
        lane->head = job;
        return LANE_HEAD;
}

bool lane_is_awaited(const Lanes *l, const Job *head) {
        const Lane *lane = lane_of(l, head);

        return lane && lane->standing.n > 0;
}

/* The next head, if it may have its turn; the lane goes when nobody is left. */
static Job *lane_turn(Lanes *l, Lane *lane, uint64_t key) {
        Link *first;

        if (lane->parking > 0)
                return NULL;
        first = list_pop(&lane->standing);
        if (first)
                return lane->head = CONTAINER_OF(first, Job, link);
        lane_rest(l, lane, key);
        return NULL;
}

Job *lane_ended(Lanes *l, Job *head) {
        Lane *lane = lane_of(l, head);

        must(lane && lane->head == head && lane->parking == 0);
        lane->head = NULL;
        return lane_turn(l, lane, head->lane);
}

Job *lane_waits(Lanes *l, Job *head, void (*park)(void *arg, Job *job), void *arg) {
        Lane *lane = lane_of(l, head);

        must(lane && lane->head == head && lane->parking == 0);
        lane->head = NULL;
        LIST_EACH(&lane->standing, at) {
                Job *job = CONTAINER_OF(at, Job, link);

                if (job->id < head->id)
                        continue;
                list_remove(&lane->standing, at);
                count_parking(l, lane, job);
                park(arg, job);
        }
        return lane_turn(l, lane, head->lane);
}

Job *lane_parked(Lanes *l, Job *job) {
        Lane *lane = lane_of(l, job);

        must(lane && lane->parking > 0 && !lane->head);
        if (--lane->parking > 0)
                return NULL;
        l->n_parked--;
        return lane_turn(l, lane, job->lane);
}
