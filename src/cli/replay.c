/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api.h"
#include "cli/rehearse.h"
#include "cli/table.h"

#include <signal.h>
#include <unistd.h>

enum { POLL_US = 500000, ANSWER_TEXT = 512 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
        (void)number;
        interrupted = 1;
}

static int add_option(const CommandLine *l, json_t *body, const char *option, const char *member) {
        const char *text = line_option(l, option);

        return text ? json_object_set_new(body, member, json_string(text)) : 0;
}

static json_t *make_body(const CommandLine *l) {
        json_t *body = json_object(), *types = json_array();
        const char *rate = line_option(l, "rate");
        uint64_t n;
        int bad = json_object_set_new(body, "application", json_string(l->words[0]));

        bad |= add_option(l, body, "endpoint", "endpoint");
        bad |= add_option(l, body, "since", "since");
        bad |= add_option(l, body, "until", "until");
        bad |= add_option(l, body, "status", "status");
        for (int i = 0; line_nth(l, "type", i); i++)
                bad |= json_array_append_new(types, json_string(line_nth(l, "type", i)));
        if (json_array_size(types))
                bad |= json_object_set(body, "eventTypes", types);
        json_decref(types);
        if (rate && span_to_u64(span_of(rate), 100000, &n))
                bad |= json_object_set_new(body, "rate", json_integer((json_int_t)n));
        if (line_option(l, "dry-run"))
                bad |= json_object_set_new(body, "dryRun", json_true());
        if (bad == 0)
                return body;
        json_decref(body);
        return NULL;
}

static int64_t number_of(const json_t *j, const char *member) {
        const json_t *v = json_object_get(j, member);

        return json_is_integer(v) ? json_integer_value(v) : -1;
}

/* One line, written over itself on a terminal. */
static void show_progress(const json_t *j, bool is_last) {
        bool terminal = isatty(STDOUT_FILENO);
        int64_t total = number_of(j, "total"), done = number_of(j, "done");

        if (!terminal && !is_last)
                return;
        if (total >= 0)
                printf("%s%s: %" PRId64 " of %" PRId64 " deliveries", terminal ? "\r" : "",
                       api_text(j, "progress"), done, total);
        else
                printf("%s%s: %" PRId64 " deliveries", terminal ? "\r" : "",
                       api_text(j, "progress"), done);
        printf(is_last ? "\n" : "   ");
        (void)fflush(stdout);
}

static int ask(const CommandLine *l, const char *method, const char *id, const char *what,
               json_t **ret) {
        char path[128];
        ApiAnswer a;

        (void)snprintf(path, sizeof path, "/replay/%s%s", id, what);
        int r = api_call(l, method, path, (Span){NULL, 0}, &a);
        if (r != 0)
                return r;
        *ret = api_json(&a);
        api_done(&a);
        return 0;
}

/* Shows how it goes until it has ended; Ctrl-C leaves it to the daemon. */
static int follow(const CommandLine *l, const char *id) {
        (void)signal(SIGINT, on_interrupt);
        for (;;) {
                json_t *j = NULL;
                int r = ask(l, "GET", id, "", &j);
                bool is_last = strcmp(api_text(j, "progress"), "running") != 0;

                if (r != 0)
                        return r;
                show_progress(j, is_last || interrupted);
                json_decref(j);
                if (is_last)
                        return 0;
                if (interrupted) {
                        printf("It goes on in the daemon: grapnel replay --cancel %s ends it.\n",
                               id);
                        return 0;
                }
                (void)usleep(POLL_US);
        }
}

static int start(const CommandLine *l) {
        json_t *body = make_body(l);
        char *text = body ? json_dumps(body, JSON_COMPACT) : NULL, id[ANSWER_TEXT];
        ApiAnswer a;
        int r;

        json_decref(body);
        if (!text)
                return line_wrong(l, "a value is not UTF-8");
        r = api_call(l, "POST", "/replay", span_of(text), &a);
        free(text);
        if (r != 0)
                return r;
        json_t *j = api_json(&a);
        (void)snprintf(id, sizeof id, "%s", api_text(j, "id"));
        if (line_option(l, "json"))
                printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&a.body)));
        else if (line_option(l, "dry-run"))
                printf("%" PRId64 " deliveries would be made once more\n", number_of(j, "total"));
        else
                printf("%s\n", id);
        json_decref(j);
        api_done(&a);
        return line_option(l, "dry-run") || line_option(l, "json") ? 0 : follow(l, id);
}

static int run(const CommandLine *l) {
        const char *cancel = line_option(l, "cancel");
        json_t *j = NULL;
        int r;

        if (l->n_words && rehearse_wants(l->words[0]))
                return rehearse(l);
        if (!cancel && l->n_words == 0)
                return line_wrong(l, "it needs APP, or an event's id and --dry-run");
        if (!cancel && !line_option(l, "since"))
                return line_wrong(l, "it needs --since, such as 2026-01-31T00:00:00Z");
        if (!cancel)
                return start(l);
        r = ask(l, "POST", cancel, "/cancel", &j);
        if (r == 0)
                show_progress(j, true);
        json_decref(j);
        return r;
}

const Command command_replay = {
        .name = "replay",
        .arguments = "APP|EVENT",
        .help = "Make deliveries once more, many at a time.",
        .more = "Of the application's messages since that time (RFC 3339), those deliveries that\n"
                "failed are made once more, oldest first. It survives restarts of the daemon,\n"
                "and Ctrl-C only ends the watching.\n"
                "\n"
                "With an EVENT of a source and --dry-run the daemon runs its flows as they are\n"
                "now: what they read is read, what they would write is shown and not sent, and\n"
                "nothing is recorded. A write is answered as if the target had taken "
                "it.\n" API_HELP,
        .words_min = 0,
        .words_max = 1,
        .options = {{"since", "TIME", "messages from then on", false},
                    {"until", "TIME", "messages before then", false},
                    {"endpoint", "ID", "to this endpoint only", false},
                    {"type", "NAME", "of this event type; several may be given", true},
                    {"status", "WORD", "failed (as usual), delivered or any", false},
                    {"rate", "N", "deliveries a second", false},
                    {"dry-run", NULL, "only count them; of an EVENT: only show", false},
                    {"cancel", "ID", "end a replay", false},
                    API_OPTION_SERVER,
                    API_OPTION_JSON},
        .run = run,
};
