/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/send.h"

#include "base/clock.h"
#include "flow/runner.h"
#include "flow/writes.h"
#include "http/url.h"
#include "json/value.h"

#define FIELDS_MAX_BYTES 300

/* "email, name": the members of what was sent. */
static Span fields_of(Act *a, Span body) {
        AUTO(buf_done)
        Buf b = BUF(FIELDS_MAX_BYTES);
        Span key, value;

        if (!body.p || json_kind(body) != JSON_OBJECT)
                return (Span){NULL, 0};
        for (size_t pos = 0; json_next(body, &pos, &key, &value);) {
                size_t before = b.n;

                if ((b.n && buf_add(&b, SPAN(", ")) < 0) || buf_add(&b, key) < 0) {
                        b.n = before;
                        break;
                }
        }
        return arena_span(a->run->arena, buf_span(&b));
}

/* The last part of the path, decoded: for an address of one entity that is its id. */
static Span id_in(Act *a, const char *url) {
        AUTO(buf_done)
        Buf id = BUF(URL_MAX_BYTES);
        size_t end = strcspn(url, "?"), begin = end;

        while (begin > 0 && url[begin - 1] != '/')
                begin--;
        if (url_decode(&id, (Span){url + begin, end - begin}) < 0)
                return (Span){NULL, 0};
        return act_keep(a, buf_span(&id));
}

/* That it comes back to us as a change may happen before the answer does. */
static void remember(Act *a, Span id, Span body) {
        /* What a test or a rehearsal does not send is no write that could echo. */
        if (id.n && body.n && !a->run->dialler)
                writes_add(a->run->runner->hub->writes, span_of(a->to->target->config->name), id,
                           body, clock_mono_ms());
}

static void remember_created(Act *a, Span value, Span body) {
        AUTO(buf_done)
        Buf id = BUF(1024);
        Span member =
                json_kind(value) == JSON_OBJECT ? json_member(value, SPAN("id")) : (Span){NULL, 0};

        if (member.p && json_text(member, &id) == 0)
                remember(a, buf_span(&id), body);
}

static void on_answer(Act *a, const ClientAnswer *answer) {
        const Send *s = a->sending;
        Run *r = a->run;
        Span value;

        if (answer->status == 404) {
                if (s->refused && s->refused(a, answer))
                        return;
                act_fail(a, 404, "missing", false, "%s knows no such entity (step " SPAN_FMT ").",
                         a->to->target->config->name, SPAN_ARG(a->step->name));
                return;
        }
        if (s->verb) {
                r->writes++;
                r->told_verb = s->verb;
                r->told_target = span_of(a->to->target->config->name);
                r->told_fields = fields_of(a, s->told);
        }
        if (!exchange_json(a, answer, true, &value))
                return;
        if (s->verb)
                remember_created(a, value, s->body);
        if (s->then)
                s->then(a, answer, answer->body.n ? value : (Span){NULL, 0});
        else
                act_done(a, value);
}

static void on_address(Act *a, const char *url) {
        const Send *s = a->sending;

        if (s->verb)
                remember(a, id_in(a, url), s->body);
        exchange_go_on(a, url, on_answer);
}

void send_start(Act *a, const Send *send) {
        Send *s = arena_alloc(a->run->arena, sizeof *s);

        if (!s) {
                act_fail(a, 422, "too-large", false, "the results of the steps are too large");
                return;
        }
        *s = *send;
        a->sending = s;
        a->call = (Call){.method = s->method,
                         .body = s->body,
                         .content_type = s->body.p ? s->content_type : NULL};
        exchange_mapping(a, s->mapping);
        exchange_catch(a, s->refused);
        a->to = s->to;
        if (s->url)
                on_address(a, s->url);
        else
                exchange_address(a, s->to, on_address);
}

void send_unchanged(Act *a, const Target *target) {
        Run *r = a->run;

        r->unchanged++;
        if (!r->told_target.p)
                r->told_target = span_of(target->config->name);
}
