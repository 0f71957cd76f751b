/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/outlet.h"

#include "base/clock.h"
#include "base/table.h"
#include "flow/delivery.h"
#include "flow/verdict.h"
#include "http/url.h"

#include <unistd.h>

/* More than twice as many as there can be endpoints: then a sweep has been. */
enum { STATIONS_MAX = 1 << 20, SWEEP_MIN = 256 };

/* A DNS name of the sending system (CloudEvents HTTP webhook, section 4.1.1): where sources reach
 * us, else the machine's name. */
static void name_origin(Outlet *o) {
        const Config *config = o->snapshot->config;
        const char *public_url = config ? config->public_url : NULL;
        Url url;

        if (public_url && url_parse(span_of(public_url), &url, NULL) == 0)
                (void)snprintf(o->origin, sizeof o->origin, SPAN_FMT, SPAN_ARG(url.host));
        else if (gethostname(o->origin, sizeof o->origin - 1) < 0 || !o->origin[0])
                (void)snprintf(o->origin, sizeof o->origin, "localhost");
}

void outlet_init(Outlet *o, Loop *loop, Client *client, Ledger *ledger, Registry *registry,
                 Shelf *shelf, Snapshot *s, const OutletHost *host) {
        *o = (Outlet){.loop = loop,
                      .client = client,
                      .ledger = ledger,
                      .registry = registry,
                      .snapshot = snapshot_ref(s),
                      .host = *host,
                      .stations = table_new(STATIONS_MAX),
                      .sweep_at = SWEEP_MIN};
        list_init(&o->deliveries);
        list_init(&o->writes);
        mapper_init(&o->mapper, loop, shelf);
        name_origin(o);
}

static void free_station(void *arg, Span key, void *value) {
        Station *s = value;

        (void)arg;
        (void)key;
        bearer_unref(s->bearer);
        endpoint_unref(s->endpoint);
        throttle_unref(s->throttle);
        free(s);
}

static void drop_bearer(void *arg, Span key, void *value) {
        Station *s = value;

        (void)arg;
        (void)key;
        s->bearer = bearer_unref(s->bearer);
}

void outlet_close(Outlet *o) {
        outlet_cut(o);
        table_each(o->stations, drop_bearer, NULL);
        mapper_close(&o->mapper);
}

void outlet_done(Outlet *o) {
        table_each(o->stations, free_station, NULL);
        o->stations = table_free(o->stations);
        o->snapshot = snapshot_unref(o->snapshot);
}

/* The end of one may be that of others, which waited for its connection and could not begin: so
 * each is looked for anew. Those that are mapped stay. */
void outlet_cut(Outlet *o) {
        Link *it = o->deliveries.head.next;

        while (it != &o->deliveries.head) {
                size_t n = o->deliveries.n;

                delivery_cut(it);
                it = o->deliveries.n < n ? o->deliveries.head.next : it->next;
        }
}

void outlet_reload(Outlet *o, Snapshot *s) {
        snapshot_unref(o->snapshot);
        o->snapshot = snapshot_ref(s);
        /* Tokens too are fetched from where the new one allows. */
        table_each(o->stations, drop_bearer, NULL);
}

static void close_breaker(Station *s) {
        breaker_init(&s->breaker, BREAKER_FAILURES, BREAKER_PAUSE_MS, BREAKER_PAUSE_MAX_MS);
}

typedef struct Sweep {
        Outlet *o;
        List gone; /* Station */
} Sweep;

static void find_gone(void *arg, Span key, void *value) {
        Sweep *sweep = arg;
        Station *s = value;
        Endpoint *p = registry_endpoint(sweep->o->registry, key);

        if (!p && !s->is_writing)
                list_push(&sweep->gone, &s->link);
        endpoint_unref(p);
}

/* Nobody asks for an endpoint that was removed when no job of it is left. Looking through all of
 * them each time that their number has doubled costs next to nothing for each. */
static void sweep(Outlet *o) {
        Sweep all = {.o = o};
        Link *at;

        list_init(&all.gone);
        table_each(o->stations, find_gone, &all);
        while ((at = list_pop(&all.gone))) {
                Station *s = CONTAINER_OF(at, Station, link);

                (void)table_remove(o->stations, span_of(s->endpoint->target));
                free_station(NULL, (Span){NULL, 0}, s);
        }
        o->sweep_at = 2 * table_count(o->stations) + SWEEP_MIN;
}

static Station *station_new(Outlet *o, Span target) {
        Station *s = must_alloc(sizeof *s);

        if (table_count(o->stations) >= o->sweep_at)
                sweep(o);
        close_breaker(s);
        must(table_put(o->stations, target, s) == 0);
        return s;
}

/* Who changed it may have put right what was wrong. */
static void station_change(Station *s, const Endpoint *p) {
        const Endpoint *was = s->endpoint;

        s->bearer = bearer_unref(s->bearer);
        s->has_consent = s->has_consent && strcmp(was->url, p->url) == 0;
        if (was->failing_since_ms && !p->failing_since_ms)
                s->failing_since_ms = 0;
        if ((was->is_disabled && !p->is_disabled) || strcmp(was->url, p->url) != 0)
                close_breaker(s);
}

Station *outlet_station(Outlet *o, Span target) {
        Station *s = table_get(o->stations, target);
        uint64_t changes = registry_changes(o->registry);
        Endpoint *p;

        if (s && s->changes == changes)
                return s;
        p = registry_endpoint(o->registry, target);
        if (!p) {
                if (s && !s->is_writing)
                        free_station(NULL, target, table_remove(o->stations, target));
                return NULL;
        }
        if (!s) {
                s = station_new(o, target);
                s->failing_since_ms = p->failing_since_ms;
        }
        if (s->endpoint && s->endpoint->version != p->version)
                station_change(s, p);
        endpoint_unref(s->endpoint);
        s->endpoint = p;
        throttle_unref(s->throttle);
        s->throttle = registry_throttle(o->registry, p->application);
        s->changes = changes;
        return s;
}

const Endpoint *outlet_endpoint(Outlet *o, Span target) {
        const Station *s = outlet_station(o, target);

        return s ? s->endpoint : NULL;
}

TargetLimits outlet_limits(Outlet *o, Span target) {
        const Station *s = outlet_station(o, target);
        const Endpoint *p = s ? s->endpoint : NULL;

        return p ? (TargetLimits){.width = p->concurrency,
                                  .rate = p->rate,
                                  .batch = p->batch.events,
                                  .batch_bytes = p->batch.bytes,
                                  .batch_wait_ms = p->batch.wait_ms,
                                  .throttle = s->throttle}
                 : (TargetLimits){0};
}

static void end_without_target(Outlet *o, Job *const *jobs, size_t n) {
        AUTO(freep)
        JobResult *results = must_alloc(n * sizeof *results);
        AUTO(freep)
        Outcome *outcomes = must_alloc(n * sizeof *outcomes);

        for (size_t i = 0; i < n; i++) {
                outcomes[i] = (Outcome){.status = 424,
                                        .code = delivery_codes[DELIVERY_NO_TARGET].name,
                                        .message = SPAN("The endpoint was removed."),
                                        .retry_after_s = -1};
                results[i] = (JobResult){.verdict = JOB_FAILED,
                                         .wait_hint_ms = -1,
                                         .attempt = {.started_ms = clock_wall_ms(),
                                                     .code = span_of(outcomes[i].code),
                                                     .message = outcomes[i].message}};
        }
        o->host.ended(o->host.self, jobs, results, outcomes, n);
}

void outlet_start(Outlet *o, Job *const *jobs, size_t n) {
        Station *s = outlet_station(o, jobs[0]->target);

        if (s)
                delivery_start(o, s, jobs, n);
        else
                end_without_target(o, jobs, n);
}
