/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api.h"
#include "cli/table.h"

enum { PAGES_MAX = 400 };

static void print_types(const json_t *endpoint) {
        const json_t *types = json_object_get(endpoint, "filterTypes");

        if (!json_array_size(types))
                printf("all");
        for (size_t i = 0; i < json_array_size(types); i++)
                printf("%s%s", i ? "," : "", json_string_value(json_array_get(types, i)));
}

static void print_row(const json_t *p) {
        const char *since = api_text(p, "failingSince"), *reason = api_text(p, "disabledReason");
        bool disabled = json_is_true(json_object_get(p, "disabled"));

        printf("%-20s %-16s %-9s ", api_text(p, "id"),
               *api_text(p, "uid") ? api_text(p, "uid") : "-",
               disabled ? "disabled"
               : *since ? "failing"
                        : "enabled");
        printf("%s ", api_text(p, "url"));
        print_types(p);
        if (disabled && *reason)
                printf(" (disabled: %s)", reason);
        if (*since)
                printf(" (failing since %s)", since);
        printf("\n");
}

static void print_page(const CommandLine *l, const ApiAnswer *a, const json_t *page, bool first) {
        const json_t *data = json_object_get(page, "data");

        if (line_option(l, "json")) {
                printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&a->body)));
                return;
        }
        if (first && !json_array_size(data))
                printf("no endpoints\n");
        else if (first)
                printf("%-20s %-16s %-9s %s\n", "ID", "UID", "STATE", "URL TYPES");
        for (size_t i = 0; i < json_array_size(data); i++)
                print_row(json_array_get(data, i));
}

/* The page behind the iterator; sets the next one's, false at the end. */
static int one_page(const CommandLine *l, char iterator[64], bool *ret_more) {
        AUTO(buf_done)
        Buf path = BUF(4096);
        ApiAnswer a;
        int r;

        if (buf_add(&path, SPAN("/app")) < 0 || api_segment(&path, l->words[0]) < 0 ||
            buf_addf(&path, "/endpoint?limit=250%s%s%c", *iterator ? "&iterator=" : "", iterator,
                     0) < 0)
                return line_wrong(l, "the application's name is too long");
        r = api_call(l, "GET", path.p, (Span){NULL, 0}, &a);
        if (r != 0)
                return r;
        json_t *page = api_json(&a);
        print_page(l, &a, page, !*iterator);
        *ret_more = json_is_false(json_object_get(page, "done"));
        (void)snprintf(iterator, 64, "%s", api_text(page, "iterator"));
        json_decref(page);
        api_done(&a);
        return 0;
}

static int run(const CommandLine *l) {
        char iterator[64] = "";
        bool more = true;
        int r = 0;

        for (int i = 0; i < PAGES_MAX && more && r == 0; i++)
                r = one_page(l, iterator, &more);
        return r;
}

const Command command_endpoints = {
        .name = "endpoints",
        .arguments = "APP",
        .help = "List an application's endpoints and how they do.",
        .more = "APP is the application's id or uid.\n" API_HELP,
        .words_min = 1,
        .words_max = 1,
        .options = {API_OPTION_SERVER, API_OPTION_JSON},
        .run = run,
};
