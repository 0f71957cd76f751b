/* SPDX-License-Identifier: Apache-2.0
 *
 * Three tables and, per kind and owner, a rank: an array in the order of ids. Applications have a
 * set of their endpoints, made anew at the first question after a change. */
#include "flow/registry.h"

#include "base/id.h"
#include "base/table.h"
#include "json/value.h"

#include <pthread.h>

enum {
        LATE_MAX = 65536, /* objects that are written while there is still room for one */
        REMOVED_KEPT = 1024,
        KEY_MAX = 16 + OBJECT_NAME_MAX_BYTES,
};

/* Of one kind and owner. */
typedef struct Rank {
        Entry **entries; /* in the order of their ids */
        size_t n, cap;
        EndpointSet *set; /* of endpoints; NULL: to be made */
} Rank;

struct Registry {
        pthread_rwlock_t lock;
        size_t objects_max;
        _Atomic uint64_t changes;
        Table *by_id, *by_name, *ranks, *by_target;
        int64_t removed[REMOVED_KEPT]; /* ids, lately: a write before the removal may come late */
        size_t n_removed;
        int64_t *declared; /* ids of endpoints */
        size_t n_declared;
        int64_t declared_version; /* the greatest that was given to one of them */
};

/* ---- entries and sets ---- */

Entry *entry_ref(Entry *e) {
        atomic_fetch_add(&e->refs, 1);
        return e;
}

Entry *entry_unref(Entry *e) {
        if (!e || atomic_fetch_sub(&e->refs, 1) != 1)
                return NULL;
        endpoint_unref(e->endpoint);
        throttle_unref(e->throttle);
        free(e);
        return NULL;
}

static Entry *entry_new(const Object *o) {
        Entry *e = must_alloc(sizeof *e + o->name.n + o->text.n + 2);
        char *bytes = (char *)(e + 1);

        e->refs = 1;
        e->object = *o;
        if (o->name.n)
                memcpy(bytes, o->name.p, o->name.n);
        e->object.name.p = bytes;
        bytes += o->name.n + 1;
        if (o->text.n)
                memcpy(bytes, o->text.p, o->text.n);
        e->object.text.p = bytes;
        return e;
}

EndpointSet *endpoint_set_unref(EndpointSet *s) {
        if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
                return NULL;
        for (size_t i = 0; i < s->n; i++)
                endpoint_unref(s->endpoints[i]);
        free(s);
        return NULL;
}

/* ---- keys of the tables ---- */

typedef struct Key {
        char bytes[KEY_MAX];
        size_t n;
} Key;

static void key_begin(Key *k, ObjectKind kind, int64_t number) {
        uint64_t head[2] = {kind, (uint64_t)number};

        memcpy(k->bytes, head, sizeof head);
        k->n = sizeof head;
}

static Span key_of(Key *k, ObjectKind kind, int64_t number) {
        key_begin(k, kind, number);
        return (Span){k->bytes, k->n};
}

static Span key_named(Key *k, ObjectKind kind, int64_t owner, Span name) {
        size_t n = name.n < OBJECT_NAME_MAX_BYTES ? name.n : OBJECT_NAME_MAX_BYTES;

        key_begin(k, kind, owner);
        if (n)
                memcpy(k->bytes + k->n, name.p, n);
        k->n += n;
        return (Span){k->bytes, k->n};
}

/* ---- ranks ---- */

static Rank *rank_find(const Registry *r, ObjectKind kind, int64_t owner) {
        Key k;

        return table_get(r->ranks, key_of(&k, kind, owner));
}

static Rank *rank_get(Registry *r, ObjectKind kind, int64_t owner) {
        Rank *s = rank_find(r, kind, owner);
        Key k;

        if (s)
                return s;
        s = must_alloc(sizeof *s);
        must(table_put(r->ranks, key_of(&k, kind, owner), s) == 0);
        return s;
}

/* Where the first entry with a greater id is. */
static size_t rank_after(const Rank *s, int64_t id) {
        size_t low = 0, high = s->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (s->entries[middle]->object.id <= id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void rank_free(Rank *s) {
        if (!s)
                return;
        endpoint_set_unref(s->set);
        free(s->entries);
        free(s);
}

static void rank_changed(Rank *s) {
        s->set = endpoint_set_unref(s->set);
}

static void rank_put(Rank *s, Entry *e) {
        size_t at = rank_after(s, e->object.id);

        rank_changed(s);
        if (at > 0 && s->entries[at - 1]->object.id == e->object.id) {
                s->entries[at - 1] = e;
                return;
        }
        if (s->n == s->cap) {
                s->cap = s->cap ? s->cap * 2 : 8;
                s->entries = realloc(s->entries, s->cap * sizeof(Entry *));
                must(s->entries);
        }
        memmove(s->entries + at + 1, s->entries + at, (s->n - at) * sizeof(Entry *));
        s->entries[at] = e;
        s->n++;
}

static void rank_take(Rank *s, int64_t id) {
        size_t at = rank_after(s, id);

        if (at == 0 || s->entries[at - 1]->object.id != id)
                return;
        rank_changed(s);
        memmove(s->entries + at - 1, s->entries + at, (s->n - at) * sizeof(Entry *));
        s->n--;
}

/* ---- changes ---- */

/* What is no number from 1 on is no limit. */
static uint32_t rate_of(const Object *o) {
        Span rate = json_trim(json_member(o->text, SPAN("rateLimit")));
        uint64_t n = 0;

        return rate.n && span_to_u64(rate, UINT32_MAX, &n) ? (uint32_t)n : 0;
}

static void enter_throttle(Entry *fresh, const Entry *old) {
        if (fresh->object.kind != OBJECT_APPLICATION)
                return;
        fresh->throttle = old ? throttle_ref(old->throttle) : throttle_new();
        throttle_set(fresh->throttle, rate_of(&fresh->object));
}

Registry *registry_new_for(size_t objects_max) {
        Registry *r = must_alloc(sizeof *r);
        size_t most = objects_max + LATE_MAX;

        must(pthread_rwlock_init(&r->lock, NULL) == 0);
        r->objects_max = objects_max;
        r->by_id = table_new(most);
        r->by_name = table_new(most);
        r->ranks = table_new((size_t)OBJECT_KINDS * (most + 1));
        r->by_target = table_new(most);
        return r;
}

Registry *registry_new(void) {
        return registry_new_for(REGISTRY_OBJECTS_MAX);
}

static void free_entry(void *arg, Span key, void *value) {
        (void)arg;
        (void)key;
        entry_unref(value);
}

static void free_rank(void *arg, Span key, void *value) {
        (void)arg;
        (void)key;
        rank_free(value);
}

Registry *registry_free(Registry *r) {
        if (!r)
                return NULL;
        table_each(r->ranks, free_rank, NULL);
        table_each(r->by_id, free_entry, NULL);
        table_free(r->by_id);
        table_free(r->by_name);
        table_free(r->ranks);
        table_free(r->by_target);
        pthread_rwlock_destroy(&r->lock);
        free(r->declared);
        free(r);
        return NULL;
}

/* Takes the entry off all tables, but for by_id. */
static void forget(Registry *r, const Entry *e) {
        const Object *o = &e->object;
        Key k;

        if (o->name.n && table_get(r->by_name, key_named(&k, o->kind, o->owner, o->name)) == e)
                table_remove(r->by_name, key_named(&k, o->kind, o->owner, o->name));
        if (e->endpoint && table_get(r->by_target, span_of(e->endpoint->target)) == e)
                table_remove(r->by_target, span_of(e->endpoint->target));
}

/* A name is whose it was last: who is heard of late had given it up before another took it. */
static int enter_name(Registry *r, Entry *e) {
        const Object *o = &e->object;
        const Entry *holder;
        Key k;
        Span name = key_named(&k, o->kind, o->owner, o->name);

        holder = o->name.n ? table_get(r->by_name, name) : NULL;
        if (o->name.n == 0 || (holder && holder->object.version > o->version))
                return 0;
        return table_put(r->by_name, name, e);
}

static int enter(Registry *r, Entry *e) {
        const Object *o = &e->object;
        Key k;
        int bad = table_put(r->by_id, key_of(&k, o->kind, o->id), e);

        if (bad == 0)
                bad = enter_name(r, e);
        if (bad == 0 && e->endpoint)
                bad = table_put(r->by_target, span_of(e->endpoint->target), e);
        if (bad == 0)
                rank_put(rank_get(r, o->kind, o->owner), e);
        return bad;
}

/* Was it, or what owns it, removed? */
static bool is_gone(const Registry *r, const Object *o) {
        Key k;

        for (size_t i = 0; i < r->n_removed && i < REMOVED_KEPT; i++)
                if (r->removed[i] == o->id)
                        return true;
        return o->owner && !table_get(r->by_id, key_of(&k, OBJECT_APPLICATION, o->owner));
}

int registry_put(Registry *r, const Object *o, Err *e) {
        Entry *fresh = entry_new(o), *old;
        Key k;
        int bad = o->kind == OBJECT_ENDPOINT ? endpoint_make(o, &fresh->endpoint, e) : 0;

        if (bad < 0) {
                entry_unref(fresh);
                return bad;
        }
        pthread_rwlock_wrlock(&r->lock);
        old = table_get(r->by_id, key_of(&k, o->kind, o->id));
        if (old && old->object.version >= o->version) {
                old = fresh; /* it is the older one */
        } else if (!old && is_gone(r, o)) {
                old = fresh;
        } else if (table_count(r->by_id) >= r->objects_max + LATE_MAX && !old) {
                bad = FAIL(e, -ENOSPC, "more than %zu objects", r->objects_max);
                old = fresh;
        } else {
                enter_throttle(fresh, old);
                fresh->is_declared = old && old->is_declared;
                if (old)
                        forget(r, old);
                must(enter(r, fresh) == 0);
                atomic_fetch_add(&r->changes, 1);
        }
        pthread_rwlock_unlock(&r->lock);
        entry_unref(old);
        return bad;
}

static void note_removed(Registry *r, int64_t id) {
        r->removed[r->n_removed++ % REMOVED_KEPT] = id;
}

static void remove_one(Registry *r, Entry *e) {
        Key k;

        note_removed(r, e->object.id);
        forget(r, e);
        table_remove(r->by_id, key_of(&k, e->object.kind, e->object.id));
        rank_take(rank_get(r, e->object.kind, e->object.owner), e->object.id);
        entry_unref(e);
}

/* What an application owns goes with it. */
static void remove_owned(Registry *r, int64_t owner) {
        static const ObjectKind kinds[] = {OBJECT_ENDPOINT, OBJECT_KEY, OBJECT_REPLAY};
        Key k;

        for (size_t i = 0; i < COUNT_OF(kinds); i++) {
                Rank *s = rank_find(r, kinds[i], owner);

                while (s && s->n > 0)
                        remove_one(r, s->entries[s->n - 1]);
                rank_free(table_remove(r->ranks, key_of(&k, kinds[i], owner)));
        }
}

void registry_remove(Registry *r, const Object *o) {
        Entry *old;
        Key k;

        pthread_rwlock_wrlock(&r->lock);
        old = table_get(r->by_id, key_of(&k, o->kind, o->id));
        if (old && o->kind == OBJECT_APPLICATION)
                remove_owned(r, o->id);
        if (old)
                remove_one(r, old);
        else
                note_removed(r, o->id);
        atomic_fetch_add(&r->changes, 1);
        pthread_rwlock_unlock(&r->lock);
}

/* ---- questions ---- */

/* ---- what the file declares ---- */

static Entry *entry_of(const Registry *r, ObjectKind kind, int64_t id) {
        Key k;

        return table_get(r->by_id, key_of(&k, kind, id));
}

static int check_declared(const Registry *r, const Object *o, Err *e) {
        const Entry *holder, *app = entry_of(r, OBJECT_APPLICATION, o->owner);
        Key k;

        if (!app)
                return FAIL(e, -ENOENT, "the application of the endpoint '" SPAN_FMT "' is gone",
                            SPAN_ARG(o->name));
        holder = table_get(r->by_name, key_named(&k, OBJECT_ENDPOINT, o->owner, o->name));
        if (holder && !holder->is_declared)
                return FAIL(e, -EEXIST,
                            "the application '" SPAN_FMT "' has an endpoint '" SPAN_FMT
                            "' already, made through the API: remove that one, or choose another "
                            "name in the file",
                            SPAN_ARG(app->object.name), SPAN_ARG(o->name));
        return 0;
}

static bool lists(Entry *const *fresh, size_t n, const Entry *old) {
        for (size_t i = 0; i < n; i++)
                if (fresh[i]->object.id == old->object.id &&
                    fresh[i]->object.owner == old->object.owner)
                        return true;
        return false;
}

static void declare_one(Registry *r, Entry *fresh) {
        Entry *old = entry_of(r, OBJECT_ENDPOINT, fresh->object.id);

        if (old && old->object.version > r->declared_version)
                r->declared_version = old->object.version;
        fresh->object.version = fresh->endpoint->version = ++r->declared_version;
        fresh->is_declared = true;
        if (old)
                forget(r, old);
        must(enter(r, fresh) == 0);
        entry_unref(old);
}

/* Under the lock: who looked before saw what was, who looks behind it sees all that is. */
static void declare_all(Registry *r, Entry **fresh, size_t n) {
        for (size_t i = 0; i < r->n_declared; i++) {
                Entry *old = entry_of(r, OBJECT_ENDPOINT, r->declared[i]);

                if (old && !lists(fresh, n, old))
                        remove_one(r, old);
        }
        free(r->declared);
        r->declared = must_alloc((n + 1) * sizeof *r->declared);
        r->n_declared = n;
        for (size_t i = 0; i < n; i++) {
                r->declared[i] = fresh[i]->object.id;
                declare_one(r, fresh[i]);
        }
        atomic_fetch_add(&r->changes, 1);
}

int registry_declare(Registry *r, const Object *endpoints, size_t n, Err *e) {
        Entry **fresh = must_alloc((n + 1) * sizeof(Entry *));
        size_t made = 0;
        int bad = 0;

        for (; made < n && bad == 0; made++) {
                fresh[made] = entry_new(&endpoints[made]);
                bad = endpoint_make(&endpoints[made], &fresh[made]->endpoint, e);
        }
        pthread_rwlock_wrlock(&r->lock);
        for (size_t i = 0; i < n && bad == 0; i++)
                bad = check_declared(r, &endpoints[i], e);
        if (bad == 0)
                declare_all(r, fresh, n);
        pthread_rwlock_unlock(&r->lock);
        for (size_t i = 0; i < made && bad < 0; i++)
                entry_unref(fresh[i]);
        free(fresh);
        return bad;
}

bool registry_declares(Registry *r, int64_t application) {
        bool found = false;

        pthread_rwlock_rdlock(&r->lock);
        for (size_t i = 0; i < r->n_declared && !found; i++) {
                const Entry *e = entry_of(r, OBJECT_ENDPOINT, r->declared[i]);

                found = e && e->object.owner == application;
        }
        pthread_rwlock_unlock(&r->lock);
        return found;
}

bool registry_full(Registry *r) {
        size_t n;

        pthread_rwlock_rdlock(&r->lock);
        n = table_count(r->by_id);
        pthread_rwlock_unlock(&r->lock);
        return n >= r->objects_max;
}

uint64_t registry_changes(const Registry *r) {
        return atomic_load(&r->changes);
}

static Entry *lend(Registry *r, const Table *t, Span key) {
        Entry *e;

        pthread_rwlock_rdlock(&r->lock);
        e = table_get(t, key);
        if (e)
                entry_ref(e);
        pthread_rwlock_unlock(&r->lock);
        return e;
}

Entry *registry_by_id(Registry *r, ObjectKind kind, int64_t id) {
        Key k;

        return lend(r, r->by_id, key_of(&k, kind, id));
}

Entry *registry_by_name(Registry *r, ObjectKind kind, int64_t owner, Span name) {
        Key k;

        return name.n && name.n <= OBJECT_NAME_MAX_BYTES
                       ? lend(r, r->by_name, key_named(&k, kind, owner, name))
                       : NULL;
}

Entry *registry_find(Registry *r, ObjectKind kind, int64_t owner, const char *prefix, Span id) {
        Entry *e = NULL;
        int64_t number;

        if (id_parse(prefix, id, &number))
                e = registry_by_id(r, kind, number);
        if (e && e->object.owner != owner)
                e = entry_unref(e);
        return e ? e : registry_by_name(r, kind, owner, id);
}

size_t registry_page(Registry *r, ObjectKind kind, int64_t owner, int64_t after_id,
                     bool newest_first, size_t max, Entry **ret) {
        const Rank *s;
        size_t n = 0;

        pthread_rwlock_rdlock(&r->lock);
        s = rank_find(r, kind, owner);
        if (s && newest_first) {
                size_t at = after_id ? rank_after(s, after_id - 1) : s->n;

                while (at > 0 && n < max)
                        ret[n++] = entry_ref(s->entries[--at]);
        } else if (s) {
                for (size_t at = rank_after(s, after_id); at < s->n && n < max; at++)
                        ret[n++] = entry_ref(s->entries[at]);
        }
        pthread_rwlock_unlock(&r->lock);
        return n;
}

typedef struct Search {
        ObjectKind kind;
        int64_t after_id;
        bool newest_first;
        bool (*fits)(void *arg, const Entry *e);
        void *arg;
        size_t max, n;
        Entry **found; /* in order; lent until the end */
} Search;

static bool comes_before(const Search *s, int64_t a, int64_t b) {
        return s->newest_first ? a > b : a < b;
}

static void search_rank(void *arg, Span key, void *value) {
        Search *s = arg;
        const Rank *rank = value;

        (void)key;
        if (rank->n == 0 || rank->entries[0]->object.kind != s->kind)
                return;
        for (size_t i = 0; i < rank->n; i++) {
                Entry *e = rank->entries[i];
                size_t at = s->n;

                if ((s->after_id && !comes_before(s, s->after_id, e->object.id)) ||
                    !s->fits(s->arg, e))
                        continue;
                while (at > 0 && comes_before(s, e->object.id, s->found[at - 1]->object.id))
                        at--;
                if (at == s->max)
                        continue;
                s->n += s->n < s->max;
                memmove(s->found + at + 1, s->found + at, (s->n - at - 1) * sizeof(Entry *));
                s->found[at] = e;
        }
}

size_t registry_search(Registry *r, ObjectKind kind, int64_t after_id, bool newest_first,
                       bool (*fits)(void *arg, const Entry *e), void *arg, size_t max,
                       Entry **ret) {
        Search s = {.kind = kind,
                    .after_id = after_id,
                    .newest_first = newest_first,
                    .fits = fits,
                    .arg = arg,
                    .max = max,
                    .found = ret};

        pthread_rwlock_rdlock(&r->lock);
        table_each(r->ranks, search_rank, &s);
        for (size_t i = 0; i < s.n; i++)
                entry_ref(ret[i]);
        pthread_rwlock_unlock(&r->lock);
        return s.n;
}

size_t registry_count(Registry *r, ObjectKind kind, int64_t owner) {
        const Rank *s;
        size_t n;

        pthread_rwlock_rdlock(&r->lock);
        s = rank_find(r, kind, owner);
        n = s ? s->n : 0;
        pthread_rwlock_unlock(&r->lock);
        return n;
}

static EndpointSet *set_make(const Rank *s) {
        size_t n = s ? s->n : 0;
        EndpointSet *set = must_alloc(sizeof *set + n * sizeof set->endpoints[0]);

        set->refs = 1;
        for (size_t i = 0; i < n; i++)
                set->endpoints[set->n++] = endpoint_ref(s->entries[i]->endpoint);
        return set;
}

EndpointSet *registry_endpoints(Registry *r, int64_t application) {
        EndpointSet *set = NULL;
        Rank *s;
        Key k;

        pthread_rwlock_rdlock(&r->lock);
        s = rank_find(r, OBJECT_ENDPOINT, application);
        if (s && s->set) {
                set = s->set;
                atomic_fetch_add(&set->refs, 1);
        }
        pthread_rwlock_unlock(&r->lock);
        if (set)
                return set;
        pthread_rwlock_wrlock(&r->lock);
        if (table_get(r->by_id, key_of(&k, OBJECT_APPLICATION, application))) {
                s = rank_get(r, OBJECT_ENDPOINT, application);
                if (!s->set)
                        s->set = set_make(s);
                set = s->set;
                atomic_fetch_add(&set->refs, 1);
        }
        pthread_rwlock_unlock(&r->lock);
        return set;
}

Throttle *registry_throttle(Registry *r, int64_t application) {
        Entry *e = registry_by_id(r, OBJECT_APPLICATION, application);
        Throttle *t = e ? throttle_ref(e->throttle) : NULL;

        entry_unref(e);
        return t;
}

Endpoint *registry_endpoint(Registry *r, Span target) {
        Endpoint *p = NULL;
        Entry *e;

        pthread_rwlock_rdlock(&r->lock);
        e = table_get(r->by_target, target);
        if (e)
                p = endpoint_ref(e->endpoint);
        pthread_rwlock_unlock(&r->lock);
        return p;
}
