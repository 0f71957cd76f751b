/* SPDX-License-Identifier: Apache-2.0
 *
 * The shapes of what the API takes and gives, as tables of fields. One table serves three ends: it
 * judges requests, it names what is stored and shown, and the OpenAPI document is written from it.
 *
 * Values are the raw bytes of the request's JSON (checked), or of a query the decoded text. */
#pragma once

#include "api/complaint.h"
#include "base/arena.h"

enum {
        SCHEMA_FIELDS_MAX = 40,
        SCHEMA_TEXT_MAX_BYTES = 64 * 1024, /* of a text that has no limit of its own */
        SCHEMA_ITEMS_MAX = 1000,           /* of a list or map that has none */
};

typedef enum FieldType {
        FIELD_TEXT,
        FIELD_URL,
        FIELD_TIME, /* RFC 3339 */
        FIELD_BOOL,
        FIELD_INTEGER,
        FIELD_OBJECT, /* of `of`; any object when that is NULL */
        FIELD_LIST,   /* of `item` */
        FIELD_MAP,    /* from texts to `item` */
        FIELD_ANY,
} FieldType;

/* What a text may look like. */
typedef struct TextForm {
        const char *pattern; /* for the document */
        const char *says;    /* for a person, after "must be " */
        bool (*fits)(Span text);
} TextForm;

extern const TextForm form_name;        /* letters, digits, '-', '_', '.': uids, types, channels */
extern const TextForm form_type_filter; /* an event type, or the start of some: "order.*" */

typedef struct Field {
        const char *name, *alias; /* alias: what other versions of the same API call it */
        FieldType type, item;
        const struct Schema *of;         /* of an object, or of the objects that are items */
        const TextForm *form;            /* of a text, or of the texts that are items */
        const char *const *choices;      /* the texts that are allowed, ended by NULL */
        const char *(*choice)(size_t i); /* the same from another table; NULL at its end */
        bool required, nullable, unique;
        bool item_nullable;   /* of a map: null takes the entry away */
        int64_t min, max;     /* of a number; or how long, how many. max 0: the general limits */
        int64_t item_max;     /* of a number that is an item; or bytes of a text, 0: 256 */
        const char *fallback; /* JSON: what holds when it is not given */
        const char *help;
} Field;

typedef struct Schema {
        const char *name; /* in the document */
        const char *help;
        const struct Schema *base; /* its fields come first */
        const Field *fields;
        size_t n;
        bool partial; /* nothing is required: a patch */
        bool strict;  /* unknown members are refused; else left out, as other servers do */
} Schema;

#define SCHEMA_FIELDS(table) .fields = (table), .n = COUNT_OF(table)

/* The i-th text that is allowed, or NULL. */
const char *field_choice(const Field *f, size_t i);
size_t schema_count(const Schema *s); /* of fields, the base's included */
const Field *schema_field(const Schema *s, size_t i);

typedef struct Values {
        const Schema *schema;
        Span at[SCHEMA_FIELDS_MAX]; /* by field; .p NULL: not given; may be "null" if nullable */
        bool is_query;              /* they are decoded texts, not JSON */
} Values;

/* Judges `value`, JSON that has passed json_check; what is wrong is added to `c`. */
void schema_read(const Schema *s, Span value, const Where *at, Values *ret, Complaints *c);
/* The same for a query string, which is decoded into `a`. A list is joined by commas. */
void schema_read_query(const Schema *s, Span query, Arena *a, Values *ret, Complaints *c);

/* By name; .p NULL when it is not given. must() be a name of the schema. */
Span value_of(const Values *v, const char *name);
bool value_is_null(const Values *v, const char *name); /* it is given, as null */
/* Given and not null? Then the value, decoded; `a` keeps a text that had escapes. */
Span value_text(const Values *v, const char *name, Arena *a);
int64_t value_int(const Values *v, const char *name, int64_t fallback);
bool value_bool(const Values *v, const char *name, bool fallback);
/* RFC 3339, as milliseconds; 0 when it is not given. Of queries and bodies. */
int64_t value_time(const Values *v, const char *name);
