/* SPDX-License-Identifier: Apache-2.0
 *
 * The manual's tables, written from the same rows that read the file. */
#include "config/option.h"
#include "config/tables.h"

static const char *type_name(OptionType type) {
        static const char *const names[] = {
                [OPTION_TEXT] = "text",         [OPTION_SPAN] = "text",
                [OPTION_SECRET] = "secret",     [OPTION_BOOL] = "true or false",
                [OPTION_NUMBER] = "number",     [OPTION_SIZE] = "size",
                [OPTION_DURATION] = "duration", [OPTION_RATE] = "rate",
                [OPTION_CHOICE] = "",           [OPTION_EXPR] = "jq expression",
                [OPTION_TEMPLATE] = "template", [OPTION_NODE] = "map",
        };

        return names[type];
}

static int print_type(const Option *row, Buf *out) {
        int r = 0;

        if (row->shape || row->type != OPTION_CHOICE)
                return buf_addf(out, "%s", row->shape ? row->shape : type_name(row->type));
        for (size_t i = 0; r == 0 && row->choices[i]; i++)
                r = buf_addf(out, "%s`%s`", i ? ", " : "", row->choices[i]);
        return r;
}

static int print_row(const Option *row, Buf *out) {
        int r = buf_addf(out, "| `%s` | ", row->name);

        if (r == 0)
                r = print_type(row, out);
        if (r == 0 && row->required)
                r = buf_add(out, SPAN(" | *required*"));
        else if (r == 0 && row->fallback)
                r = buf_addf(out, " | `%s`", row->fallback[0] ? row->fallback : "\"\"");
        else if (r == 0)
                r = buf_add(out, SPAN(" | "));
        return r < 0 ? r : buf_addf(out, " | %s |\n", row->help);
}

int option_print_group(const OptionGroup *group, Buf *out) {
        int r = buf_addf(out,
                         "### %s\n\n%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n",
                         group->title, group->intro);

        for (size_t i = 0; r == 0 && i < group->n; i++)
                r = print_row(&group->table[i], out);
        return r < 0 ? r : buf_add_char(out, '\n');
}

static int print_groups(const OptionGroup *groups, Buf *out) {
        int r = 0;

        for (; r == 0 && groups->title; groups++)
                r = option_print_group(groups, out);
        return r;
}

int config_print_reference(Buf *out) {
        const OptionGroup *const all[] = {top_groups,      connection_groups, database_groups,
                                          source_groups,   flow_groups,       endpoint_groups,
                                          statement_groups};
        int r = 0;

        for (size_t i = 0; r == 0 && i < COUNT_OF(all); i++) {
                r = print_groups(all[i], out);
                if (r == 0 && all[i] == source_groups)
                        r = source_kinds_print(out);
        }
        return r;
}
