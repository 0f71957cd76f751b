/* SPDX-License-Identifier: Apache-2.0
 *
 * databases: those of applications, for triggers and statements. Grapnel's own ledger is not one.
 */
#include "config/tables.h"

static const Option database_options[] = {
        {.name = "url",
         .type = OPTION_SECRET,
         .offset = offsetof(DatabaseConfig, url),
         .required = true,
         .shape = "`postgresql://...` or `sqlite:FILE`",
         .help = "Where it is. A PostgreSQL URL is read as `psql` reads it: "
                 "`postgresql://user@host:5432/name?sslmode=verify-full`; a password is better "
                 "kept "
                 "in `${...}`. A file's name is relative to the folder in which Grapnel runs."},
};

const OptionGroup database_groups[] = {
        {"databases.NAME",
         "A database of an application, which [triggers](triggers.md) look at. `databases: {shop: "
         "{url: \"${SHOP_DATABASE}\"}}`",
         database_options, COUNT_OF(database_options)},
        {0},
};

static void read_url(Reading *r, const Node *n, DatabaseConfig *d) {
        Span url = secret_reveal(&d->url);

        if (span_starts(url, SPAN("sqlite:")) && url.n > 7) {
                d->is_sqlite = true;
                d->file = arena_text(r->arena, span_from(url, 7));
                if (!d->file)
                        problem_no_room(r->problems, n->place);
        } else if (!span_starts(url, SPAN("postgresql://")) &&
                   !span_starts(url, SPAN("postgres://"))) {
                problem_hide_lines(r->problems, n->place.line, n->last_line);
                problem_add(r->problems, n->place,
                            "url: postgresql://user@host/name or sqlite:FILE is expected here");
        }
}

static void read_database(Reading *r, const Node *map, DatabaseConfig *d) {
        int err = options_read(map, database_options, COUNT_OF(database_options), d, r->arena,
                               r->problems);
        const Node *url = node_get(map, "url");

        if (err == 0 && url)
                read_url(r, url, d);
}

void databases_read(Reading *r, const Node *map) {
        Config *config = r->config;
        void *room = NULL;
        size_t n = named_room(r, map, "database", sizeof *config->databases, &room);

        if (n == 0)
                return;
        config->databases = room;
        config->database_names = named_table(r, n);
        for (size_t i = 0; config->database_names && i < n; i++) {
                DatabaseConfig *d = &config->databases[i];

                d->name = named_key(r, &map->entries[i], "database");
                d->place = map->entries[i].key_place;
                d->index = i;
                read_database(r, map->entries[i].value, d);
                if (d->name)
                        must(table_put(config->database_names, span_of(d->name), d) == 0);
        }
        config->n_databases = n;
}
