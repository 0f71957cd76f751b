/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys being made: by administrators, and for visitors of an application's page. */
#pragma once

#include "api/op.h"

typedef struct KeyWish {
        Span name;
        int64_t application; /* 0: an administrator's */
        int64_t until_ms;    /* 0: for ever */
        bool is_read_only, is_portal;
        Span flags; /* JSON list of feature flags; .p NULL: none */
} KeyWish;

/* Writes a new key and goes on with `then`. The key's text lives with the op, as op->mine too; it
 * is NULL when the op was answered. */
char *key_write(Op *op, const KeyWish *w, void (*then)(Op *op, Entry *written));
