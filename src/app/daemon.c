/* SPDX-License-Identifier: Apache-2.0 */
#include "app/daemon.h"

#include "app/declare.h"
#include "app/noticing.h"
#include "app/part.h"
#include "base/clock.h"
#include "base/log.h"
#include "flow/writes.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define PARTS_MAX          LIMIT_LOOPS_MAX
#define EXIT_BROKEN        3 /* the ledger failed: start again, it recovers */
#define PROBLEMS_ARENA     (4 * 1024 * 1024)
#define PROBLEMS_TEXT_MAX  (1024 * 1024)
#define LEASE_MS           30000
#define DESCRIPTORS_MAX    65536
#define WATCHES_END_MS     5000
#define CHANGES_LOADED_MAX 16384 /* some 10 ms */

/* A replay or a backfill. */
typedef struct Task {
        ObjectKind kind;
        int64_t id;
} Task;

typedef struct Daemon {
        const char *path;
        Snapshot *snapshot; /* the newest */
        uv_loop_t uv;
        uv_signal_t term, interrupt, hangup;
        Ledger *ledger;
        Registry *registry;
        Shelf *shelf;
        Idempotency *idempotency;
        Writes *writes;
        Part *parts;
        Hub *hubs;
        Inlet *inlets;
        Replayer *replayers;
        Backfiller *backfillers;
        Watches *watches;
        Desks *desks;
        bool watches_stay; /* one of them did not end: what it may touch stays too */
        Task *tasks;       /* that the ledger held at the start */
        size_t n_tasks;
        unsigned n;
        _Atomic unsigned undrained;
} Daemon;

extern char **environ;

/* ---- configuration ---- */

static void print_problems(const Problems *problems) {
        AUTO(buf_done)
        Buf text = BUF(PROBLEMS_TEXT_MAX);

        if (problems_print(problems, &text) < 0)
                (void)fputs("there are more problems than can be shown\n", stderr);
        (void)fwrite(text.p ? text.p : "", 1, text.n, stderr);
}

Snapshot *daemon_load(const char *path, char *const *environment) {
        AUTO(arena_freep)
        Arena *a = arena_new(PROBLEMS_ARENA);
        Problems *problems = arena_alloc(a, sizeof *problems);
        Config *c;
        Snapshot *s = NULL;

        must(problems);
        problems->arena = a;
        c = config_load_partly(path, environment, problems);
        if (c) {
                noticing_check(c, problems);
                s = snapshot_build(c, problems);
        }
        print_problems(problems);
        return s;
}

int daemon_check(const char *path) {
        Snapshot *s = daemon_load(path, environ);

        if (!s)
                return 1;
        const Config *c = s->config;
        printf("%s: no errors; %zu source%s, %zu flow%s, %zu connection%s, %zu endpoint%s\n", path,
               c->n_sources, c->n_sources == 1 ? "" : "s", c->n_flows, c->n_flows == 1 ? "" : "s",
               c->n_connections, c->n_connections == 1 ? "" : "s", c->n_endpoints,
               c->n_endpoints == 1 ? "" : "s");
        snapshot_unref(s);
        return 0;
}

/* ---- signals ---- */

static void on_stop_signal(uv_signal_t *h, int number) {
        Daemon *d = h->data;

        (void)number;
        log_fact(LOG_INFO, "stopping", NULL);
        uv_close((uv_handle_t *)&d->term, NULL);
        uv_close((uv_handle_t *)&d->interrupt, NULL);
        uv_close((uv_handle_t *)&d->hangup, NULL);
        /* Closing them gave the signals their default back, and the next would kill what runs. */
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
        /* Events that are on their way still need the loops. */
        d->watches_stay = !watches_stop(d->watches, WATCHES_END_MS);
        if (!desks_stop(d->desks, WATCHES_END_MS))
                d->watches_stay = true;
        for (unsigned i = 0; i < d->n; i++)
                part_stop(&d->parts[i]);
}

static bool same_place(const ListenConfig *a, const ListenConfig *b) {
        return strcmp(a->host, b->host) == 0 && a->port == b->port;
}

/* What only a restart changes, and was changed: said, or somebody looks for it in vain. */
static void tell_what_waits(const Config *a, const Config *b) {
        const struct {
                const char *option;
                bool is_same;
        } all[] = {
                {"listen", same_place(&a->listen, &b->listen)},
                {"admin", same_place(&a->admin, &b->admin)},
                {"ledger", strcmp(a->ledger, b->ledger) == 0},
                {"keep", a->keep_ms == b->keep_ms && a->keep_bytes == b->keep_bytes},
                {"once_window", a->once_ms == b->once_ms},
                {"threads", a->threads == b->threads},
                {"limits", a->connections_max == b->connections_max &&
                                   a->head_timeout_ms == b->head_timeout_ms &&
                                   a->body_timeout_ms == b->body_timeout_ms &&
                                   a->idle_timeout_ms == b->idle_timeout_ms},
        };

        for (size_t i = 0; i < COUNT_OF(all); i++)
                if (!all[i].is_same)
                        log_fact(LOG_WARN, "this option changes with a restart only", "option",
                                 span_of(all[i].option), NULL);
}

static void on_hangup(uv_signal_t *h, int number) {
        Daemon *d = h->data;
        Snapshot *s = daemon_load(d->path, environ);
        Err e = {0};

        (void)number;
        if (s && declare_endpoints(d->ledger, d->registry, s, &e) < 0) {
                (void)fprintf(stderr, "%s: %s\n", d->path, e.text);
                s = snapshot_unref(s);
        }
        if (!s) {
                log_fact(LOG_ERROR, "reload refused: the running configuration stays", NULL);
                return;
        }
        log_set_level((LogLevel)s->config->log_level);
        for (unsigned i = 0; i < d->n; i++)
                part_reload(&d->parts[i], snapshot_ref(s));
        noticing_set(d->watches, d->desks, s->config);
        log_fact(LOG_INFO, "reloaded", "file", span_of(d->path), NULL);
        tell_what_waits(d->snapshot->config, s->config);
        snapshot_unref(d->snapshot);
        d->snapshot = s;
}

static void hear_signals(Daemon *d) {
        must(uv_signal_init(&d->uv, &d->term) == 0 && uv_signal_init(&d->uv, &d->interrupt) == 0 &&
             uv_signal_init(&d->uv, &d->hangup) == 0);
        d->term.data = d->interrupt.data = d->hangup.data = d;
        must(uv_signal_start(&d->term, on_stop_signal, SIGTERM) == 0 &&
             uv_signal_start(&d->interrupt, on_stop_signal, SIGINT) == 0 &&
             uv_signal_start(&d->hangup, on_hangup, SIGHUP) == 0);
}

/* ---- start and end ---- */

/* Promise 3: nothing of the batch was answered, and nothing more will be. */
static void on_broken(void *arg, const Err *why) {
        (void)arg;
        log_fact(LOG_ERROR, "the ledger failed: ending, a restart recovers", "why",
                 span_of(why->text), NULL);
        _exit(EXIT_BROKEN);
}

static int open_ledger(Daemon *d, const Config *c, Err *e) {
        LedgerOptions o = {
                .url = span_of(c->ledger),
                .store = {.node = "node", .lease_ms = LEASE_MS, .once_ms = c->once_ms},
                .keep = {.before_ms = c->keep_ms, .bytes_max = c->keep_bytes, .max = 256},
                .broken = on_broken,
                .arg = d};

        return ledger_open(&o, &d->ledger, e);
}

/* ---- what the ledger brings from before ---- */

typedef struct Loading {
        Daemon *daemon;
        Err *e;
        int result;
} Loading;

static void load_object(void *arg, const Object *o) {
        Loading *l = arg;
        Err why = {0};

        if (l->result == 0 && registry_put(l->daemon->registry, o, &why) < 0)
                l->result = FAIL(l->e, -EINVAL,
                                 "the ledger holds an object that this version cannot read: %s",
                                 why.text);
        if (o->kind == OBJECT_REPLAY || o->kind == OBJECT_BACKFILL) {
                Daemon *d = l->daemon;

                d->tasks = realloc(d->tasks, (d->n_tasks + 1) * sizeof *d->tasks);
                must(d->tasks);
                d->tasks[d->n_tasks++] = (Task){o->kind, o->id};
        }
}

static int load_registry(Daemon *d, Err *e) {
        Loading l = {d, e, 0};
        int r;

        d->registry = registry_new();
        d->shelf = shelf_new();
        r = ledger_each_object(d->ledger, load_object, &l, e);
        return r < 0 ? r : l.result;
}

/* Those that have ended see it at their first look. */
static void load_tasks(Daemon *d) {
        for (size_t i = 0; i < d->n_tasks; i++)
                if (d->tasks[i].kind == OBJECT_REPLAY)
                        replayer_wake(d->replayers, d->n, d->tasks[i].id);
                else
                        backfiller_wake(d->backfillers, d->n, d->tasks[i].id);
        free(d->tasks);
        d->tasks = NULL;
}

static void load_backlog(void *arg, Span target, int64_t due_ms) {
        Daemon *d = arg;

        for (unsigned i = 0; i < d->n; i++)
                part_backlog(&d->parts[i], target, due_ms);
}

/* Of the latest jobs: an older change may still come. */
static void load_change(void *arg, const Change *c) {
        Daemon *d = arg;

        for (unsigned i = 0; i < d->n; i++)
                part_change(&d->parts[i], c);
}

/* Connections are descriptors, in and out: as many as the system gives. */
static void raise_descriptors(void) {
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
                l.rlim_cur = l.rlim_max < DESCRIPTORS_MAX ? l.rlim_max : DESCRIPTORS_MAX;
                (void)setrlimit(RLIMIT_NOFILE, &l);
        }
}

static int listen_all(Daemon *d, const Config *c, Err *e) {
        uint16_t port = c->listen.port, admin_port = c->admin.port;
        int r = 0;

        for (unsigned i = 0; i < d->n && r == 0; i++) {
                r = part_listen(&d->parts[i], port, admin_port, e);
                /* The first may have been given any port; the others share it. */
                if (r == 0) {
                        port = server_port(d->parts[i].server);
                        admin_port = server_port(d->parts[i].admin_server);
                }
        }
        return r;
}

static int start(Daemon *d, Snapshot *s, Err *e) {
        const Config *c = s->config;
        PartShares all;
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        int r;

        d->n = c->threads ? (unsigned)c->threads : cores > 0 ? (unsigned)cores : 1;
        if (d->n > PARTS_MAX)
                d->n = PARTS_MAX;
        d->parts = must_alloc(d->n * sizeof *d->parts);
        d->hubs = must_alloc(d->n * sizeof *d->hubs);
        d->inlets = must_alloc(d->n * sizeof *d->inlets);
        d->replayers = must_alloc(d->n * sizeof *d->replayers);
        d->backfillers = must_alloc(d->n * sizeof *d->backfillers);
        raise_descriptors();
        d->undrained = d->n;
        r = open_ledger(d, c, e);
        if (r == 0)
                r = load_registry(d, e);
        if (r == 0)
                r = declare_endpoints(d->ledger, d->registry, s, e);
        d->idempotency = idem_new();
        d->writes = writes_new();
        d->watches = noticing_new(c, &d->inlets[0]);
        d->desks = noticing_desks();
        all = (PartShares){.ledger = d->ledger,
                           .registry = d->registry,
                           .shelf = d->shelf,
                           .writes = d->writes,
                           .idempotency = d->idempotency,
                           .hubs = d->hubs,
                           .inlets = d->inlets,
                           .replayers = d->replayers,
                           .watches = d->watches,
                           .desks = d->desks,
                           .backfillers = d->backfillers,
                           .n = d->n,
                           .undrained = &d->undrained};
        for (unsigned i = 0; i < d->n && r == 0; i++)
                r = part_init(&d->parts[i], i, &all, s, e);
        if (r == 0)
                r = ledger_each_backlog(d->ledger, load_backlog, d, e);
        if (r == 0)
                r = ledger_each_change(d->ledger, CHANGES_LOADED_MAX, load_change, d, e);
        if (r == 0)
                load_tasks(d);
        return r < 0 ? r : listen_all(d, c, e);
}

static void tell_listening(const Daemon *d, const Config *c) {
        char public[96], admin[96];

        (void)snprintf(public, sizeof public, "%s:%u", c->listen.host,
                       server_port(d->parts[0].server));
        (void)snprintf(admin, sizeof admin, "%s:%u", c->admin.host,
                       server_port(d->parts[0].admin_server));
        log_fact(LOG_INFO, "listening", "webhooks", span_of(public), "admin", span_of(admin),
                 "ledger", span_of(c->ledger), NULL);
}

int daemon_run(const char *path) {
        Daemon d = {.path = path};
        Snapshot *s = daemon_load(path, environ);
        Err e = {0};

        if (!s)
                return 1;
        log_set_level((LogLevel)s->config->log_level);
        (void)signal(SIGPIPE, SIG_IGN);
        must(uv_loop_init(&d.uv) == 0);
        if (start(&d, s, &e) < 0) {
                (void)fprintf(stderr, "grapnel: %s\n", e.text);
                _exit(1); /* nothing was promised to anyone yet */
        }
        hear_signals(&d);
        tell_listening(&d, s->config);
        d.snapshot = s;
        /* Before the loops answer: their first call may be for a statement. What triggers hand in
         * waits for them. */
        noticing_set(d.watches, d.desks, s->config);
        for (unsigned i = 0; i < d.n; i++)
                part_start(&d.parts[i]);
        (void)uv_run(&d.uv, UV_RUN_DEFAULT);
        for (unsigned i = 0; i < d.n; i++)
                part_join(&d.parts[i]);
        ledger_close(d.ledger); /* it too sends notes to the loops */
        if (d.watches_stay) {
                log_fact(LOG_WARN,
                         "stopped, but for a trigger or statement that did not end in time", NULL);
                _exit(0);
        }
        watches_free(d.watches);
        desks_free(d.desks);
        parts_done(d.parts, d.n);
        registry_free(d.registry);
        shelf_free(d.shelf);
        idem_free(d.idempotency);
        writes_free(d.writes);
        snapshot_unref(d.snapshot);
        (void)uv_loop_close(&d.uv);
        free(d.parts);
        free(d.hubs);
        free(d.inlets);
        free(d.replayers);
        free(d.backfillers);
        log_fact(LOG_INFO, "stopped", NULL);
        return 0;
}
