/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rehearse.h"

#include "cli/api.h"
#include "cli/show.h"

bool rehearse_wants(const char *word) {
        return strncmp(word, "evt_", 4) == 0;
}

static void show_call(const json_t *c) {
        const json_t *status = json_object_get(c, "status");

        printf("  %-6s ", api_text(c, "method"));
        show_text(api_text(c, "url"));
        if (json_integer_value(status))
                printf(" -> %d", (int)json_integer_value(status));
        else
                printf(" -> %s", api_text(c, "end"));
        (void)putchar('\n');
}

static void show_changes(const json_t *changes) {
        const char *key;
        json_t *change;

        json_object_foreach((json_t *)changes, key, change) {
                printf("           ");
                show_text(key);
                printf(": ");
                show_json(json_object_get(change, "from"));
                printf(" -> ");
                show_json(json_object_get(change, "to"));
                (void)putchar('\n');
        }
}

static void show_words(const json_t *words) {
        for (size_t i = 0; i < json_array_size(words); i++) {
                const char *word = json_string_value(json_array_get(words, i));

                if (i)
                        (void)putchar(' ');
                show_text(word ? word : "");
        }
}

/* What is no request stands under its own name. */
static void show_what(const json_t *w) {
        static const struct {
                const char *key, *after;
        } others[] = {{"log", "not written"}, {"emit", "not emitted"}, {"exec", "not run"}};

        for (size_t i = 0; i < COUNT_OF(others); i++) {
                const json_t *what = json_object_get(w, others[i].key);

                if (!what)
                        continue;
                printf("  %-6s ", others[i].key);
                if (json_is_array(what))
                        show_words(what);
                else
                        show_text(api_text(w, others[i].key));
                printf("  (%s)\n", others[i].after);
                return;
        }
        printf("  %-6s ", api_text(w, "method"));
        show_text(api_text(w, "url"));
        printf("  (not sent)\n");
}

static void show_write(const json_t *w) {
        const json_t *body = json_object_get(w, "body");
        const char *name;
        json_t *value;

        show_what(w);
        json_object_foreach(json_object_get(w, "headers"), name, value) {
                printf("           ");
                show_text(name);
                printf(": ");
                show_text(json_is_string(value) ? json_string_value(value) : "");
                (void)putchar('\n');
        }
        if (body) {
                printf("           ");
                show_json(body);
                (void)putchar('\n');
        }
        show_changes(json_object_get(w, "changes"));
}

/* Of the calls the reads: the writes are told below, with all that they would send. */
static void show_flow(const json_t *flow) {
        size_t i;
        json_t *one;

        printf("flow %s: %d %s: ", api_text(flow, "flow"),
               (int)json_integer_value(json_object_get(flow, "status")), api_text(flow, "code"));
        show_text(api_text(flow, "message"));
        (void)putchar('\n');
        json_array_foreach(json_object_get(flow, "calls"), i, one) {
                const char *method = api_text(one, "method");

                if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
                        show_call(one);
        }
        json_array_foreach(json_object_get(flow, "writes"), i, one) show_write(one);
}

static void show_all(const json_t *j) {
        const json_t *reply = json_object_get(j, "reply"), *flows = json_object_get(j, "flows");
        size_t i;
        json_t *flow;

        json_array_foreach((json_t *)flows, i, flow) show_flow(flow);
        if (json_array_size(flows) == 0)
                printf("no flow of %s wants this event\n", api_text(j, "source"));
        printf("%s would hear %d ", api_text(j, "source"),
               (int)json_integer_value(json_object_get(reply, "status")));
        show_json(json_object_get(reply, "body"));
        (void)putchar('\n');
}

int rehearse(const CommandLine *l) {
        AUTO(buf_done)
        Buf path = BUF(512);
        ApiAnswer a;
        int r;

        if (!line_option(l, "dry-run"))
                return line_wrong(l, "an event is shown, not run again: add --dry-run; deliveries "
                                     "are made once more by APP --since TIME");
        if (buf_add(&path, SPAN("/events")) < 0 || api_segment(&path, l->words[0]) < 0 ||
            buf_addf(&path, "/rehearse%c", 0) < 0)
                return line_wrong(l, "the event's id is too long");
        r = api_call(l, "POST", path.p, (Span){NULL, 0}, &a);
        if (r != 0)
                return r;
        json_t *j = api_json(&a);
        if (line_option(l, "json"))
                printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&a.body)));
        else
                show_all(j);
        json_decref(j);
        api_done(&a);
        return 0;
}
