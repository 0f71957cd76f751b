/* SPDX-License-Identifier: Apache-2.0
 *
 * One checked, immutable snapshot of the configuration file, counted by reference: work in flight
 * ends on the snapshot it began with. jq expressions are kept as text with their places; src/flow
 * compiles them. */
#pragma once

#include "base/secret.h"
#include "config/option.h"
#include "sign/sign.h"

enum {
        CONFIG_FILE_MAX_BYTES = 4 * 1024 * 1024,
        CONFIG_NAME_MAX_BYTES =
                NAME_MAX_BYTES, /* of a connection, source, flow, endpoint or step */
        CONFIG_MEMORY_MAX_BYTES = 64 * 1024 * 1024,
        CONFIG_STEPS_MAX = 32,         /* of one list */
        CONFIG_HEADERS_MAX = 64,       /* of one connection */
        CONFIG_SHOWN_HEADERS_MAX = 16, /* of a source: those that steps see */
};

typedef struct ListenConfig {
        const char *host; /* numeric address */
        uint16_t port;
} ListenConfig;

typedef enum AuthKind { AUTH_NONE, AUTH_BEARER, AUTH_BASIC, AUTH_HEADER, AUTH_OAUTH2 } AuthKind;

typedef struct OAuth2Config {
        const char *token_url, *client_id, *scope, *audience;
        Secret client_secret;
        int auth_style; /* 0: basic (default), 1: post */
} OAuth2Config;

typedef struct ConnectionConfig {
        const char *name;
        Place place;
        const char *url; /* base, without a final slash */
        AuthKind auth;
        Secret bearer;    /* AUTH_BEARER */
        const char *user; /* AUTH_BASIC */
        Secret password;
        const char *header; /* AUTH_HEADER: its name ... */
        Secret header_value;
        OAuth2Config oauth2;
        int64_t concurrency; /* 0: the default of the program, 64 */
        Rate rate;           /* count 0: none */
        int64_t timeout_ms, connect_timeout_ms, answer_max_bytes;
        /* Plain headers sent with each call. */
        struct ConnectionHeader {
                const char *name, *value;
        } * headers;
        size_t n_headers;
        size_t index; /* in Config.connections */
} ConnectionConfig;

/* A database that triggers look at and statements run in: an application's own. */
typedef struct DatabaseConfig {
        const char *name;
        Place place;
        Secret url;     /* "postgresql://..." as libpq reads it; "sqlite:FILE" */
        bool is_sqlite; /* then `file` is its path */
        const char *file;
        size_t index; /* in Config.databases */
} DatabaseConfig;

typedef enum UnmatchedRule { UNMATCHED_ACCEPT, UNMATCHED_REFUSE } UnmatchedRule;

/* What becomes of a delivery under a known key with another body than before. */
typedef enum ChangedRule { CHANGED_REFUSE, CHANGED_REPEAT } ChangedRule;

/* What becomes of a body that is a form (application/x-www-form-urlencoded): stored as it came, and
 * read as a JSON object of its fields; or, where it has a field `payload`, as the JSON in that. */
typedef enum FormRule { FORMS_REFUSE, FORMS_FIELDS, FORMS_PAYLOAD } FormRule;

typedef struct SourceConfig {
        const char *name;
        Place place;
        const struct SourceKind *kind;    /* NULL: none was named */
        bool is_deaf;                     /* of its kind: it reads no answer but the status */
        const char *handshake, *envelope; /* names; checked by src/flow. NULL: none, the body */
        Place handshake_place, envelope_place;
        FormRule forms;
        const char **headers; /* that steps see, in lower case */
        size_t n_headers;
        SignRule verify;
        const char *reply; /* name of the dialect; checked by src/flow */
        Place reply_place;
        int64_t deadline_ms;
        int64_t body_max_bytes;
        /* Each a jq expression on the body, or "header NAME"; once may be "never" too. */
        Expr once;   /* delivery key where the scheme's headers carry none */
        Expr prefer; /* gives {"async":bool,"wait":seconds,"return":"minimal"|"representation"} */
        Expr type;   /* of the event; default: eventType, else type, where the body has one */
        Expr time;   /* default: timestamp, else time */
        Expr schema; /* the name of a file; read by src/flow */
        const Node *trigger; /* as written; read by src/watch. NULL: none */
        UnmatchedRule unmatched;
        ChangedRule changed;
        size_t index;
} SourceConfig;

/* One condition of `match`: the value at a path is one of these. */
typedef struct MatchRule {
        Expr path;    /* ".entityType": a plain path */
        Node *values; /* scalar or list of scalars */
} MatchRule;

/* retry: {tries, base, max}, or none. */
typedef struct RetryConfig {
        bool given;
        int64_t base_ms, cap_ms;
        int64_t tries; /* after the first; 0: none, -1: the default schedule */
} RetryConfig;

typedef enum ReplyMode { REPLY_ACCEPTED, REPLY_WAIT } ReplyMode;

typedef struct FlowConfig {
        const char *name;
        Place place;
        const char **on; /* names of sources; checked */
        size_t n_on;
        const char **types; /* of the events it wants; none: all */
        size_t n_types;
        MatchRule *match;
        size_t n_match;
        Expr subject;
        bool runs_stale; /* stale: run */
        bool coalesces;
        bool ordered; /* order: subject (the default when subject is given) or none */
        ReplyMode reply;
        int64_t wait_ms; /* under REPLY_WAIT: 0 is to the source's deadline */
        Expr answer;     /* data for a source that waits */
        RetryConfig retry;
        /* Each step is a map of one entry, name -> map: read by src/flow. */
        const Node **steps;
        size_t n_steps;
        size_t index;
} FlowConfig;

/* An endpoint of the file: where messages and events go as they are, or mapped. */
typedef struct EndpointConfig {
        const char *name;
        Place place;
        const Node *map;         /* as written: for the places of what is found out later */
        ConnectionConfig target; /* url, credentials, headers, limit and timeout; no index */
        const char *application; /* its uid */
        bool wants_messages;     /* of the application; else only events of `on` */
        const char **on;         /* names of sources; checked */
        size_t n_on;
        MatchRule *match;
        size_t n_match;
        const char *description, *profile;
        const char **types, **channels, **secrets; /* the newest secret first */
        size_t n_types, n_channels, n_secrets;
        Expr filter, transform;
        int order;  /* index into none, subject, all */
        int format; /* index into plain, cloudevents, cloudevents-structured */
        RetryConfig retry;
        struct EndpointTlsConfig {
                const char *certificate, *ca; /* PEM */
                Secret key;
        } tls;
        const Node *headers; /* as written, for what of them is secret; NULL: none */
        bool disabled, handshake;
        /* batch: {events, wait, bytes}; events 0: one by one */
        struct EndpointBatchConfig {
                int64_t events, wait_ms, bytes;
        } batch;
} EndpointConfig;

/* A statement that the API runs in a database of an application. */
typedef struct StatementConfig {
        const char *name;
        Place place;
        const char *database_name, *source_name;
        const DatabaseConfig *database;
        const SourceConfig *source; /* whose outbox is told; NULL: none */
        Span sql;                   /* with :name and $name; ended by NUL */
        Place sql_place;
        const Node *parameters, *emit_node; /* as written; NULL: none */
        bool emits;
        struct StatementEmit {
                const char *table;
                int op; /* index into insert, update, delete */
                const Node *key_node;
                const char **key;
                size_t n_key;
        } emit;
        int64_t timeout_ms, rows_max;
} StatementConfig;

typedef struct Config {
        _Atomic unsigned refs;
        Arena *arena;
        const char *file;
        Span source; /* the file's text, for carets; secrets are not in it */

        ListenConfig listen, admin;
        const char *public_url; /* where sources reach `listen`: for event URLs; NULL: relative */
        const char *ledger;     /* "sqlite:grapnel.db" */
        int64_t keep_ms, keep_bytes, once_ms;
        const char **allow; /* outbound.allow: networks, as written; checked by src/flow */
        Place *allow_place;
        size_t n_allow;
        Secret admin_token; /* bearer of the admin listener; required unless admin is loopback */
        int64_t threads;    /* 0: one per core */
        int64_t connections_max, head_timeout_ms, idle_timeout_ms, body_timeout_ms;
        int log_level;

        ConnectionConfig *connections;
        size_t n_connections;
        DatabaseConfig *databases;
        size_t n_databases;
        SourceConfig *sources;
        size_t n_sources;
        FlowConfig *flows;
        size_t n_flows;
        EndpointConfig *endpoints;
        size_t n_endpoints;
        StatementConfig *statements;
        size_t n_statements;

        /* For config_connection and its like. */
        struct Table *connection_names, *database_names, *source_names;
} Config;

/* Reads and checks. NULL when there is any error; `problems` then says them all, by place (and may
 * hold warnings otherwise). The caller gives problems->arena. ${NAME} comes from the environment
 * given (entries "NAME=value", ended by NULL), ${file:/path} from a file, its final newline cut.
 * Without an environment (NULL) nothing is filled in, no file is read, and every ${...} is an
 * error. */
Config *config_load(const char *path, char *const *environment, Problems *problems);
Config *config_parse(Span text, const char *name, char *const *environment, Problems *problems);
/* The same, but what could be read is given in spite of errors, to look for more of them: any part
 * of it may be missing then. NULL when there is nothing at all. */
Config *config_load_partly(const char *path, char *const *environment, Problems *problems);
Config *config_ref(Config *c);
Config *config_unref(Config *c); /* any thread */

/* NULL when there is none of that name. Any thread. */
const ConnectionConfig *config_connection(const Config *c, Span name);
const DatabaseConfig *config_database(const Config *c, Span name);
const SourceConfig *config_source(const Config *c, Span name);

/* Checks a list of steps: each a map of one entry, its name -> its options. Returns how many; they
 * lie at *ret, in the arena. Problems are added for the others. */
size_t steps_read(const Node *steps, Arena *a, Problems *problems, const Node ***ret);

/* The reference of all options as Markdown, written from the tables. */
MUST_CHECK int config_print_reference(Buf *out);
