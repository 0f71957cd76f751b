/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

#include <pthread.h>

/* A final slash says the same as none. */
static Span without_slash(Span path) {
        return path.n > 1 && path.p[path.n - 1] == '/' ? (Span){path.p, path.n - 1} : path;
}

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
        path = without_slash(path);
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

/* ---- the table, as it is searched ---- */

/* What is cheap to compare, of a row's pattern: nearly all rows are out by that. */
typedef struct Shape {
        HttpMethod method;
        unsigned segments;
        size_t begin; /* bytes up to the first name */
        size_t end;   /* and behind the last */
        const char *end_text;
} Shape;

enum { ROUTES_MAX = 256 };

static Shape shapes[ROUTES_MAX]; /* of routes[], by the same index */
static pthread_once_t shaped = PTHREAD_ONCE_INIT;

static unsigned count_segments(Span path) {
        unsigned n = 0;

        for (size_t i = 0; i < path.n; i++)
                n += path.p[i] == '/';
        return n;
}

static void shape_all(void) {
        must(routes_n <= ROUTES_MAX);
        for (size_t i = 0; i < routes_n; i++) {
                Span pattern = span_of(routes[i].path);
                const char *last = strrchr(routes[i].path, '}');

                shapes[i] = (Shape){.method = routes[i].method,
                                    .segments = count_segments(pattern),
                                    .begin = span_find(pattern, '{'),
                                    .end_text = last ? last + 1 : ""};
                shapes[i].end = strlen(shapes[i].end_text);
        }
}

static bool may_fit(size_t i, Span path, unsigned segments) {
        const Shape *s = &shapes[i];

        return s->segments == segments && path.n >= s->begin + s->end &&
               memcmp(path.p + path.n - s->end, s->end_text, s->end) == 0 &&
               memcmp(path.p, routes[i].path, s->begin) == 0;
}

static bool answers(HttpMethod has, HttpMethod asked) {
        return has == asked || (asked == HTTP_HEAD && has == HTTP_GET);
}

/* What methods the path has is asked only when it does not have this one. */
static unsigned allowed_at(Span path) {
        Span bare = without_slash(path);
        unsigned segments = count_segments(bare);
        RouteMatch m;
        unsigned allowed = 0;

        for (size_t i = 0; i < routes_n; i++)
                if (may_fit(i, bare, segments) && route_fits(routes[i].path, path, &m))
                        allowed |= 1u << routes[i].method;
        return allowed;
}

void route_find(HttpMethod method, Span path, RouteMatch *ret) {
        Span bare = without_slash(path);
        unsigned segments = count_segments(bare);

        must(pthread_once(&shaped, shape_all) == 0);
        *ret = (RouteMatch){0};
        for (size_t i = 0; i < routes_n; i++)
                if (answers(shapes[i].method, method) && may_fit(i, bare, segments) &&
                    route_fits(routes[i].path, path, ret)) {
                        ret->route = &routes[i];
                        return;
                }
        *ret = (RouteMatch){.allowed = allowed_at(path)};
}
