/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

static void ring(void *arg) {
        Loop *l = arg;

        (void)uv_async_send(&l->bell);
}

static void on_bell(uv_async_t *bell) {
        Loop *l = bell->data;

        inbox_read(&l->inbox);
}

int loop_init(Loop *l, unsigned index, Err *e) {
        int r = uv_loop_init(&l->uv);

        if (r < 0)
                return FAIL(e, r, "event loop: %s", uv_strerror(r));
        l->index = index;
        l->uv.data = l;
        r = uv_async_init(&l->uv, &l->bell, on_bell);
        if (r < 0)
                return FAIL(e, r, "event loop: %s", uv_strerror(r));
        l->bell.data = l;
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
}
