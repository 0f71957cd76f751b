/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#define EPOCH_MS   INT64_C(1577836800000) /* 2020-01-01T00:00:00Z */
#define TURN_BITS  13
#define MAKER_BITS 8
#define LOW_BITS   (TURN_BITS + MAKER_BITS)

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* `last` holds milliseconds and turn without the maker, so that adding one carries over. */
void id_maker_init(IdMaker *m, unsigned maker, int64_t after) {
        must(maker < ID_MAKERS_MAX);
        m->maker = maker;
        m->last = ((uint64_t)after >> LOW_BITS) + 1;
        m->last = after ? m->last << TURN_BITS : 0;
}

int64_t id_make(IdMaker *m, int64_t wall_ms) {
        uint64_t ms = wall_ms > EPOCH_MS ? (uint64_t)(wall_ms - EPOCH_MS) : 0;
        uint64_t now = ms << TURN_BITS;

        m->last = now > m->last ? now : m->last + 1;
        uint64_t turn = m->last & ((1u << TURN_BITS) - 1);
        return (int64_t)((m->last >> TURN_BITS) << LOW_BITS | (uint64_t)m->maker << TURN_BITS |
                         turn);
}

int64_t id_wall_ms(int64_t id) {
        return (int64_t)((uint64_t)id >> LOW_BITS) + EPOCH_MS;
}

int64_t id_at(int64_t wall_ms) {
        return wall_ms > EPOCH_MS ? (int64_t)((uint64_t)(wall_ms - EPOCH_MS) << LOW_BITS) : 0;
}

void id_print(const char *prefix, int64_t id, char ret[ID_TEXT]) {
        size_t n = strlen(prefix);
        uint64_t v = (uint64_t)id;
        char *letters = ret + n + 1;

        must(n > 0 && n <= ID_PREFIX_MAX);
        memcpy(ret, prefix, n);
        ret[n] = '_';
        for (int i = ID_LETTERS - 1; i >= 0; i--, v >>= 5)
                letters[i] = alphabet[v & 31];
        letters[ID_LETTERS] = 0;
}

bool id_parse(const char *prefix, Span text, int64_t *ret) {
        size_t n = strlen(prefix);
        uint64_t v = 0;

        if (text.n != n + 1 + ID_LETTERS || memcmp(text.p, prefix, n) != 0 || text.p[n] != '_')
                return false;
        for (size_t i = n + 1; i < text.n; i++) {
                const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;

                if (!at || v >> 58)
                        return false;
                v = v << 5 | (uint64_t)(at - alphabet);
        }
        if (v > INT64_MAX)
                return false;
        *ret = (int64_t)v;
        return true;
}
