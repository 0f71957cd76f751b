/* SPDX-License-Identifier: Apache-2.0
 *
 * One JSON line per fact on standard error. Called by the edges (app, trigger, cli) alone; lower
 * rooms return errors. A line is one write, so lines of two threads never mix. */
#pragma once

#include "base/base.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;

void log_set_level(LogLevel level);
bool log_parse_level(Span name, LogLevel *ret);
/* `fields`: pairs of key and Span value, ended by NULL:
 *     log_fact(LOG_INFO, "listening", "address", span_of(a), NULL); */
void log_fact(LogLevel level, const char *fact, ...);
