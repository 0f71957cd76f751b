/* SPDX-License-Identifier: Apache-2.0 */
#include "map/program.h"

#include "map/words.h"

#include <unistd.h>

enum {
        SET_ARENA_MAX_BYTES = 64 * 1024 * 1024,
        START_MS = 10000, /* a nursery that is still silent after this and */
        COMPILE_MS = 200, /* so much for each program is given up */
};

ProgramSet *program_set_new(void) {
        ProgramSet *s = must_alloc(sizeof *s);

        s->refs = 1;
        s->texts_fd = -1;
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
        if (s->texts_fd >= 0)
                close(s->texts_fd);
        free(s->binary);
        pthread_mutex_destroy(&s->lock);
        table_free(s->by_text);
        free(s->programs);
        arena_free(s->arena);
        free(s);
        return NULL;
}

void program_set_binary(ProgramSet *s, const char *path) {
        must(!s->sealed);
        free(s->binary);
        s->binary = path ? must_dup(path) : NULL;
}

static int check_text(Span text, Words *ret, Err *e) {
        if (text.n == 0)
                return FAIL(e, -EINVAL, "the jq program is empty");
        if (text.n > MAP_TEXT_MAX_BYTES)
                return FAIL(e, -EINVAL, "the jq program is longer than %d bytes",
                            MAP_TEXT_MAX_BYTES);
        if (memchr(text.p, 0, text.n))
                return FAIL(e, -EINVAL, "the jq program holds a NUL byte");
        return words_read(text, ret, e);
}

static Program *program_new(ProgramSet *s, Span text) {
        Program *p = arena_alloc(s->arena, sizeof *p);
        Words words = {0};

        if (!p)
                return NULL;
        p->set = s;
        p->text = arena_span(s->arena, text);
        /* Read once more, so that the names lie in the copy. */
        if (!p->text.p || words_read(p->text, &words, NULL) < 0)
                return NULL;
        p->names = arena_alloc(s->arena, words.n * sizeof(Span));
        if (!p->names)
                return NULL;
        if (words.n)
                memcpy(p->names, words.names, words.n * sizeof(Span));
        p->n_names = words.n;
        p->sees_all = words.all;
        p->is_path = path_parse(p->text, &p->path) && p->path.n > 0;
        return p;
}

int program_add(ProgramSet *s, Span text, Program **ret, Err *e) {
        Words words;

        must(!s->sealed);
        text = span_trim(text, " \t\r\n");
        int r = check_text(text, &words, e);
        if (r < 0)
                return r;
        Program *p = table_get(s->by_text, text);
        if (p) {
                *ret = p;
                return 0;
        }
        if (s->n == MAP_PROGRAMS_MAX)
                return FAIL(e, -EINVAL, "more than %d jq programs", MAP_PROGRAMS_MAX);
        p = program_new(s, text);
        if (!p)
                return FAIL(e, -EINVAL, "the jq programs are longer than %d bytes together",
                            SET_ARENA_MAX_BYTES);
        must(table_put(s->by_text, p->text, p) == 0);
        s->programs[s->n++] = p;
        *ret = p;
        return 0;
}

const Program *program_set_find(const ProgramSet *s, Span text) {
        return table_get(s->by_text, span_trim(text, " \t\r\n"));
}

typedef struct Complaints {
        ProgramSet *set;
        void (*bad)(void *arg, Program *p, const char *message);
        void *arg;
} Complaints;

static Program *numbered(const ProgramSet *s, size_t number) {
        for (size_t i = 0; i < s->n; i++)
                if (program_needs_helper(s->programs[i]) && s->programs[i]->number == number)
                        return s->programs[i];
        return NULL;
}

static void complain(void *arg, size_t i, const char *message) {
        Complaints *c = arg;

        if (c->bad)
                c->bad(c->arg, numbered(c->set, i), message);
}

int program_set_seal(ProgramSet *s, void (*bad)(void *arg, Program *p, const char *message),
                     void *arg, Err *e) {
        Complaints c = {s, bad, arg};
        NurseryReport report = {complain, &c, 0};
        AUTO(freep)
        Span *texts = must_alloc((s->n + 1) * sizeof *texts);

        must(!s->sealed);
        s->sealed = true;
        for (size_t i = 0; i < s->n; i++)
                if (program_needs_helper(s->programs[i])) {
                        s->programs[i]->number = (uint32_t)report.n;
                        texts[report.n++] = s->programs[i]->text;
                }
        if (report.n == 0)
                return 0;
        int r = nursery_texts(texts, report.n, &s->texts_fd, e);
        return r < 0 ? r : nursery_start(s->binary, s->texts_fd, &report, &s->nursery, e);
}

int program_set_helper(ProgramSet *s, int *ret_fd, Err *e) {
        int r;

        must(s->texts_fd >= 0);
        pthread_mutex_lock(&s->lock);
        if (s->nursery && nursery_gone(s->nursery))
                s->nursery = nursery_stop(s->nursery);
        r = s->nursery ? 0 : nursery_start(s->binary, s->texts_fd, NULL, &s->nursery, e);
        if (r == 0)
                r = nursery_fork(s->nursery, ret_fd, e);
        pthread_mutex_unlock(&s->lock);
        return r;
}

bool program_set_nursery_gone(ProgramSet *s) {
        pthread_mutex_lock(&s->lock);
        bool gone = !s->nursery || nursery_gone(s->nursery);
        pthread_mutex_unlock(&s->lock);
        return gone;
}

void program_set_drop_nursery(ProgramSet *s) {
        pthread_mutex_lock(&s->lock);
        s->nursery = nursery_stop(s->nursery);
        pthread_mutex_unlock(&s->lock);
}

int64_t program_set_start_ms(const ProgramSet *s) {
        return START_MS + (int64_t)s->n * COMPILE_MS;
}

int program_set_nursery(ProgramSet *s) {
        pthread_mutex_lock(&s->lock);
        int pid = s->nursery ? nursery_pid(s->nursery) : 0;
        pthread_mutex_unlock(&s->lock);
        return pid;
}

Span program_text(const Program *p) {
        return p->text;
}

bool program_is_path(const Program *p) {
        return p->is_path;
}

bool program_uses(const Program *p, Span root) {
        if (p->is_path)
                return root.n == 0 || span_eq(p->path.part[0].key, root);
        if (p->sees_all || root.n == 0)
                return true;
        for (size_t i = 0; i < p->n_names; i++)
                if (span_eq(p->names[i], root))
                        return true;
        return false;
}

Span program_path_get(const Program *p, const MapRoot *roots, size_t n_roots) {
        must(p->is_path);
        for (size_t i = n_roots; i-- > 0;) { /* of two roots of one name the last counts */
                if (roots[i].name.n == 0)
                        return path_follow(&p->path, 0, roots[i].value);
                if (span_eq(roots[i].name, p->path.part[0].key))
                        return path_follow(&p->path, 1, roots[i].value);
        }
        return (Span){NULL, 0};
}
