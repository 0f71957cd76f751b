/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

/* A full counter (-EAGAIN) rings as loud as any. */
static void ring(void *arg) {
        const Loop *l = arg;
        const uint64_t once = 1;

        must(write(l->bell_fd, &once, sizeof once) == sizeof once || errno == EAGAIN);
}

static void on_bell(uv_poll_t *bell, int status, int events) {
        Loop *l = bell->data;
        uint64_t rings;

        (void)status;
        (void)events;
        /* Silenced first: what is sent from here on rings again. */
        must(read(l->bell_fd, &rings, sizeof rings) == sizeof rings || errno == EAGAIN);
        inbox_read(&l->inbox);
}

int loop_init(Loop *l, unsigned index, Err *e) {
        int r = uv_loop_init(&l->uv);

        if (r < 0)
                return FAIL(e, r, "event loop: %s", uv_strerror(r));
        l->index = index;
        l->uv.data = l;
        l->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (l->bell_fd < 0)
                return FAIL(e, -errno, "event loop: %s", strerror(errno));
        r = uv_poll_init(&l->uv, &l->bell, l->bell_fd);
        l->bell.data = l;
        if (r == 0)
                r = uv_poll_start(&l->bell, UV_READABLE, on_bell);
        if (r < 0)
                return FAIL(e, r, "event loop: %s", uv_strerror(r));
        inbox_init(&l->inbox, ring, l);
        return 0;
}

void loop_run(Loop *l) {
        (void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(Loop *l) {
        if (!uv_is_closing((uv_handle_t *)&l->bell))
                uv_close((uv_handle_t *)&l->bell, NULL);
}

void loop_done(Loop *l) {
        must(uv_loop_close(&l->uv) == 0);
        inbox_done(&l->inbox);
        close(l->bell_fd);
}
