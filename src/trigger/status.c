/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/inlet.h"

#define STATUS_MAX_BYTES (64 * 1024)

/* What became of an event, for whoever was given its address: states and messages, no data. */
typedef struct Look {
        LedgerRequest request;
        Inlet *in;
        Exchange *x;
} Look;

static int write_job(const JobView *j, Buf *b) {
        const Attempt *last = j->n_listed ? &j->attempts[j->n_listed - 1] : NULL;
        int r = buf_add(b, SPAN("{\"flow\":"));

        if (r == 0)
                r = buf_add_json(b, span_from(j->target, span_find(j->target, ':') + 1));
        if (r == 0)
                r = buf_addf(b, ",\"state\":\"%s\",\"attempts\":%u", job_state_name(j->state),
                             j->n_attempts);
        if (r == 0 && last) {
                r = buf_addf(b, ",\"status\":%d,\"code\":", last->status);
                if (r == 0)
                        r = buf_add_json(b, last->code);
                if (r == 0)
                        r = buf_add(b, SPAN(",\"message\":"));
                if (r == 0)
                        r = buf_add_json(b, last->message);
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

static int write_status(const EventView *v, Buf *b) {
        char id[ID_TEXT];
        int r;

        id_print("evt", v->event.id, id);
        r = buf_addf(b, "{\"event\":\"%s\",\"jobs\":[", id);
        for (size_t i = 0; i < v->n_jobs && r == 0; i++) {
                if (i)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = write_job(&v->jobs[i], b);
        }
        return r == 0 ? buf_add(b, SPAN("]}")) : r;
}

static void on_found(LedgerRequest *q) {
        AUTO(buf_done)
        Buf body = BUF(STATUS_MAX_BYTES);
        Look *l = q->arg;

        if (q->result < 0)
                answer_problem(l->x, 503, "ledger", "the ledger cannot be read now; try again");
        else if (!q->event.ret)
                answer_problem(l->x, 404, "not-found", "this event is not known any more");
        else if (write_status(q->event.ret, &body) < 0)
                answer_problem(l->x, 500, "too-large", "the event has too many jobs to show");
        else
                exchange_answer(l->x, &(HttpAnswer){.status = 200,
                                                    .content_type = "application/json",
                                                    .body = buf_span(&body)});
        event_view_free(q->event.ret);
        free(l);
}

void status_request(Inlet *in, Exchange *x, Span address) {
        int64_t id;

        if (!event_address_parse(in, address, &id)) {
                answer_problem(x, 404, "not-found", "there is no event at this address");
                return;
        }
        Look *l = must_alloc(sizeof *l);
        *l = (Look){.in = in, .x = x};
        l->request = (LedgerRequest){.ask = ASK_EVENT,
                                     .home = &in->loop->inbox,
                                     .done = on_found,
                                     .arg = l,
                                     .event = {.id = id}};
        if (ledger_send(in->ledger, &l->request) < 0) {
                free(l);
                answer_problem(x, 503, "busy", "too much is waiting; try again soon");
        }
}
