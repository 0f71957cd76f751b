/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in for the network while a test plays: answers calls by its mocks, and remembers all
 * that was asked. A call without a mock is answered by a fault and remembered as such. */
#pragma once

#include "flow/call.h"
#include "trial/fixture.h"

typedef struct MadeCall {
        const char *method;  /* "LOG" for a line of a step `log`, "EMIT" for an event, "EXEC" for a
                                program */
        Span step, to;       /* "crm:/contacts/C-1"; of a line the file, of an event its type, of a
                                program its words */
        Span body;           /* .p NULL for none */
        HttpHeader *headers; /* without those that hold credentials */
        size_t n_headers;
        int status;       /* of the answer; 0: there was none */
        const char *end;  /* "answered", "timeout", ... as attempts call it; NULL: none yet */
        bool is_unmocked; /* nobody says how it is answered */
        bool reads;       /* GET or HEAD */
} MadeCall;

enum {
        MOCK_CALLS_MAX = 1000,              /* of one test; more are answered by a fault */
        MOCK_COMMAND_MAX_BYTES = 64 * 1024, /* of a program and its arguments */
        MOCK_NO_PROGRAM = 127,              /* as a shell says that it found none */
};

typedef struct MockDesk {
        Dialler dialler;
        Arena *arena; /* of the test */
        const MockRules *own, *shared;
        MadeCall *calls;
        size_t n_calls, cap_calls;
        List open; /* calls that are not answered yet */
} MockDesk;

void mock_desk_init(MockDesk *d);
/* For the next test; no call may be open. */
void mock_desk_begin(MockDesk *d, const MockRules *own, const MockRules *shared, Arena *a);
/* When the next answer is due (monotonic ms), INT64_MAX for none. */
int64_t mock_desk_due(const MockDesk *d);
/* Gives all answers that are due. True when there was any. */
bool mock_desk_answer(MockDesk *d, int64_t now_ms);
void mock_desk_done(MockDesk *d);
