/* SPDX-License-Identifier: Apache-2.0
 *
 * What people made through the API, in memory: every object as the ledger holds it, and the
 * endpoints ready to send; and the endpoints of the configuration file, which the ledger does not
 * hold: they are *declared*. Any thread may ask; a lock guards the tables, what they hold is
 * immutable and counted by reference. Objects enter after the commit that wrote them; versions
 * settle in which order. */
#pragma once

#include "engine/throttle.h"
#include "flow/endpoint.h"

typedef struct Registry Registry;

/* An object as it was at some version. */
typedef struct Entry {
        _Atomic unsigned refs;
        Object object;      /* its spans live with the entry */
        Endpoint *endpoint; /* of an endpoint */
        Throttle *throttle; /* of an application: the same through all its versions */
        bool is_declared; /* the file's: the API does not change it, the ledger does not hold it */
} Entry;

Entry *entry_ref(Entry *e);
Entry *entry_unref(Entry *e); /* accepts NULL, returns NULL */

/* The enabled and disabled endpoints of an application at one moment, in the order of their ids. */
typedef struct EndpointSet {
        _Atomic unsigned refs;
        size_t n;
        Endpoint *endpoints[];
} EndpointSet;

EndpointSet *endpoint_set_unref(EndpointSet *s); /* accepts NULL, returns NULL */

enum { REGISTRY_OBJECTS_MAX = 400000 };

Registry *registry_new(void);
Registry *registry_new_for(size_t objects_max); /* another maximum than the usual one */
Registry *registry_free(Registry *r);

/* Is there room for no more? To be asked before a new object is sent to the ledger: what the ledger
 * has is taken, else the next start could not read it. */
bool registry_full(Registry *r);

/* The object was written, or removed (its version is that of the removal). What is older than what
 * is here is left out. -EINVAL for an endpoint that endpoint_make refuses: nothing changes. */
MUST_CHECK int registry_put(Registry *r, const Object *o, Err *e);
void registry_remove(Registry *r, const Object *o);

/* The endpoints of the file, all of them: those of before that are not among them go, the others
 * are as these say (their versions are made here). Who asks finds all of it or nothing of it.
 * -EEXIST, with the sentence, when the API made an endpoint of one's uid; -ENOENT when an
 * application is not there, -EINVAL for one that endpoint_make refuses: then nothing changes. */
MUST_CHECK int registry_declare(Registry *r, const Object *endpoints, size_t n, Err *e);
/* Does the file have an endpoint in this application? */
bool registry_declares(Registry *r, int64_t application);

/* Grows with every change: who has seen this number has seen everything. */
uint64_t registry_changes(const Registry *r);

/* Each gives a reference, or NULL when there is none. */
Entry *registry_by_id(Registry *r, ObjectKind kind, int64_t id);
Entry *registry_by_name(Registry *r, ObjectKind kind, int64_t owner, Span name);
/* By "app_..." or "ep_..." (`prefix`: "app", "ep") or by its name: what the API's paths say. An
 * object of another owner is none. */
Entry *registry_find(Registry *r, ObjectKind kind, int64_t owner, const char *prefix, Span id);

/* Objects of kind and owner, oldest first (or newest first): those after `after_id` (0: from the
 * begin). Fills `ret` with references, at most `max`; returns how many. */
size_t registry_page(Registry *r, ObjectKind kind, int64_t owner, int64_t after_id,
                     bool newest_first, size_t max, Entry **ret);
/* The same for objects of all owners that `fits` says yes to; it is asked under the lock. Goes
 * through all of the kind: for people's questions. */
size_t registry_search(Registry *r, ObjectKind kind, int64_t after_id, bool newest_first,
                       bool (*fits)(void *arg, const Entry *e), void *arg, size_t max, Entry **ret);
/* How many there are of kind and owner. */
size_t registry_count(Registry *r, ObjectKind kind, int64_t owner);

/* The endpoints of an application; NULL when there is no such application. */
EndpointSet *registry_endpoints(Registry *r, int64_t application);
/* What all endpoints of an application share; NULL when it is gone. A reference. */
Throttle *registry_throttle(Registry *r, int64_t application);
/* By a job's target ("endpoint:ep_..."); NULL when it is gone. */
Endpoint *registry_endpoint(Registry *r, Span target);
