/* SPDX-License-Identifier: Apache-2.0
 *
 * A compiled schema: between schema*.c, which compile, and judge*.c, which judge. */
#pragma once

#include "json/index.h"
#include "json/regex.h"
#include "json/schema.h"
#include "json/value.h"

enum {
        SCHEMA_RULES_MAX = 4096,
        SCHEMA_CHAIN_MAX = 256, /* schemas that judge one and the same value, one within another */
        JUDGE_DEPTH_MAX = 600,  /* rules on the way to where it judges now */
};

typedef struct Rule Rule;

typedef struct RuleList {
        const Rule *const *at;
        size_t n;
} RuleList;

/* Names and their schemas. */
typedef struct RuleMap {
        JsonIndex names;       /* over the document's object; done with the arena */
        const Rule *const *at; /* by their place in the text */
        size_t n;
} RuleMap;

typedef struct RulePattern {
        const JsonRegex *regex;
        const Rule *rule;
} RulePattern;

typedef bool FormatFn(Span text); /* decoded */

typedef struct Format {
        const char *name, *what; /* "email", "an e-mail address" */
        FormatFn *fits;
} Format;

/* Where a $id begins; references are relative to its URI. */
typedef struct Resource {
        Span uri, value;
} Resource;

struct Rule {
        Span text;                /* of the schema in the document */
        const Resource *resource; /* that it is in */
        bool is_false;            /* the schema `false` */
        unsigned types;           /* bits by JsonKind; 0: any. JSON_NUMBER and the next: */
        bool only_integers;
        Span one_of_values, value; /* enum, const; .p NULL for none */
        Span minimum, maximum, above, below, multiple_of;
        Span least_length, most_length, least_items, most_items, least_members, most_members,
                least_contains, most_contains; /* whole numbers */
        const JsonRegex *pattern;
        Span pattern_text;
        const Format *format;
        Span required, dependent_required; /* as written, checked */
        bool has_unique_items;
        const Rule *ref, *items, *contains, *rest, *names, *no, *iff, *then, *otherwise,
                *unevaluated_items, *unevaluated_members;
        RuleList prefix, all_of, any_of, one_of;
        RuleMap members, dependent;
        RulePattern *patterns;
        size_t n_patterns;
        unsigned char color; /* of the search for circles */
};

struct JsonSchema {
        Rule *root;
};

/* The schema of that name; NULL for none. */
const Rule *rule_map_find(const RuleMap *m, Span raw_key);
/* NULL for formats that are only a note. */
const Format *schema_format_find(Span name);

/* ---- schema.c ---- */

typedef struct Pending {
        Rule *rule;
        Span to; /* the reference, decoded */
} Pending;

typedef struct Anchor {
        const Resource *resource;
        Span name, value;
} Anchor;

typedef struct Compiler {
        Arena *arena;
        Err *e;
        bool asserts_formats;
        Span document;
        const char *where;   /* in it, for the sentence */
        struct Table *rules; /* by the address of their text */
        Pending *pending;
        Resource **resources;
        Anchor *anchors;
        size_t n_pending, n_resources, n_anchors;
} Compiler;

/* The rule of that value, compiled unless it was met before. */
MUST_CHECK int schema_rule(Compiler *c, Span value, const Resource *in, Rule **ret);
/* Reads what the document says of itself: $id, $anchor. */
MUST_CHECK int schema_identify(Compiler *c, Rule *n);
/* Follows each reference to its rule. */
MUST_CHECK int schema_connect(Compiler *c);
/* "line 7: 'type' has to be..." with -EINVAL. */
MUST_CHECK int schema_refuse(Compiler *c, Span keyword, const char *format, ...) PRINTF_LIKE(3, 4);
MUST_CHECK int schema_no_room(Compiler *c);
unsigned schema_line(const Compiler *c);
/* Decoded, in the arena; -EINVAL unless it is a string. */
MUST_CHECK int schema_text(Compiler *c, Span keyword, Span value, Span *ret);
