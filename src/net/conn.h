/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of the front door. Private to server.c and conn.c.
 *
 *   HEAD --head is in--> BODY --whole--> HANDLING --answered--> WRITING --written--> HEAD ...
 *
 * A request that is refused with bytes still on their way goes through LINGER before it closes.
 * Deadlines belong to states; the server looks at them twice a second. */
#pragma once

#include "net/server.h"

#include "base/buf.h"

enum {
        CONN_READ_BYTES = 64 * 1024,
        CONN_AHEAD_MAX_BYTES = 64 * 1024, /* pipelined bytes kept while a request is handled */
        CONN_SWEEP_MS = 500,
        CONN_LINGER_MS = 1000,
};

typedef enum ConnState {
        CONN_HEAD,
        CONN_BODY,
        CONN_HANDLING,
        CONN_WRITING,
        CONN_LINGER,
        CONN_CLOSING,
} ConnState;

struct Conn {
        uv_tcp_t tcp;
        Server *server;
        Link link;
        ConnState state;
        int64_t deadline_ms;
        bool reading;
        bool keep_alive;     /* after the current answer */
        bool peer_done;      /* the other side will send no more */
        bool answered;       /* the current exchange */
        bool held;           /* a handler holds the exchange */
        bool closed;         /* the socket is gone, but the exchange is held */
        bool unread;         /* the answer leaves before the request was read to its end */
        bool busy;           /* conn_go is on the stack */
        Buf in;              /* the current request, from its first byte */
        Buf ahead;           /* what came behind it */
        Buf body;            /* a chunked body, decoded */
        const char *head_at; /* where the head's spans point into */
        size_t head_bytes;
        HttpHeadMark mark; /* how far a head was read that is not whole yet */
        size_t decoded;    /* bytes of `in` that the chunk decoder has eaten */
        HttpHead head;
        HttpChunked chunked;
        Exchange exchange;
        uv_write_t write;
        uv_shutdown_t shutdown;
        Buf out;
};

struct Server {
        Loop *loop;
        uv_tcp_t listener;
        uv_timer_t sweep;
        List conns;
        ServerLimits limits;
        ServerHandler handler;
        ServerGauges gauges;
        uint16_t port;
        bool draining, closing, listener_open;
        unsigned handles; /* open among listener and sweep */
        void (*closed)(void *arg);
        void *closed_arg;
        char *slab; /* what uv reads into: one for all connections of the loop */
};

void conn_open(Server *s);
MUST_CHECK int conn_take(Server *s, int fd); /* one that is connected already */
void conn_close(Conn *c);
/* Called by the sweep. */
void conn_check_deadline(Conn *c, int64_t now_ms);
/* The last connection has gone: the server may finish closing. */
void server_conn_gone(Server *s);
