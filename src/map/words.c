/* SPDX-License-Identifier: Apache-2.0 */
#include "map/words.h"

#define NESTING_MAX 64

/* Everything that reaches outside of the program's own input, or ends the process that runs it. */
static const char *const forbidden[] = {
        "$ENV",   "env",        "input",           "inputs",
        "debug",  "stderr",     "input_filename",  "input_line_number",
        "halt",   "halt_error", "get_search_list", "modulemeta",
        "import", "include",    "$__prog_args",    "$__loc__",
};

/* Words that do not look at the input by themselves. */
static const char *const harmless[] = {
        "true", "false", "null",  "and", "or",    "if",  "then", "elif",  "else",  "end",
        "as",   "def",   "empty", "try", "catch", "now", "not",  "label", "break",
};

static bool is_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
               (c >= '0' && c <= '9');
}

static char next_solid(Span s, size_t i) {
        while (i < s.n && strchr(" \t\r\n", s.p[i]) && s.p[i])
                i++;
        return i < s.n ? s.p[i] : 0;
}

/* Where the text stands: in code, or in a string; each interpolation remembers its parentheses. */
typedef struct Scan {
        unsigned depth[NESTING_MAX]; /* open parentheses of the code at this level */
        size_t level;                /* strings that hold this code */
        bool in_string;
        char before;
} Scan;

/* One character of a string; returns how many were eaten, 0 when it nests too deep. */
static size_t scan_string(Scan *c, Span s, size_t i) {
        if (s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] == '(') {
                if (c->level + 1 >= NESTING_MAX)
                        return 0;
                c->depth[++c->level] = 0;
                c->in_string = false;
                c->before = '(';
                return 2;
        }
        if (s.p[i] == '\\')
                return 2;
        if (s.p[i] == '"') {
                c->in_string = false;
                c->before = '"';
        }
        return 1;
}

static void scan_mark(Scan *c, char mark) {
        if (mark == '"')
                c->in_string = true;
        else if (mark == '(')
                c->depth[c->level]++;
        else if (mark == ')' && c->depth[c->level])
                c->depth[c->level]--;
        else if (mark == ')' && c->level) {
                c->level--;
                c->in_string = true;
        }
        c->before = mark;
}

bool words_each(Span s, bool (*fn)(void *arg, Span word, char before, char after), void *arg) {
        Scan c = {0};

        for (size_t i = 0; i < s.n;) {
                if (c.in_string) {
                        size_t n = scan_string(&c, s, i);

                        if (n == 0)
                                return false;
                        i += n;
                } else if (s.p[i] == '#') {
                        while (i < s.n && s.p[i] != '\n')
                                i++;
                } else if (is_word(s.p[i]) || s.p[i] == '$') {
                        size_t from = i++;

                        while (i < s.n && is_word(s.p[i]))
                                i++;
                        if (!fn(arg, (Span){s.p + from, i - from}, c.before, next_solid(s, i)))
                                return true;
                        c.before = s.p[i - 1];
                } else {
                        if (!strchr(" \t\r\n", s.p[i]) || !s.p[i])
                                scan_mark(&c, s.p[i]);
                        i++;
                }
        }
        return !c.in_string && c.level == 0;
}

static bool is_name_of_field(Span word, char before, char after) {
        return before == '.' || (after == ':' && (before == '{' || before == ',')) ||
               (word.p[0] >= '0' && word.p[0] <= '9');
}

static bool look_forbidden(void *arg, Span word, char before, char after) {
        if (is_name_of_field(word, before, after))
                return true;
        for (size_t i = 0; i < COUNT_OF(forbidden); i++)
                if (span_eq(word, span_of(forbidden[i]))) {
                        *(Span *)arg = word;
                        return false;
                }
        return true;
}

Span words_forbidden(Span program) {
        Span found = {NULL, 0};

        (void)words_each(program, look_forbidden, &found);
        return found;
}

/* A function that does not stand behind a pipe looks at the input itself. */
static bool look_function(void *arg, Span word, char before, char after) {
        if (is_name_of_field(word, before, after) || before == '|' || word.p[0] == '$')
                return true;
        for (size_t i = 0; i < COUNT_OF(harmless); i++)
                if (span_eq(word, span_of(harmless[i])))
                        return true;
        *(bool *)arg = true;
        return false;
}

bool words_take_all(Span s) {
        bool all = false;

        for (size_t i = 0; i < s.n; i++) {
                char next = i + 1 < s.n ? s.p[i + 1] : 0;
                char last = i ? s.p[i - 1] : 0;

                if (s.p[i] != '.' || (is_word(last) && last >= '0' && last <= '9'))
                        continue;
                bool name = (is_word(next) && !(next >= '0' && next <= '9')) || next == '"';
                bool behind = last && (is_word(last) || strchr("])?\"", last));
                if (!name && !(behind && next == '['))
                        return true;
        }
        if (!words_each(s, look_function, &all))
                return true;
        return all;
}
