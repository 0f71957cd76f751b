/* SPDX-License-Identifier: Apache-2.0
 *
 * The front door: listens for one loop and turns connections into exchanges. Each loop listens
 * on the same address (SO_REUSEPORT) and the kernel spreads the connections.
 *
 * An exchange is one request and its one answer. The handler sees it twice: when the head is in
 * (it may refuse before a byte of the body is read, and it sets the body's limit), and when the
 * request is whole. It answers when it likes, at once or later, exactly once. Requests that were
 * pipelined behind it wait. */
#pragma once

#include "base/list.h"
#include "http/chunked.h"
#include "http/head.h"
#include "net/loop.h"

typedef struct Server Server;
typedef struct Conn Conn;

typedef struct Exchange {
        Conn *conn;
        const HttpHead *head;
        Span body;       /* when the request is whole */
        size_t body_max; /* set by handler.head; 0 refuses any body */
        char peer[64];   /* address and port of the other side */
        void *arg;       /* the handler's */
} Exchange;

typedef struct HttpAnswer {
        int status;
        const char *content_type;  /* NULL for none */
        Span body;                 /* copied */
        const HttpHeader *headers; /* more headers; values without control bytes */
        size_t n_headers;
        bool close; /* close the connection after this answer */
} HttpAnswer;

typedef struct ServerHandler {
        void *self;
        /* The head is in. Returns true to go on, or false when it has answered: then the body, if
         * any, is not read and the connection closes. */
        bool (*head)(void *self, Exchange *x);
        void (*request)(void *self, Exchange *x);
} ServerHandler;

typedef struct ServerLimits {
        size_t connections_max; /* of this loop */
        int64_t head_ms, body_ms, idle_ms, write_ms;
} ServerLimits;

typedef struct ServerGauges {
        uint64_t accepted, turned_away, requests, refused, timed_out;
        size_t open;
} ServerGauges;

/* `host` is a numeric address. `ret_port` tells the port when 0 was asked for. */
MUST_CHECK int server_open(Loop *loop, const char *host, uint16_t port, const ServerLimits *limits,
                           const ServerHandler *handler, Server **ret, Err *e);
/* One that listens nowhere: its connections are given to it. */
Server *server_new(Loop *loop, const ServerLimits *limits, const ServerHandler *handler);
/* Takes over a connected stream socket; -EINVAL and the like when it is none. */
MUST_CHECK int server_give(Server *s, int fd);
uint16_t server_port(const Server *s);
/* Stops accepting and closes idle connections; the others close after their answer. */
void server_drain(Server *s);
bool server_idle(const Server *s); /* no connection is open */
/* Closes all, answered or not; `closed` is called when the server's memory is gone. */
void server_close(Server *s, void (*closed)(void *arg), void *arg);
ServerGauges server_gauges(const Server *s);

/* The one answer of an exchange; the exchange is gone afterwards. Harmless for the other side
 * having gone. */
void exchange_answer(Exchange *x, const HttpAnswer *a);
/* A short problem+json answer that closes the connection: for refusals of the transport. */
void exchange_refuse(Exchange *x, const HttpRefusal *why);
