/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/shelf.h"

#include "base/table.h"

#include <pthread.h>

typedef struct Book {
        unsigned board;
        size_t n;
        char text[];
} Book;

typedef struct Board {
        ProgramSet *set;
        const Book *books[SHELF_BOARD_MAX];
        size_t n;
} Board;

struct Shelf {
        pthread_mutex_t adding; /* one at a time */
        pthread_rwlock_t lock;  /* of what follows */
        Table *by_text;         /* Book */
        Board boards[SHELF_BOARDS_MAX];
        unsigned n;
};

Shelf *shelf_new(void) {
        Shelf *s = must_alloc(sizeof *s);

        must(pthread_mutex_init(&s->adding, NULL) == 0);
        must(pthread_rwlock_init(&s->lock, NULL) == 0);
        s->by_text = table_new(SHELF_BOARD_MAX * SHELF_BOARDS_MAX);
        return s;
}

static void free_book(void *arg, Span key, void *value) {
        (void)arg;
        (void)key;
        free(value);
}

Shelf *shelf_free(Shelf *s) {
        if (!s)
                return NULL;
        for (unsigned i = 0; i < s->n; i++)
                program_set_unref(s->boards[i].set);
        table_each(s->by_text, free_book, NULL);
        table_free(s->by_text);
        pthread_rwlock_destroy(&s->lock);
        pthread_mutex_destroy(&s->adding);
        free(s);
        return NULL;
}

ProgramSet *shelf_find(Shelf *s, Span text, const Program **ret) {
        ProgramSet *set = NULL;
        const Book *book;

        pthread_rwlock_rdlock(&s->lock);
        book = table_get(s->by_text, text);
        if (book)
                set = program_set_ref(s->boards[book->board].set);
        pthread_rwlock_unlock(&s->lock);
        if (set)
                *ret = program_set_find(set, text);
        return set;
}

bool shelf_is_current(Shelf *s, const ProgramSet *set) {
        bool found = false;

        pthread_rwlock_rdlock(&s->lock);
        for (unsigned i = 0; i < s->n && !found; i++)
                found = s->boards[i].set == set;
        pthread_rwlock_unlock(&s->lock);
        return found;
}

/* ---- adding ---- */

static void on_bad(void *arg, Program *p, const char *message) {
        Err *e = arg;

        (void)p;
        (void)FAIL(e, -EINVAL, "%s", message);
}

/* A set of the board's programs and one more. */
static int make_set(const Board *b, Span text, ProgramSet **ret, Err *e) {
        ProgramSet *set = program_set_new();
        Program *p;
        Err why = {0};
        int r = program_add(set, text, &p, e);

        for (size_t i = 0; i < b->n && r == 0; i++)
                r = program_add(set, (Span){b->books[i]->text, b->books[i]->n}, &p, e);
        if (r == 0) {
                r = program_set_seal(set, on_bad, &why, e);
                if (r < 0 && why.code)
                        *e = why;
        }
        if (r < 0)
                program_set_unref(set);
        else
                *ret = set;
        return r;
}

/* The one that has room; the others are full for ever. */
static Board *last_board(Shelf *s) {
        if (s->n == 0 || s->boards[s->n - 1].n == SHELF_BOARD_MAX)
                return s->n < SHELF_BOARDS_MAX ? &s->boards[s->n] : NULL;
        return &s->boards[s->n - 1];
}

static void put(Shelf *s, Board *b, ProgramSet *set, Span text) {
        Book *book = must_alloc(sizeof *book + text.n + 1);
        ProgramSet *old = b->set;

        book->board = (unsigned)(b - s->boards);
        book->n = text.n;
        memcpy(book->text, text.p, text.n);
        pthread_rwlock_wrlock(&s->lock);
        must(table_put(s->by_text, text, book) == 0);
        b->books[b->n++] = book;
        b->set = set;
        if (s->n == book->board)
                s->n++;
        pthread_rwlock_unlock(&s->lock);
        program_set_unref(old);
}

static int add(Shelf *s, Span text, Err *e) {
        const Program *known;
        ProgramSet *set = shelf_find(s, text, &known);
        Board *b = last_board(s);
        int r;

        if (set) {
                program_set_unref(set);
                return 0;
        }
        if (!b)
                return FAIL(e, -ENOSPC, "there are more than %d different programs",
                            SHELF_BOARD_MAX * SHELF_BOARDS_MAX);
        r = make_set(b, text, &set, e);
        if (r == 0)
                put(s, b, set, text);
        return r;
}

int shelf_add(Shelf *s, Span text, Err *e) {
        int r;

        pthread_mutex_lock(&s->adding);
        r = add(s, text, e);
        pthread_mutex_unlock(&s->adding);
        return r;
}

/* ---- on a worker ---- */

typedef struct Adding {
        uv_work_t work;
        Shelf *shelf;
        void (*done)(void *arg, int result, const char *why);
        void *arg;
        int result;
        Err error;
        size_t n;
        char text[];
} Adding;

static void on_work(uv_work_t *work) {
        Adding *a = CONTAINER_OF(work, Adding, work);

        a->result = shelf_add(a->shelf, (Span){a->text, a->n}, &a->error);
}

static void on_worked(uv_work_t *work, int status) {
        Adding *a = CONTAINER_OF(work, Adding, work);

        a->done(a->arg, status < 0 ? status : a->result, a->error.text);
        free(a);
}

void shelf_add_later(Shelf *s, Loop *loop, Span text,
                     void (*done)(void *arg, int result, const char *why), void *arg) {
        Adding *a = must_alloc(sizeof *a + text.n + 1);

        a->shelf = s;
        a->done = done;
        a->arg = arg;
        a->n = text.n;
        memcpy(a->text, text.p, text.n);
        must(uv_queue_work(&loop->uv, &a->work, on_work, on_worked) == 0);
}
