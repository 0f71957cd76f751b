/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects in memory: a list for each kind, walked for every question. */
#include "ledger/store_memory.h"

static MemoryObject *find(Memory *m, ObjectKind kind, int64_t id) {
        LIST_EACH(&m->objects[kind], it) {
                MemoryObject *o = CONTAINER_OF(it, MemoryObject, link);

                if (o->object.id == id)
                        return o;
        }
        return NULL;
}

static const MemoryObject *name_taken(Memory *m, const Object *by) {
        LIST_EACH(&m->objects[by->kind], it) {
                const MemoryObject *o = CONTAINER_OF(it, MemoryObject, link);

                if (by->name.n && o->object.owner == by->owner && o->object.id != by->id &&
                    span_eq(o->object.name, by->name))
                        return o;
        }
        return NULL;
}

static void drop(Memory *m, MemoryObject *o) {
        m->bytes -= o->object.name.n + o->object.text.n;
        list_remove(&m->objects[o->object.kind], &o->link);
        free(o);
}

static void drop_owned(Memory *m, int64_t owner) {
        for (size_t kind = 0; kind < OBJECT_KINDS; kind++)
                LIST_EACH(&m->objects[kind], it) {
                        MemoryObject *o = CONTAINER_OF(it, MemoryObject, link);

                        if (o->object.owner == owner)
                                drop(m, o);
                }
}

static void put(Memory *m, const Object *from) {
        MemoryObject *o = must_alloc(sizeof *o + from->name.n + from->text.n), *before;
        Link *after;

        before = find(m, from->kind, from->id);
        if (before)
                drop(m, before);
        o->object = *from;
        if (from->name.n)
                memcpy(o->bytes, from->name.p, from->name.n);
        if (from->text.n)
                memcpy(o->bytes + from->name.n, from->text.p, from->text.n);
        o->object.name.p = o->bytes;
        o->object.text.p = o->bytes + from->name.n;
        List *list = &m->objects[from->kind];
        after = list->head.prev;
        while (after != &list->head &&
               CONTAINER_OF(after, MemoryObject, link)->object.id > from->id)
                after = after->prev;
        o->link.prev = after;
        o->link.next = after->next;
        after->next->prev = &o->link;
        after->next = &o->link;
        list->n++;
        m->bytes += from->name.n + from->text.n;
        m->last_id = from->id > m->last_id ? from->id : m->last_id;
}

void memory_object_write(Memory *m, Write *w) {
        Object *o = &w->object.object;
        bool removes = w->object.removes;
        MemoryObject *known = find(m, o->kind, o->id);
        const MemoryObject *taken = removes ? NULL : name_taken(m, o);
        bool is_change = removes || w->object.must_exist || w->object.expects_version;
        bool is_owned = removes || !o->owner || find(m, OBJECT_APPLICATION, o->owner);

        w->object.taken_by = 0;
        w->object.result = OBJECT_WRITTEN;
        if ((is_change && !known) || !is_owned) {
                w->object.result = OBJECT_GONE;
        } else if (w->object.expects_version &&
                   known->object.version != w->object.expects_version) {
                w->object.result = OBJECT_CHANGED;
        } else if (taken) {
                w->object.result = OBJECT_NAME_TAKEN;
                w->object.taken_by = taken->object.id;
        }
        if (w->object.result != OBJECT_WRITTEN)
                return;
        o->version = ++m->objects_version;
        if (!removes)
                put(m, o);
        else
                drop(m, known);
        if (removes && o->kind == OBJECT_APPLICATION)
                drop_owned(m, o->id);
}

int memory_each_object(Store *s, void (*each)(void *arg, const Object *o), void *arg, Err *e) {
        Memory *m = memory_of(s)->writer;

        (void)e;
        pthread_mutex_lock(&m->lock);
        for (size_t kind = 0; kind < OBJECT_KINDS; kind++)
                LIST_EACH(&m->objects[kind], it)
        each(arg, &CONTAINER_OF(it, MemoryObject, link)->object);
        pthread_mutex_unlock(&m->lock);
        return 0;
}

void memory_objects_done(Memory *m) {
        for (size_t kind = 0; kind < OBJECT_KINDS; kind++)
                while (m->objects[kind].n)
                        drop(m, CONTAINER_OF(list_first(&m->objects[kind]), MemoryObject, link));
}
