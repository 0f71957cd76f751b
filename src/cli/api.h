/* SPDX-License-Identifier: Apache-2.0
 *
 * How commands call the API of a running daemon, one call after the other. Where it is: --server or
 * GRAPNEL_SERVER, else this machine's usual port. The key comes from GRAPNEL_TOKEN alone: what
 * stands on a command line is seen by everyone on the machine. */
#pragma once

#include "base/buf.h"
#include "cli/command.h"

#include <jansson.h>

#define API_OPTION_SERVER                                                                          \
        { "server", "URL", "the admin listener (http://127.0.0.1:8081)", false }
#define API_OPTION_JSON                                                                            \
        { "json", NULL, "print JSON as the API gives it", false }
#define API_HELP                                                                                   \
        "\nThe daemon is looked for at --server, else at GRAPNEL_SERVER; its key is read\n"        \
        "from GRAPNEL_TOKEN.\n"

typedef struct ApiAnswer {
        int status;
        Buf body;
} ApiAnswer;

/* 0 with a 2xx answer, the caller's to end by api_done; else the exit code, after a sentence on
 * standard error that says what to do. `path` begins behind "/api/v1"; `body` .p NULL for none. */
MUST_CHECK int api_call(const CommandLine *l, const char *method, const char *path, Span body,
                        ApiAnswer *ret);
void api_done(ApiAnswer *a);
/* The answer, read; NULL when it is no JSON. The caller's reference. */
json_t *api_json(const ApiAnswer *a);
/* Appends a path segment, encoded. */
MUST_CHECK int api_segment(Buf *path, const char *text);
/* The member's text, "" when it has none. */
const char *api_text(const json_t *object, const char *member);
