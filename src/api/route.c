/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

/* Takes the next segment off *rest, which begins with '/'. */
static bool segment(Span *rest, Span *ret) {
        if (rest->n == 0 || rest->p[0] != '/')
                return false;
        *rest = span_from(*rest, 1);
        *ret = (Span){rest->p, span_find(*rest, '/')};
        *rest = span_from(*rest, ret->n);
        return true;
}

bool route_fits(const char *pattern, Span path, RouteMatch *ret) {
        Span want = span_of(pattern), a, b;

        ret->n = 0;
        if (path.n > 1 && path.p[path.n - 1] == '/')
                path.n--;
        while (segment(&want, &a)) {
                if (!segment(&path, &b))
                        return false;
                if (a.n && a.p[0] == '{') {
                        if (b.n == 0)
                                return false;
                        must(ret->n < ROUTE_PARAMS_MAX);
                        ret->names[ret->n] = (Span){a.p + 1, a.n - 2};
                        ret->params[ret->n++] = b;
                } else if (!span_eq(a, b))
                        return false;
        }
        return path.n == 0;
}

static bool answers(const Route *r, HttpMethod method) {
        return r->method == method || (method == HTTP_HEAD && r->method == HTTP_GET);
}

/* What methods the path has is asked only when it does not have this one. */
static unsigned allowed_at(Span path) {
        RouteMatch m;
        unsigned allowed = 0;

        for (size_t i = 0; i < routes_n; i++)
                if (route_fits(routes[i].path, path, &m))
                        allowed |= 1u << routes[i].method;
        return allowed;
}

void route_find(HttpMethod method, Span path, RouteMatch *ret) {
        *ret = (RouteMatch){0};
        for (size_t i = 0; i < routes_n; i++)
                if (answers(&routes[i], method) && route_fits(routes[i].path, path, ret)) {
                        ret->route = &routes[i];
                        return;
                }
        *ret = (RouteMatch){.allowed = allowed_at(path)};
}
