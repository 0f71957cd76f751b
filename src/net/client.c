/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of one loop: started, run or made to wait, ended once. A transfer is the memory of a
 * running call; it and its libcurl handle are used again and again. `done` may start and cancel
 * calls and close the client: whoever calls it raises `depth` and touches nothing afterwards that
 * such a call could have ended. */
#include "net/client_parts.h"

#include <pthread.h>

enum {
        CONNECTIONS = 256,
        PER_HOST = 64,
        WAITING = 16 * 1024,
        KEPT_BODY_BYTES = 64 * 1024, /* a spare transfer keeps no larger buffer */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_begun;

static void curl_begin(void) {
        curl_begun = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static Transfer *transfer_free(Transfer *t) {
        if (t->easy)
                curl_easy_cleanup(t->easy);
        buf_done(&t->lines_text);
        buf_done(&t->head);
        buf_done(&t->body);
        free(t->lines);
        free(t);
        return NULL;
}

static Transfer *transfer_take(Client *c) {
        Link *spare = list_pop(&c->spare);
        Transfer *t = spare ? CONTAINER_OF(spare, Transfer, link) : must_alloc(sizeof *t);

        t->client = c;
        link_init(&t->queued);
        list_push(&c->live, &t->link);
        return t;
}

static void transfer_give(Transfer *t) {
        Client *c = t->client;

        request_forget(t);
        if (t->body.cap > KEPT_BODY_BYTES)
                buf_done(&t->body);
        t->call = NULL;
        if (!t->easy || c->is_closing || c->spare.n >= c->limits.connections_max)
                (void)transfer_free(t);
        else
                list_push_front(&c->spare, &t->link); /* the warmest first */
}

int client_new(uv_loop_t *loop, const ClientLimits *limits, Client **ret, Err *e) {
        Client *c;

        pthread_once(&curl_once, curl_begin);
        if (curl_begun != CURLE_OK)
                return FAIL(e, -EIO, "libcurl does not start: %s", curl_easy_strerror(curl_begun));
        CURLM *multi = curl_multi_init();
        if (!multi)
                return FAIL(e, -ENOMEM, "no memory for the client");
        c = must_alloc(sizeof *c);
        c->loop = loop;
        c->multi = multi;
        c->limits = limits ? *limits : (ClientLimits){0};
        if (!c->limits.connections_max)
                c->limits.connections_max = CONNECTIONS;
        if (!c->limits.per_host_max)
                c->limits.per_host_max = PER_HOST;
        if (!c->limits.waiting_max)
                c->limits.waiting_max = WAITING;
        c->agent = must_dup(c->limits.agent ? c->limits.agent : "grapnel");
        c->ca_file = c->limits.ca_file ? must_dup(c->limits.ca_file) : NULL;
        list_init(&c->live);
        list_init(&c->spare);
        list_init(&c->ready);
        for (size_t i = 0; i < PORT_BUCKETS; i++)
                list_init(&c->ports[i]);
        c->hosts = table_new(c->limits.connections_max + c->limits.waiting_max + 1);
        must(uv_timer_init(loop, &c->timer) == 0);
        must(uv_timer_init(loop, &c->queue_timer) == 0);
        c->timer.data = c->queue_timer.data = c;
        c->open_handles = 2;
        long max = (long)c->limits.connections_max;
        must(curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, poll_on_socket) == CURLM_OK &&
             curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, c) == CURLM_OK &&
             curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, poll_on_timer) == CURLM_OK &&
             curl_multi_setopt(multi, CURLMOPT_TIMERDATA, c) == CURLM_OK &&
             curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK &&
             curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, max) == CURLM_OK &&
             curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, max) == CURLM_OK);
        *ret = c;
        return 0;
}

int client_start(Client *c, ClientCall *call, Err *e) {
        int r;

        if (c->is_closing)
                return FAIL(e, -ECANCELED, "the client is closing");
        r = request_check(call, e);
        if (r < 0)
                return r;
        Transfer *t = transfer_take(c);
        t->call = call;
        t->sends = 0;
        t->is_stale = t->is_afresh = false;
        t->started_us = t->run_us = clock_mono_us();
        gate_init(&t->gate, call->allow);
        r = queue_enter(c, t, e);
        if (r < 0) {
                list_remove(&c->live, &t->link);
                transfer_give(t);
                return r;
        }
        call->handle = t;
        return 0;
}

static int64_t moment(const Transfer *t, CURLINFO info) {
        curl_off_t us = 0;

        if (curl_easy_getinfo(t->easy, info, &us) != CURLE_OK || us == 0)
                return 0;
        return us + t->run_us - t->started_us;
}

static void tell_times(const Transfer *t, ClientAnswer *a) {
        a->total_us = clock_mono_us() - t->started_us;
        if (!t->is_running)
                return;
        a->first_byte_us = t->status ? moment(t, CURLINFO_STARTTRANSFER_TIME_T) : 0;
        if (t->gate.opened == 0) /* a pooled connection: nothing was looked up or opened */
                return;
        a->name_us = moment(t, CURLINFO_NAMELOOKUP_TIME_T);
        a->connect_us = moment(t, CURLINFO_CONNECT_TIME_T);
        a->tls_us = moment(t, CURLINFO_APPCONNECT_TIME_T);
}

void client_end(Transfer *t, ClientEnd end, const char *why) {
        Client *c = t->client;
        ClientCall *call = t->call;
        HttpHeader headers[ANSWER_LINES_MAX];
        ClientAnswer answer = {.end = end};

        if (why)
                (void)snprintf(answer.why, sizeof answer.why, "%s", why);
        memcpy(answer.address, t->gate.dialled, sizeof answer.address);
        tell_times(t, &answer);
        if (t->is_running) {
                answer_lend(t, headers, &answer);
                must(curl_multi_remove_handle(c->multi, t->easy) == CURLM_OK);
        }
        queue_leave(t);
        list_remove(&c->live, &t->link);
        call->handle = NULL;
        c->depth++;
        queue_fill(c);
        call->done(call, &answer);
        c->depth--;
        transfer_give(t);
}

static void teardown(Client *c) {
        must(c->live.n == 0);
        for (Link *l; (l = list_pop(&c->spare));)
                (void)transfer_free(CONTAINER_OF(l, Transfer, link));
        must(curl_multi_cleanup(c->multi) == CURLM_OK);
        c->multi = NULL;
        poll_close_all(c);
        c->hosts = table_free(c->hosts);
        heap_done(&c->deadlines);
}

/* Nothing was sent yet: so nothing has ended. */
static void run_afresh(Transfer *t) {
        Client *c = t->client;
        Err e = {0};

        must(curl_multi_remove_handle(c->multi, t->easy) == CURLM_OK);
        t->is_stale = false;
        t->is_afresh = true;
        int r = request_prepare(t, &e);
        if (curl_multi_add_handle(c->multi, t->easy) != CURLM_OK && r == 0)
                r = FAIL(&e, -EIO, "libcurl takes no call");
        if (r < 0)
                client_end(t, CLIENT_FAULT, e.text);
}

static void on_message(const CURLMsg *m) {
        CURLcode code = m->data.result; /* m dies when the handle is removed */
        char *private = NULL;
        char why[256] = "";

        if (m->msg != CURLMSG_DONE)
                return;
        must(curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private) == CURLE_OK);
        Transfer *t = (Transfer *)(void *)private;
        if (t->is_stale) {
                run_afresh(t);
                return;
        }
        ClientEnd end = end_of(t, code);
        if (end != CLIENT_ANSWERED)
                end_explain(t, end, code, why, sizeof why);
        client_end(t, end, why);
}

/* libcurl's list of the finished is emptied here, outside its callbacks. */
void client_drain(Client *c) {
        CURLMsg *m;
        int left;

        if (c->depth > 0)
                return;
        c->depth++;
        while (!c->is_closing && (m = curl_multi_info_read(c->multi, &left)))
                on_message(m);
        c->depth--;
        if (c->is_closing && c->multi && c->depth == 0)
                teardown(c);
}

void client_cancel(Client *c, ClientCall *call) {
        Transfer *t = call->handle;

        if (!t)
                return;
        must(t->client == c && t->call == call);
        client_end(t, CLIENT_CANCELLED, "cancelled");
        client_drain(c);
}

static void on_timer_closed(uv_handle_t *h) {
        poll_closed(h->data);
}

void client_close(Client *c, void (*closed)(void *arg), void *arg) {
        must(!c->is_closing);
        c->is_closing = true;
        c->closed = closed;
        c->closed_arg = arg;
        c->depth++;
        for (Link *l; (l = list_first(&c->live));)
                client_end(CONTAINER_OF(l, Transfer, link), CLIENT_CANCELLED,
                           "the client is closing");
        c->depth--;
        uv_close((uv_handle_t *)&c->timer, on_timer_closed);
        uv_close((uv_handle_t *)&c->queue_timer, on_timer_closed);
        client_drain(c);
}
