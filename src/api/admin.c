/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin.h"

#include "api/op.h"

#define BODY_MAX_BYTES   (1024 * 1024)
#define UNREAD_MAX_BYTES 4096 /* of a body that the operation does not look at */

static void refuse(Exchange *x, int status, const char *code, const char *detail, HttpHeader more) {
        AUTO(put_done)
        Put p = PUT(4096);

        put_open(&p, NULL, '{');
        put_text(&p, "code", span_of(code));
        put_text(&p, "detail", span_of(detail));
        put_close(&p, '}');
        exchange_answer(x, &(HttpAnswer){.status = status,
                                         .content_type = "application/json",
                                         .body = put_span(&p),
                                         .headers = &more,
                                         .n_headers = more.name.n ? 1 : 0});
}

static void refuse_method(Exchange *x, unsigned allowed) {
        char names[80];
        size_t n = 0;

        for (unsigned m = HTTP_GET; m <= HTTP_OPTIONS; m++)
                if (allowed & 1u << m)
                        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "",
                                              http_method_name((HttpMethod)m));
        refuse(x, 405, "method_not_allowed", "this path has no such method",
               (HttpHeader){SPAN("Allow"), {names, n}});
}

/* The row that was found with the head (x->arg) is the one for the whole request. */
static void find(Exchange *x, RouteMatch *m) {
        const Route *known = x->arg;

        if (!known)
                route_find(x->head->method, x->head->path, m);
        else if (route_fits(known->path, x->head->path, m))
                m->route = known;
        x->arg = (void *)m->route;
}

/* Is there such a route, and may the caller use it? False when it has answered. */
static bool admit(const Admin *a, Exchange *x, RouteMatch *m, Caller *who) {
        const HttpHeader none = {{NULL, 0}, {NULL, 0}};
        const char *forged = caller_forged(a, x->head);

        find(x, m);
        caller_find(a, x->head, who);
        if (!m->route && m->allowed)
                refuse_method(x, m->allowed);
        else if (!m->route)
                refuse(x, 404, "not_found", "there is nothing here", none);
        else if (m->route->role == ROLE_OPEN)
                return true;
        else if (forged)
                refuse(x, 403, "foreign_page", forged, none);
        else if (who->role == ROLE_OPEN)
                refuse(x, 401, "authentication_failed", "Incorrect authentication credentials.",
                       (HttpHeader){SPAN("WWW-Authenticate"), SPAN("Bearer")});
        else if (!role_allows(m->route->role, who) ||
                 (who->is_read_only && x->head->method != HTTP_GET && x->head->method != HTTP_HEAD))
                refuse(x, 403, "insufficient_access",
                       "Insufficient access for the given operation.", none);
        else
                return true;
        return false;
}

static bool on_head(void *self, Exchange *x) {
        RouteMatch m = {0};
        Caller who;

        if (!admit(self, x, &m, &who))
                return false;
        x->body_max = m.route->body_max ? m.route->body_max
                      : m.route->takes  ? BODY_MAX_BYTES
                                        : UNREAD_MAX_BYTES;
        return true;
}

/* Looked up once more: the key may have been revoked while the body came in. */
static void on_request(void *self, Exchange *x) {
        RouteMatch m = {0};
        Caller who;

        if (admit(self, x, &m, &who))
                op_begin(self, x, &m, &who);
}

void admin_init(Admin *a, const AdminParts *parts) {
        a->parts = *parts;
        a->inlet = &parts->inlets[parts->index];
        a->loop = a->inlet->loop;
}

ServerHandler admin_handler(Admin *a) {
        return (ServerHandler){.self = a, .head = on_head, .request = on_request};
}

void admin_reload(Admin *a, const Secret *token, const char *public_url) {
        a->parts.token = token;
        a->parts.public_url = public_url;
}

void api_wake_job(Admin *a, unsigned shard, Span target, int64_t job_id) {
        inlet_wake(a->inlet, shard, target, job_id);
}
