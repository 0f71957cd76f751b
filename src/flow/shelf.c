/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/shelf.h"

#include "base/list.h"
#include "base/table.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct Book {
        unsigned board;
        _Atomic uint64_t asked; /* when it was last, by Shelf.turns */
        bool leaves;            /* its board is made anew without it */
        size_t n;
        char text[];
} Book;

typedef struct Board {
        ProgramSet *set;
        Book *books[SHELF_BOARD_MAX];
        size_t n;
} Board;

struct Shelf {
        pthread_mutex_t adding;  /* one at a time */
        pthread_mutex_t wishing; /* of the wishes */
        List wishes;
        pthread_rwlock_t lock; /* of what follows */
        Table *by_text;        /* Book */
        Board boards[SHELF_BOARDS_MAX];
        unsigned n, boards_max;
        _Atomic uint64_t turns; /* questions so far */
};

Shelf *shelf_new_for(size_t boards_max) {
        Shelf *s = must_alloc(sizeof *s);

        must(boards_max > 0 && boards_max <= SHELF_BOARDS_MAX);
        s->boards_max = (unsigned)boards_max;
        must(pthread_mutex_init(&s->adding, NULL) == 0);
        must(pthread_mutex_init(&s->wishing, NULL) == 0);
        list_init(&s->wishes);
        must(pthread_rwlock_init(&s->lock, NULL) == 0);
        s->by_text = table_new(SHELF_BOARD_MAX * boards_max);
        return s;
}

Shelf *shelf_new(void) {
        return shelf_new_for(SHELF_BOARDS_MAX);
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
        pthread_mutex_destroy(&s->wishing);
        pthread_mutex_destroy(&s->adding);
        free(s);
        return NULL;
}

ProgramSet *shelf_find(Shelf *s, Span text, const Program **ret) {
        ProgramSet *set = NULL;
        Book *book;

        pthread_rwlock_rdlock(&s->lock);
        book = table_get(s->by_text, text);
        if (book) {
                atomic_store(&book->asked, atomic_fetch_add(&s->turns, 1) + 1);
                set = program_set_ref(s->boards[book->board].set);
        }
        pthread_rwlock_unlock(&s->lock);
        if (set)
                *ret = program_set_find(set, text);
        return set;
}

size_t shelf_count(Shelf *s) {
        size_t n;

        pthread_rwlock_rdlock(&s->lock);
        n = table_count(s->by_text);
        pthread_rwlock_unlock(&s->lock);
        return n;
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

/* A program that is wanted. Several that wait together are compiled together. */
typedef struct Wish {
        Link link; /* on Shelf.wishes until somebody takes it */
        Span text;
        Program *program;
        bool is_done;
        int result;
        Err error;
} Wish;

/* jq's sentence goes to whoever wished for the program. */
static void on_bad(void *arg, Program *p, const char *message) {
        List *wishes = arg;

        LIST_EACH(wishes, it) {
                Wish *w = CONTAINER_OF(it, Wish, link);

                if (w->program == p)
                        w->result = FAIL(&w->error, -EINVAL, "%s", message);
        }
}

static int add_wish(ProgramSet *set, Wish *w) {
        w->result = program_add(set, w->text, &w->program, &w->error);
        return w->result;
}

/* A set of the board's programs that stay and of the wishes that are not refused yet. */
static int make_set(const Board *b, List *wishes, ProgramSet **ret, Err *e) {
        ProgramSet *set = program_set_new();
        Program *p;
        int r = 0;

        LIST_EACH(wishes, it) {
                Wish *w = CONTAINER_OF(it, Wish, link);

                w->program = NULL;
                if (w->result == 0)
                        (void)add_wish(set, w);
        }
        for (size_t i = 0; i < b->n && r == 0; i++)
                if (!b->books[i]->leaves)
                        r = program_add(set, (Span){b->books[i]->text, b->books[i]->n}, &p, e);
        if (r == 0)
                r = program_set_seal(set, on_bad, wishes, e);
        if (r < 0)
                program_set_unref(set);
        else
                *ret = set;
        return r;
}

static size_t count_good(const List *wishes) {
        size_t n = 0;

        LIST_EACH(wishes, it)
        n += CONTAINER_OF(it, Wish, link)->result == 0;
        return n;
}

static void take_away(Shelf *s, Board *b) {
        size_t n = 0;

        for (size_t i = 0; i < b->n; i++) {
                Book *book = b->books[i];

                if (!book->leaves) {
                        b->books[n++] = book;
                        continue;
                }
                (void)table_remove(s->by_text, (Span){book->text, book->n});
                free(book);
        }
        b->n = n;
}

static void put(Shelf *s, Board *b, ProgramSet *set, const List *wishes) {
        ProgramSet *old = b->set;

        pthread_rwlock_wrlock(&s->lock);
        take_away(s, b);
        LIST_EACH(wishes, it) {
                const Wish *w = CONTAINER_OF(it, Wish, link);
                Book *book;

                if (w->result < 0 || table_get(s->by_text, w->text))
                        continue;
                book = must_alloc(sizeof *book + w->text.n + 1);
                book->board = (unsigned)(b - s->boards);
                book->n = w->text.n;
                atomic_store(&book->asked, atomic_fetch_add(&s->turns, 1) + 1);
                memcpy(book->text, w->text.p, w->text.n);
                must(table_put(s->by_text, w->text, book) == 0);
                b->books[b->n++] = book;
        }
        b->set = set;
        if (s->n == (unsigned)(b - s->boards))
                s->n++;
        pthread_rwlock_unlock(&s->lock);
        program_set_unref(old);
}

/* ---- room ---- */

static int by_turn(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* The moment before which half of the programs were last asked for. */
static uint64_t median_turn(const Shelf *s) {
        uint64_t turns[SHELF_BOARD_MAX * SHELF_BOARDS_MAX];
        size_t n = 0;

        for (unsigned i = 0; i < s->n; i++)
                for (size_t k = 0; k < s->boards[i].n; k++)
                        turns[n++] = atomic_load(&s->boards[i].books[k]->asked);
        qsort(turns, n, sizeof turns[0], by_turn);
        return turns[n / 2];
}

static size_t count_colder(const Board *b, uint64_t turn) {
        size_t n = 0;

        for (size_t i = 0; i < b->n; i++)
                n += atomic_load(&b->books[i]->asked) < turn;
        return n;
}

/* All are full: of the half that was asked for longest ago, those leave that stand on the board
 * that has the most of them, so that one set made anew gives room for many. */
static Board *make_room(Shelf *s) {
        uint64_t turn = median_turn(s);
        Board *most = &s->boards[0];

        for (unsigned i = 1; i < s->n; i++)
                if (count_colder(&s->boards[i], turn) > count_colder(most, turn))
                        most = &s->boards[i];
        for (unsigned i = 0; i < s->n; i++)
                for (size_t k = 0; k < s->boards[i].n; k++) {
                        Book *book = s->boards[i].books[k];

                        book->leaves = &s->boards[i] == most && atomic_load(&book->asked) < turn;
                }
        return most;
}

static size_t room_on(const Board *b) {
        size_t n = SHELF_BOARD_MAX - b->n;

        for (size_t i = 0; i < b->n; i++)
                n += b->books[i]->leaves;
        return n;
}

/* Whose programs may be changed: the caller is the one who adds. */
static Board *board_with_room(Shelf *s) {
        for (unsigned i = 0; i < s->n; i++)
                if (s->boards[i].n < SHELF_BOARD_MAX)
                        return &s->boards[i];
        return s->n < s->boards_max ? &s->boards[s->n] : make_room(s);
}

/* Wishes that fit on one board. A bad program spoils the set for the others, so those are tried
 * again without it: each round has one wish less at least. */
static void fulfil(Shelf *s, Board *b, List *wishes) {
        ProgramSet *set = NULL;
        Err e = {0};

        for (size_t good = count_good(wishes); good > 0;) {
                int r = make_set(b, wishes, &set, &e);
                size_t left = count_good(wishes);

                if (r == 0) {
                        if (left > 0)
                                put(s, b, set, wishes);
                        else
                                program_set_unref(set);
                        return;
                }
                if (left == good) { /* it is none of theirs */
                        LIST_EACH(wishes, it)
                        CONTAINER_OF(it, Wish, link)->result = r;
                        return;
                }
                good = left;
        }
}

/* Takes what is wished for and not there, as much as fits on the board. */
static void take_wishes(Shelf *s, size_t max, List *ret) {
        const Program *known;

        pthread_mutex_lock(&s->wishing);
        LIST_EACH(&s->wishes, it) {
                Wish *w = CONTAINER_OF(it, Wish, link);
                ProgramSet *set = shelf_find(s, w->text, &known);

                if (ret->n == max && !set)
                        break;
                list_remove(&s->wishes, it);
                if (set)
                        w->is_done = true;
                else
                        list_push(ret, it);
                program_set_unref(set);
        }
        pthread_mutex_unlock(&s->wishing);
}

static void end_wishes(Shelf *s, List *wishes) {
        Link *at;

        pthread_mutex_lock(&s->wishing);
        while ((at = list_pop(wishes)))
                CONTAINER_OF(at, Wish, link)->is_done = true;
        pthread_mutex_unlock(&s->wishing);
}

static bool is_done(Shelf *s, const Wish *w) {
        bool done;

        pthread_mutex_lock(&s->wishing);
        done = w->is_done;
        pthread_mutex_unlock(&s->wishing);
        return done;
}

static void make_wish(Shelf *s, Wish *w) {
        link_init(&w->link);
        pthread_mutex_lock(&s->wishing);
        list_push(&s->wishes, &w->link);
        pthread_mutex_unlock(&s->wishing);
}

/* Returns when the wish is granted or refused. Whoever is let in does the work of all who wait. */
static void work_for(Shelf *s, const Wish *wish) {
        List wishes;

        list_init(&wishes);
        pthread_mutex_lock(&s->adding);
        while (!is_done(s, wish)) {
                Board *b = board_with_room(s);

                take_wishes(s, room_on(b), &wishes);
                fulfil(s, b, &wishes);
                end_wishes(s, &wishes);
        }
        pthread_mutex_unlock(&s->adding);
}

int shelf_add(Shelf *s, Span text, Err *e) {
        Wish wish = {.text = text};

        make_wish(s, &wish);
        work_for(s, &wish);
        if (wish.result < 0 && e)
                *e = wish.error;
        return wish.result;
}

/* ---- on a worker ---- */

typedef struct Adding {
        uv_work_t work;
        Shelf *shelf;
        void (*done)(void *arg, int result, const char *why);
        void *arg;
        Wish wish;
        char text[];
} Adding;

static void on_work(uv_work_t *work) {
        Adding *a = CONTAINER_OF(work, Adding, work);

        work_for(a->shelf, &a->wish);
}

static void on_worked(uv_work_t *work, int status) {
        Adding *a = CONTAINER_OF(work, Adding, work);

        must(status == 0); /* nobody cancels it */
        a->done(a->arg, a->wish.result, a->wish.error.text);
        free(a);
}

void shelf_add_later(Shelf *s, Loop *loop, Span text,
                     void (*done)(void *arg, int result, const char *why), void *arg) {
        Adding *a = must_alloc(sizeof *a + text.n + 1);

        a->shelf = s;
        a->done = done;
        a->arg = arg;
        memcpy(a->text, text.p, text.n);
        a->wish.text = (Span){a->text, text.n};
        /* At once, so that all wishes of a turn are compiled together. */
        make_wish(s, &a->wish);
        must(uv_queue_work(&loop->uv, &a->work, on_work, on_worked) == 0);
}
