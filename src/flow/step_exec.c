/* SPDX-License-Identifier: Apache-2.0
 *
 * exec: run a program of this machine, for what no API does. It gets JSON on its standard input and
 * says JSON or text on its standard output; its exit status says how it went, as sysexits.h has it
 * for "try again" (75). */
#include "base/id.h"
#include "flow/runner.h"
#include "flow/step.h"
#include "net/child.h"
#include "json/check.h"
#include "json/value.h"

enum { WORDS_MAX = 64, VARIABLES_MAX = 64, EXIT_TRY_AGAIN = 75 };
#define MESSAGE_MAX_BYTES 1000

typedef enum Output { OUTPUT_JSON, OUTPUT_TEXT, OUTPUT_NONE } Output;
static const char *const outputs[] = {"json", "text", "none", NULL};

typedef struct ExecOptions {
        const Node *exec, *env;
        Expr body;
        const char *folder;
        int64_t timeout_ms;
        int output;
        const Program *program[1];
        Template *words;
        size_t n_words;
        char **environment;
} ExecOptions;

static const Option options[] = {
        {.name = "exec",
         .type = OPTION_NODE,
         .offset = offsetof(ExecOptions, exec),
         .required = true,
         .shape = "list of texts with holes",
         .help = "The program and its arguments: [/usr/local/bin/print-label, '--to', "
                 "'{.user.printer}']. No shell reads them: each is one argument, whatever it "
                 "holds. The program itself has no holes."},
        {.name = "body",
         .type = OPTION_EXPR,
         .offset = offsetof(ExecOptions, body),
         .fallback = ".event",
         .help = "A jq expression that gives the JSON for its standard input; the event by "
                 "default."},
        {.name = "output",
         .type = OPTION_CHOICE,
         .offset = offsetof(ExecOptions, output),
         .fallback = "json",
         .choices = outputs,
         .help = "What its standard output is: JSON, which becomes the step's value (null when it "
                 "is empty), a text, or nothing that counts."},
        {.name = "timeout",
         .type = OPTION_DURATION,
         .offset = offsetof(ExecOptions, timeout_ms),
         .fallback = "10s",
         .min = 100,
         .max = 3600000,
         .help = "How long it may run, and never beyond the deadline; then it and all that it "
                 "started are killed."},
        {.name = "env",
         .type = OPTION_NODE,
         .offset = offsetof(ExecOptions, env),
         .is_secret = true,
         .shape = "map of texts",
         .help = "Its environment, beside PATH (" CHILD_PATH "), GRAPNEL_EVENT, GRAPNEL_SOURCE and "
                 "GRAPNEL_ATTEMPT. Nothing is inherited."},
        {.name = "folder",
         .type = OPTION_TEXT,
         .offset = offsetof(ExecOptions, folder),
         .help = "The folder in which it runs; without it the one in which Grapnel runs."},
};

static int prepare_words(Build *b, ExecOptions *o) {
        const Node *list = o->exec;
        int r = 0;

        if (list->kind != NODE_LIST || list->n == 0 || list->n > WORDS_MAX)
                return problem_add(b->problems, list->place,
                                   "exec: a list of the program and its arguments is expected "
                                   "here, at most %d",
                                   WORDS_MAX);
        o->words = arena_alloc(b->snapshot->arena, list->n * sizeof *o->words);
        must(o->words);
        for (size_t i = 0; i < list->n; i++) {
                const Node *word = list->items[i];
                Expr x = {word->text, word->text_place};

                if (word->kind != NODE_SCALAR || memchr(word->text.p, '\0', word->text.n))
                        r = problem_add(b->problems, word->place, "exec: a text is expected here");
                else if (build_template(b, &x, &o->words[o->n_words++]) < 0)
                        r = -EINVAL;
        }
        if (r == 0 && (o->words[0].n != 1 || o->words[0].parts[0].program))
                r = problem_add(
                        b->problems, list->items[0]->place,
                        "exec: which program runs is not the event's to say: no holes here");
        return r;
}

static bool is_variable(Span name) {
        for (size_t i = 0; i < name.n; i++)
                if (name.p[i] == '=' || name.p[i] == '\0')
                        return false;
        return name.n > 0;
}

static int prepare_environment(Build *b, ExecOptions *o) {
        const Node *map = o->env;
        Arena *a = b->snapshot->arena;
        size_t n = map && map->kind == NODE_MAP ? map->n : 0, k = 0;

        if (map && (map->kind != NODE_MAP || n > VARIABLES_MAX))
                return problem_add(b->problems, map->place,
                                   "env: a map of at most %d texts is expected here",
                                   VARIABLES_MAX);
        o->environment = arena_alloc(a, (n + 2) * sizeof *o->environment);
        must(o->environment);
        o->environment[k++] = arena_text(a, SPAN("PATH=" CHILD_PATH));
        for (size_t i = 0; i < n; i++) {
                const NodeEntry *entry = &map->entries[i];

                if (entry->value->kind != NODE_SCALAR || !is_variable(entry->key))
                        return problem_add(b->problems, entry->key_place,
                                           "env: NAME: text is expected here");
                o->environment[k++] = arena_printf(a, SPAN_FMT "=" SPAN_FMT, SPAN_ARG(entry->key),
                                                   SPAN_ARG(entry->value->text));
        }
        return 0;
}

static int prepare(Build *b, void *into) {
        ExecOptions *o = into;
        Program *p = NULL;
        int r = build_program(b, &o->body, &p);

        o->program[0] = p;
        if (o->exec && prepare_words(b, o) < 0)
                r = -EINVAL;
        return prepare_environment(b, o) < 0 ? -EINVAL : r;
}

/* ---- a program on its way ---- */

typedef struct Exec {
        Child *child; /* not of the run's arena: the run may be gone before it is freed */
        size_t word;
        char *words[WORDS_MAX + 1];
} Exec;

static const char *name_of(const Exec *e) {
        const char *slash = strrchr(e->words[0], '/');

        return slash ? slash + 1 : e->words[0];
}

/* The last line that it complained with, or how it ended. */
static Span complaint_of(Act *a, const Exec *e) {
        Span all = span_trim(buf_span(&e->child->complaint), " \n\r\t");
        size_t from = all.n;

        while (from > 0 && all.p[from - 1] != '\n')
                from--;
        Span last = span_from(all, from);
        if (last.n > MESSAGE_MAX_BYTES)
                last.n = MESSAGE_MAX_BYTES;
        if (last.n)
                return act_keep(a, last);
        return span_of(arena_printf(a->run->arena, "%s ended with %s %d.", name_of(e),
                                    e->child->end == CHILD_SIGNAL ? "signal" : "status",
                                    e->child->status));
}

static Span text_of(Act *a, Span object, const char *name) {
        AUTO(buf_done)
        Buf text = BUF(MESSAGE_MAX_BYTES);
        Span member = json_kind(object) == JSON_OBJECT ? json_member(object, span_of(name))
                                                       : (Span){NULL, 0};

        if (!member.p || json_kind(member) != JSON_STRING || json_text(member, &text) < 0)
                return (Span){NULL, 0};
        return act_keep(a, buf_span(&text));
}

static void read_errors(Act *a, Span list, Outcome *o) {
        Span key, item;

        for (size_t pos = 0;
             json_next(list, &pos, &key, &item) && o->n_errors < OUTCOME_ERRORS_MAX;)
                if (json_kind(item) == JSON_OBJECT)
                        o->errors[o->n_errors++] = (OutcomeError){
                                text_of(a, item, "pointer"), text_of(a, item, "detail"), SPAN("")};
}

/* What it says about its failure itself: {"status": 409, "message": "...", "errors": [...]}. */
static void read_failure(Act *a, Span said, Outcome *o) {
        JsonFault fault;
        Span member;
        uint64_t status;

        if (json_check(said, JSON_KEYS_MAX, &fault) < 0 || json_kind(said) != JSON_OBJECT)
                return;
        member = json_member(said, SPAN("status"));
        if (member.p && span_to_u64(json_trim(member), 499, &status) && status >= 400)
                o->status = (int)status;
        member = text_of(a, said, "message");
        if (member.n)
                o->message = member;
        member = json_member(said, SPAN("errors"));
        if (member.p && json_kind(member) == JSON_ARRAY)
                read_errors(a, member, o);
}

static void failed(Act *a, const Exec *e) {
        Outcome o = {.status = 424,
                     .code = "program-failed",
                     .retryable =
                             e->child->end == CHILD_SIGNAL || e->child->status == EXIT_TRY_AGAIN,
                     .retry_after_s = -1,
                     .message = complaint_of(a, e)};

        read_failure(a, buf_span(&e->child->output), &o);
        act_fail_with(a, &o);
}

/* What it said in full, or the step fails: a part of it, or another text, is not the value. */
static bool read_value(Act *a, const Exec *e, Span *ret) {
        const ExecOptions *o = a->step->options;
        Span said = buf_span(&e->child->output);
        AUTO(buf_done)
        Buf text = BUF(6 * CHILD_OUTPUT_MAX_BYTES + 2); /* each byte may have to be written so */
        JsonFault fault;

        *ret = (Span){NULL, 0};
        if (o->output == OUTPUT_TEXT) {
                if (!buf_is_utf8(&e->child->output)) {
                        act_fail(a, 424, "unreadable-answer", false, "%s said what is no UTF-8.",
                                 name_of(e));
                        return false;
                }
                if (buf_add_json(&text, span_trim(said, "\n")) == 0)
                        *ret = act_keep(a, buf_span(&text));
        } else if (o->output == OUTPUT_JSON && span_trim(said, " \n\r\t").n) {
                if (json_check(said, JSON_KEYS_MAX, &fault) < 0) {
                        act_fail(a, 424, "unreadable-answer", false,
                                 "%s said what is no JSON: %s at byte %zu.", name_of(e), fault.why,
                                 fault.offset);
                        return false;
                }
                *ret = act_keep(a, json_trim(said));
        } else
                return true;
        if (!ret->p)
                act_fail(a, 422, "too-large", false, "the results of the steps are too large");
        return ret->p;
}

static void succeeded(Act *a, const Exec *e) {
        Span value;

        a->run->writes++;
        a->run->told_verb = NULL;
        a->run->told_target = span_of(name_of(e));
        a->run->told_fields = (Span){NULL, 0};
        if (read_value(a, e, &value))
                act_done(a, value);
}

static void on_done(Child *c) {
        Act *a = c->arg;
        Exec *e = a->scratch;

        a->phase = ACT_STEPPING;
        switch (c->end) {
        case CHILD_NOT_STARTED:
                act_fail(a, 424, "program-failed", false, "%s cannot be run: %s", e->words[0],
                         c->why);
                break;
        case CHILD_TIMEOUT:
        case CHILD_STOPPED:
                act_fail(a, 424, "timeout", true,
                         "%s did not end in time and was killed. Nothing is certain; try again "
                         "later.",
                         name_of(e));
                break;
        case CHILD_TOO_BIG:
                act_fail(a, 424, "too-large", false, "%s said more than %d bytes", name_of(e),
                         CHILD_OUTPUT_MAX_BYTES);
                break;
        default:
                if (c->end == CHILD_SIGNAL || c->status)
                        failed(a, e);
                else
                        succeeded(a, e);
        }
        child_done(c);
        free(c);
}

static void stop(Act *a) {
        Exec *e = a->scratch;

        child_stop(e->child);
}

/* ---- the beginning ---- */

/* In a test or a rehearsal nothing runs: what is said in its place goes the way of what a program
 * says. */
static bool is_taken(Act *a, Span input) {
        Exec *e = a->scratch;
        const Dialler *d = a->run->dialler;
        ProgramSaid said = {.output = SPAN("")};

        if (!d)
                return false;
        e->words[e->word] = NULL;
        d->execute(d->self, a, e->words, input, &said);
        e->child = must_alloc(sizeof *e->child);
        *e->child = (Child){.end = CHILD_EXITED,
                            .status = said.status,
                            .output = BUF(CHILD_OUTPUT_MAX_BYTES),
                            .complaint = BUF(CHILD_COMPLAINT_MAX_BYTES),
                            .arg = a};
        if (buf_add(&e->child->output, said.output) < 0)
                e->child->end = CHILD_TOO_BIG;
        on_done(e->child);
        return true;
}

static char **environment_of(Act *a) {
        const ExecOptions *o = a->step->options;
        const Event *event = a->run->job->event;
        Arena *arena = a->run->arena;
        char id[ID_TEXT], **all;
        size_t n = 0;

        while (o->environment[n])
                n++;
        all = arena_alloc(arena, (n + 4) * sizeof *all);
        if (!all)
                return NULL;
        memcpy(all, o->environment, n * sizeof *all);
        id_print("evt", event->id, id);
        all[n] = arena_printf(arena, "GRAPNEL_EVENT=%s", id);
        all[n + 1] = arena_printf(arena, "GRAPNEL_SOURCE=" SPAN_FMT, SPAN_ARG(event->source));
        all[n + 2] = arena_printf(arena, "GRAPNEL_ATTEMPT=%u", a->run->job->attempts);
        return all[n] && all[n + 1] && all[n + 2] ? all : NULL;
}

static void on_body(Act *a) {
        const ExecOptions *o = a->step->options;
        Exec *e = a->scratch;
        Span body = a->evaluation.values[0];
        int64_t left = act_time_left(a);

        if (is_taken(a, body.p ? body : SPAN("null")))
                return;
        e->child = must_alloc(sizeof *e->child);
        *e->child = (Child){.arguments = e->words,
                            .environment = environment_of(a),
                            .folder = o->folder,
                            .input = body.p ? body : SPAN("null"),
                            .timeout_ms = left < o->timeout_ms ? left : o->timeout_ms,
                            .done = on_done,
                            .arg = a};
        if (!e->child->environment || left <= 0) {
                free(e->child);
                act_fail(a, 424, "timeout", true, "no time was left for the program");
                return;
        }
        a->phase = ACT_BUSY;
        a->stop = stop;
        child_start(&a->run->runner->hub->children, e->child);
}

static void next_word(Act *a);

static void on_word(Act *a, Span text) {
        Exec *e = a->scratch;

        if (memchr(text.p, '\0', text.n)) {
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": argument %zu holds a NUL", SPAN_ARG(a->step->name),
                         e->word);
                return;
        }
        e->words[e->word] = arena_text(a->run->arena, text);
        if (e->words[e->word++])
                next_word(a);
        else
                act_fail(a, 422, "too-large", false, "the results of the steps are too large");
}

static void next_word(Act *a) {
        const ExecOptions *o = a->step->options;
        Exec *e = a->scratch;

        if (e->word < o->n_words)
                act_template(a, &o->words[e->word], false, on_word);
        else
                act_evaluate(a, o->program, 1, on_body);
}

static void run(Act *a, const Step *s) {
        (void)s;
        a->scratch = arena_alloc(a->run->arena, sizeof(Exec));
        if (a->scratch)
                next_word(a);
        else
                act_fail(a, 422, "too-large", false, "the results of the steps are too large");
}

const StepKind step_exec = {
        .name = "exec",
        .help = "Runs a program of this machine, without a shell.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(ExecOptions),
        .prepare = prepare,
        .run = run,
};
