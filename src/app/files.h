/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of tests that a command line names: files as they are, and of folders those below whose
 * names end in `.test.yaml` or `.test.yml`. */
#pragma once

#include "base/arena.h"

enum { TEST_FILES_MAX = 10000, TEST_FOLDERS_DEEP = 16 };

typedef struct TestFiles {
        const char **at; /* sorted within each word */
        size_t n;
} TestFiles;

/* A fault with the sentence when a word names nothing that can be read. */
MUST_CHECK int test_files_find(const char *const *words, size_t n, Arena *a, TestFiles *ret,
                               Err *e);
