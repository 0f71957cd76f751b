/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of handshakes. A new one is a file with one Handshake in it and a row here. */
#include "source/handshake.h"

const Handshake *const handshakes[] = {
        &handshake_slack, &handshake_graph, &handshake_okta, &handshake_cloudevents, NULL,
};

const Handshake *handshake_find(Span name) {
        for (const Handshake *const *h = handshakes; *h; h++)
                if (span_eq(name, span_of((*h)->name)))
                        return *h;
        return NULL;
}
