/* SPDX-License-Identifier: Apache-2.0
 *
 * log: one JSON line per event to a file, or to syslog, for 'simply logging purposes in an external
 * system'. */
#include "flow/log_file.h"
#include "flow/runner.h"
#include "flow/step.h"

#define LINE_MAX_BYTES (1024 * 1024)

static const char *const facilities[] = {
        "kern",   "user",     "mail",   "daemon", "auth",   "syslog", "lpr",   "news",   "uucp",
        "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock", "local0", "local1",
        "local2", "local3",   "local4", "local5", "local6", "local7", NULL};
static const char *const severities[] = {"emerg",  "alert", "crit",  "err", "warning",
                                         "notice", "info",  "debug", NULL};

typedef struct LogOptions {
        const char *log;
        Expr body;
        LogFile file;
        const char *socket;
        int facility, severity;
        bool is_syslog;
        const Program *program[1];
} LogOptions;

static const Option options[] = {
        {.name = "log",
         .type = OPTION_TEXT,
         .offset = offsetof(LogOptions, log),
         .required = true,
         .help = "The file that lines are appended to, or `syslog`."},
        {.name = "body",
         .type = OPTION_EXPR,
         .offset = offsetof(LogOptions, body),
         .fallback = ".event",
         .help = "A jq expression that gives what is logged; the event by default."},
        {.name = "size",
         .type = OPTION_SIZE,
         .offset = offsetof(LogOptions, file.size_max),
         .min = 4096,
         .max = (int64_t)1 << 40,
         .help = "Before the file would grow beyond this it is renamed to FILE.1, and what was "
                 "FILE.1 to FILE.2. Without it the file grows."},
        {.name = "keep",
         .type = OPTION_NUMBER,
         .offset = offsetof(LogOptions, file.keep),
         .fallback = "5",
         .min = 0,
         .max = LOG_FILES_MAX,
         .help = "How many such older files are kept."},
        {.name = "facility",
         .type = OPTION_CHOICE,
         .offset = offsetof(LogOptions, facility),
         .fallback = "user",
         .choices = facilities,
         .help = "With `log: syslog`."},
        {.name = "severity",
         .type = OPTION_CHOICE,
         .offset = offsetof(LogOptions, severity),
         .fallback = "info",
         .choices = severities,
         .help = "With `log: syslog`."},
        {.name = "socket",
         .type = OPTION_TEXT,
         .offset = offsetof(LogOptions, socket),
         .fallback = "/dev/log",
         .help = "With `log: syslog`: where it listens."},
};

static int prepare(Build *b, void *into) {
        LogOptions *o = into;
        Program *p = NULL;
        int r = build_program(b, &o->body, &p);

        o->program[0] = p;
        o->is_syslog = o->log && strcmp(o->log, "syslog") == 0;
        o->file.path = o->log;
        if (o->is_syslog && o->file.size_max)
                r = problem_add(b->problems, b->step->place, "size: syslog has no file to rename");
        return r;
}

typedef struct Line {
        uv_work_t work;
        Act *act;
        const LogOptions *options;
        Buf text;
        int result;
        const char *doing;
} Line;

/* On a worker thread. */
static void write_line(uv_work_t *w) {
        Line *l = w->data;
        const LogOptions *o = l->options;
        Span line = buf_span(&l->text);

        if (o->is_syslog)
                l->result = log_syslog_send(o->socket, o->facility * 8 + o->severity,
                                            (Span){line.p, line.n - 1}, &l->doing);
        else
                l->result = log_file_add(&o->file, line, &l->doing);
}

static void finish(uv_work_t *w, int status) {
        Line *l = w->data;
        Act *a = l->act;
        const LogOptions *o = l->options;
        const char *doing = l->doing;
        int result = status < 0 ? status : l->result;

        buf_done(&l->text);
        free(l);
        a->phase = ACT_STEPPING;
        if (result < 0)
                act_fail(a, 424, "log-failed", true, "cannot %s %s: %s", doing,
                         o->is_syslog ? o->socket : o->log, uv_strerror(result));
        else
                act_done(a, (Span){NULL, 0});
}

/* The value's own line ends, which JSON allows between tokens, would break the line. */
static void make_one_line(Buf *text) {
        for (size_t i = 0; i + 1 < text->n; i++)
                if (text->p[i] == '\n' || text->p[i] == '\r')
                        text->p[i] = ' ';
}

static void on_body(Act *a) {
        const LogOptions *o = a->step->options;
        Span body = a->evaluation.values[0];
        Span meta = act_root(a, SPAN("meta"));
        const Dialler *d = a->run->dialler;

        if (d) {
                d->note(d->self, a, "log", span_of(o->log), body.p ? body : SPAN("null"));
                act_done(a, (Span){NULL, 0});
                return;
        }
        Line *l = must_alloc(sizeof *l);

        *l = (Line){.work = {.data = l},
                    .act = a,
                    .options = o,
                    .text = BUF(LINE_MAX_BYTES),
                    .doing = "write to"};
        if (buf_addf(&l->text, "{\"meta\":" SPAN_FMT ",\"log\":" SPAN_FMT "}", SPAN_ARG(meta),
                     SPAN_ARG(body.p ? body : SPAN("null"))) < 0 ||
            buf_add_char(&l->text, '\n') < 0) {
                buf_done(&l->text);
                free(l);
                act_fail(a, 422, "too-large", false, "the line for %s is too long", o->log);
                return;
        }
        make_one_line(&l->text);
        a->phase = ACT_BUSY;
        must(uv_queue_work(&a->run->runner->hub->loop->uv, &l->work, write_line, finish) == 0);
}

static void run(Act *a, const Step *s) {
        const LogOptions *o = s->options;

        act_evaluate(a, o->program, 1, on_body);
}

const StepKind step_log = {
        .name = "log",
        .help = "Appends one JSON line to a file, or sends it to syslog.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(LogOptions),
        .prepare = prepare,
        .run = run,
};
