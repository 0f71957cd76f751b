/* SPDX-License-Identifier: Apache-2.0
 *
 * OAuth2 client credentials (RFC 6749 section 4.4): one cached token per source of tokens, one
 * refresh at a time, whoever asks meanwhile waits for it. Lives on one loop. */
#pragma once

#include "base/list.h"
#include "base/secret.h"
#include "net/client.h"

enum { TOKEN_WAITERS_MAX = 10000 };

typedef struct TokenSource TokenSource;
typedef struct TokenWait TokenWait;

struct TokenWait {
        Link link;
        /* `token` is lent; NULL when there is none, and then `why` says the reason. */
        void (*done)(TokenWait *w, const Secret *token, const char *why);
        void *arg;
};

typedef struct TokenConfig { /* all must stay as long as the source */
        const char *token_url, *client_id, *scope, *audience; /* the last two may be NULL */
        const Secret *client_secret;
        bool in_body; /* client_secret_post instead of basic */
        const NetworkList *allow;
} TokenConfig;

TokenSource *token_source_new(Client *c, const TokenConfig *config);
/* Waiters must be gone; a fetch on its way is cancelled. */
TokenSource *token_source_free(TokenSource *s);
/* The token if one is cached and not about to expire; NULL: use token_wait. */
const Secret *token_cached(TokenSource *s, int64_t now_ms);
/* Calls w->done when there is a token or a reason why not; at once when a fetch failed a moment
 * ago or cannot begin. -EAGAIN when too many wait. */
MUST_CHECK int token_wait(TokenSource *s, TokenWait *w, int64_t now_ms);
void token_forget(TokenSource *s, TokenWait *w); /* harmless when it does not wait any more */
/* The API refused this token with 401: it is dropped, unless it has been replaced already. */
void token_reject(TokenSource *s, Span token);
