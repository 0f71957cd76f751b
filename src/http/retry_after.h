/* SPDX-License-Identifier: Apache-2.0
 *
 * How long the other side asks us to stay away (RFC 9110 section 10.2.3). */
#pragma once

#include "base/base.h"

/* Reads seconds or one of the three HTTP-date forms into a wait from `now_wall_ms`, at least 0 (a
 * moment that has passed) and at most `cap_ms`. False, and nothing written, for anything else:
 * such a header is ignored. */
bool http_retry_after(Span value, int64_t now_wall_ms, int64_t cap_ms, int64_t *ret_wait_ms);
