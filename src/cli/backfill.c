/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/backfill.h"

#include "base/clock.h"
#include "cli/show.h"
#include "cli/table.h"

#include <signal.h>
#include <unistd.h>

enum { POLL_US = 300000, LINE_MS = 3000, BAR = 24, EXIT_FAILED = 1 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
        (void)number;
        interrupted = 1;
}

/* ---- what is asked for ---- */

static int add_text(const CommandLine *l, json_t *into, const char *option, const char *member) {
        const char *text = line_option(l, option);

        return text ? json_object_set_new(into, member, json_string(text)) : 0;
}

static int add_number(const CommandLine *l, json_t *into, const char *option, const char *member) {
        const char *text = line_option(l, option);
        uint64_t n;

        return text && span_to_u64(span_of(text), 1000000, &n)
                       ? json_object_set_new(into, member, json_integer((json_int_t)n))
                       : 0;
}

json_t *backfill_body(const CommandLine *l) {
        static const char *const ways[] = {"next", "as", "number", "offset", "index", "list"};
        json_t *body = json_object(), *pages = json_object();
        int bad = json_object_set_new(body, "flow", json_string(l->words[0]));

        bad |= add_text(l, body, "from", "from");
        bad |= add_text(l, body, "source", "source");
        bad |= add_text(l, body, "event", "event");
        bad |= add_text(l, body, "key", "key");
        bad |= add_number(l, body, "rate", "rate");
        bad |= add_number(l, body, "max-pages", "maxPages");
        for (size_t i = 0; i < COUNT_OF(ways); i++)
                bad |= add_text(l, pages, ways[i], ways[i]);
        if (json_object_size(pages))
                bad |= json_object_set(body, "pages", pages);
        json_decref(pages);
        if (bad == 0)
                return body;
        json_decref(body);
        return NULL;
}

static bool is_number(const CommandLine *l, const char *option) {
        const char *text = line_option(l, option);
        uint64_t n;

        return !text || (span_to_u64(span_of(text), 1000000, &n) && n > 0);
}

/* ---- how it goes ---- */

static int64_t number_of(const json_t *j, const char *member) {
        const json_t *v = json_object_get(j, member);

        return json_is_integer(v) ? json_integer_value(v) : 0;
}

static bool is_running(const json_t *j) {
        return strcmp(api_text(j, "progress"), "running") == 0;
}

static int64_t ended(const json_t *j) {
        return number_of(j, "seen") - number_of(j, "open");
}

/* "120 of 250 items, 3 failed" */
static void show_counts(const json_t *j) {
        char a[SHOW_NUMBER], b[SHOW_NUMBER];
        int64_t total = number_of(j, "total");

        printf("%s", show_number(ended(j), a));
        if (total >= number_of(j, "seen") && total > 0)
                printf(" of %s", show_number(total, b));
        printf(" items, %s failed", show_number(number_of(j, "failed"), a));
}

/* One line, written over itself. */
static void show_bar(const json_t *j) {
        int64_t total = number_of(j, "total");

        printf("\r");
        if (total > 0 && total >= number_of(j, "seen")) {
                int full = (int)(ended(j) * BAR / total);

                (void)putchar('[');
                for (int i = 0; i < BAR; i++)
                        (void)putchar(i < full ? '#' : '-');
                printf("] ");
        }
        show_counts(j);
        printf("   ");
        (void)fflush(stdout);
}

static void show_problems(const json_t *j) {
        const json_t *problems = json_object_get(j, "problems");
        char a[SHOW_NUMBER];
        json_t *one;
        size_t i;
        int64_t more = number_of(j, "failed") - (int64_t)json_array_size(problems);

        json_array_foreach((json_t *)problems, i, one) {
                printf("  ");
                show_text(api_text(one, "key"));
                if (*api_text(one, "event"))
                        printf(" (%s)", api_text(one, "event"));
                printf(": ");
                show_text(api_text(one, "code"));
                printf(": ");
                show_text(api_text(one, "message"));
                (void)putchar('\n');
        }
        if (more > 0)
                printf("  and %s more\n", show_number(more, a));
}

/* The whole, when it has ended or somebody asks. */
static void show_all(const json_t *j) {
        static const struct {
                const char *member, *says;
        } more[] = {{"skipped", "left out"}, {"repeated", "repeated"}, {"open", "under way"}};
        const json_t *error = json_object_get(j, "error");
        char a[SHOW_NUMBER], b[SHOW_NUMBER], c[SHOW_NUMBER], d[SHOW_NUMBER];

        printf("%s: %s seen, %s succeeded, %s unchanged, %s failed", api_text(j, "progress"),
               show_number(number_of(j, "seen"), a), show_number(number_of(j, "succeeded"), b),
               show_number(number_of(j, "unchanged"), c), show_number(number_of(j, "failed"), d));
        for (size_t i = 0; i < COUNT_OF(more); i++)
                if (number_of(j, more[i].member))
                        printf(", %s %s", show_number(number_of(j, more[i].member), a),
                               more[i].says);
        (void)putchar('\n');
        show_problems(j);
        if (json_is_object(error)) {
                printf("The list could not be read on: ");
                show_text(api_text(error, "message"));
                (void)putchar('\n');
        }
}

static int code_of(const json_t *j) {
        bool is_well = is_running(j) || strcmp(api_text(j, "progress"), "done") == 0;

        return is_well && number_of(j, "failed") == 0 ? 0 : EXIT_FAILED;
}

static int ask(const CommandLine *l, const char *method, const char *id, const char *what,
               json_t **ret) {
        AUTO(buf_done)
        Buf path = BUF(512);
        ApiAnswer a;

        if (buf_add(&path, SPAN("/backfills")) < 0 || (*id && api_segment(&path, id) < 0) ||
            buf_addf(&path, "%s%c", what, 0) < 0)
                return line_wrong(l, "the id is too long");
        int r = api_call(l, method, path.p, (Span){NULL, 0}, &a);
        if (r != 0)
                return r;
        *ret = api_json(&a);
        api_done(&a);
        return 0;
}

/* Shows how it goes until it has ended; Ctrl-C leaves it to the daemon. */
static int follow(const CommandLine *l, const char *id) {
        bool terminal = isatty(STDOUT_FILENO);
        int64_t next_ms = clock_mono_ms() + LINE_MS;

        (void)signal(SIGINT, on_interrupt);
        for (;;) {
                json_t *j = NULL;
                int r = ask(l, "GET", id, "", &j);

                if (r != 0) {
                        (void)fprintf(stderr,
                                      "It goes on when the daemon is back: grapnel backfill show "
                                      "%s tells.\n",
                                      id);
                        return r;
                }
                if (terminal)
                        show_bar(j);
                if (!is_running(j) || interrupted) {
                        if (terminal)
                                (void)putchar('\n');
                        show_all(j);
                        r = code_of(j);
                        if (is_running(j))
                                printf("It goes on in the daemon. grapnel backfill show %s tells "
                                       "how far it is,\n`backfill cancel` ends it, `backfill "
                                       "resume` goes on with it then.\n",
                                       id);
                        json_decref(j);
                        return r;
                }
                if (!terminal && clock_mono_ms() >= next_ms) {
                        show_counts(j);
                        (void)putchar('\n');
                        (void)fflush(stdout);
                        next_ms = clock_mono_ms() + LINE_MS;
                }
                json_decref(j);
                (void)usleep(POLL_US);
        }
}

/* ---- what it can be told ---- */

static int start(const CommandLine *l) {
        json_t *body = backfill_body(l);
        char *text = body ? json_dumps(body, JSON_COMPACT) : NULL, id[64];
        ApiAnswer a;
        int r;

        json_decref(body);
        if (!text)
                return line_wrong(l, "a value is not UTF-8");
        r = api_call(l, "POST", "/backfills", span_of(text), &a);
        free(text);
        if (r != 0)
                return r;
        json_t *j = api_json(&a);
        (void)snprintf(id, sizeof id, "%s", api_text(j, "id"));
        if (line_option(l, "json"))
                printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&a.body)));
        else
                printf("%s\n", id);
        (void)fflush(stdout);
        json_decref(j);
        api_done(&a);
        return line_option(l, "json") ? 0 : follow(l, id);
}

static int print(const CommandLine *l, json_t *j) {
        char *text = line_option(l, "json") ? json_dumps(j, JSON_COMPACT) : NULL;

        if (text)
                printf("%s\n", text);
        else
                show_all(j);
        free(text);
        return code_of(j);
}

static int show_one(const CommandLine *l) {
        json_t *j = NULL;
        int r = ask(l, "GET", l->words[1], "", &j);

        if (r == 0)
                r = print(l, j);
        json_decref(j);
        return r;
}

static int cancel(const CommandLine *l) {
        json_t *j = NULL;
        int r = ask(l, "POST", l->words[1], "/cancel", &j);

        if (r == 0)
                (void)print(l, j);
        json_decref(j);
        return r;
}

static int resume(const CommandLine *l) {
        json_t *j = NULL;
        int r = ask(l, "POST", l->words[1], "/resume", &j);

        if (r == 0 && line_option(l, "json"))
                r = print(l, j);
        else if (r == 0)
                r = follow(l, l->words[1]);
        json_decref(j);
        return r;
}

static void show_line(const json_t *j) {
        char a[SHOW_NUMBER];

        printf("%s  %-9s  ", api_text(j, "id"), api_text(j, "progress"));
        show_text(api_text(j, "flow"));
        printf("  ");
        show_text(api_text(j, "from"));
        printf("  %s seen", show_number(number_of(j, "seen"), a));
        printf(", %s failed\n", show_number(number_of(j, "failed"), a));
}

static int list(const CommandLine *l) {
        json_t *j = NULL, *one;
        size_t i;
        int r = ask(l, "GET", "", "?limit=50", &j);

        if (r == 0 && line_option(l, "json"))
                json_array_foreach(json_object_get(j, "data"), i, one)(void) print(l, one);
        else if (r == 0)
                json_array_foreach(json_object_get(j, "data"), i, one) show_line(one);
        json_decref(j);
        return r;
}

static const struct {
        const char *name;
        int words;
        int (*run)(const CommandLine *l);
} verbs[] = {
        {"list", 1, list}, {"show", 2, show_one}, {"cancel", 2, cancel}, {"resume", 2, resume}};

static int run(const CommandLine *l) {
        const char *given[] = {"rate", "max-pages"};

        for (size_t i = 0; i < COUNT_OF(verbs) && !line_option(l, "from"); i++)
                if (strcmp(l->words[0], verbs[i].name) == 0)
                        return l->n_words == verbs[i].words
                                       ? verbs[i].run(l)
                                       : line_wrong(l, "%s takes %s", verbs[i].name,
                                                    verbs[i].words == 1 ? "nothing" : "an ID");
        if (!line_option(l, "from"))
                return line_wrong(l, "it needs --from, such as 'identity:/users'");
        if (l->n_words > 1)
                return line_wrong(l, "it takes one FLOW");
        for (size_t i = 0; i < COUNT_OF(given); i++)
                if (!is_number(l, given[i]))
                        return line_wrong(l, "--%s is a number from 1 to 1,000,000", given[i]);
        if (line_option(l, "report") && line_option(l, "rate"))
                return line_wrong(l, "--report takes no --rate: the limits of connections hold");
        return line_option(l, "report") ? backfill_show_report(l) : start(l);
}

const Command command_backfill = {
        .name = "backfill",
        .arguments = "FLOW|VERB [ID]",
        .help = "Run a flow for each item of a list.",
        .more = "The list of a connection is read page by page, and the flow runs with each\n"
                "item as its event. It survives restarts of the daemon, and Ctrl-C only ends the\n"
                "watching. With --report nothing is written: what would change is shown.\n"
                "\n"
                "`backfill list` tells which there are, `show ID` how far one is; `cancel ID`\n"
                "ends it, and `resume ID` goes on with it.\n"
                "\n"
                "A list goes on by its Link headers, or as --next, --number, --offset or --index\n"
                "say; PATH is a plain path such as .items.\n"
                "\n"
                "Exit code: 0 if all went well, 1 if some failed, 2 for a wrong command "
                "line.\n" API_HELP,
        .words_min = 1,
        .words_max = 2,
        .options = {{"from", "ADDRESS", "the list, such as 'identity:/users?limit=100'", false},
                    {"event", "JQ", "makes the event of an item", false},
                    {"source", "NAME", "whose events they are; else the flow's first", false},
                    {"key", "PATH", "what tells items apart (.id)", false},
                    {"list", "PATH", "where the items are in a page", false},
                    {"next", "PATH", "`link`, or where a page names the next one", false},
                    {"as", "NAME", "parameter for the cursor that --next finds", false},
                    {"number", "NAME", "parameter that counts pages from 1", false},
                    {"offset", "NAME", "parameter that counts items from 0", false},
                    {"index", "NAME", "parameter that counts items from 1", false},
                    {"rate", "N", "items a second", false},
                    {"max-pages", "N", "more are an error (10,000)", false},
                    {"report", NULL, "only show what would change", false},
                    API_OPTION_SERVER,
                    API_OPTION_JSON},
        .run = run,
};
