/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the client share among themselves; nobody else includes it.
 *
 *     client.c         calls: start, cancel, close, the one end of each
 *     client_request.c a call becomes options of libcurl
 *     client_answer.c  bytes that come back, judged line by line
 *     client_end.c     what a libcurl code means for the caller
 *     client_queue.c   who gets a connection, who waits
 *     client_poll.c    libcurl's sockets and timer on libuv */
#pragma once

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/table.h"
#include "net/client.h"
#include "net/gate.h"
#include "net/own.h"

enum {
        ANSWER_HEAD_MAX_BYTES = 32 * 1024, /* all heads of one answer, 1xx included */
        ANSWER_LINES_MAX = 200,
        ANSWER_INTERIM_MAX = 10, /* 1xx answers before the real one */
        REQUEST_LINES_MAX = 100,
        REQUEST_HEAD_MAX_BYTES = 64 * 1024,
        METHOD_MAX_BYTES = 32,
        PORT_BUCKETS = 64,
        OWN_KEPT_MS = 60 * 1000,
};

typedef struct Host { /* one scheme, name and port: what shares connections */
        Link link;    /* on the client's ready list: has calls waiting and room to run one */
        List waiting; /* transfers */
        size_t running;
        Span key; /* owned */
} Host;

typedef struct AnswerLine { /* offsets into the head, which moves while it grows */
        uint16_t name, name_n, value, value_n;
} AnswerLine;

typedef struct Transfer {
        Link link;         /* on the client's live list, or spare */
        Link queued;       /* on its host's waiting list */
        HeapNode deadline; /* while it waits */
        Client *client;
        ClientCall *call;
        Host *host;
        CURL *easy;   /* made when it first runs, kept for the next call */
        bool has_tls; /* it bears a call's own certificates: of no use to another */
        bool is_running;
        int64_t started_us, run_us; /* client_start; handed to libcurl */

        Gate gate;
        bool has_connected; /* a socket of its own; from then on it is about TLS, if at all */
        unsigned sends;     /* how often the request went to a connection */
        bool is_afresh;     /* must open a connection of its own */
        bool is_stale; /* the pooled connection was no good: nothing sent, once more on a new one */
        struct curl_slist *lines;
        size_t lines_cap;
        Buf lines_text;

        /* The answer so far. */
        Buf head, body;
        size_t head_bytes; /* counted over all heads and trailers */
        AnswerLine line[ANSWER_LINES_MAX];
        size_t n_lines;
        unsigned interim;
        int line_status; /* of the head being read */
        int status;      /* of the last head, once it was whole */
        bool in_head;    /* between a status line and its empty line */
        bool has_length, is_chunked;
        uint64_t length;
        /* Why our callbacks stopped libcurl; CLIENT_ANSWERED while they did not. */
        ClientEnd verdict;
        char why[160];
        char error[CURL_ERROR_SIZE];
} Transfer;

typedef struct Socket {
        uv_poll_t poll;
        Client *client;
        int fd;
        int wanted; /* what libcurl waits for: UV_READABLE, UV_WRITABLE; 0 while pooled and idle */
        int armed;  /* what libuv was told */
        bool is_gated; /* opened by the gate: lives until libcurl closes it */
        Link by_port;  /* once connected, in its bucket of local ports */
        uint16_t local_port;
        const Transfer *opener; /* until connected */
} Socket;

struct Client {
        uv_loop_t *loop;
        CURLM *multi;
        uv_timer_t timer;       /* libcurl's */
        uv_timer_t queue_timer; /* the first deadline of those that wait */
        size_t open_handles;    /* of libuv, not yet closed */
        Socket **sockets;       /* by descriptor */
        size_t sockets_cap;
        NetworkList own;          /* this host's addresses ... */
        int64_t own_due_ms;       /* ... to be listed again then */
        List ports[PORT_BUCKETS]; /* of sockets that were connected, by local port */

        ClientLimits limits;
        char *agent, *ca_file;
        List live, spare; /* transfers */
        Table *hosts;
        List ready; /* hosts */
        Heap deadlines;
        size_t running, waiting;
        bool is_filling;

        unsigned depth; /* > 0: below us someone still uses the client */
        bool is_closing;
        void (*closed)(void *arg);
        void *closed_arg;
};

/* client.c */
void client_drain(Client *c);
void client_end(Transfer *t, ClientEnd end, const char *why);

/* client_request.c */
MUST_CHECK int request_check(const ClientCall *call, Err *e);
MUST_CHECK int request_prepare(Transfer *t, Err *e);
void request_forget(Transfer *t);

/* client_answer.c */
void answer_reset(Transfer *t);
size_t answer_on_header(char *p, size_t size, size_t n, void *transfer);
size_t answer_on_body(char *p, size_t size, size_t n, void *transfer);
/* Lends `headers` (ANSWER_LINES_MAX of them) and the transfer's buffers to the answer. */
void answer_lend(Transfer *t, HttpHeader *headers, ClientAnswer *ret);

/* client_end.c */
ClientEnd end_of(Transfer *t, CURLcode code);
void end_explain(Transfer *t, ClientEnd end, CURLcode code, char *ret, size_t n);

/* client_queue.c */
MUST_CHECK int queue_enter(Client *c, Transfer *t, Err *e); /* runs it, or lets it wait */
void queue_leave(Transfer *t);                              /* it ran or waited */
void queue_fill(Client *c);
void queue_on_deadline(uv_timer_t *timer);

/* client_poll.c */
int poll_on_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *unused);
int poll_on_timer(CURLM *multi, long timeout_ms, void *client);
curl_socket_t poll_on_open(void *transfer, curlsocktype purpose, struct curl_sockaddr *to);
/* The connection that the transfer is about to use, known by its local port: is it new, or pooled
 * and without anything to read? */
bool poll_is_silent(const Transfer *t, int local_port);
int poll_on_close(void *client, curl_socket_t fd);
void poll_close_all(Client *c); /* sockets that libcurl left behind */
void poll_closed(Client *c);
