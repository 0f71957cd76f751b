/* SPDX-License-Identifier: Apache-2.0
 *
 * How the readers of a request say no: the answer is written down and -EBADMSG travels. */
#pragma once

#include "http/head.h"

static inline int http_refuse(HttpRefusal *ret, int status, size_t offset, const char *why) {
        *ret = (HttpRefusal){.status = status, .why = why, .offset = offset};
        return -EBADMSG;
}
