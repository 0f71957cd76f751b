/* SPDX-License-Identifier: Apache-2.0 */
#include "app/declare.h"

#include "base/clock.h"
#include "base/id.h"
#include "json/value.h"

enum { MAKER = ID_MAKERS_MAX - 1, TEXT_MAX_BYTES = OBJECT_TEXT_MAX_BYTES + 128, TRIES_MAX = 3 };

/* ---- applications ---- */

static void on_written(LedgerRequest *r) {
        *(bool *)r->arg = true;
}

/* The main thread's. It stays: the ledger may still have it in hand when the note was read. */
static Inbox *inbox_of_main(void) {
        static Inbox inbox;
        static bool is_there;

        if (!is_there)
                inbox_init(&inbox, NULL, NULL);
        is_there = true;
        return &inbox;
}

/* One commit; the main thread has nothing else to do meanwhile. */
static int write_object(Ledger *ledger, const Object *o, LedgerRequest *r) {
        Inbox *inbox = inbox_of_main();
        bool done = false;
        int sent;

        *r = (LedgerRequest){.ask = ASK_WRITE,
                             .home = inbox,
                             .done = on_written,
                             .arg = &done,
                             .write = {.kind = WRITE_OBJECT, .object = {.object = *o}}};
        sent = ledger_send(ledger, r);
        while (sent == 0 && !done)
                for (Note *next, *n = inbox_wait(inbox, -1); n; n = next) {
                        next = n->next;
                        n->read(n);
                }
        return sent < 0 ? sent : r->result;
}

static int make_application(Ledger *ledger, Registry *registry, Span uid, Err *e) {
        static IdMaker ids; /* of the main thread */
        AUTO(buf_done)
        Buf text = BUF(1024);
        int64_t now = clock_wall_ms();
        LedgerRequest r;
        int bad;

        if (!ids.last)
                id_maker_init(&ids, MAKER, ledger_last_id(ledger));
        if (buf_addf(&text,
                     "{\"name\":\"" SPAN_FMT "\",\"uid\":\"" SPAN_FMT "\",\"createdAt\":%" PRId64
                     ",\"updatedAt\":%" PRId64 "}",
                     SPAN_ARG(uid), SPAN_ARG(uid), now, now) < 0)
                return FAIL(e, -EMSGSIZE, "the uid of an application is too long");
        bad = write_object(ledger,
                           &(Object){.kind = OBJECT_APPLICATION,
                                     .id = id_make(&ids, now),
                                     .name = uid,
                                     .text = buf_span(&text)},
                           &r);
        if (bad < 0)
                return FAIL(e, bad, "the application '" SPAN_FMT "' could not be stored: %s",
                            SPAN_ARG(uid), r.error.text);
        /* Whoever made it first tells the registry. */
        return r.write.object.result == OBJECT_WRITTEN
                       ? registry_put(registry, &r.write.object.object, e)
                       : 0;
}

/* Its id; 0 after a fault. */
static int64_t application_of(Ledger *ledger, Registry *registry, Span uid, Err *e) {
        Entry *app = registry_by_name(registry, OBJECT_APPLICATION, 0, uid);
        int64_t id;

        for (int i = 0; !app && i < TRIES_MAX; i++) {
                if (make_application(ledger, registry, uid, e) < 0)
                        return 0;
                app = registry_by_name(registry, OBJECT_APPLICATION, 0, uid);
        }
        id = app ? app->object.id : 0;
        if (!app)
                (void)FAIL(e, -EAGAIN, "the application '" SPAN_FMT "' is being made by another",
                           SPAN_ARG(uid));
        entry_unref(app);
        return id;
}

/* ---- endpoints ---- */

/* When it came into the file, as far as this process knows. */
static int64_t created_ms(Registry *registry, int64_t id, int64_t now_ms) {
        Entry *old = registry_by_id(registry, OBJECT_ENDPOINT, id);
        uint64_t ms;
        bool known = old && span_to_u64(json_trim(json_member(old->object.text, SPAN("createdAt"))),
                                        INT64_MAX, &ms);

        entry_unref(old);
        return known ? (int64_t)ms : now_ms;
}

static int object_of(Registry *registry, const Declared *d, int64_t application, Buf *text,
                     Object *ret, Err *e) {
        int64_t now = clock_wall_ms();

        if (declared_print(d, created_ms(registry, d->id, now), now, text) < 0)
                return FAIL(e, -EMSGSIZE, "the endpoint '%s' is too large", d->config->name);
        *ret = (Object){.kind = OBJECT_ENDPOINT,
                        .id = d->id,
                        .owner = application,
                        .name = span_of(d->config->name),
                        .text = buf_span(text)};
        return 0;
}

int declare_endpoints(Ledger *ledger, Registry *registry, const Snapshot *s, Err *e) {
        size_t n = s->config->n_endpoints;
        Object *objects = must_alloc((n + 1) * sizeof *objects);
        Buf *texts = must_alloc((n + 1) * sizeof *texts);
        int bad = 0;

        for (size_t i = 0; i < n && bad == 0; i++) {
                const Declared *d = &s->endpoints[i];
                int64_t app = application_of(ledger, registry, span_of(d->config->application), e);

                texts[i] = BUF(TEXT_MAX_BYTES);
                bad = app ? object_of(registry, d, app, &texts[i], &objects[i], e) : -EAGAIN;
        }
        if (bad == 0)
                bad = registry_declare(registry, objects, n, e);
        for (size_t i = 0; i < n; i++) {
                if (texts[i].p)
                        explicit_bzero(texts[i].p, texts[i].n);
                buf_done(&texts[i]);
        }
        free(texts);
        free(objects);
        return bad;
}
