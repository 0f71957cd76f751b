/* SPDX-License-Identifier: Apache-2.0
 *
 * Time as the edges read it. `src/engine` never does: it is told. */
#pragma once

#include "base/base.h"

int64_t clock_wall_ms(void); /* since 1970-01-01T00:00:00Z; may jump */
int64_t clock_mono_ms(void); /* never goes back; meaningful within this process */
int64_t clock_mono_us(void);

/* For a process that lives in a time of its own, such as a test of flows: both clocks go forward by
 * so much at once; the wall clock says that it is now `wall_ms`. Any thread. */
void clock_skip(int64_t ms);
void clock_set_wall(int64_t wall_ms);

enum { CLOCK_TEXT = 25 }; /* "2019-01-01T00:00:00.000Z" and its terminator */
/* RFC 3339 in UTC with milliseconds. */
void clock_print(int64_t wall_ms, char ret[CLOCK_TEXT]);
/* RFC 3339 with any fraction and offset; false for anything else. */
bool clock_parse(Span text, int64_t *ret_wall_ms);
/* The three HTTP-date forms of RFC 9110 section 5.6.7; false for anything else. */
bool clock_parse_http(Span text, int64_t *ret_wall_ms);
