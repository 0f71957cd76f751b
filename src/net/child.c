/* SPDX-License-Identifier: Apache-2.0 */
#include "net/child.h"

#include <linux/close_range.h>
#include <signal.h>
#include <unistd.h>

#define LAST_WORDS_MS 500

static void run(Child *c);

void children_init(Children *all, uv_loop_t *loop) {
        *all = (Children){.loop = loop};
        list_init(&all->waiting);
}

void child_done(Child *c) {
        buf_done(&c->output);
        buf_done(&c->complaint);
}

/* The whole group: what the program started itself may not outlive it. */
static void kill_group(const Child *c) {
        if (c->is_started)
                (void)kill(-c->process.pid, SIGKILL);
}

static void over(Child *c) {
        Children *all = c->all;

        if (c->is_running)
                all->running--;
        while (all->waiting.n && all->running < CHILDREN_MAX)
                run(CONTAINER_OF(list_pop(&all->waiting), Child, link));
        c->done(c);
}

static void on_closed(uv_handle_t *h) {
        Child *c = h->data;

        if (--c->handles == 0)
                over(c);
}

static void close_handle(uv_handle_t *h) {
        if (!uv_is_closing(h))
                uv_close(h, on_closed);
}

/* Once: the rest is silence. */
static void finish(Child *c) {
        if (c->is_over)
                return;
        c->is_over = true;
        close_handle((uv_handle_t *)&c->in);
        close_handle((uv_handle_t *)&c->out);
        close_handle((uv_handle_t *)&c->err);
        close_handle((uv_handle_t *)&c->timer);
        close_handle((uv_handle_t *)&c->process);
}

/* Its exit ends it; what it has said by then lies in the pipes and is read. */
static void break_off(Child *c, ChildEnd end) {
        if (c->end == CHILD_EXITED && !c->has_ended)
                c->end = end;
        kill_group(c);
}

static void finish_if_through(Child *c) {
        if (c->has_ended && !uv_is_active((uv_handle_t *)&c->out) &&
            !uv_is_active((uv_handle_t *)&c->err))
                finish(c);
}

static void on_timeout(uv_timer_t *t);

static void on_exit_of(uv_process_t *p, int64_t status, int signal) {
        Child *c = p->data;

        kill_group(c); /* those that it left: they hold the pipes open */
        (void)uv_timer_start(&c->timer, on_timeout, LAST_WORDS_MS, 0);
        c->has_ended = true;
        c->status = signal ? signal : (int)status;
        if (signal && c->end == CHILD_EXITED)
                c->end = CHILD_SIGNAL;
        finish_if_through(c);
}

static void on_room(uv_handle_t *h, size_t wanted, uv_buf_t *ret) {
        static _Thread_local char room[64 * 1024];

        (void)h;
        (void)wanted;
        *ret = uv_buf_init(room, sizeof room);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
        Child *c = s->data;
        bool is_output = s == (uv_stream_t *)&c->out;

        if (n < 0) {
                (void)uv_read_stop(s);
                finish_if_through(c);
                return;
        }
        Span came = {b->base, (size_t)n};
        if (is_output) {
                if (buf_add(&c->output, came) < 0)
                        break_off(c, CHILD_TOO_BIG);
        } else {
                size_t room = CHILD_COMPLAINT_MAX_BYTES - c->complaint.n;

                must(buf_add(&c->complaint, (Span){came.p, came.n < room ? came.n : room}) == 0);
        }
}

static void on_written(uv_write_t *w, int status) {
        Child *c = w->data;

        (void)status; /* a program need not read its input */
        close_handle((uv_handle_t *)&c->in);
}

static void on_timeout(uv_timer_t *t) {
        Child *c = t->data;

        if (c->has_ended)
                finish(c); /* somebody else holds its pipes open */
        else
                break_off(c, CHILD_TIMEOUT);
}

static void init_handles(Child *c) {
        must(uv_pipe_init(c->all->loop, &c->in, 0) == 0);
        must(uv_pipe_init(c->all->loop, &c->out, 0) == 0);
        must(uv_pipe_init(c->all->loop, &c->err, 0) == 0);
        must(uv_timer_init(c->all->loop, &c->timer) == 0);
        c->in.data = c->out.data = c->err.data = c->timer.data = c->process.data = c;
        c->handles = 5;
}

static void run(Child *c) {
        uv_stdio_container_t stdio[3] = {
                {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&c->in},
                {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->out},
                {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
                 .data.stream = (uv_stream_t *)&c->err}};
        uv_process_options_t options = {.exit_cb = on_exit_of,
                                        .file = c->arguments[0],
                                        .args = c->arguments,
                                        .env = c->environment,
                                        .cwd = c->folder,
                                        .flags = UV_PROCESS_DETACHED,
                                        .stdio_count = 3,
                                        .stdio = stdio};
        uv_buf_t input = uv_buf_init((char *)c->input.p, (unsigned)c->input.n);
        int r;

        c->is_running = true;
        c->all->running++;
        init_handles(c);
        /* Libraries open files without close-on-exec: libcurl 7.88 its wakeup sockets. */
        (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        r = uv_spawn(c->all->loop, &c->process, &options);
        if (r < 0) {
                c->end = CHILD_NOT_STARTED;
                (void)snprintf(c->why, sizeof c->why, "%s", uv_strerror(r));
                finish(c);
                return;
        }
        c->is_started = true;
        c->writing.data = c;
        must(uv_timer_start(&c->timer, on_timeout, (uint64_t)c->timeout_ms, 0) == 0);
        must(uv_read_start((uv_stream_t *)&c->out, on_room, on_read) == 0);
        must(uv_read_start((uv_stream_t *)&c->err, on_room, on_read) == 0);
        if (uv_write(&c->writing, (uv_stream_t *)&c->in, &input, 1, on_written) < 0)
                close_handle((uv_handle_t *)&c->in);
}

void child_start(Children *all, Child *c) {
        c->all = all;
        c->output = BUF(CHILD_OUTPUT_MAX_BYTES);
        c->complaint = BUF(CHILD_COMPLAINT_MAX_BYTES);
        c->end = CHILD_EXITED;
        link_init(&c->link);
        if (all->running < CHILDREN_MAX)
                run(c);
        else
                list_push(&all->waiting, &c->link);
}

void child_stop(Child *c) {
        if (!link_on(&c->link)) {
                break_off(c, CHILD_STOPPED);
                return;
        }
        list_remove(&c->all->waiting, &c->link); /* it never ran */
        c->end = CHILD_STOPPED;
        must(uv_timer_init(c->all->loop, &c->timer) == 0);
        c->timer.data = c;
        c->handles = 1;
        close_handle((uv_handle_t *)&c->timer);
}
