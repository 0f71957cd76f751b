/* SPDX-License-Identifier: Apache-2.0
 *
 * The one file that knows libyaml. Its event parser is asked, never its document loader: events
 * come one by one, so that depth and count are held before memory is spent. What a file may not
 * use (anchors and the like) is reported and read over; what breaks the tree ends the reading. */
#include "config/yaml.h"

#include "base/table.h"
#include "config/text.h"

#include <yaml.h>

typedef struct Reader {
        yaml_parser_t parser;
        Span text;
        const char *file;
        Arena *arena;
        Problems *problems;
        size_t n_nodes;
        Span rest; /* of the text, from the start of line `line`: goes forward with the events */
        unsigned line;
} Reader;

static Place place_of(const Reader *r, yaml_mark_t mark) {
        return (Place){r->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static bool is_tab_indented(Span line) {
        for (size_t i = 0; i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'); i++)
                if (line.p[i] == '\t')
                        return true;
        return false;
}

static int syntax_error(Reader *r) {
        const yaml_parser_t *p = &r->parser;
        Place at = place_of(r, p->problem_mark);

        if (p->error == YAML_MEMORY_ERROR || !p->problem)
                return problem_no_room(r->problems, at);
        if (is_tab_indented(text_line(r->text, at.line)))
                return problem_add(r->problems, at, "a tab indents this line; YAML wants spaces");
        if (p->context && p->context_mark.line != p->problem_mark.line)
                return problem_add(r->problems, at, "not YAML: %s (%s that began on line %zu)",
                                   p->problem, p->context, p->context_mark.line + 1);
        return problem_add(r->problems, at, "not YAML: %s", p->problem);
}

static int next(Reader *r, yaml_event_t *event) {
        if (!yaml_parser_parse(&r->parser, event))
                return syntax_error(r);
        return 0;
}

static int node_new(Reader *r, const yaml_event_t *event, NodeKind kind, Node **ret) {
        Place at = place_of(r, event->start_mark);
        Node *n;

        if (++r->n_nodes > YAML_NODES_MAX)
                return problem_add(r->problems, at, "the file has more than %d values",
                                   YAML_NODES_MAX);
        n = arena_alloc(r->arena, sizeof *n);
        if (!n)
                return problem_no_room(r->problems, at);
        n->kind = kind;
        n->place = n->text_place = at;
        n->last_line = (unsigned)event->end_mark.line + 1;
        *ret = n;
        return 0;
}

static void check_properties(Reader *r, const yaml_event_t *event, const unsigned char *anchor,
                             const unsigned char *tag) {
        Place at = place_of(r, event->start_mark);

        if (anchor)
                problem_add(r->problems, at, "anchors (&%s) are not read; write the value out",
                            (const char *)anchor);
        if (tag)
                problem_add(r->problems, at, "tags (%s) are not read; leave it out",
                            (const char *)tag);
}

/* Where the text of a block scalar begins: its head ends with a line, and the first line that is
 * not blank tells how far the others are indented. */
static Place block_place(Reader *r, const yaml_event_t *event, bool begins_blank) {
        unsigned head = (unsigned)event->start_mark.line + 1;
        unsigned line = head + 1;
        size_t indent = 0;

        for (; r->line <= head; r->line++)
                r->rest = span_from(r->rest, span_find(r->rest, '\n') + 1);
        for (Span s = r->rest; s.n; s = span_from(s, span_find(s, '\n') + 1), line++) {
                for (indent = 0; indent < s.n && s.p[indent] == ' ';)
                        indent++;
                if (indent < s.n && s.p[indent] != '\n' && s.p[indent] != '\r')
                        break;
        }
        return (Place){r->file, begins_blank ? head + 1 : line, (unsigned)indent + 1};
}

static int read_scalar(Reader *r, const yaml_event_t *event, Node **ret) {
        yaml_scalar_style_t style = event->data.scalar.style;
        Node *n = NULL;
        int err = node_new(r, event, NODE_SCALAR, &n);

        if (err < 0)
                return err;
        check_properties(r, event, event->data.scalar.anchor, event->data.scalar.tag);
        n->text = arena_span(r->arena,
                             span_make(event->data.scalar.value, event->data.scalar.length));
        if (!n->text.p)
                return problem_no_room(r->problems, n->place);
        n->quoted = style != YAML_PLAIN_SCALAR_STYLE;
        if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE)
                n->text_place = block_place(r, event, n->text.n && n->text.p[0] == '\n');
        else if (n->quoted)
                n->text_place.column++;
        *ret = n;
        return 0;
}

static int read_alias(Reader *r, const yaml_event_t *event, Node **ret) {
        int err = node_new(r, event, NODE_SCALAR, ret);

        if (err < 0)
                return err;
        (*ret)->bad = true;
        problem_add(r->problems, (*ret)->place, "aliases (*%s) are not read; write the value out",
                    (const char *)event->data.alias.anchor);
        return 0;
}

/* Makes room for one more element of `size` bytes behind `n` of them; room doubles. */
static int grow(Reader *r, void **array, size_t n, size_t size, Place at) {
        if (n && (n & (n - 1)))
                return 0;
        void *more = arena_alloc(r->arena, (n ? 2 * n : 1) * size);
        if (!more)
                return problem_no_room(r->problems, at);
        if (n)
                memcpy(more, *array, n * size);
        *array = more;
        return 0;
}

static int read_value(Reader *r, const yaml_event_t *event, unsigned depth, Node **ret);

static int read_list(Reader *r, Node *list, unsigned depth) {
        for (;;) {
                AUTO(yaml_event_delete)
                yaml_event_t event = {0};
                void *items = list->items;
                int err = next(r, &event);

                list->last_line = (unsigned)event.end_mark.line + 1;
                if (err < 0 || event.type == YAML_SEQUENCE_END_EVENT)
                        return err;
                err = grow(r, &items, list->n, sizeof *list->items, list->place);
                if (err < 0)
                        return err;
                list->items = items;
                err = read_value(r, &event, depth, &list->items[list->n]);
                if (err < 0)
                        return err;
                list->n++;
        }
}

/* Is this entry to be kept? Reports keys that are no plain names of something. */
static bool is_good_key(Reader *r, const Node *key, Table *seen) {
        const Node *before;

        if (key->kind != NODE_SCALAR) {
                problem_add(r->problems, key->place, "a key must be a name, not a map or a list");
                return false;
        }
        if (!key->quoted && span_eq(key->text, SPAN("<<"))) {
                problem_add(r->problems, key->place,
                            "merge keys (<<) are not read; write the keys out");
                return false;
        }
        before = table_get(seen, key->text);
        if (before) {
                problem_add(r->problems, key->place,
                            "'" SPAN_FMT "' is given twice (also on line %u)", SPAN_ARG(key->text),
                            before->place.line);
                return false;
        }
        return !key->bad;
}

static void table_freep(Table **t) {
        *t = table_free(*t);
}

/* A map or list that begins below its key is placed at the key: that is the line to show when
 * something is missing in it. */
static int keep_entry(Reader *r, Node *map, const Node *key, Node *value) {
        void *entries = map->entries;
        int err = grow(r, &entries, map->n, sizeof *map->entries, map->place);

        if (err < 0)
                return err;
        map->entries = entries;
        if (value->kind != NODE_SCALAR && value->place.line > key->place.line)
                value->place = key->place;
        map->entries[map->n++] = (NodeEntry){key->text, key->place, value};
        return 0;
}

static int read_map(Reader *r, Node *map, unsigned depth) {
        AUTO(table_freep)
        Table *seen = table_new(YAML_NODES_MAX);

        for (;;) {
                AUTO(yaml_event_delete)
                yaml_event_t key_event = {0};
                AUTO(yaml_event_delete)
                yaml_event_t value_event = {0};
                Node *key = NULL, *value = NULL;
                int err = next(r, &key_event);

                map->last_line = (unsigned)key_event.end_mark.line + 1;
                if (err < 0 || key_event.type == YAML_MAPPING_END_EVENT)
                        return err;
                err = read_value(r, &key_event, depth, &key);
                if (err == 0)
                        err = next(r, &value_event);
                if (err == 0)
                        err = read_value(r, &value_event, depth, &value);
                if (err == 0 && is_good_key(r, key, seen)) {
                        must(table_put(seen, key->text, key) == 0);
                        err = keep_entry(r, map, key, value);
                }
                if (err < 0)
                        return err;
        }
}

static int read_value(Reader *r, const yaml_event_t *event, unsigned depth, Node **ret) {
        int err;

        if (event->type == YAML_SCALAR_EVENT)
                return read_scalar(r, event, ret);
        if (event->type == YAML_ALIAS_EVENT)
                return read_alias(r, event, ret);
        if (depth == YAML_DEPTH_MAX)
                return problem_add(r->problems, place_of(r, event->start_mark),
                                   "nested deeper than %d", YAML_DEPTH_MAX);
        if (event->type == YAML_SEQUENCE_START_EVENT) {
                check_properties(r, event, event->data.sequence_start.anchor,
                                 event->data.sequence_start.tag);
                err = node_new(r, event, NODE_LIST, ret);
                return err < 0 ? err : read_list(r, *ret, depth + 1);
        }
        must(event->type == YAML_MAPPING_START_EVENT);
        check_properties(r, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        err = node_new(r, event, NODE_MAP, ret);
        return err < 0 ? err : read_map(r, *ret, depth + 1);
}

/* Passes over the events that only frame the document; `type` is the one wanted. */
static int read_root(Reader *r, Node **ret) {
        for (;;) {
                AUTO(yaml_event_delete)
                yaml_event_t event = {0};
                int err = next(r, &event);

                if (err < 0 || event.type == YAML_STREAM_END_EVENT)
                        return err;
                if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_END_EVENT)
                        continue;
                if (event.type == YAML_DOCUMENT_START_EVENT) {
                        if (*ret)
                                return problem_add(r->problems, place_of(r, event.start_mark),
                                                   "a second document; a file holds one");
                        continue;
                }
                err = read_value(r, &event, 0, ret);
                if (err < 0)
                        return err;
        }
}

int yaml_read(Span text, const char *file, Arena *a, Problems *problems, Node **ret) {
        Reader r = {.text = text, .file = file, .arena = a, .problems = problems};
        Place top = {file, 1, 1};
        size_t errors = problems->errors;
        Node *root = NULL;
        int err;

        r.rest = text;
        r.line = 1;
        if (!yaml_parser_initialize(&r.parser))
                return problem_no_room(problems, top);
        yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p ? text.p : ""),
                                     text.n);
        err = read_root(&r, &root);
        yaml_parser_delete(&r.parser);
        if (err < 0)
                return err;
        if (!root || node_is_null(root))
                return problem_add(problems, top, "the file is empty");
        if (root->kind != NODE_MAP)
                return problem_add(problems, root->place, "a map of keys is expected here");
        *ret = root;
        return problems->errors > errors ? -EINVAL : 0;
}
