/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

#include "api/route.h"

enum { DOCUMENT_MAX_BYTES = 4 * 1024 * 1024, SCHEMAS_MAX = 128 };

/* The schemas that were named so far. */
typedef struct Named {
        const Schema *at[SCHEMAS_MAX];
        size_t n;
} Named;

/* ---- fields ---- */

static void put_type(Put *p, const Field *f, FieldType type, bool is_item, Named *named);

static void name(Named *named, const Schema *s) {
        for (size_t i = 0; i < named->n; i++)
                if (named->at[i] == s)
                        return;
        must(named->n < SCHEMAS_MAX);
        named->at[named->n++] = s;
}

static void put_ref(Put *p, const char *key, const Schema *s, Named *named) {
        char path[128];

        name(named, s);
        (void)snprintf(path, sizeof path, "#/components/schemas/%s", s->name);
        put_open(p, key, '{');
        put_text(p, "$ref", span_of(path));
        put_close(p, '}');
}

static void put_kind(Put *p, const Field *f, const char *kind, bool is_item) {
        if (!f->nullable || is_item) {
                put_text(p, "type", span_of(kind));
                return;
        }
        put_open(p, "type", '[');
        put_text(p, NULL, span_of(kind));
        put_text(p, NULL, SPAN("null"));
        put_close(p, ']');
}

static void put_limit(Put *p, const char *key, int64_t n) {
        if (n)
                put_int(p, key, n);
}

static void put_string(Put *p, const Field *f, FieldType type, bool is_item) {
        put_kind(p, f, "string", is_item);
        if (type == FIELD_URL)
                put_text(p, "format", SPAN("uri"));
        else if (type == FIELD_TIME)
                put_text(p, "format", SPAN("date-time"));
        put_limit(p, "minLength", is_item ? 0 : f->min);
        put_limit(p, "maxLength", is_item ? f->item_max : f->max);
        if (f->form)
                put_text(p, "pattern", span_of(f->form->pattern));
        if (!field_choice(f, 0))
                return;
        put_open(p, "enum", '[');
        for (size_t i = 0; field_choice(f, i); i++)
                put_text(p, NULL, span_of(field_choice(f, i)));
        put_close(p, ']');
}

static void put_list(Put *p, const Field *f, Named *named) {
        put_kind(p, f, "array", false);
        put_limit(p, "minItems", f->min);
        put_limit(p, "maxItems", f->max);
        if (f->unique)
                put_bool(p, "uniqueItems", true);
        put_open(p, "items", '{');
        put_type(p, f, f->item, true, named);
        put_close(p, '}');
}

static void put_map(Put *p, const Field *f, Named *named) {
        put_kind(p, f, "object", false);
        put_limit(p, "maxProperties", f->max);
        put_open(p, "additionalProperties", '{');
        put_type(p, f, f->item, true, named);
        put_close(p, '}');
}

static void put_object(Put *p, const Field *f, bool is_item, Named *named) {
        if (!f->of) {
                put_kind(p, f, "object", is_item);
                return;
        }
        put_open(p, f->nullable && !is_item ? "anyOf" : "allOf", '[');
        put_ref(p, NULL, f->of, named);
        if (f->nullable && !is_item)
                put_raw(p, NULL, SPAN("{\"type\":\"null\"}"));
        put_close(p, ']');
}

/* The members of a JSON Schema, into an open object. */
static void put_type(Put *p, const Field *f, FieldType type, bool is_item, Named *named) {
        switch (type) {
        case FIELD_TEXT:
        case FIELD_URL:
        case FIELD_TIME:
                put_string(p, f, type, is_item);
                break;
        case FIELD_BOOL:
                put_kind(p, f, "boolean", is_item);
                break;
        case FIELD_INTEGER:
                put_kind(p, f, "integer", is_item);
                put_limit(p, "minimum", is_item ? 0 : f->min);
                put_limit(p, "maximum", is_item ? f->item_max : f->max);
                break;
        case FIELD_OBJECT:
                put_object(p, f, is_item, named);
                break;
        case FIELD_LIST:
                put_list(p, f, named);
                break;
        case FIELD_MAP:
                put_map(p, f, named);
                break;
        case FIELD_ANY:
                break;
        }
}

static void put_field(Put *p, const char *key, const Field *f, Named *named) {
        put_open(p, key, '{');
        put_type(p, f, f->type, false, named);
        if (f->fallback)
                put_raw(p, "default", span_of(f->fallback));
        if (f->help)
                put_text(p, "description", span_of(f->help));
        put_close(p, '}');
}

/* ---- schemas ---- */

static void put_required(Put *p, const Schema *s) {
        bool is_open = false;

        for (size_t i = 0; i < schema_count(s) && !s->partial; i++) {
                if (!schema_field(s, i)->required)
                        continue;
                if (!is_open)
                        put_open(p, "required", '[');
                is_open = true;
                put_text(p, NULL, span_of(schema_field(s, i)->name));
        }
        if (is_open)
                put_close(p, ']');
}

static void put_schema(Put *p, const Schema *s, Named *named) {
        put_open(p, s->name, '{');
        put_text(p, "type", SPAN("object"));
        if (s->help)
                put_text(p, "description", span_of(s->help));
        put_required(p, s);
        put_open(p, "properties", '{');
        for (size_t i = 0; i < schema_count(s); i++)
                put_field(p, schema_field(s, i)->name, schema_field(s, i), named);
        put_close(p, '}');
        if (s->strict)
                put_bool(p, "additionalProperties", false);
        put_close(p, '}');
}

/* Those that schemas name join the end while it goes on. */
static void put_schemas(Put *p, Named *named) {
        put_open(p, "schemas", '{');
        for (size_t i = 0; i < named->n; i++)
                put_schema(p, named->at[i], named);
        put_close(p, '}');
}

/* ---- routes ---- */

static void put_content(Put *p, const Schema *s, const char *type, Named *named) {
        put_open(p, "content", '{');
        put_open(p, type ? type : "application/json", '{');
        if (s)
                put_ref(p, "schema", s, named);
        put_close(p, '}');
        put_close(p, '}');
}

static void put_array(Put *p, const char *key, const Schema *s, Named *named) {
        put_open(p, key, '{');
        put_text(p, "type", SPAN("array"));
        put_ref(p, "items", s, named);
        put_close(p, '}');
}

/* Many of them, in either of two ways. */
static void put_many(Put *p, const Schema *s, const char *lines, Named *named) {
        put_open(p, "content", '{');
        put_open(p, "application/json", '{');
        put_array(p, "schema", s, named);
        put_close(p, '}');
        put_open(p, lines, '{');
        put_ref(p, "schema", s, named);
        put_close(p, '}');
        put_close(p, '}');
}

static void put_media(Put *p, const RouteMedia *m, Named *named) {
        put_open(p, m->type, '{');
        switch (m->count) {
        case MEDIA_ONE:
                put_ref(p, "schema", m->of, named);
                break;
        case MEDIA_MANY:
                put_array(p, "schema", m->of, named);
                break;
        case MEDIA_ONE_OR_MANY:
                put_open(p, "schema", '{');
                put_open(p, "oneOf", '[');
                put_ref(p, NULL, m->of, named);
                put_array(p, NULL, m->of, named);
                put_close(p, ']');
                put_close(p, '}');
                break;
        }
        put_close(p, '}');
}

static void put_body(Put *p, const Route *r, Named *named) {
        put_open(p, "requestBody", '{');
        put_bool(p, "required", !r->takes_optional);
        if (r->takes_media) {
                put_open(p, "content", '{');
                for (const RouteMedia *m = r->takes_media; m->type; m++)
                        put_media(p, m, named);
                put_close(p, '}');
        } else if (r->takes_lines)
                put_many(p, r->takes, r->takes_lines, named);
        else
                put_content(p, r->takes, NULL, named);
        put_close(p, '}');
}

static void put_parameter(Put *p, Span parameter, const char *in, const Field *f, Named *named) {
        put_open(p, NULL, '{');
        put_text(p, "name", parameter);
        put_text(p, "in", span_of(in));
        if (f->required)
                put_bool(p, "required", true);
        if (f->help)
                put_text(p, "description", span_of(f->help));
        put_open(p, "schema", '{');
        put_type(p, f, f->type, false, named);
        if (f->fallback)
                put_raw(p, "default", span_of(f->fallback));
        put_close(p, '}');
        put_close(p, '}');
}

static void put_parameters(Put *p, const Route *r, Named *named) {
        static const Field in_path = {.type = FIELD_TEXT, .required = true, .min = 1, .max = 256};
        static const Field key = {
                .type = FIELD_TEXT,
                .min = 1,
                .max = 256,
                .help = "A repeat under the same key gets the answer of the first."};
        RouteMatch m = {0};

        put_open(p, "parameters", '[');
        /* The pattern fits itself: its names stand where values would. */
        must(route_fits(r->path, span_of(r->path), &m));
        for (size_t i = 0; i < m.n; i++)
                put_parameter(p, m.names[i], "path", &in_path, named);
        for (size_t i = 0; r->query && i < schema_count(r->query); i++)
                put_parameter(p, span_of(schema_field(r->query, i)->name), "query",
                              schema_field(r->query, i), named);
        if (r->method == HTTP_POST && r->role != ROLE_OPEN)
                put_parameter(p, SPAN("idempotency-key"), "header", &key, named);
        put_close(p, ']');
}

static void put_status(Put *p, int status, const char *phrase, const Schema *s, const char *type,
                       Named *named) {
        char code[8];

        (void)snprintf(code, sizeof code, "%d", status);
        put_open(p, code, '{');
        put_text(p, "description", span_of(phrase));
        if (s || type)
                put_content(p, s, type, named);
        put_close(p, '}');
}

static const Field error_fields[] = {
        {.name = "code", .type = FIELD_TEXT, .required = true},
        {.name = "detail", .type = FIELD_TEXT, .required = true},
};
static const Schema schema_error = {.name = "HttpErrorOut", SCHEMA_FIELDS(error_fields)};

static const Field item_fields[] = {
        {.name = "loc",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .required = true,
         .help = "Where: \"body\", \"query\", \"path\" or \"header\", and the way from there."},
        {.name = "msg", .type = FIELD_TEXT, .required = true},
        {.name = "type", .type = FIELD_TEXT, .required = true},
};
static const Schema schema_item = {.name = "ValidationErrorItem", SCHEMA_FIELDS(item_fields)};

static const Field validation_fields[] = {
        {.name = "detail",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .of = &schema_item,
         .required = true},
};
static const Schema schema_validation = {.name = "HTTPValidationError",
                                         SCHEMA_FIELDS(validation_fields)};

static void put_responses(Put *p, const Route *r, Named *named) {
        static const int errors[] = {400, 401, 403, 404, 409, 413, 415, 422, 429, 503};

        put_open(p, "responses", '{');
        for (size_t i = 0; i < ROUTE_STATUSES_MAX && r->statuses[i]; i++) {
                int status = r->statuses[i];

                put_status(p, status, http_status_phrase(status), status == 204 ? NULL : r->gives,
                           status == 204 ? NULL : r->gives_type, named);
        }
        for (size_t i = 0; r->role != ROLE_OPEN && i < COUNT_OF(errors); i++)
                put_status(p, errors[i], http_status_phrase(errors[i]),
                           errors[i] == 422 ? &schema_validation : &schema_error, NULL, named);
        put_close(p, '}');
}

static const char *method_key(HttpMethod m) {
        static const char *const names[] = {"get",   "head",   "post",   "put",
                                            "patch", "delete", "options"};

        return names[m];
}

static void put_security(Put *p, const Route *r) {
        static const char *const roles[] = {"open", "any key", "application", "admin"};

        put_text(p, "x-role", span_of(roles[r->role]));
        if (r->role == ROLE_OPEN)
                put_raw(p, "security", SPAN("[]"));
}

static void put_route(Put *p, const Route *r, Named *named) {
        put_open(p, method_key(r->method), '{');
        put_open(p, "tags", '[');
        put_text(p, NULL, span_of(r->tag));
        put_close(p, ']');
        put_text(p, "operationId", span_of(r->operation));
        put_text(p, "summary", span_of(r->summary));
        put_security(p, r);
        put_parameters(p, r, named);
        if (r->takes || r->takes_media)
                put_body(p, r, named);
        put_responses(p, r, named);
        put_close(p, '}');
}

static bool came_before(size_t i) {
        for (size_t k = 0; k < i; k++)
                if (strcmp(routes[k].path, routes[i].path) == 0)
                        return true;
        return false;
}

static void put_paths(Put *p, Named *named) {
        put_open(p, "paths", '{');
        for (size_t i = 0; i < routes_n; i++) {
                if (came_before(i))
                        continue;
                put_open(p, routes[i].path, '{');
                for (size_t k = i; k < routes_n; k++)
                        if (strcmp(routes[k].path, routes[i].path) == 0)
                                put_route(p, &routes[k], named);
                put_close(p, '}');
        }
        put_close(p, '}');
}

int openapi_print(Buf *out) {
        AUTO(put_done)
        Put p = PUT(DOCUMENT_MAX_BYTES);
        Named named = {0};

        put_open(&p, NULL, '{');
        put_text(&p, "openapi", SPAN("3.1.0"));
        put_open(&p, "info", '{');
        put_text(&p, "title", SPAN("Grapnel"));
        put_text(&p, "version", SPAN(GRAPNEL_VERSION));
        put_text(&p, "description",
                 SPAN("The API of the admin listener. Its sending half speaks the Svix API."));
        put_close(&p, '}');
        put_raw(&p, "security", SPAN("[{\"key\":[]}]"));
        put_paths(&p, &named);
        put_open(&p, "components", '{');
        put_raw(&p, "securitySchemes", SPAN("{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}}"));
        put_schemas(&p, &named);
        put_close(&p, '}');
        put_close(&p, '}');
        return p.fault < 0 ? p.fault : buf_add(out, put_span(&p));
}
