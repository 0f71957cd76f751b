/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects: few rows, seldom written. Each write takes the next version from the meta table, in the
 * transaction that writes the object, so that a version is never given twice, whatever was removed
 * or rolled back between. */
#include "ledger/store_sqlite.h"

/* 1 when there is such an object. */
static int find(Sqlite *s, ObjectKind kind, int64_t id, int64_t *ret_version, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_OBJECT_GET, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, kind);
        bind_int(st, 2, id);
        r = sqlite_row(s, st, e, "look for an object");
        if (r > 0) {
                *ret_version = sqlite3_column_int64(st, 0);
                sqlite3_reset(st);
        }
        return r;
}

/* 1 when another object has the name. */
static int name_taken(Sqlite *s, const Object *o, int64_t *ret_by, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_OBJECT_NAMED, &st, e);

        if (r < 0 || o->name.n == 0)
                return r;
        bind_int(st, 1, o->kind);
        bind_int(st, 2, o->owner);
        bind_text(st, 3, o->name);
        r = sqlite_row(s, st, e, "look for an object's name");
        if (r > 0) {
                *ret_by = sqlite3_column_int64(st, 0);
                sqlite3_reset(st);
                r = *ret_by != o->id;
        }
        return r;
}

/* Whether the write may be done: OBJECT_WRITTEN in its result. */
static int judge(Sqlite *s, Write *w, Err *e) {
        const Object *o = &w->object.object;
        bool is_change = w->object.removes || w->object.must_exist || w->object.expects_version;
        int64_t version = 0, ignored = 0, by = 0;
        int there = find(s, o->kind, o->id, &version, e), owned = 1, taken = 0;

        if (there >= 0 && o->owner && !w->object.removes)
                owned = find(s, OBJECT_APPLICATION, o->owner, &ignored, e);
        if (there >= 0 && owned >= 0 && !w->object.removes)
                taken = name_taken(s, o, &by, e);
        if (there < 0 || owned < 0 || taken < 0)
                return there < 0 ? there : owned < 0 ? owned : taken;
        bool is_other = w->object.expects_version && version != w->object.expects_version;
        w->object.result = (is_change && !there) || !owned ? OBJECT_GONE
                           : is_other                      ? OBJECT_CHANGED
                           : taken                         ? OBJECT_NAME_TAKEN
                                                           : OBJECT_WRITTEN;
        w->object.taken_by = w->object.result == OBJECT_NAME_TAKEN ? by : 0;
        return 0;
}

static int next_version(Sqlite *s, Object *o, Err *e) {
        int64_t version = 0;
        int r = sqlite_meta_get(s, "objects_version", &version, e);

        o->version = version + 1;
        return r < 0 ? r : sqlite_meta_set(s, "objects_version", o->version, e);
}

static int put(Sqlite *s, const Object *o, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_OBJECT_PUT, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, o->kind);
        bind_int(st, 2, o->id);
        bind_int(st, 3, o->owner);
        bind_text(st, 4, o->name);
        bind_text(st, 5, o->text);
        bind_int(st, 6, o->version);
        r = sqlite_run(s, st, e, "write an object");
        if (r < 0 || o->id <= s->last_id)
                return r;
        /* No start looks for the greatest id of an object, or for one that was removed. */
        s->last_id = o->id;
        return sqlite_meta_set(s, "last_id", s->last_id, e);
}

static int drop(Sqlite *s, const Object *o, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_OBJECT_DROP, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, o->kind);
        bind_int(st, 2, o->id);
        r = sqlite_run(s, st, e, "remove an object");
        if (r < 0 || o->kind != OBJECT_APPLICATION)
                return r;
        r = sqlite_get(s, SQL_OBJECT_DROP_OWNED, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, o->id);
        return sqlite_run(s, st, e, "remove what an application owns");
}

int sqlite_object_write(Sqlite *s, Write *w, Err *e) {
        Object *o = &w->object.object;
        int r = judge(s, w, e);

        if (r < 0 || w->object.result != OBJECT_WRITTEN)
                return r;
        r = next_version(s, o, e);
        if (r < 0)
                return r;
        return w->object.removes ? drop(s, o, e) : put(s, o, e);
}

int sqlite_each_object(Store *store, void (*each)(void *arg, const Object *o), void *arg, Err *e) {
        Sqlite *s = sqlite_of(store);
        sqlite3_stmt *st = NULL;
        int r;

        sqlite_question_begin(s);
        r = sqlite_get(s, SQL_OBJECT_EACH, &st, e);
        while (r >= 0 && (r = sqlite_row(s, st, e, "read the objects")) > 0) {
                Object o = {.kind = (ObjectKind)sqlite3_column_int(st, 0),
                            .id = sqlite3_column_int64(st, 1),
                            .owner = sqlite3_column_int64(st, 2),
                            .name = column_span(st, 3),
                            .text = column_span(st, 4),
                            .version = sqlite3_column_int64(st, 5)};

                each(arg, &o);
        }
        return r;
}
