/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of tests beside a configuration (`*.test.yaml`): for each, what a source sends, what the
 * connections answer, and what is to come of it. Read with the tables of options, as the
 * configuration is: errors have a line, a column and the nearest known key. Nothing in it is filled
 * in from the environment: a fixture holds no secrets. */
#pragma once

#include "config/option.h"

enum {
        FIXTURE_FILE_MAX_BYTES = 4 * 1024 * 1024,
        FIXTURE_TESTS_MAX = 1000, /* of one file */
        FIXTURE_LIST_MAX = 256,   /* mocks, or expected calls, of one test */
        FIXTURE_HEADERS_MAX = 64,
        FIXTURE_ATTEMPTS_MAX = 100,
};

/* A body as the file writes it: a map or list is JSON, a scalar is text as it stands. `bytes.p` is
 * NULL when it was not given. */
typedef struct Content {
        Span bytes;
        bool is_json;
} Content;

typedef struct FixtureHeader {
        Span name, value;
        Place place;
} FixtureHeader;

typedef struct FixtureHeaders {
        FixtureHeader *at;
        size_t n;
} FixtureHeaders;

typedef enum MockFault {
        MOCK_ANSWERS,
        MOCK_REFUSED,
        MOCK_UNKNOWN_HOST,
        MOCK_TLS,
        MOCK_TIMEOUT,
        MOCK_BROKEN,
} MockFault;

/* `get: 'crm:/contacts/C-1'` and what comes back. */
typedef struct MockRule {
        const char *method;              /* "GET" */
        const char *to;                  /* "crm:/contacts/C-1"; `*` stands for any bytes */
        int64_t status, delay_ms, times; /* times 0: any number */
        int64_t exit;                    /* of a program, its exit status */
        int fault;
        FixtureHeaders headers;
        Content body;
        Place place;
        int64_t used; /* by the test that plays */
} MockRule;

typedef struct MockRules {
        MockRule *at;
        size_t n;
} MockRules;

/* A call that is to be made; or a line that is to be logged, with the method "LOG"; or an
 * event ("EMIT"). */
typedef struct WantedCall {
        const char *method, *to;
        Content body;
        FixtureHeaders headers;
        Place place;
} WantedCall;

typedef struct WantedCalls {
        bool is_given;
        WantedCall *at;
        size_t n;
} WantedCalls;

/* The code of a flow's last run; flow NULL: of every one. */
typedef struct WantedOutcome {
        const char *flow, *code;
} WantedOutcome;

typedef enum SignHow { SIGN_RIGHT, SIGN_NOT, SIGN_ALTERED } SignHow;

typedef struct Fixture {
        Span name;
        Place place;
        const char *source;
        int64_t time_ms; /* the wall clock while it plays; 0: the real one */
        int64_t age_ms;  /* how long ago the source signed */
        int sign;        /* SignHow */
        const char *id;  /* of the message, where the scheme has one */
        int64_t attempts;
        FixtureHeaders headers;
        Content body;
        MockRules mocks;
        /* What is expected. */
        int64_t status; /* 0: any */
        Content reply;
        bool is_exact; /* the reply has no members but those */
        FixtureHeaders reply_headers;
        WantedCalls calls, reads;
        bool no_outcome; /* no flow ran */
        WantedOutcome *outcomes;
        size_t n_outcomes;
} Fixture;

typedef struct FixtureFile {
        const char *path, *config; /* config as the file names it; NULL: the usual one */
        MockRules mocks;           /* behind those of each test */
        Fixture *tests;
        size_t n;
} FixtureFile;

/* Reads the file into the arena, which is also the problems'. NULL when there is any error. */
FixtureFile *fixture_read(const char *path, Arena *a, Problems *problems);
/* The reference of all options as Markdown, written from the tables. */
MUST_CHECK int fixture_print_reference(Buf *out);
