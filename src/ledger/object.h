/* SPDX-License-Identifier: Apache-2.0
 *
 * An object: what people make through the API and the ledger keeps whole: applications, endpoints,
 * event types, keys, replays, backfills. There are few of them (a hundred thousand at most), they
 * change seldom, and every process has them all in memory; what is inside is the business of
 * whoever made it, as one JSON text. */
#pragma once

#include "base/base.h"

enum { OBJECT_NAME_MAX_BYTES = 256, OBJECT_TEXT_MAX_BYTES = 256 * 1024 };

/* The numbers are stored: never renumber. */
typedef enum ObjectKind {
        OBJECT_APPLICATION = 1, /* name: its uid, if it has one */
        OBJECT_ENDPOINT = 2,    /* owner: its application; name: its uid, if it has one */
        OBJECT_EVENT_TYPE = 3,  /* name: the event type's */
        OBJECT_KEY = 4,         /* of the API; owner: the application of a portal key, or 0 */
        OBJECT_REPLAY = 5,      /* owner: its application, or 0 */
        OBJECT_BACKFILL = 6,
        OBJECT_KINDS = 7,
} ObjectKind;

typedef struct Object {
        ObjectKind kind;
        int64_t id;      /* ordered, of an IdMaker; the same id is the same object */
        int64_t owner;   /* an application, which must be there; 0: none */
        Span name;       /* unique within kind and owner, unless empty */
        Span text;       /* JSON */
        int64_t version; /* made by the store: greater than that of any write of an object before */
} Object;

typedef enum ObjectResult {
        OBJECT_WRITTEN,
        OBJECT_NAME_TAKEN, /* by another object of the kind and owner: its id is told */
        OBJECT_CHANGED,    /* another write came between: the version is not the expected one */
        OBJECT_GONE, /* it was to be changed or removed, and is not there; or its owner is not */
} ObjectResult;
