/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is calling: the administrator's token from the configuration, or a key that was made through
 * the API. A key is "gk_" with its id, which finds it, and 256 random bits; the ledger holds the
 * SHA-256 of it, which is compared in constant time. */
#pragma once

#include "api/admin.h"
#include "api/route.h"

enum { KEY_TEXT = 3 + ID_LETTERS + 1 + 64 + 1, KEY_HASH_TEXT = 65 };

typedef struct Caller {
        Role role;           /* ROLE_OPEN: unknown */
        int64_t application; /* of a key that is bound to one */
        int64_t key;         /* 0: the token of the configuration, or none was asked for */
        bool is_read_only;
} Caller;

void caller_find(const Admin *a, const HttpHead *h, Caller *ret);
/* May this caller use a route of that role, as far as the role alone says? An application's own
 * routes also ask for the application (op.c). */
bool role_allows(Role wanted, const Caller *who);

/* Is the request one that a foreign page in somebody's browser may have sent? Then the sentence to
 * refuse it with. */
const char *caller_forged(const Admin *a, const HttpHead *h);

/* A new key for `id`, from the kernel's random numbers, and its hash. */
void key_make(int64_t id, char ret[KEY_TEXT], char ret_hash[KEY_HASH_TEXT]);
void key_hash(Span text, char ret[KEY_HASH_TEXT]);
