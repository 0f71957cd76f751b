/* SPDX-License-Identifier: Apache-2.0 */
#include "trial/names.h"

#include "config/config.h"
#include "config/file.h"
#include "sign/encoding.h"

#include <openssl/evp.h>

enum { NAMES_MAX = 1024, PORT_FIRST = 40001, NAMES_FILE_MAX_BYTES = 1024 * 1024 };

typedef struct Names {
        Arena *arena;
        char *at[NAMES_MAX + 1], *made[NAMES_MAX + 1];
        size_t n, n_made, n_ports;
} Names;

static bool has(char *const *entries, Span name) {
        for (; *entries; entries++) {
                Span entry = span_of(*entries);

                if (span_starts(entry, name) && entry.n > name.n && entry.p[name.n] == '=')
                        return true;
        }
        return false;
}

static int add(Names *names, Span entry) {
        if (names->n == NAMES_MAX)
                return -EMSGSIZE;
        names->at[names->n] = arena_text(names->arena, entry);
        return names->at[names->n++] ? 0 : -ENOMEM;
}

/* ---- the file ---- */

static bool is_name(Span s) {
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
                      (i > 0 && c >= '0' && c <= '9')))
                        return false;
        }
        return s.n > 0;
}

/* The value may stand in quotes, as a shell would have it. */
static int add_line(Names *names, Span line) {
        size_t equals = span_find(line, '=');
        Span name = {line.p, equals}, value = span_from(line, equals + 1);

        if (equals == line.n || !is_name(name))
                return -EINVAL;
        if (value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') &&
            value.p[value.n - 1] == value.p[0])
                value = (Span){value.p + 1, value.n - 2};
        char *entry =
                arena_printf(names->arena, SPAN_FMT "=" SPAN_FMT, SPAN_ARG(name), SPAN_ARG(value));
        return entry ? add(names, span_of(entry)) : -ENOMEM;
}

static int read_file(Names *names, const char *path, Err *e) {
        AUTO(buf_done)
        Buf b = BUF(NAMES_FILE_MAX_BYTES);
        unsigned number = 0;
        int r = file_read(path, &b, e);

        if (r < 0) {
                err_prefix(e, "%s", path);
                return r;
        }
        for (Span rest = buf_span(&b); rest.n;) {
                size_t end = span_find(rest, '\n');
                Span line = span_trim((Span){rest.p, end}, " \t\r");

                rest = span_from(rest, end + 1);
                number++;
                if (span_starts(line, SPAN("export ")))
                        line = span_trim(span_from(line, 7), " ");
                if (line.n == 0 || line.p[0] == '#')
                        continue;
                if ((r = add_line(names, line)) < 0)
                        return FAIL(e, r, "%s:%u: a line is NAME=value", path, number);
        }
        return 0;
}

/* ---- what is made up ---- */

/* Does the line's key say that a URL is meant, and is the name all of its value? */
static bool is_url(Span line, size_t at, Span name) {
        Span before = span_trim((Span){line.p, at}, " \t\"'");
        Span behind = span_trim(span_from(line, at + name.n + 3), " \t\r\"',}");

        return behind.n == 0 && before.n >= 4 && memcmp(before.p + before.n - 4, "url:", 4) == 0;
}

static char *make_secret(Arena *a, Span name) {
        AUTO(buf_done)
        Buf b = BUF(256);
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned n = 0;

        must(EVP_Digest(name.p, name.n, digest, &n, EVP_sha256(), NULL) == 1);
        if (base64_print(span_make(digest, n), &b) < 0)
                return NULL;
        return arena_printf(a, SPAN_FMT "=whsec_" SPAN_FMT, SPAN_ARG(name), SPAN_ARG(buf_span(&b)));
}

static int make_up(Names *names, Span line, size_t at, Span name) {
        char *entry;

        if (at > 0 && line.p[at - 1] == ':')
                entry = arena_printf(names->arena, SPAN_FMT "=%zu", SPAN_ARG(name),
                                     PORT_FIRST + names->n_ports++);
        else if (is_url(line, at, name))
                entry = arena_printf(names->arena, SPAN_FMT "=https://made-up.invalid",
                                     SPAN_ARG(name));
        else
                entry = make_secret(names->arena, name);
        if (!entry || names->n_made == NAMES_MAX)
                return -ENOMEM;
        names->made[names->n_made] = arena_text(names->arena, name);
        if (!names->made[names->n_made++])
                return -ENOMEM;
        return add(names, span_of(entry));
}

static int look_at_line(Names *names, Span line, char *const *environment) {
        if (span_starts(span_trim(line, " \t"), SPAN("#")))
                return 0;
        for (size_t at = 0; at + 3 < line.n; at++) {
                Span rest = span_from(line, at), name;
                int r;

                if (!span_starts(rest, SPAN("${")) || (at > 0 && line.p[at - 1] == '$'))
                        continue;
                name = (Span){rest.p + 2, span_find(rest, '}')};
                if (name.n >= rest.n)
                        continue; /* not closed: the reader of the file says so */
                name.n -= 2;
                if (!is_name(name) || has(environment, name) || has(names->at, name))
                        continue;
                if ((r = make_up(names, line, at, name)) < 0)
                        return r;
        }
        return 0;
}

static int make_up_rest(Names *names, const char *config, char *const *environment) {
        AUTO(buf_done)
        Buf b = BUF(CONFIG_FILE_MAX_BYTES);
        Err ignored = {0};
        int r = 0;

        if (file_read(config, &b, &ignored) < 0)
                return 0; /* who loads it says why */
        for (Span rest = buf_span(&b); r == 0 && rest.n;) {
                size_t end = span_find(rest, '\n');

                r = look_at_line(names, (Span){rest.p, end}, environment);
                rest = span_from(rest, end + 1);
        }
        if (b.p)
                explicit_bzero(b.p, b.cap);
        return r;
}

int names_for(const char *config, const char *file, char *const *environment, Arena *a, char ***ret,
              char ***ret_made, Err *e) {
        Names *names = arena_alloc(a, sizeof *names);
        size_t n = 0;
        char **all;
        int r;

        must(names);
        names->arena = a;
        r = file ? read_file(names, file, e) : 0;
        if (r < 0)
                return r;
        r = make_up_rest(names, config, environment);
        while (environment[n])
                n++;
        all = arena_alloc(a, (names->n + n + 1) * sizeof *all);
        if (r < 0 || !all)
                return FAIL(e, r < 0 ? r : -ENOMEM, "%s: too many names", config);
        /* The first of a name counts. */
        memcpy(all, names->at, names->n * sizeof *all);
        memcpy(all + names->n, environment, n * sizeof *all);
        *ret = all;
        *ret_made = names->made;
        return 0;
}
