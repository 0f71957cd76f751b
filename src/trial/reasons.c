/* SPDX-License-Identifier: Apache-2.0 */
#include "trial/reasons.h"

#include "base/clock.h"
#include "config/quantity.h"
#include "trial/content.h"

/* ---- verification ---- */

typedef struct Looking {
        const HttpHeader *headers;
        size_t n;
        Proof *proof;
} Looking;

static Span get(const void *arg, const char *name, size_t *count) {
        const Looking *l = arg;
        Span first = {NULL, 0};
        size_t at = 0;

        *count = 0;
        for (size_t i = 0; i < l->n; i++)
                if (span_eq_nocase(l->headers[i].name, span_of(name)) && (*count)++ == 0)
                        first = l->headers[i].value;
        while (at < l->proof->n && strcmp(l->proof->names[at], name) != 0)
                at++;
        if (at == l->proof->n && at < COUNT_OF(l->proof->names))
                l->proof->names[l->proof->n++] = name;
        return first;
}

/* Seconds or milliseconds since 1970, as they stand in a header. */
static bool is_time(Span value, int64_t *ret_ms) {
        uint64_t v;

        value = span_trim(value, " \t");
        if ((value.n != 10 && value.n != 13) || !span_to_u64(value, INT64_MAX / 1000, &v))
                return false;
        *ret_ms = value.n == 10 ? (int64_t)v * 1000 : (int64_t)v;
        return true;
}

static void age_text(int64_t ms, int64_t window_ms, char ret[128]) {
        char age[QUANTITY_TEXT], window[QUANTITY_TEXT];

        duration_print((ms < 0 ? -ms : ms) / 1000 * 1000, age);
        duration_print(window_ms, window);
        (void)snprintf(ret, 128, "%s %s%s%s", age, ms < 0 ? "in the future" : "ago",
                       window_ms ? "; the window is " : "", window_ms ? window : "");
}

/* What they hold is not told, but for a time. */
static void tell_header(const SourceConfig *s, const Looking *l, const char *name, int64_t now_ms,
                        const char *of, Rows *rows) {
        char rule[160], text[128];
        size_t count;
        int64_t at;
        Span value = get(l, name, &count);

        (void)snprintf(rule, sizeof rule, "header %s", name);
        if (count == 0)
                (void)snprintf(text, sizeof text, "missing");
        else if (count > 1)
                (void)snprintf(text, sizeof text, "given %zu times", count);
        else if (is_time(value, &at))
                age_text(now_ms - at, s->verify.window_ms, text);
        else
                (void)snprintf(text, sizeof text, "given, %zu bytes", value.n);
        rows_add(rows, of, "", rule, ROW_TELLS, span_of(text));
}

/* A scheme may look for headers of several names: of those that are missing, the one that the
 * sentence is about is told, or all when it is about none. */
static bool is_worth_telling(const Looking *l, const char *name, const char *why) {
        bool is_about_one = false;
        size_t count;

        (void)get(l, name, &count);
        for (size_t i = 0; i < l->proof->n; i++)
                is_about_one |= strstr(why, l->proof->names[i]) != NULL;
        return count > 0 || !is_about_one || strstr(why, name);
}

/* Each of them alone. */
static size_t secret_that_fits(const SignRule *rule, const SignInput *in) {
        for (size_t i = 0; i < rule->n_secrets; i++) {
                SignRule one = *rule; /* borrows all of it */
                const char *why;

                one.secrets[0] = rule->secrets[i];
                one.keys[0] = rule->keys[i];
                one.public_keys[0] = rule->public_keys[i];
                one.n_secrets = 1;
                if (sign_check(&one, in, &why) == SIGN_OK)
                        return i + 1;
        }
        return 0;
}

void reasons_verify(const SourceConfig *s, const HttpHeader *headers, size_t n, Span body,
                    int64_t now_ms, Rows *rows, Proof *ret) {
        Looking l = {headers, n, ret};
        SignInput in = {.get = get, .arg = &l, .body = body, .now_ms = now_ms};
        const char *why = "";
        char of[128], rule[128], text[256];

        *ret = (Proof){0};
        ret->holds = sign_check(&s->verify, &in, &why) == SIGN_OK;
        (void)snprintf(of, sizeof of, "source %s", s->name);
        (void)snprintf(rule, sizeof rule, "scheme %s",
                       s->verify.scheme ? s->verify.scheme->name : "?");
        if (!ret->holds)
                (void)snprintf(text, sizeof text, "%s", why);
        else if (s->verify.n_secrets == 0)
                (void)snprintf(text, sizeof text, "anyone may send");
        else
                (void)snprintf(text, sizeof text, "by secret %zu of %zu",
                               secret_that_fits(&s->verify, &in), s->verify.n_secrets);
        rows_add(rows, of, "verify", rule, ret->holds ? ROW_HOLDS : ROW_FAILS, span_of(text));
        if (s->verify.scheme && s->verify.scheme->message_id)
                ret->id = s->verify.scheme->message_id(&s->verify, &in);
        for (size_t i = 0; i < ret->n; i++)
                if (is_worth_telling(&l, ret->names[i], why))
                        tell_header(s, &l, ret->names[i], now_ms, of, rows);
}

/* ---- the event ---- */

static Span or_nothing(Span s) {
        return s.n ? s : (Span){NULL, 0};
}

static bool is_readable(Span s) {
        for (size_t i = 0; i < s.n; i++)
                if ((unsigned char)s.p[i] < ' ')
                        return false;
        return true;
}

static const char *rule_or(Arena *a, const Expr *x, const char *usual) {
        const char *text = x->text.p ? arena_text(a, x->text) : NULL;

        return text ? text : usual;
}

void reasons_event(const SourceConfig *s, const Event *event, Span signed_id, Span id, Rows *rows) {
        char of[128], time[CLOCK_TEXT];
        bool by_id = span_eq(event->key, signed_id), by_once = !by_id && s->once.text.p;

        (void)snprintf(of, sizeof of, "source %s", s->name);
        clock_print(event->time_ms, time);
        rows_add(rows, of, "once",
                 by_id     ? "the message's id"
                 : by_once ? rule_or(rows->arena, &s->once, "")
                           : "SHA-256 of the body",
                 ROW_TELLS,
                 by_id                                ? id
                 : by_once && is_readable(event->key) ? event->key
                                                      : SPAN("(a hash)"));
        rows_add(rows, of, "type", rule_or(rows->arena, &s->type, ".eventType, else .type"),
                 ROW_TELLS, or_nothing(event->type));
        rows_add(rows, of, "time", rule_or(rows->arena, &s->time, ".timestamp, else .time"),
                 ROW_TELLS, event->time_ms ? span_of(time) : (Span){NULL, 0});
}

/* ---- flows ---- */

static void rule_text(const MatchRule *m, char *ret, size_t size) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);
        bool is_list = m->values->kind == NODE_LIST;

        if (content_json(m->values, &b) < 0)
                buf_clear(&b);
        (void)snprintf(ret, size, SPAN_FMT " is %s%.*s", SPAN_ARG(m->path.text),
                       is_list ? "one of " : "", b.n > 200 ? 200 : (int)b.n, b.p ? b.p : "");
}

bool reasons_type(const Flow *f, Span type, Rows *rows) {
        char of[128], rule[512];
        size_t at = 0;
        bool fits = f->config->n_types == 0;

        for (size_t i = 0; i < f->config->n_types && at < sizeof rule; i++) {
                int n = snprintf(rule + at, sizeof rule - at, "%s%s", i ? ", " : "",
                                 f->config->types[i]);

                at += n > 0 ? (size_t)n : 0;
                fits = fits || span_eq(type, span_of(f->config->types[i]));
        }
        (void)snprintf(of, sizeof of, "flow %s", f->config->name);
        if (f->config->n_types)
                rows_add(rows, of, "type", rule, fits ? ROW_HOLDS : ROW_FAILS, or_nothing(type));
        return fits;
}

bool reasons_match(const Flow *f, Span body, Rows *rows) {
        bool all = true;
        char of[128], rule[512];

        (void)snprintf(of, sizeof of, "flow %s", f->config->name);
        for (size_t i = 0; i < f->plan.n; i++) {
                Span value;
                bool fits = plan_rule_matches(&f->plan, i, body, &value);

                rule_text(&f->config->match[i], rule, sizeof rule);
                rows_add(rows, of, "match", rule, fits ? ROW_HOLDS : ROW_FAILS, value);
                all = all && fits;
        }
        if (f->plan.n == 0)
                rows_add(rows, of, "match", "whatever comes", ROW_HOLDS, SPAN("no rules"));
        return all;
}

void reasons_reply(const Flow *f, const Source *s, Rows *rows) {
        char of[128], text[256], time[QUANTITY_TEXT], deadline[QUANTITY_TEXT];

        (void)snprintf(of, sizeof of, "flow %s", f->config->name);
        duration_print(f->config->wait_ms, time);
        duration_print(s->config->deadline_ms, deadline);
        if (f->config->reply == REPLY_ACCEPTED)
                (void)snprintf(text, sizeof text, "202 at once");
        else if (f->config->wait_ms)
                (void)snprintf(text, sizeof text, "the result, or 202 after %s; deadline %s", time,
                               deadline);
        else
                (void)snprintf(text, sizeof text, "the result, within the deadline of %s",
                               deadline);
        rows_add(rows, of, "reply", f->config->reply == REPLY_ACCEPTED ? "accepted" : "wait",
                 ROW_TELLS, span_of(text));
        rows_add(rows, of, "dialect", s->dialect ? s->dialect->name : "?", ROW_TELLS,
                 span_of(s->dialect ? s->dialect->help : NULL));
}

bool reasons_is_early(const Flow *f, size_t index, const Program *program) {
        for (size_t i = 0; i < index; i++)
                if (program_uses(program, f->steps.steps[i].name))
                        return false;
        return true;
}
