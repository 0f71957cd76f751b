/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements that the API runs in databases of applications: checked here, run on threads of their
 * own (statement_desk.c), the change and its events in one transaction. */
#pragma once

#include "base/inbox.h"
#include "watch/outbox.h"

enum {
        STATEMENT_PARAMETERS_MAX = 100,
        STATEMENT_ANSWER_MAX_BYTES = 8 * 1024 * 1024,
        STATEMENT_THREADS = 4,     /* for each database; so many run at once */
        STATEMENT_QUEUE_MAX = 256, /* calls that wait for one of them */
};

typedef enum ParameterType {
        PARAMETER_ANY,
        PARAMETER_TEXT,
        PARAMETER_INTEGER,
        PARAMETER_NUMBER,
        PARAMETER_BOOLEAN,
        PARAMETER_JSON,
} ParameterType;
extern const char *const parameter_types[]; /* by ParameterType; ended by NULL */

typedef struct Parameter {
        const char *name;
        ParameterType type;
} Parameter;

typedef struct Statement {
        const StatementConfig *config;
        const char *sql; /* with $1 or ?1 in place of names */
        Parameter parameters[STATEMENT_PARAMETERS_MAX];
        size_t n;                    /* of them */
        const OutboxOptions *outbox; /* that is told; NULL: none */
        const char *key_names;       /* of what it emits, a JSON array; NULL: nothing */
        size_t index;                /* in its set */
} Statement;

/* Those of a configuration: immutable, counted by reference. */
typedef struct Statements {
        _Atomic unsigned refs;
        Arena *arena;
        Config *config;     /* a reference */
        Triggers *triggers; /* so too */
        Statement *at;
        size_t n;
} Statements;

/* NULL when there is any error; `problems` says them. `t` of the same configuration. */
Statements *statements_build(Config *c, Triggers *t, Problems *problems);
Statements *statements_ref(Statements *s);
Statements *statements_unref(Statements *s); /* any thread; accepts NULL */

/* Puts $1 (`is_sqlite`: ?1) in place of :name and $name, and adds the names to `ret`. Texts, quoted
 * names, comments and casts (::) stay as they are. -EINVAL with `e`: there is a second statement,
 * or what it begins does not end. */
MUST_CHECK int statement_rewrite(Span sql, bool is_sqlite, Arena *a, Statement *ret, Err *e);

/* ---- a call ---- */

typedef enum StatementResult {
        STATEMENT_DONE,
        STATEMENT_CONFLICT, /* another row has that key, or is missing: unique, foreign key */
        STATEMENT_INVALID,  /* the database does not take these values */
        STATEMENT_TOO_MANY, /* rows, or bytes of them */
        STATEMENT_LATE,     /* the time was over; nothing happened */
        STATEMENT_AWAY,     /* the database cannot be reached, or it is busy; nothing happened */
        STATEMENT_AGAIN,    /* it was in the way of another transaction; nothing happened */
        STATEMENT_UNKNOWN,  /* the connection broke while it committed: nobody can say */
        STATEMENT_BROKEN,   /* a person has to act: the SQL, rights, or the outbox */
} StatementResult;

typedef struct StatementValue {
        const char *text; /* ended by NUL; NULL: null */
        size_t n;
        int kind; /* a JsonKind */
} StatementValue;

typedef struct StatementCall StatementCall;
struct StatementCall {
        Note note;   /* it is read on the thread of `home` when the call has ended */
        Inbox *home; /* NULL: it is only tried (the desk's own) */
        StatementCall *next;
        Statements *set; /* a reference, taken by whoever made it */
        const Statement *statement;
        const StatementValue *values; /* as many as it has parameters */
        const char *context;          /* JSON object for the events; NULL: none */
        int64_t until_ms;             /* mono */
        /* What it has come to: */
        StatementResult result;
        bool is_untouched; /* it did not even begin: another connection may do better */
        Buf rows;          /* a JSON array's elements */
        Buf events;        /* so too: their ids */
        int64_t count;
        char transaction[24];                                     /* "" for none */
        char message[512], column[80], constraint[80], table[80]; /* of a refusal; "" */
};

/* ---- for those who run them, on a desk's thread ---- */

typedef struct StatementWay {
        /* A connection for the statements of a set; with `e` when there is none. */
        int (*open)(const DatabaseConfig *d, size_t n, void **ret, Err *e);
        void (*close)(void *c);
        void *(*stopper)(void *c);   /* for stop(); it ends before the connection */
        void (*stop)(void *stopper); /* any thread: what runs ends soon */
        void (*stopper_free)(void *stopper);
        /* Fills in what it has come to. Is the connection good for another? */
        bool (*run)(void *c, StatementCall *call);
        /* Only prepares it. */
        int (*attempt)(void *c, const Statement *s, Err *e);
} StatementWay;

/* Does the first row have the columns of the key? Else it is broken, and `call` says so. */
bool statement_has_key(StatementCall *call);

extern const StatementWay statement_pg, statement_lite;

/* ---- the desks ---- */

typedef struct Desks Desks;
/* `told`: a statement of a new set cannot be prepared (a sentence); any thread. */
Desks *desks_new(void (*told)(const char *statement, const char *why));
/* From now on these; calls under way end with those that they began with. Takes over a reference.
 * Each is prepared aside. */
void desks_set(Desks *d, Statements *s);
/* A reference to those that hold now; NULL before desks_set. */
Statements *desks_current(Desks *d);
/* Takes the call. -EAGAIN: too many wait; -ESHUTDOWN: it is stopping. */
MUST_CHECK int desks_send(Desks *d, StatementCall *call);
/* Ends all; calls that wait are answered as STATEMENT_AWAY. False when one did not end in time. */
bool desks_stop(Desks *d, int64_t ms);
Desks *desks_free(Desks *d); /* after desks_stop; accepts NULL */
