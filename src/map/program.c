/* SPDX-License-Identifier: Apache-2.0 */
#include "map/program.h"

#include "map/words.h"
#include "json/check.h"

#define SET_ARENA_MAX_BYTES (64 * 1024 * 1024)

ProgramSet *program_set_new(void) {
        ProgramSet *s = must_alloc(sizeof *s);

        s->refs = 1;
        s->arena = arena_new(SET_ARENA_MAX_BYTES);
        s->by_text = table_new(MAP_PROGRAMS_MAX);
        s->programs = must_alloc(MAP_PROGRAMS_MAX * sizeof(Program *));
        must(pthread_mutex_init(&s->lock, NULL) == 0);
        return s;
}

ProgramSet *program_set_ref(ProgramSet *s) {
        atomic_fetch_add(&s->refs, 1);
        return s;
}

ProgramSet *program_set_unref(ProgramSet *s) {
        if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
                return NULL;
        nursery_stop(s->nursery);
        pthread_mutex_destroy(&s->lock);
        table_free(s->by_text);
        free(s->programs);
        arena_free(s->arena);
        free(s);
        return NULL;
}

int program_add(ProgramSet *s, Span text, Program **ret, Err *e) {
        Span said;

        must(!s->sealed);
        text = span_trim(text, " \t\r\n");
        if (text.n == 0)
                return FAIL(e, -EINVAL, "the jq expression is empty");
        if (text.n > MAP_TEXT_MAX_BYTES)
                return FAIL(e, -EINVAL, "the jq expression is longer than %d bytes",
                            MAP_TEXT_MAX_BYTES);
        if (memchr(text.p, 0, text.n))
                return FAIL(e, -EINVAL, "the jq expression holds a NUL byte");
        if ((*ret = table_get(s->by_text, text)))
                return 0;
        said = words_forbidden(text);
        if (said.p)
                return FAIL(e, -EINVAL,
                            "'" SPAN_FMT "' is not allowed: expressions see their input and "
                            "nothing else",
                            SPAN_ARG(said));
        if (s->n == MAP_PROGRAMS_MAX)
                return FAIL(e, -EINVAL, "more than %d jq expressions", MAP_PROGRAMS_MAX);
        Program *p = arena_alloc(s->arena, sizeof *p);
        if (!p)
                return FAIL(e, -ENOMEM, "too much jq text");
        p->set = s;
        p->text = arena_span(s->arena, text);
        if (!p->text.p)
                return FAIL(e, -ENOMEM, "too much jq text");
        /* `.` alone gives the roots as one object: jq makes it. */
        p->is_path = path_parse(p->text, &p->path) && p->path.n > 0;
        p->takes_all = words_take_all(p->text);
        must(table_put(s->by_text, p->text, p) == 0);
        s->programs[s->n++] = p;
        *ret = p;
        return 0;
}

typedef struct Complaints {
        ProgramSet *set;
        void (*bad)(void *arg, Program *p, const char *message);
        void *arg;
} Complaints;

static Program *numbered(ProgramSet *s, size_t number) {
        for (size_t i = 0; i < s->n; i++)
                if (!s->programs[i]->is_path && s->programs[i]->number == number)
                        return s->programs[i];
        return NULL;
}

static void complain(void *arg, size_t i, const char *message) {
        Complaints *c = arg;

        if (c->bad)
                c->bad(c->arg, numbered(c->set, i), message);
}

static int start(ProgramSet *s, Complaints *c, Err *e) {
        AUTO(freep)
        Span *texts = must_alloc((s->n + 1) * sizeof *texts);
        size_t n = 0;

        for (size_t i = 0; i < s->n; i++)
                if (!s->programs[i]->is_path) {
                        s->programs[i]->number = (uint32_t)n;
                        texts[n++] = s->programs[i]->text;
                }
        return n ? nursery_start(texts, n, complain, c, &s->nursery, e) : 0;
}

int program_set_seal(ProgramSet *s, void (*bad)(void *arg, Program *p, const char *message),
                     void *arg, Err *e) {
        Complaints c = {s, bad, arg};

        must(!s->sealed);
        s->sealed = true;
        return start(s, &c, e);
}

int program_set_helper(ProgramSet *s, int *ret_fd, Err *e) {
        Complaints quiet = {s, NULL, NULL};
        Err first = {0};
        int r;

        pthread_mutex_lock(&s->lock);
        r = s->nursery ? nursery_fork(s->nursery, ret_fd, &first) : -EPIPE;
        if (r < 0) {
                s->nursery = nursery_stop(s->nursery);
                r = start(s, &quiet, e);
                if (r == 0)
                        r = nursery_fork(s->nursery, ret_fd, e);
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}

Span program_text(const Program *p) {
        return p->text;
}

bool program_is_path(const Program *p) {
        return p->is_path;
}

bool program_uses(const Program *p, Span root) {
        if (p->is_path)
                return span_eq(p->path.part[0].key, root);
        if (p->takes_all)
                return true;
        return root.n == 0 || memmem(p->text.p, p->text.n, root.p, root.n) != NULL;
}

Span program_path_get(const Program *p, const MapRoot *roots, size_t n_roots) {
        must(p->is_path);
        for (size_t i = n_roots; i-- > 0;)
                if (span_eq(roots[i].name, p->path.part[0].key))
                        return path_follow(&p->path, 1, roots[i].value);
        return (Span){NULL, 0};
}

Span program_path_in(const Program *p, Span input) {
        must(p->is_path);
        return path_follow(&p->path, 0, input);
}
