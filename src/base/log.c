/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192

static const char *const names[] = {"debug", "info", "warn", "error"};
static _Atomic int least = LOG_INFO;

void log_set_level(LogLevel level) {
        atomic_store(&least, (int)level);
}

bool log_parse_level(Span name, LogLevel *ret) {
        for (size_t i = 0; i < COUNT_OF(names); i++)
                if (span_eq(name, span_of(names[i]))) {
                        *ret = (LogLevel)i;
                        return true;
                }
        return false;
}

/* A value too long for the line loses its end, not the line. */
static int add_field(Buf *line, const char *key, Span value) {
        size_t before = line->n, most = 1024;

        if (value.n > most)
                value.n = most;
        if (buf_addf(line, ",\"%s\":", key) < 0 || buf_add_json(line, value) < 0) {
                line->n = before;
                return -EMSGSIZE;
        }
        return 0;
}

void log_fact(LogLevel level, const char *fact, ...) {
        AUTO(buf_done)
        Buf line = BUF(LINE_MAX_BYTES);
        char now[CLOCK_TEXT];
        va_list ap;

        if ((int)level < atomic_load_explicit(&least, memory_order_relaxed))
                return;
        clock_print(clock_wall_ms(), now);
        if (buf_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"fact\":", now, names[level]) < 0 ||
            buf_add_json(&line, span_of(fact)) < 0)
                return;
        va_start(ap, fact);
        for (const char *key; (key = va_arg(ap, const char *));)
                if (add_field(&line, key, va_arg(ap, Span)) < 0)
                        break;
        va_end(ap);
        if (buf_add(&line, SPAN("}\n")) < 0)
                return;
        ssize_t wrote = write(STDERR_FILENO, line.p, line.n);
        (void)wrote; /* a log that cannot be written must not stop the work */
}
