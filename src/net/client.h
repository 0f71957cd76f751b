/* SPDX-License-Identifier: Apache-2.0
 *
 * Outgoing HTTP, one client per loop: libcurl multi on libuv behind the one outbound gate.
 * Redirects are never followed, environment proxies ignored, http and https only, HTTP/1.1,
 * certificates checked, connections kept alive and pooled. Every request ends in exactly one
 * call of `done`, on the loop's thread and never inside client_start. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "http/head.h"
#include "net/address.h"

#include <uv.h>

typedef struct Client Client;

typedef enum ClientEnd {
        CLIENT_ANSWERED,   /* a whole answer, whatever its status */
        CLIENT_GATE,       /* the address may not be dialled */
        CLIENT_NAME,       /* the host name did not resolve */
        CLIENT_CONNECT,    /* refused, unreachable, or no connection in time */
        CLIENT_TLS,        /* handshake or certificate */
        CLIENT_TIMEOUT,    /* connected, but no whole answer in time: outcome unknown */
        CLIENT_BROKEN,     /* cut off after the request may have been sent: outcome unknown */
        CLIENT_BAD_ANSWER, /* not HTTP, contradictory framing, too many headers */
        CLIENT_TOO_BIG,    /* the answer exceeds its maximum */
        CLIENT_CANCELLED,
        CLIENT_FAULT, /* our own: no memory, bad URL */
} ClientEnd;

const char *client_end_name(ClientEnd end); /* "timeout": a stable word for logs and attempts */

typedef struct ClientAnswer {
        ClientEnd end;
        int status; /* 0 unless a whole head arrived; then set even if the body was cut off */
        HttpHeader *headers;
        size_t n_headers;
        Span body;        /* as far as it came */
        char address[64]; /* dialled, such as "127.0.0.1:8443"; empty when none was */
        /* When each was done, counted from client_start; 0 where it did not happen in this call. */
        int64_t total_us, name_us, connect_us, tls_us, first_byte_us;
        bool is_kept;  /* nobody was asked: an answer that came before */
        char why[256]; /* a sentence when end is not CLIENT_ANSWERED */
} ClientAnswer;

/* Who we say we are, and whom we believe; PEM, .p NULL for the usual. */
typedef struct ClientTls {
        Span certificate, key; /* both or none */
        Span ca;               /* instead of the system's */
} ClientTls;

typedef struct ClientCall ClientCall;
struct ClientCall {
        /* In; all must stay until done. */
        const char *method;
        const char *url; /* has passed url_parse */
        const HttpHeader *headers;
        size_t n_headers;
        Span body;          /* .p NULL for none */
        int64_t connect_ms; /* 0: 5 s */
        int64_t timeout_ms; /* the whole call; 0: 15 s */
        size_t answer_max;  /* bytes of body; 0: 8 MiB */
        const NetworkList *allow;
        const ClientTls *tls; /* NULL: the usual */
        /* A pooled connection may turn out dead only after the request was written to it. GET,
         * HEAD, OPTIONS, PUT and DELETE are then sent once more; POST, PATCH and the rest only
         * when this says that the receiver knows a repeat (RFC 9110 section 9.2.2), else such a
         * call ends as CLIENT_BROKEN. */
        bool repeatable;
        void (*done)(ClientCall *call, const ClientAnswer *answer); /* answer lent for the call */
        void *arg;
        /* The client's own. */
        void *handle;
};

typedef struct ClientLimits {
        size_t connections_max; /* open at once, all hosts; 0: 256 */
        size_t per_host_max;    /* 0: 64 */
        size_t waiting_max;     /* calls waiting for a connection; 0: 16,384; more: -EBUSY */
        const char *agent;      /* User-Agent unless a call brings one; NULL: "grapnel/<version>" */
        const char *ca_file;    /* PEM; NULL: the system's */
} ClientLimits;

/* The process must ignore SIGPIPE: OpenSSL writes its farewell to sockets that may be gone. */
MUST_CHECK int client_new(uv_loop_t *loop, const ClientLimits *limits, Client **ret, Err *e);
/* Calls still running end as CLIENT_CANCELLED first. Closing needs a few more turns of the loop;
 * `closed` may be NULL. */
void client_close(Client *c, void (*closed)(void *arg), void *arg);
/* 0, or a fault: then `done` will not be called. Refused with -EINVAL: header names that are no
 * tokens, values with control bytes, and the headers that frame the message, which are ours. */
MUST_CHECK int client_start(Client *c, ClientCall *call, Err *e);
/* Ends a started call as CLIENT_CANCELLED, calling done before it returns. */
void client_cancel(Client *c, ClientCall *call);
/* The value of an answer's header (any case), .p NULL when absent. */
Span client_answer_get(const ClientAnswer *a, const char *name);
