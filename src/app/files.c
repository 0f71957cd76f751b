/* SPDX-License-Identifier: Apache-2.0 */
#include "app/files.h"

#include <dirent.h>
#include <sys/stat.h>

typedef struct Finding {
        Arena *arena;
        TestFiles *found;
        Err *e;
} Finding;

static bool ends_with(const char *name, const char *end) {
        size_t n = strlen(name), m = strlen(end);

        return n > m && strcmp(name + n - m, end) == 0;
}

static int add(Finding *f, const char *path) {
        if (f->found->n == TEST_FILES_MAX)
                return FAIL(f->e, -EMSGSIZE, "more than %d files of tests", TEST_FILES_MAX);
        f->found->at[f->found->n++] = path;
        return 0;
}

static int look_in(Finding *f, const char *folder, int depth);

static int look_at(Finding *f, const char *folder, const char *name, int depth) {
        bool is_here = strcmp(folder, ".") == 0;
        char *path = arena_printf(f->arena, "%s%s%s", is_here ? "" : folder,
                                  is_here || ends_with(folder, "/") ? "" : "/", name);
        struct stat st;

        if (!path)
                return FAIL(f->e, -ENOMEM, "too many files in %s", folder);
        if (lstat(path, &st) < 0)
                return 0; /* it has just gone */
        if (S_ISDIR(st.st_mode))
                return depth < TEST_FOLDERS_DEEP ? look_in(f, path, depth + 1) : 0;
        if (ends_with(name, ".test.yaml") || ends_with(name, ".test.yml"))
                return add(f, path);
        return 0;
}

static int look_in(Finding *f, const char *folder, int depth) {
        struct dirent **entries = NULL;
        int n = scandir(folder, &entries, NULL, alphasort), r = 0;

        if (n < 0)
                return FAIL(f->e, -errno, "%s: %s", folder, strerror(errno));
        for (int i = 0; i < n; i++) {
                if (r == 0 && entries[i]->d_name[0] != '.')
                        r = look_at(f, folder, entries[i]->d_name, depth);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int test_files_find(const char *const *words, size_t n, Arena *a, TestFiles *ret, Err *e) {
        Finding f = {a, ret, e};
        int r = 0;

        *ret = (TestFiles){.at = arena_alloc(a, TEST_FILES_MAX * sizeof *ret->at)};
        must(ret->at);
        for (size_t i = 0; r == 0 && i < n; i++) {
                struct stat st;

                if (stat(words[i], &st) < 0)
                        r = FAIL(e, -errno, "%s: %s", words[i], strerror(errno));
                else
                        r = S_ISDIR(st.st_mode) ? look_in(&f, words[i], 0) : add(&f, words[i]);
        }
        return r;
}
