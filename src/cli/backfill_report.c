/* SPDX-License-Identifier: Apache-2.0
 *
 * `grapnel backfill FLOW --report`: the daemon is asked for a part of the list at a time, until
 * there is no more. */
#include "cli/backfill.h"
#include "cli/show.h"

typedef struct Sums {
        int64_t seen, changed, unchanged, failed, skipped;
} Sums;

static int64_t number_of(const json_t *j, const char *member) {
        return json_integer_value(json_object_get(j, member));
}

/* What is no request stands under its own name. */
static void show_head(const json_t *w) {
        static const char *const others[] = {"log", "emit", "exec"};

        printf("  ");
        show_text(api_text(w, "step"));
        for (size_t i = 0; i < COUNT_OF(others); i++) {
                if (!json_object_get(w, others[i]))
                        continue;
                printf(": %s ", others[i]);
                show_json(json_object_get(w, others[i]));
                (void)putchar('\n');
                return;
        }
        printf(": %s ", api_text(w, "method"));
        show_text(api_text(w, "url"));
        (void)putchar('\n');
}

static void show_write(const json_t *w) {
        json_t *changes = json_object_get(w, "changes"), *body = json_object_get(w, "body"), *one;
        const char *key;

        show_head(w);
        if (!json_object_size(changes) && body) {
                printf("    ");
                show_json(body);
                (void)putchar('\n');
        }
        json_object_foreach(changes, key, one) {
                printf("    ");
                show_text(key);
                printf(": ");
                show_json(json_object_get(one, "from"));
                printf(" -> ");
                show_json(json_object_get(one, "to"));
                (void)putchar('\n');
        }
}

static void show_row(const CommandLine *l, const json_t *row) {
        json_t *write;
        size_t i;

        if (line_option(l, "json")) {
                char *text = json_dumps(row, JSON_COMPACT);

                printf("%s\n", text ? text : "{}");
                free(text);
                return;
        }
        show_text(api_text(row, "key"));
        if (number_of(row, "status") >= 300) {
                printf(" fails: %d ", (int)number_of(row, "status"));
                show_text(api_text(row, "code"));
                printf(": ");
                show_text(api_text(row, "message"));
        }
        (void)putchar('\n');
        json_array_foreach(json_object_get(row, "writes"), i, write) show_write(write);
}

static void show_sums(const CommandLine *l, const Sums *s) {
        char a[SHOW_NUMBER], b[SHOW_NUMBER], c[SHOW_NUMBER], d[SHOW_NUMBER];

        if (line_option(l, "json")) {
                printf("{\"seen\":%" PRId64 ",\"wouldChange\":%" PRId64 ",\"unchanged\":%" PRId64
                       ",\"failed\":%" PRId64 ",\"skipped\":%" PRId64 "}\n",
                       s->seen, s->changed, s->unchanged, s->failed, s->skipped);
                return;
        }
        printf("%s seen, %s would change, %s failed", show_number(s->seen, a),
               show_number(s->changed, b), show_number(s->failed, c));
        if (s->skipped)
                printf(", %s left out", show_number(s->skipped, d));
        (void)putchar('\n');
}

static void add(Sums *s, const json_t *j) {
        s->seen += number_of(j, "seen");
        s->changed += number_of(j, "wouldChange");
        s->unchanged += number_of(j, "unchanged");
        s->failed += number_of(j, "failed");
        s->skipped += number_of(j, "skipped");
}

int backfill_show_report(const CommandLine *l) {
        json_t *body = backfill_body(l), *row;
        Sums sums = {0};
        bool more = true;
        int r = 0;

        if (!body)
                return line_wrong(l, "a value is not UTF-8");
        while (more) {
                char *text = json_dumps(body, JSON_COMPACT);
                ApiAnswer a;
                size_t i;

                r = text ? api_call(l, "POST", "/backfills/report", span_of(text), &a) : 1;
                free(text);
                if (r != 0)
                        break;
                json_t *j = api_json(&a);
                api_done(&a);
                json_array_foreach(json_object_get(j, "data"), i, row) show_row(l, row);
                (void)fflush(stdout);
                add(&sums, j);
                more = json_is_object(json_object_get(j, "next")) &&
                       json_object_set(body, "after", json_object_get(j, "next")) == 0;
                json_decref(j);
        }
        json_decref(body);
        if (r == 0)
                show_sums(l, &sums);
        return r == 0 && sums.failed ? 1 : r;
}
