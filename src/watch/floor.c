/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/floor.h"

void floor_saw(Floor *f, int64_t last, int64_t xmin) {
        if (f->top == 0 || xmin < f->xid)
                return;
        if (last && last < f->top) {
                f->id = last; /* there may be more */
                return;
        }
        f->id = f->top;
        f->top = 0;
}

/* A `top` that waits for its transactions stays: under load a later one would wait for ever. */
void floor_deleted(Floor *f, int64_t last, int64_t xid) {
        if (f->top || last <= f->id)
                return;
        f->top = last;
        f->xid = xid;
}
