/* SPDX-License-Identifier: Apache-2.0
 *
 * Delivery keys: have we heard this one before? A unique index on random keys would touch one
 * random page per event and write it to the WAL. Here keys are appended to a log, and filters in
 * memory (key_filter.c), one per generation of keys, say which few rows of the log may hold a key;
 * a fresh key costs one append and a cache miss or two per generation, a repeat one short read.
 *
 * At most KEY_GENERATIONS generations are kept: an older one is forgotten whole, even when its
 * keys are younger than once_ms; so are those whose keys are all too old. A key that is found but
 * is older than once_ms counts as new. The filter of a full generation is written to the file so
 * that a start need not scan for it; that of the generation which still fills, at an orderly
 * close. Whatever the written filter does not know is scanned. */
#include "ledger/store_sqlite.h"

enum { DROP_SLICE = 8192 };

static void hash_event(const KeyLog *k, const Event *event, KeyHash *ret) {
        uint64_t source = hash_keyed(event->source, k->secret[0], k->secret[1]);

        ret->a = hash_keyed(event->key, k->secret[0] ^ source, k->secret[2]);
        ret->b = hash_keyed(event->key, k->secret[1] ^ source, k->secret[3]);
}

static int64_t hash_body(const KeyLog *k, const Event *event) {
        return (int64_t)hash_keyed(event->body, k->secret[4], k->secret[5]);
}

static KeyGeneration *generation_of(KeyLog *k, int64_t number) {
        KeyGeneration *g = &k->generations[number % KEY_GENERATIONS];

        return g->filter && g->number == number ? g : NULL;
}

/* Takes the place of the generation that is KEY_GENERATIONS older. */
static KeyGeneration *generation_begin(KeyLog *k, int64_t number) {
        KeyGeneration *g = &k->generations[number % KEY_GENERATIONS];

        key_filter_free(g->filter);
        *g = (KeyGeneration){.number = number, .filter = key_filter_new(k->per_generation)};
        int64_t oldest = number - KEY_GENERATIONS + 1;
        if (oldest > 0 && oldest * k->per_generation > k->drop_below)
                k->drop_below = oldest * k->per_generation;
        return g;
}

/* Looks at one block of the log, latest first: 1 when the key is there and young enough. */
static int find_in_block(Sqlite *s, int64_t first, int64_t end, const KeyHash *hash,
                         const Event *event, KeyKnown *ret, Err *e) {
        const KeyLog *k = &s->keys;
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_KEY_BLOCK, &st, e), found = 0;

        if (r < 0)
                return r;
        bind_int(st, 1, first);
        bind_int(st, 2, end);
        while (!found && (r = sqlite_row(s, st, e, "read delivery keys")) > 0) {
                Span row = column_span(st, 0);

                if (row.n != sizeof *hash || memcmp(row.p, hash, sizeof *hash) != 0)
                        continue;
                if (k->once_ms > 0 && sqlite3_column_int64(st, 3) < event->received_ms - k->once_ms)
                        continue;
                ret->event = sqlite3_column_int64(st, 1);
                ret->row = sqlite3_column_int64(st, 4);
                ret->same_body = sqlite3_column_int64(st, 2) == hash_body(k, event);
                found = 1;
        }
        sqlite3_reset(st);
        return r < 0 ? r : found;
}

int sqlite_keys_find(Sqlite *s, const Event *event, KeyKnown *ret, Err *e) {
        KeyLog *k = &s->keys;
        int64_t number = k->next_id / k->per_generation;
        KeyHash hash;

        hash_event(k, event, &hash);
        for (int64_t i = number; i >= 0 && i > number - KEY_GENERATIONS; i--) {
                const KeyGeneration *g = generation_of(k, i);
                KeyProbe probe = {0};
                uint32_t first;

                while (g && key_filter_next(g->filter, hash, &probe, &first)) {
                        int64_t id = i * k->per_generation + first;
                        int r = find_in_block(s, id, id + g->filter->per_block, &hash, event, ret,
                                              e);

                        if (r != 0)
                                return r;
                }
        }
        return 0;
}

int sqlite_find_key(Store *store, Span source, Span key, int64_t now_ms, int64_t *ret_event,
                    Err *e) {
        KeyKnown known = {0};
        int r = sqlite_keys_find(sqlite_of(store),
                                 &(Event){.source = source, .key = key, .received_ms = now_ms},
                                 &known, e);

        *ret_event = known.event;
        return r < 0 ? r : 0;
}

/* The filter still knows the place, which costs a look now and then. */
int sqlite_keys_forget(Sqlite *s, const Event *event, Err *e) {
        sqlite3_stmt *st = NULL;
        KeyKnown known = {0};
        int r = event->key.n ? sqlite_keys_find(s, event, &known, e) : 0;

        if (r <= 0 || known.event != event->id)
                return r < 0 ? r : 0;
        r = sqlite_get(s, SQL_KEY_FORGET, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, known.row);
        return sqlite_run(s, st, e, "forget a delivery key");
}

static void remember_taken(KeyLog *k, KeyFilter *filter, uint32_t slot) {
        if (k->n_taken == k->taken_cap) {
                k->taken_cap = k->taken_cap ? k->taken_cap * 2 : 512;
                k->taken = realloc(k->taken, k->taken_cap * sizeof *k->taken);
                must(k->taken);
        }
        k->taken[k->n_taken++] = (struct KeyTaken){filter, slot};
}

int sqlite_keys_add(Sqlite *s, const Event *event, Err *e) {
        KeyLog *k = &s->keys;
        sqlite3_stmt *st = NULL;
        KeyHash hash;
        int r = sqlite_get(s, SQL_KEY_ADD, &st, e);

        if (r < 0)
                return r;
        hash_event(k, event, &hash);
        bind_int(st, 1, k->next_id);
        bind_blob(st, 2, span_make(&hash, sizeof hash));
        bind_int(st, 3, event->id);
        bind_int(st, 4, hash_body(k, event));
        bind_int(st, 5, event->received_ms);
        r = sqlite_run(s, st, e, "write a delivery key");
        if (r < 0)
                return r;
        int64_t number = k->next_id / k->per_generation;
        KeyGeneration *g = generation_of(k, number);
        if (!g)
                g = generation_begin(k, number);
        uint32_t place = (uint32_t)(k->next_id % k->per_generation);
        remember_taken(k, g->filter, key_filter_add(g->filter, hash, place));
        if (event->received_ms > g->newest_ms)
                g->newest_ms = event->received_ms;
        k->next_id++;
        return 0;
}

void sqlite_keys_end(Sqlite *s, bool committed) {
        KeyLog *k = &s->keys;

        for (size_t i = k->n_taken; !committed && i > 0; i--) {
                key_filter_take_back(k->taken[i - 1].filter, k->taken[i - 1].slot);
                k->next_id--;
        }
        k->n_taken = 0;
}

static uint32_t keys_in(const KeyLog *k, const KeyGeneration *g) {
        int64_t n = k->next_id - g->number * k->per_generation;

        return n <= 0 ? 0 : n > k->per_generation ? k->per_generation : (uint32_t)n;
}

static int save(Sqlite *s, KeyGeneration *g, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_GENERATION_SET, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, g->number);
        bind_int(st, 2, g->newest_ms);
        bind_int(st, 3, keys_in(&s->keys, g));
        bind_blob(st, 4, span_make(g->filter->slots, key_filter_bytes(g->filter)));
        return sqlite_run(s, st, e, "write a filter of keys");
}

int sqlite_keys_save(Sqlite *s, Err *e) {
        KeyLog *k = &s->keys;

        for (size_t i = 0; i < KEY_GENERATIONS; i++) {
                KeyGeneration *g = &k->generations[i];
                int r;

                if (!g->filter || g->saved == keys_in(k, g))
                        continue;
                r = save(s, g, e);
                if (r < 0)
                        return r;
                g->saved = keys_in(k, g);
        }
        return 0;
}

/* Fills the filter with the keys that the one on disk, if any, does not know. */
static int scan(Sqlite *s, KeyGeneration *g, Err *e) {
        KeyLog *k = &s->keys;
        int64_t base = g->number * k->per_generation;
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_KEY_SCAN, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, base + g->saved);
        bind_int(st, 2, base + k->per_generation);
        while ((r = sqlite_row(s, st, e, "scan delivery keys")) > 0) {
                Span row = column_span(st, 1);
                KeyHash hash;

                if (row.n != sizeof hash)
                        continue;
                memcpy(&hash, row.p, sizeof hash);
                (void)key_filter_add(g->filter, hash,
                                     (uint32_t)(sqlite3_column_int64(st, 0) - base));
                if (sqlite3_column_int64(st, 2) > g->newest_ms)
                        g->newest_ms = sqlite3_column_int64(st, 2);
        }
        return r;
}

static int load(Sqlite *s, int64_t number, Err *e) {
        KeyGeneration *g = generation_begin(&s->keys, number);
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_GENERATION_GET, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, number);
        r = sqlite_row(s, st, e, "read a filter of keys");
        if (r < 0)
                return r;
        if (r > 0 && sqlite3_column_bytes(st, 2) == (int)key_filter_bytes(g->filter)) {
                memcpy(g->filter->slots, sqlite3_column_blob(st, 2), key_filter_bytes(g->filter));
                g->newest_ms = sqlite3_column_int64(st, 0);
                g->saved = (uint32_t)sqlite3_column_int64(st, 1);
        }
        sqlite3_reset(st);
        return scan(s, g, e);
}

static int edge(Sqlite *s, const char *sql, int64_t *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
        int r = rc == SQLITE_OK ? sqlite_row(s, st, e, "read delivery keys")
                                : sqlite_fail(s, rc, e, "read delivery keys");

        if (r > 0)
                *ret = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return r < 0 ? r : 0;
}

int sqlite_keys_open(Sqlite *s, const StoreOptions *o, Err *e) {
        KeyLog *k = &s->keys;
        int64_t per_generation = 0, last = -1;
        int r = sqlite_meta_get(s, "keys_per_generation", &per_generation, e);

        memcpy(k->secret, s->secret, sizeof s->secret);
        /* Two more words for the hash of the body, from the same secret. */
        k->secret[4] = hash_keyed(SPAN("body"), k->secret[0], k->secret[1]);
        k->secret[5] = hash_keyed(SPAN("body"), k->secret[2], k->secret[3]);
        k->once_ms = o->once_ms;
        if (r == 0 && per_generation <= 0) {
                /* A file keeps the number with which its filters were made. */
                per_generation =
                        o->keys_per_generation ? o->keys_per_generation : KEYS_PER_GENERATION;
                r = sqlite_meta_set(s, "keys_per_generation", per_generation, e);
        }
        k->per_generation = (uint32_t)per_generation;
        if (r == 0)
                r = edge(s, "SELECT id FROM keys ORDER BY id LIMIT 1", &k->first_id, e);
        if (r == 0)
                r = edge(s, "SELECT id FROM keys ORDER BY id DESC LIMIT 1", &last, e);
        /* An emptied log goes on above the numbers of the filters that it had. */
        if (r == 0 && last < 0)
                r = sqlite_meta_get(s, "keys_next", &k->next_id, e);
        else
                k->next_id = last + 1;
        if (last < 0)
                k->first_id = k->next_id;
        int64_t newest = k->next_id > 0 ? (k->next_id - 1) / k->per_generation : 0;
        int64_t oldest = newest >= KEY_GENERATIONS ? newest - KEY_GENERATIONS + 1 : 0;
        for (int64_t i = oldest; r == 0 && i <= newest; i++)
                r = load(s, i, e);
        return r;
}

static int drop_slice(Sqlite *s, bool *ret_more, Err *e) {
        KeyLog *k = &s->keys;
        int64_t to =
                k->first_id + DROP_SLICE < k->drop_below ? k->first_id + DROP_SLICE : k->drop_below;
        sqlite3_stmt *st = NULL;
        int r = sqlite_begin(s, e);

        if (r < 0)
                return r;
        r = sqlite_get(s, SQL_KEY_DROP, &st, e);
        if (r == 0) {
                bind_int(st, 1, k->first_id);
                bind_int(st, 2, to);
                r = sqlite_run(s, st, e, "drop old delivery keys");
        }
        if (r == 0)
                r = sqlite_get(s, SQL_GENERATION_DROP, &st, e);
        if (r == 0) {
                bind_int(st, 1, k->drop_below / k->per_generation);
                r = sqlite_run(s, st, e, "drop old filters of keys");
        }
        if (r == 0)
                r = sqlite_meta_set(s, "keys_next", k->next_id, e);
        r = r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
        if (r == 0) {
                k->first_id = to;
                *ret_more = to < k->drop_below;
        }
        return r;
}

/* Full generations are written down; those of which every key is too old are forgotten. */
int sqlite_keys_upkeep(Sqlite *s, int64_t now_ms, bool *ret_more, Err *e) {
        KeyLog *k = &s->keys;

        for (size_t i = 0; i < KEY_GENERATIONS; i++) {
                KeyGeneration *g = &k->generations[i];
                bool is_full = g->filter && keys_in(k, g) == k->per_generation;

                if (is_full && k->once_ms > 0 && g->newest_ms < now_ms - k->once_ms) {
                        int64_t end = (g->number + 1) * k->per_generation;

                        k->drop_below = end > k->drop_below ? end : k->drop_below;
                        g->filter = key_filter_free(g->filter);
                } else if (is_full && g->saved < k->per_generation) {
                        int r = sqlite_begin(s, e);

                        if (r < 0)
                                return r;
                        r = save(s, g, e);
                        r = r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
                        if (r < 0)
                                return r;
                        g->saved = k->per_generation;
                        *ret_more = true;
                        return 0;
                }
        }
        return k->first_id < k->drop_below ? drop_slice(s, ret_more, e) : 0;
}

void sqlite_keys_done(Sqlite *s) {
        for (size_t i = 0; i < KEY_GENERATIONS; i++)
                key_filter_free(s->keys.generations[i].filter);
        free(s->keys.taken);
}
