/* SPDX-License-Identifier: Apache-2.0 */
#include "routes.h"

static int user(Span id, Buf *b) {
        return buf_addf(b,
                        "{\"id\":\"" SPAN_FMT "\",\"email\":\"" SPAN_FMT "@example.com\","
                        "\"firstName\":\"Ada\",\"lastName\":\"Lovelace\",\"state\":\"ACTIVE\","
                        "\"language\":\"en\"}",
                        SPAN_ARG(id), SPAN_ARG(id));
}

static int contact(Span id, Buf *b) {
        return buf_addf(b,
                        "{\"items\":[{\"id\":\"C-" SPAN_FMT "\",\"external_id\":\"" SPAN_FMT
                        "\",\"email\":\"old@example.com\",\"name\":\"Ada Byron\"}]}",
                        SPAN_ARG(id), SPAN_ARG(id));
}

static int patched(Span id, Buf *b) {
        return buf_addf(b, "{\"id\":\"" SPAN_FMT "\"}", SPAN_ARG(id));
}

static int received(Span rest, Buf *b) {
        (void)rest;
        return buf_add(b, SPAN("{}"));
}

static int nothing(Span rest, Buf *b) {
        (void)rest;
        (void)b;
        return 0;
}

static const struct {
        const char *name;
        Span begins; /* the request line; the first row that fits answers */
        int (*answer)(Span rest, Buf *body);
} routes[ROUTES] = {
        [ROUTE_USER] = {"users", SPAN("GET /users/"), user},
        [ROUTE_CONTACT] = {"contacts", SPAN("GET /contacts?external_id="), contact},
        [ROUTE_PATCH] = {"patches", SPAN("PATCH /contacts/"), patched},
        [ROUTE_HANG] = {"hung", SPAN("POST /hang/"), received},
        [ROUTE_BUSY] = {"busy", SPAN("POST /busy/"), nothing},
        [ROUTE_SINK] = {"posts", SPAN("POST /"), received},
        [ROUTE_SUMMARY] = {"summaries", SPAN("GET /summary"), nothing},
        [ROUTE_UNKNOWN] = {"unknown", SPAN(""), nothing},
};

const char *route_name(Route r) {
        return routes[r].name;
}

Route route_answer(Span request_line, Buf *body) {
        Route r = 0;

        while (!span_starts(request_line, routes[r].begins))
                r++;
        Span rest = span_from(request_line, routes[r].begins.n);
        must(routes[r].answer(span_make(rest.p, span_find(rest, ' ')), body) == 0);
        return r;
}
