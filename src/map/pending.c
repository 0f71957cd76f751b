/* SPDX-License-Identifier: Apache-2.0 */
#include "map/pending.h"

#include "map/program.h"
#include "map/wire.h"
#include "json/check.h"
#include "json/value.h"

static bool travels(const MapCall *c, const MapRoot *root) {
        return root->value.p && program_uses(c->program, root->name);
}

/* Promise 7: what jq would round does not go to jq. */
static bool find_unsafe(MapCall *c) {
        char pointer[JSON_POINTER_MAX_BYTES];

        for (size_t i = 0; i < c->n_roots; i++) {
                const MapRoot *root = &c->roots[i];

                if (!travels(c, root) || json_unsafe_number(root->value, pointer) == 0)
                        continue;
                int n = snprintf(c->why, sizeof c->why, "%s" SPAN_FMT "%s", root->name.n ? "/" : "",
                                 SPAN_ARG(root->name), pointer);
                must(n >= 0); /* one that is too long loses its end */
                c->end = MAP_UNSAFE;
                return true;
        }
        return false;
}

static int add_member(Buf *b, const MapRoot *root, bool first) {
        int r = first ? 0 : buf_add_char(b, ',');

        if (r == 0)
                r = buf_add_json(b, root->name);
        if (r == 0)
                r = buf_add_char(b, ':');
        return r < 0 ? r : buf_add(b, root->value);
}

static int add_input(Buf *b, const MapCall *c) {
        bool first = true;
        int r;

        if (c->n_roots == 1 && c->roots[0].name.n == 0)
                return buf_add(b, c->roots[0].value);
        r = buf_add_char(b, '{');
        for (size_t i = 0; i < c->n_roots && r == 0; i++)
                if (travels(c, &c->roots[i])) {
                        r = add_member(b, &c->roots[i], first);
                        first = false;
                }
        return r < 0 ? r : buf_add_char(b, '}');
}

/* One piece of memory for all of it, as a rule. */
static int make_room(Buf *b, const MapCall *c) {
        size_t n = sizeof(WireHead) + 2;
        char *at;

        for (size_t i = 0; i < c->n_roots; i++)
                if (travels(c, &c->roots[i]))
                        n += c->roots[i].name.n + c->roots[i].value.n + 4;
        return buf_room(b, n, &at);
}

static int evaluate(Pending *p, MapCall *c) {
        p->finished = true;
        c->end = MAP_OK;
        if (!program_is_path(c->program))
                return add_input(&p->bytes, c);
        Span value = program_path_get(c->program, c->roots, c->n_roots);
        return buf_add(&p->bytes, value.p ? json_trim(value) : SPAN("null"));
}

static int frame(Pending *p, const MapCall *c) {
        WireHead head = {0, c->program->number};
        int r = buf_add(&p->bytes, (Span){(char *)&head, sizeof head});

        if (r == 0)
                r = add_input(&p->bytes, c);
        if (r == 0) {
                head.n = (uint32_t)(p->bytes.n - sizeof head);
                memcpy(p->bytes.p, &head, sizeof head);
        }
        return r;
}

int pending_new(MapCall *c, Pending **ret, Err *e) {
        Pending *p = must_alloc(sizeof *p);
        int r;

        p->call = c;
        p->bytes = BUF(sizeof(WireHead) + WIRE_INPUT_MAX_BYTES);
        c->why[0] = 0;
        for (size_t i = 0; i < c->n_roots; i++)
                must(c->roots[i].name.n || c->n_roots == 1);
        if (!program_needs_helper(c->program))
                r = evaluate(p, c);
        else if (find_unsafe(c)) {
                p->finished = true;
                r = 0;
        } else {
                r = make_room(&p->bytes, c);
                if (r == 0)
                        r = frame(p, c);
        }
        if (r < 0) {
                pending_free(p);
                return FAIL(e, r,
                            r == -EMSGSIZE ? "the input of the jq program is larger than %d "
                                             "bytes"
                                           : "no memory for the input of the jq program (at "
                                             "most %d bytes)",
                            WIRE_INPUT_MAX_BYTES);
        }
        *ret = p;
        return 0;
}

Pending *pending_free(Pending *p) {
        if (p) {
                buf_done(&p->bytes);
                free(p);
        }
        return NULL;
}
