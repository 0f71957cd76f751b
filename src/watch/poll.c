/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/poll.h"

#include <errno.h>

#define AT(field) offsetof(PollOptions, field)

static const char *const existing[] = {[POLL_SKIP] = "skip", [POLL_SEND] = "send", NULL};
static const char *const deletions[] = {[POLL_DELETES] = "yes", [POLL_KEEPS] = "no", NULL};

static const Option options[] = {
        {.name = "poll",
         .type = OPTION_TEXT,
         .offset = AT(from),
         .required = true,
         .shape = "connection:/path",
         .help = "What is looked at: `crm:/contacts?page_size=100`."},
        {.name = "key",
         .type = OPTION_TEXT,
         .offset = AT(key),
         .shape = "names behind dots",
         .help = "What tells an item of the list from the others: `.id`, `.meta.id`. Without it, "
                 "what is looked at is no list but one document."},
        {.name = "items",
         .type = OPTION_TEXT,
         .offset = AT(items),
         .shape = "plain path",
         .help = "Where the list is in a page: `.items`. Without it, the page is the list, or has "
                 "just one in it."},
        {.name = "pages",
         .type = OPTION_NODE,
         .offset = AT(pages),
         .shape = "map",
         .help = "How the list goes on, as in the [step `get`](steps/get.md); `items` stands in "
                 "place of its `list`. Without it, by Link headers (RFC 8288), and a page that "
                 "speaks of more without one is an error."},
        {.name = "every",
         .type = OPTION_DURATION,
         .offset = AT(every_ms),
         .fallback = "1m",
         .min = 100,
         .max = 86400000,
         .help = "How long it rests between two looks."},
        {.name = "ignore",
         .type = OPTION_NODE,
         .offset = AT(ignore),
         .shape = "list of names",
         .help = "Members of an item whose change is none: `[last_seen]`; at most 32."},
        {.name = "deletions",
         .type = OPTION_CHOICE,
         .offset = AT(deletions),
         .fallback = "yes",
         .choices = deletions,
         .help = "Whether an item that is gone from the whole list makes an event. `no` is for "
                 "lists that hold only the newest items."},
        {.name = "most_gone",
         .type = OPTION_NUMBER,
         .offset = AT(most_gone),
         .fallback = "50",
         .min = 1,
         .max = 100,
         .help = "Percent. When more of the items than that are gone at once, it is taken for a "
                 "mistake of the other side: none is deleted, and the trigger fails until they are "
                 "back, or more is allowed here. `100` allows an empty list too."},
        {.name = "existing",
         .type = OPTION_CHOICE,
         .offset = AT(existing),
         .fallback = "skip",
         .choices = existing,
         .help = "Whether what is there at the very first look becomes events (`snapshot`), or "
                 "only "
                 "what changes later."},
        {.name = "name",
         .type = OPTION_TEXT,
         .offset = AT(table),
         .shape = "text",
         .help = "What the items are called in the events' type and subject. Without it, as the "
                 "source."},
};

static bool is_name(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '@' || c == '$' || c == ':';
}

/* ".meta.id" is the pointer "/meta/id": none of its letters has a meaning there. */
static int read_key(TriggerBuild *b, PollOptions *o) {
        char *pointer = arena_text(b->arena, span_of(o->key));
        size_t parts = 0;

        if (!pointer)
                return problem_no_room(b->problems, b->map->place);
        for (char *at = pointer; *at; at++) {
                if (*at == '.' && is_name(at[1])) {
                        *at = '/';
                        o->key_name = at + 1;
                        parts++;
                }
                if ((at == pointer || !is_name(*at)) && *at != '/')
                        parts = POLL_KEY_PARTS_MAX + 1;
        }
        o->key_pointer = pointer;
        if (parts >= 1 && parts <= POLL_KEY_PARTS_MAX)
                return 0;
        return problem_add(b->problems, node_get(b->map, "key")->text_place,
                           "key: names behind dots, such as .id or .meta.id");
}

static int read_ignore(TriggerBuild *b, PollOptions *o) {
        const Option row = {.name = "ignore", .type = OPTION_TEXT};
        const Node *n = o->ignore;
        int r = 0;

        if (!n || n->bad)
                return n ? -EINVAL : 0;
        if (n->kind != NODE_LIST || n->n > POLL_IGNORED_MAX)
                return problem_add(b->problems, n->place, "ignore: a list of at most %d names",
                                   POLL_IGNORED_MAX);
        for (size_t i = 0; i < n->n; i++)
                if (option_read_one(n->items[i], &row, &o->ignored[i], b->arena, b->problems) < 0)
                        r = -EINVAL;
                else if (!is_name(*o->ignored[i]))
                        r = problem_add(b->problems, n->items[i]->place,
                                        "ignore: the name of a member, without a dot");
        o->n_ignored = n->n;
        return r;
}

/* What only a list has. */
static int check_document(TriggerBuild *b) {
        static const char *const names[] = {"items", "pages", "most_gone"};
        int r = 0;

        for (size_t i = 0; i < COUNT_OF(names); i++) {
                const Node *n = node_get(b->map, names[i]);

                if (n)
                        r = problem_add(b->problems, n->place,
                                        "%s: only a list has it, and a list needs a key (key: .id)",
                                        names[i]);
        }
        return r;
}

static int prepare(TriggerBuild *b, void *into) {
        PollOptions *o = into;
        int r = read_ignore(b, o);

        o->is_document = !o->key;
        if ((o->key ? read_key(b, o) : check_document(b)) < 0)
                r = -EINVAL;
        if (o->pages && !o->pages->bad && o->pages->kind != NODE_MAP)
                r = problem_add(b->problems, o->pages->place, "pages: a map, such as {next: link}");
        if (!o->table)
                o->table = b->source->name;
        else if (!*o->table || strlen(o->table) > POLL_NAME_MAX_BYTES)
                r = problem_add(b->problems, node_get(b->map, "name")->text_place,
                                "name: of 1 to %d bytes", POLL_NAME_MAX_BYTES);
        return r;
}

static int run(Watch *w, const void *options_, Err *e) {
        return poll_looks(w, options_, e);
}

const TriggerKind trigger_poll = {
        .name = "poll",
        .help = "Looks at a list, or a document, of a connection again and again; what is new, "
                "different or gone makes an event.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(PollOptions),
        .prepare = prepare,
        .run = run,
};
