/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean": the distance of Damerau and Levenshtein between short words, where a change, a
 * missing or extra letter, and two neighbours swapped count one each. Case does not count. */
#include "config/option.h"

enum { WORD_MAX = 64 };

static char fold(char c) {
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b) {
        return a < b ? a : b;
}

/* Three rows of the matrix are alive: the one being filled and the two above it. */
static unsigned distance(Span a, Span b) {
        unsigned rows[3][WORD_MAX + 1];

        for (size_t j = 0; j <= b.n; j++)
                rows[0][j] = (unsigned)j;
        for (size_t i = 1; i <= a.n; i++) {
                unsigned *row = rows[i % 3];
                const unsigned *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3];

                row[0] = (unsigned)i;
                for (size_t j = 1; j <= b.n; j++) {
                        char x = fold(a.p[i - 1]), y = fold(b.p[j - 1]);

                        row[j] = least(least(up[j], row[j - 1]) + 1, up[j - 1] + (x != y));
                        if (i > 1 && j > 1 && x == fold(b.p[j - 2]) && fold(a.p[i - 2]) == y)
                                row[j] = least(row[j], up2[j - 2] + 1);
                }
        }
        return rows[a.n % 3][b.n];
}

const char *nearest_name(Span word, const char *const *names) {
        const char *best = NULL;
        /* One slip in a short word, two in a middling one, three in a long one. */
        unsigned best_distance = word.n < 5 ? 2 : word.n < 9 ? 3 : 4;

        if (word.n == 0 || word.n > WORD_MAX)
                return NULL;
        for (; *names; names++) {
                Span name = span_of(*names);
                unsigned d = name.n <= WORD_MAX ? distance(word, name) : WORD_MAX;

                /* As far away as it is long: nothing of it is left. */
                if (d < best_distance && d < name.n) {
                        best_distance = d;
                        best = *names;
                }
        }
        return best;
}
