/* SPDX-License-Identifier: Apache-2.0
 *
 * A program of this machine, run once for a step: no shell, its own process group, an environment
 * that holds only what was given, its input from us, its output bounded. */
#pragma once

#include "base/buf.h"
#include "base/list.h"

#include <uv.h>

enum {
        CHILD_OUTPUT_MAX_BYTES = 1024 * 1024,
        CHILD_COMPLAINT_MAX_BYTES = 8 * 1024, /* of its standard error; the rest is dropped */
        CHILDREN_MAX = 8,                     /* at once, of one loop */
};

typedef enum ChildEnd {
        CHILD_EXITED,
        CHILD_NOT_STARTED, /* why says the reason */
        CHILD_TIMEOUT,
        CHILD_TOO_BIG, /* it said more than the maximum */
        CHILD_SIGNAL,
        CHILD_STOPPED, /* by child_stop */
} ChildEnd;

/* Those of one loop: so many at once, the others stand in line. */
typedef struct Children {
        uv_loop_t *loop;
        unsigned running;
        List waiting;
} Children;

typedef struct Child Child;
struct Child {
        /* In; must stay until done. */
        char **arguments;   /* the program first; ended by NULL; a name without '/' is looked for
                               in CHILD_PATH */
        char **environment; /* "NAME=value", ended by NULL */
        const char *folder; /* NULL: ours */
        Span input;
        int64_t timeout_ms;
        void (*done)(Child *c); /* on the loop's thread, never inside child_start */
        void *arg;
        /* Out. */
        ChildEnd end;
        int status; /* exit status, or the signal's number */
        Buf output, complaint;
        char why[128];
        /* Its own. */
        Children *all;
        Link link;
        uv_process_t process;
        uv_pipe_t in, out, err;
        uv_timer_t timer;
        uv_write_t writing;
        unsigned handles;
        bool is_running, is_started, has_ended, is_over;
};

#define CHILD_PATH "/usr/local/bin:/usr/bin:/bin"

void children_init(Children *all, uv_loop_t *loop);
/* Starts it, or puts it in line. Ends by exactly one done; then child_done frees what it holds. */
void child_start(Children *all, Child *c);
/* Ends it soon: done will be called. */
void child_stop(Child *c);
void child_done(Child *c);
