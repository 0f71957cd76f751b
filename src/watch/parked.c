/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/parked.h"

#include "json/value.h"

#include <errno.h>

#define PREFIX "parked/"

enum { BODY_MAX_BYTES = 48 * 1024 * 1024 };

static int add_text(Buf *b, const char *name, Span text) {
        int r = text.p ? buf_addf(b, ",\"%s\":", name) : 0;

        return r == 0 && text.p ? buf_add_json(b, text) : r;
}

static int write_text(const EnvelopeEvent *event, bool is_whole, const char *why, Buf *b) {
        bool fits = event->body.n <= BODY_MAX_BYTES;
        int r = buf_add(b, SPAN("{\"why\":"));

        if (r == 0)
                r = buf_add_json(b, span_of(why));
        if (r == 0)
                r = buf_addf(b, ",\"whole\":%s", is_whole && fits ? "true" : "false");
        if (r == 0)
                r = add_text(b, "type", event->type);
        if (r == 0)
                r = add_text(b, "subject", event->subject);
        if (r == 0)
                r = add_text(b, "time", event->time);
        if (r == 0 && event->meta.n)
                r = buf_addf(b, ",\"meta\":{" SPAN_FMT "}", SPAN_ARG(event->meta));
        if (r == 0 && event->body.n && fits)
                r = buf_addf(b, ",\"event\":" SPAN_FMT, SPAN_ARG(event->body));
        return r < 0 ? r : buf_add_char(b, '}');
}

static int key_of(Span id, Buf *key, Err *e) {
        return buf_addf(key, PREFIX SPAN_FMT, SPAN_ARG(id)) < 0
                       ? FAIL(e, -EMSGSIZE, "the key of an event is longer than %d bytes",
                              PARKED_ID_MAX_BYTES)
                       : 0;
}

int parked_put(Notes *n, const EnvelopeEvent *event, bool is_whole, const char *why, Err *e) {
        AUTO(buf_done)
        Buf key = BUF(NOTE_KEY_MAX_BYTES);
        AUTO(buf_done)
        Buf value = BUF(NOTE_VALUE_MAX_BYTES);
        int was_there, r = key_of(event->key, &key, e);

        if (r < 0)
                return r;
        was_there = notes_get(n, buf_span(&key), &value, e);
        if (was_there < 0)
                return was_there;
        buf_clear(&value);
        if (write_text(event, is_whole, why, &value) < 0)
                return FAIL(e, -EMSGSIZE, "an event that was put aside is too large to be noted");
        r = notes_put(n, buf_span(&key), buf_span(&value), e);
        return r < 0 ? r : was_there;
}

int parked_forget(Notes *n, Span id, Err *e) {
        AUTO(buf_done)
        Buf key = BUF(NOTE_KEY_MAX_BYTES);
        int r = key_of(id, &key, e);

        return r < 0 ? r : notes_delete(n, buf_span(&key), e);
}

typedef struct Found {
        Buf *id, *text;
        int fault;
} Found;

static int keep(void *arg, Span key, Span value) {
        Found *f = arg;

        f->fault = buf_add(f->id, span_from(key, sizeof PREFIX - 1));
        if (f->fault == 0)
                f->fault = buf_add(f->text, value);
        return 1;
}

int parked_next(Notes *n, Span after, Buf *id, Buf *text, Err *e) {
        AUTO(buf_done)
        Buf key = BUF(NOTE_KEY_MAX_BYTES);
        Found f = {.id = id, .text = text};
        int r = key_of(after, &key, e);

        if (r == 0)
                r = notes_each(n, SPAN(PREFIX), buf_span(&key), keep, &f, e);
        return r < 0 || f.fault == 0 ? r : FAIL(e, f.fault, "a note is too large");
}

typedef struct Counted {
        size_t n;
        Buf *why;
} Counted;

static int count(void *arg, Span key, Span value) {
        Counted *c = arg;

        (void)key;
        c->n++;
        buf_clear(c->why);
        (void)!json_text(json_member(value, SPAN("why")), c->why);
        return 0;
}

int parked_count(Notes *n, size_t *ret, Buf *why, Err *e) {
        Counted c = {.why = why};
        int r = notes_each(n, SPAN(PREFIX), SPAN(""), count, &c, e);

        *ret = c.n;
        return r;
}

static Span text_of(Span object, Span name, Arena *a, bool *fits) {
        Span value = json_member(object, name);
        AUTO(buf_done)
        Buf text = BUF(64 * 1024);

        if (json_kind(value) != JSON_STRING)
                return (Span){NULL, 0};
        *fits &= json_text(value, &text) == 0;
        Span kept = arena_span(a, text.n ? buf_span(&text) : SPAN(""));
        *fits &= kept.p != NULL;
        return kept;
}

bool parked_event(Span id, Span text, Arena *a, EnvelopeEvent *ret) {
        Span meta = json_trim(json_member(text, SPAN("meta")));
        bool fits = span_eq(json_trim(json_member(text, SPAN("whole"))), SPAN("true"));

        *ret = (EnvelopeEvent){.key = id,
                               .body = json_member(text, SPAN("event")),
                               .type = text_of(text, SPAN("type"), a, &fits),
                               .subject = text_of(text, SPAN("subject"), a, &fits),
                               .time = text_of(text, SPAN("time"), a, &fits)};
        if (meta.n > 2)
                ret->meta = (Span){meta.p + 1, meta.n - 2};
        return fits && json_kind(text) == JSON_OBJECT;
}
