/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that answers reading questions, so that a person's long list never stands between a
 * webhook and its commit. */
#pragma once

#include "ledger/ledger.h"

typedef struct Reader Reader;

MUST_CHECK int reader_start(const StoreOps *ops, Store *writer, Reader **ret, Err *e);
/* Any thread; all asks but ASK_WRITE and ASK_CLAIM. */
void reader_send(Reader *r, LedgerRequest *request);
/* Answers all that was sent; accepts NULL. */
void reader_stop(Reader *r);
