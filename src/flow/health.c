/* SPDX-License-Identifier: Apache-2.0
 *
 * The health of an endpoint over days. Since when nothing but failures came back is written into
 * its object, so that a restart goes on counting; after OUTLET_FAILING_MAX_MS, or when it says that
 * it is gone, it is disabled and its owner is told. */
#include "base/clock.h"
#include "base/id.h"
#include "flow/outlet.h"

#include <jansson.h>

enum { WRITE_EVERY_MS = 60 * 1000 }; /* one that flaps does not keep the ledger busy */

/* A new text of the object on its way to the ledger. */
typedef struct HealthWrite {
        LedgerRequest request;
        Link link;
        Outlet *outlet;
        char target[ENDPOINT_TARGET_TEXT];
        const char *reason; /* it is disabled; NULL: only the moment changes */
        char *text;
        Entry *entry; /* as it was */
} HealthWrite;

static void tell_disabled(Outlet *o, const Endpoint *p, const char *reason, int64_t since_ms) {
        char app[ID_TEXT], id[ID_TEXT], since[CLOCK_TEXT];
        AUTO(buf_done)
        Buf data = BUF(1024);

        id_print("app", p->application, app);
        id_print("ep", p->id, id);
        clock_print(since_ms, since);
        if (buf_addf(&data,
                     "{\"type\":\"endpoint.disabled\",\"data\":{\"appId\":\"%s\","
                     "\"endpointId\":\"%s\",\"failSince\":\"%s\",\"trigger\":\"%s\"}}",
                     app, id, since, reason) == 0)
                o->host.tell(o->host.self, p, "endpoint.disabled", buf_span(&data));
}

static void write_next(Outlet *o, Station *s, const char *owed);

/* It is in the registry: who wants to know is told, and what was found out meanwhile follows. */
static void written(Outlet *o, Span target, const char *reason, const char *owed) {
        Station *s = outlet_station(o, target);

        if (s && reason)
                tell_disabled(o, s->endpoint, reason, s->endpoint->failing_since_ms);
        if (s)
                write_next(o, s, owed);
}

static void write_end(HealthWrite *w) {
        list_remove(&w->outlet->writes, &w->link);
        entry_unref(w->entry);
        free(w->text);
        free(w);
}

static void on_written(LedgerRequest *q) {
        HealthWrite *w = CONTAINER_OF(q, HealthWrite, request);
        Outlet *o = w->outlet;
        Station *s = table_get(o->stations, span_of(w->target));
        const char *owed = s ? s->owed : NULL;
        Err e = {0};

        if (s) {
                s->is_writing = false;
                s->owed = NULL;
        }
        /* Else another has changed it meanwhile: the next attempt begins with what that says. */
        if (q->result == 0 && q->write.object.result == OBJECT_WRITTEN &&
            registry_put(o->registry, &q->write.object.object, &e) == 0)
                written(o, span_of(w->target), w->reason, owed);
        write_end(w);
}

/* The object's text with the change; NULL when it cannot be read. From malloc. */
static char *changed(const Entry *entry, int64_t since_ms, const char *reason) {
        json_error_t why;
        json_t *j = json_loadb(entry->object.text.p, entry->object.text.n, 0, &why);
        char *text = NULL;

        if (json_is_object(j)) {
                if (since_ms)
                        json_object_set_new(j, "failingSince", json_integer(since_ms));
                else
                        json_object_del(j, "failingSince");
                if (reason) {
                        json_object_set_new(j, "disabled", json_true());
                        json_object_set_new(j, "disabledReason", json_string(reason));
                }
                text = json_dumps(j, JSON_COMPACT);
        }
        json_decref(j);
        return text;
}

/* The ledger knows nothing of an endpoint of the file: its health lasts until the next start. A
 * reload that came between has begun anew, and wins. */
static void note_health(Outlet *o, Station *s, const Entry *entry, const char *reason) {
        char *text = changed(entry, s->failing_since_ms, reason);
        char target[ENDPOINT_TARGET_TEXT];
        Object object = entry->object;
        Err e = {0};

        memcpy(target, s->endpoint->target, sizeof target);
        object.text = span_of(text);
        object.version++;
        s->written_ms = clock_mono_ms();
        if (text && registry_put(o->registry, &object, &e) == 0)
                written(o, span_of(target), reason, NULL);
        free(text);
}

static void write_health(Outlet *o, Station *s, const char *reason) {
        Entry *entry = registry_by_id(o->registry, OBJECT_ENDPOINT, s->endpoint->id);
        HealthWrite *w;

        if (!entry || s->is_writing) {
                s->owed = reason ? reason : s->owed;
                entry_unref(entry);
                return;
        }
        if (entry->is_declared) {
                note_health(o, s, entry, reason);
                entry_unref(entry);
                return;
        }
        w = must_alloc(sizeof *w);
        w->outlet = o;
        w->entry = entry;
        w->reason = reason;
        w->text = changed(entry, s->failing_since_ms, reason);
        memcpy(w->target, s->endpoint->target, sizeof w->target);
        list_push(&o->writes, &w->link);
        if (!w->text) {
                write_end(w);
                return;
        }
        w->request =
                (LedgerRequest){.ask = ASK_WRITE,
                                .home = &o->loop->inbox,
                                .done = on_written,
                                .write = {.kind = WRITE_OBJECT,
                                          .object = {.object = entry->object,
                                                     .must_exist = true,
                                                     .expects_version = entry->object.version}}};
        w->request.write.object.object.text = span_of(w->text);
        s->is_writing = true;
        s->written_ms = clock_mono_ms();
        must(ledger_send(o->ledger, &w->request) == 0); /* only records are refused */
}

/* What was found out while a write was on its way. */
static void write_next(Outlet *o, Station *s, const char *owed) {
        if (!s->endpoint->is_disabled &&
            (owed || (s->endpoint->failing_since_ms && !s->failing_since_ms)))
                write_health(o, s, owed);
}

static bool may_write(const Station *s) {
        return !s->is_writing &&
               (s->written_ms == 0 || clock_mono_ms() - s->written_ms >= WRITE_EVERY_MS);
}

void health_good(Outlet *o, Station *s) {
        s->failing_since_ms = 0;
        s->owed = NULL;
        /* At once: a restart may not count on from a failure that is over. */
        if (s->endpoint->failing_since_ms)
                write_health(o, s, NULL);
}

void health_bad(Outlet *o, Station *s, int64_t now_ms) {
        /* A moment that is still to come is that of a clock that was wrong. */
        if (!s->failing_since_ms || s->failing_since_ms > now_ms)
                s->failing_since_ms = now_ms;
        if (s->endpoint->is_disabled)
                return;
        if (now_ms - s->failing_since_ms >= OUTLET_FAILING_MAX_MS)
                write_health(o, s, "failing");
        else if (!s->endpoint->failing_since_ms && may_write(s))
                write_health(o, s, NULL);
}

void health_gone(Outlet *o, Station *s) {
        if (!s->failing_since_ms)
                s->failing_since_ms = clock_wall_ms();
        if (!s->endpoint->is_disabled)
                write_health(o, s, "gone");
}
