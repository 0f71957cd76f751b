/* SPDX-License-Identifier: Apache-2.0
 *
 * The OpenAPI 3.1 document, written from the table of routes and from the schemas that it names. */
#pragma once

#include "base/buf.h"

/* 0 or a fault of buf_add. */
MUST_CHECK int openapi_print(Buf *out);
