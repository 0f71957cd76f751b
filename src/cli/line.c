/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "config/option.h"

static const CommandOption *find(const Command *c, Span name) {
        for (const CommandOption *o = c->options; o->name; o++)
                if (span_eq(name, span_of(o->name)))
                        return o;
        return NULL;
}

static int unknown(const Command *c, const char *word) {
        const char *names[COMMAND_OPTIONS_MAX + 1] = {NULL}, *near;

        for (size_t i = 0; i < COMMAND_OPTIONS_MAX && c->options[i].name; i++)
                names[i] = c->options[i].name;
        near = nearest_name(span_of(word + (word[1] == '-' ? 2 : 1)), names);
        (void)fprintf(stderr, "grapnel %s: unknown option '%s'%s%s%s\n", c->name, word,
                      near ? "; did you mean '--" : "", near ? near : "",
                      near ? "'?" : "; see --help");
        return EXIT_USAGE;
}

/* "--name", "--name value" or "--name=value". Returns how many words it took; < 0: it is wrong. */
static int read_option(CommandLine *l, int left, char **at) {
        const char *word = at[0];
        Span text = span_of(word + 2);
        size_t equals = span_find(text, '=');
        const CommandOption *o = word[1] == '-' ? find(l->command, (Span){text.p, equals}) : NULL;
        bool has_value = equals < text.n;

        if (!o) {
                (void)unknown(l->command, word);
                return -1;
        }
        if (has_value && !o->value) {
                (void)line_wrong(l, "--%s takes no value", o->name);
                return -1;
        }
        if (o->value && !has_value && left < 2) {
                (void)line_wrong(l, "--%s needs %s", o->name, o->value);
                return -1;
        }
        if ((!o->many && line_option(l, o->name)) || l->n_given == LINE_GIVEN_MAX) {
                (void)line_wrong(l, "--%s is given too often", o->name);
                return -1;
        }
        l->given[l->n_given].option = o;
        l->given[l->n_given++].value = !o->value ? "" : has_value ? text.p + equals + 1 : at[1];
        return o->value && !has_value ? 2 : 1;
}

static bool is_help(const char *word) {
        return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int line_read(const Command *c, int argc, char **argv, CommandLine *ret) {
        bool only_words = false;

        *ret = (CommandLine){.command = c};
        for (int i = 1; i < argc;) {
                const char *word = argv[i];

                if (!only_words && is_help(word))
                        return -1;
                if (!only_words && strcmp(word, "--") == 0) {
                        only_words = true;
                        i++;
                } else if (!only_words && word[0] == '-' && word[1]) {
                        int took = read_option(ret, argc - i, argv + i);

                        if (took < 0)
                                return EXIT_USAGE;
                        i += took;
                } else if (ret->n_words == c->words_max || ret->n_words == LINE_WORDS_MAX) {
                        return line_wrong(ret, "too many arguments");
                } else {
                        ret->words[ret->n_words++] = word;
                        i++;
                }
        }
        return ret->n_words < c->words_min ? line_wrong(ret, "it needs %s", c->arguments) : 0;
}

const char *line_nth(const CommandLine *l, const char *name, int n) {
        for (int i = 0; i < l->n_given; i++)
                if (strcmp(l->given[i].option->name, name) == 0 && n-- == 0)
                        return l->given[i].value;
        return NULL;
}

const char *line_option(const CommandLine *l, const char *name) {
        return line_nth(l, name, 0);
}

int line_wrong(const CommandLine *l, const char *format, ...) {
        va_list ap;

        (void)fprintf(stderr, "grapnel %s: ", l->command->name);
        va_start(ap, format);
        (void)vfprintf(stderr, format, ap);
        va_end(ap);
        (void)fprintf(stderr, "; see grapnel %s --help\n", l->command->name);
        return EXIT_USAGE;
}

void line_print_options(const Command *c) {
        for (const CommandOption *o = c->options; o->name; o++) {
                char text[40];

                (void)snprintf(text, sizeof text, "--%s%s%s", o->name, o->value ? " " : "",
                               o->value ? o->value : "");
                printf("%s  %-22s %s\n", o == c->options ? "\n" : "", text, o->help);
        }
}
