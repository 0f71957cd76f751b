/* SPDX-License-Identifier: Apache-2.0
 *
 * How many events a ledger takes: each is recorded and then settled, by as many senders in flight
 * as asked, which is what sets the size of the batches. Prints pairs per second, the time of a
 * commit (50th and 99th percentile, as a sender sees it), and CPU per pair of the whole process.
 *
 *     ledger_rate [directory [url-scheme [existing-rows]]] */
#include "base/clock.h"
#include "base/id.h"
#include "base/random.h"
#include "ledger/ledger.h"

#include <sys/resource.h>
#include <unistd.h>

enum { IN_FLIGHT_MAX = 2048, LATENCIES_MAX = 4000000 };

typedef struct Slot {
        LedgerRequest request;
        Event *event;
        Job *job;
        Attempt attempt;
        int64_t sent_us;
        struct Bench *bench;
} Slot;

typedef struct Bench {
        Ledger *ledger;
        Inbox home;
        IdMaker ids;
        Rng rng;
        bool with_keys;
        size_t wanted, sent, settled;
        uint32_t *latencies_us;
        size_t n_latencies;
        Slot slots[IN_FLIGHT_MAX];
} Bench;

static char body[1024];

static void next(Slot *s);

static void on_settled(LedgerRequest *r) {
        Slot *s = r->arg;

        must(r->result == 0);
        s->bench->settled++;
        event_unref(s->event);
        job_free(s->job);
        next(s);
}

static void on_recorded(LedgerRequest *r) {
        Slot *s = r->arg;

        must(r->result == 0 && r->write.record.result == RECORD_NEW);
        if (s->bench->n_latencies < LATENCIES_MAX)
                s->bench->latencies_us[s->bench->n_latencies++] =
                        (uint32_t)(clock_mono_us() - s->sent_us);
        s->job->state = JOB_DONE;
        s->job->attempts = 1;
        s->attempt = (Attempt){.number = 1,
                               .started_ms = clock_wall_ms(),
                               .took_us = 900,
                               .status = 200,
                               .code = SPAN("delivered")};
        r->done = on_settled;
        r->write = (Write){.kind = WRITE_SETTLE, .settle = {.job = s->job, .attempt = &s->attempt}};
        must(ledger_send(s->bench->ledger, r) == 0);
}

static void next(Slot *s) {
        Bench *b = s->bench;
        char key[40];

        if (b->sent == b->wanted)
                return;
        b->sent++;
        int n = snprintf(key, sizeof key, "msg_%016" PRIx64, rng_next(&b->rng));
        s->event = event_new(&(Event){
                .id = id_make(&b->ids, clock_wall_ms()),
                .received_ms = clock_wall_ms(),
                .source = SPAN("shop"),
                .key = span_make(key, b->with_keys ? (size_t)n : 0),
                .type = SPAN("order.paid"),
                .subject = SPAN("order-12345"),
                .content_type = SPAN("application/json"),
                .body = span_make(body, sizeof body),
        });
        s->job = job_new(id_make(&b->ids, clock_wall_ms()), s->event, SPAN("endpoint:ep_1"), 0);
        s->request =
                (LedgerRequest){.ask = ASK_WRITE, .home = &b->home, .done = on_recorded, .arg = s};
        s->request.write.record.event = s->event;
        s->request.write.record.jobs = &s->job;
        s->request.write.record.n_jobs = 1;
        s->sent_us = clock_mono_us();
        must(ledger_send(b->ledger, &s->request) == 0);
}

static int by_size(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static int64_t cpu_us(void) {
        struct rusage u;

        must(getrusage(RUSAGE_SELF, &u) == 0);
        return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
               u.ru_stime.tv_usec;
}

static void run(Bench *b, size_t in_flight, size_t wanted) {
        LedgerGauges before = ledger_gauges(b->ledger);
        int64_t began_us = clock_mono_us(), cpu_before_us = cpu_us();

        b->wanted = wanted;
        b->sent = b->settled = b->n_latencies = 0;
        for (size_t i = 0; i < in_flight; i++) {
                b->slots[i].bench = b;
                next(&b->slots[i]);
        }
        while (b->settled < wanted)
                for (Note *n = inbox_wait(&b->home, -1), *then; n; n = then) {
                        then = n->next;
                        n->read(n);
                }
        double seconds = (double)(clock_mono_us() - began_us) / 1e6;
        LedgerGauges after = ledger_gauges(b->ledger);
        qsort(b->latencies_us, b->n_latencies, sizeof *b->latencies_us, by_size);
        printf("%9zu %9s %10.0f %9.1f %10.2f %10.2f %10.2f\n", in_flight,
               b->with_keys ? "yes" : "no", (double)wanted / seconds,
               (double)(after.writes - before.writes) / (double)(after.batches - before.batches),
               b->latencies_us[b->n_latencies / 2] / 1000.0,
               b->latencies_us[b->n_latencies * 99 / 100] / 1000.0,
               (double)(cpu_us() - cpu_before_us) / (double)wanted);
        (void)fflush(stdout);
}

int main(int argc, char **argv) {
        const char *dir = argc > 1 ? argv[1] : "/tmp", *scheme = argc > 2 ? argv[2] : "sqlite";
        size_t existing = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 1000000;
        Bench *b = must_alloc(sizeof *b);
        char url[512];
        Err e = {0};

        (void)snprintf(url, sizeof url, "%s:%s/ledger_rate-%d.db", scheme, dir, (int)getpid());
        LedgerOptions o = {.url = span_of(url), .store = {.once_ms = 86400000}};
        memset(body, 'x', sizeof body);
        b->rng.state = 1;
        b->latencies_us = must_alloc(LATENCIES_MAX * sizeof *b->latencies_us);
        inbox_init(&b->home, NULL, NULL);
        if (ledger_open(&o, &b->ledger, &e) < 0) {
                (void)fprintf(stderr, "%s\n", e.text);
                return 1;
        }
        id_maker_init(&b->ids, 0, ledger_last_id(b->ledger));
        printf("%9s %9s %10s %9s %10s %10s %10s\n", "in flight", "keys", "pairs/s", "batch",
               "p50 ms", "p99 ms", "us CPU");
        for (int pass = 0; pass < 2; pass++) {
                for (size_t in_flight = 1; in_flight <= IN_FLIGHT_MAX;
                     in_flight *= in_flight < 64 ? 16 : 4)
                        for (int keys = 0; keys < 2; keys++) {
                                b->with_keys = keys;
                                run(b, in_flight, in_flight < 64 ? 200 * in_flight : 100000);
                        }
                if (pass == 0) {
                        printf("with %zu more rows and keys in it:\n", existing);
                        b->with_keys = true;
                        run(b, 1024, existing ? existing : 1);
                }
        }
        ledger_close(b->ledger);
        /* The file stays for whoever wants to look; its name is the process's. */
        printf("left: %s\n", url);
        return 0;
}
