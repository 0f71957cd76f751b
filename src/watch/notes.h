/* SPDX-License-Identifier: Apache-2.0
 *
 * What a trigger remembers between two looks: where it was, what it saw. A small file of its own
 * beside the ledger. Whatever is noted here may be a little older than the truth, never newer: it
 * is written after the events of it are in the ledger, and events that are noticed once more have
 * the same keys as before. One handle per thread. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

typedef struct Notes Notes;

enum { NOTE_KEY_MAX_BYTES = 4 * 1024, NOTE_VALUE_MAX_BYTES = 64 * 1024 * 1024 };

/* The notes of `owner` in the file, which is made when it is not there. */
MUST_CHECK int notes_open(const char *path, Span owner, Notes **ret, Err *e);
Notes *notes_close(Notes *n);
/* 1 with the value appended, 0 when there is none. */
MUST_CHECK int notes_get(Notes *n, Span key, Buf *value, Err *e);
MUST_CHECK int notes_put(Notes *n, Span key, Span value, Err *e);
MUST_CHECK int notes_delete(Notes *n, Span key, Err *e);
/* All with keys after `after` that begin with `prefix`, in the order of keys, until `each` returns
 * other than 0; that is returned. What it is told is lent for the call; it may not write. */
MUST_CHECK int notes_each(Notes *n, Span prefix, Span after,
                          int (*each)(void *arg, Span key, Span value), void *arg, Err *e);
/* Around several writes: all or nothing, and one fsync. Without them each write is its own. */
MUST_CHECK int notes_begin(Notes *n, Err *e);
MUST_CHECK int notes_commit(Notes *n, Err *e);
void notes_rollback(Notes *n);
