/* SPDX-License-Identifier: Apache-2.0 */
#include "api/put.h"

#include "base/clock.h"
#include "base/id.h"

void put_done(Put *p) {
        buf_done(&p->out);
}

static void add(Put *p, Span s) {
        if (p->fault == 0)
                p->fault = buf_add(&p->out, s);
}

static void add_json(Put *p, Span text) {
        if (p->fault == 0)
                p->fault = buf_add_json(&p->out, text);
}

static void begin(Put *p, const char *key) {
        if (p->between)
                add(p, SPAN(","));
        p->between = true;
        if (!key)
                return;
        add_json(p, span_of(key));
        add(p, SPAN(":"));
}

void put_open(Put *p, const char *key, char bracket) {
        begin(p, key);
        add(p, (Span){&bracket, 1});
        p->between = false;
}

void put_close(Put *p, char bracket) {
        add(p, (Span){&bracket, 1});
        p->between = true;
}

void put_raw(Put *p, const char *key, Span json) {
        begin(p, key);
        add(p, json.p ? json : SPAN("null"));
}

void put_text(Put *p, const char *key, Span text) {
        begin(p, key);
        if (text.p)
                add_json(p, text);
        else
                add(p, SPAN("null"));
}

void put_int(Put *p, const char *key, int64_t n) {
        begin(p, key);
        if (p->fault == 0)
                p->fault = buf_addf(&p->out, "%" PRId64, n);
}

void put_bool(Put *p, const char *key, bool yes) {
        put_raw(p, key, yes ? SPAN("true") : SPAN("false"));
}

void put_null(Put *p, const char *key) {
        put_raw(p, key, SPAN("null"));
}

void put_time(Put *p, const char *key, int64_t wall_ms) {
        char text[CLOCK_TEXT];

        clock_print(wall_ms, text);
        put_text(p, key, span_of(text));
}

void put_id(Put *p, const char *key, const char *prefix, int64_t id) {
        char text[ID_TEXT];

        id_print(prefix, id, text);
        put_text(p, key, span_of(text));
}

void put_raw_for(Put *p, Span key, Span json) {
        begin(p, NULL);
        add_json(p, key);
        add(p, SPAN(":"));
        add(p, json);
}

void put_raw_for_raw(Put *p, Span raw_key, Span json) {
        begin(p, NULL);
        add(p, SPAN("\""));
        add(p, raw_key);
        add(p, SPAN("\":"));
        add(p, json);
}
