/* SPDX-License-Identifier: Apache-2.0
 *
 * log: one JSON line per event to a file, for 'simply logging purposes in an external system'. The
 * file is opened for each line, so that it may be moved away at any time; a line is one write. */
#include "flow/runner.h"
#include "flow/step.h"

#include <fcntl.h>

#define LINE_MAX_BYTES (1024 * 1024)

typedef struct LogOptions {
        const char *log;
        Expr body;
        const Program *program[1];
} LogOptions;

static const Option options[] = {
        {.name = "log",
         .type = OPTION_TEXT,
         .offset = offsetof(LogOptions, log),
         .required = true,
         .help = "The file that lines are appended to."},
        {.name = "body",
         .type = OPTION_EXPR,
         .offset = offsetof(LogOptions, body),
         .fallback = ".event",
         .help = "A jq expression that gives what is logged; the event by default."},
};

static int prepare(Build *b, void *into) {
        LogOptions *o = into;
        Program *p = NULL;
        int r = build_program(b, &o->body, &p);

        o->program[0] = p;
        return r;
}

typedef struct Line {
        uv_fs_t fs;
        Act *act;
        Buf text;
        int fd, result;
        const char *doing;
} Line;

static void finish(Line *l) {
        Act *a = l->act;
        const LogOptions *o = a->step->options;
        int result = l->result;
        const char *doing = l->doing;

        buf_done(&l->text);
        free(l);
        if (result < 0)
                act_fail(a, 424, "log-failed", true, "cannot %s %s: %s", doing, o->log,
                         uv_strerror(result));
        else
                act_done(a, (Span){NULL, 0});
}

static void on_closed(uv_fs_t *fs) {
        Line *l = fs->data;

        uv_fs_req_cleanup(fs);
        finish(l);
}

static void on_written(uv_fs_t *fs) {
        Line *l = fs->data;
        uv_loop_t *loop = &l->act->run->runner->hub->loop->uv;

        if (fs->result != (ssize_t)l->text.n) {
                l->result = fs->result < 0 ? (int)fs->result : UV_ENOSPC;
                l->doing = "write to";
        }
        uv_fs_req_cleanup(fs);
        if (uv_fs_close(loop, fs, l->fd, on_closed) < 0)
                finish(l);
}

static void on_opened(uv_fs_t *fs) {
        Line *l = fs->data;
        uv_loop_t *loop = &l->act->run->runner->hub->loop->uv;
        uv_buf_t b = uv_buf_init(l->text.p, (unsigned)l->text.n);

        l->fd = (int)fs->result;
        uv_fs_req_cleanup(fs);
        if (l->fd < 0) {
                l->result = l->fd;
                l->doing = "open";
                finish(l);
        } else if (uv_fs_write(loop, fs, l->fd, &b, 1, -1, on_written) < 0)
                finish(l);
}

static void on_body(Act *a) {
        const LogOptions *o = a->step->options;
        Span body = a->evaluation.values[0];
        Span meta = act_root(a, SPAN("meta"));
        const Dialler *d = a->run->dialler;

        if (d) {
                d->note(d->self, a, o->log, body.p ? body : SPAN("null"));
                act_done(a, (Span){NULL, 0});
                return;
        }
        Line *l = must_alloc(sizeof *l);

        l->text = BUF(LINE_MAX_BYTES);
        l->act = a;
        l->fs.data = l;
        if (buf_addf(&l->text, "{\"meta\":" SPAN_FMT ",\"log\":" SPAN_FMT "}", SPAN_ARG(meta),
                     SPAN_ARG(body.p ? body : SPAN("null"))) < 0 ||
            buf_add_char(&l->text, '\n') < 0) {
                buf_done(&l->text);
                free(l);
                act_fail(a, 422, "too-large", false, "the line for %s is too long", o->log);
                return;
        }
        /* The value's own line ends, which JSON allows between tokens, would break the line. */
        for (size_t i = 0; i + 1 < l->text.n; i++)
                if (l->text.p[i] == '\n' || l->text.p[i] == '\r')
                        l->text.p[i] = ' ';
        a->phase = ACT_BUSY;
        if (uv_fs_open(&a->run->runner->hub->loop->uv, &l->fs, o->log,
                       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640, on_opened) < 0)
                finish(l);
}

static void run(Act *a, const Step *s) {
        const LogOptions *o = s->options;

        act_evaluate(a, o->program, 1, on_body);
}

const StepKind step_log = {
        .name = "log",
        .help = "Appends one JSON line to a file.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(LogOptions),
        .prepare = prepare,
        .run = run,
};
