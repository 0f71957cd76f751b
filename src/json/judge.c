/* SPDX-License-Identifier: Apache-2.0
 *
 * Any value by any rule: its type, the values that are allowed, and the schemas that judge the
 * same value together. The others look into numbers, strings, arrays and objects. */
#include "json/judge.h"

#include "json/number.h"

enum { WORK_BASE = 4000000, WORK_UNIT_BYTES = 64 };

int judge_work(Judge *j, size_t bytes) {
        j->work -= 1 + (int64_t)(bytes / WORK_UNIT_BYTES);
        return j->work < 0 ? -EMSGSIZE : 0;
}

bool judge_is_over(const Judge *j, int verdict, int *all) {
        if (verdict)
                *all = verdict;
        return verdict < 0 || (verdict && !j->told) ||
               (j->told && j->told->n == JSON_VIOLATIONS_MAX);
}

/* A character that was cut through at the end goes whole. */
static void mend_end(char *text) {
        size_t n = strlen(text), i = n;

        while (i > 0 && ((unsigned char)text[i - 1] & 0xc0) == 0x80)
                i--;
        if (i == 0 || (unsigned char)text[i - 1] < 0xc0)
                return;
        unsigned char lead = (unsigned char)text[i - 1];
        if (n - i + 1 < (lead < 0xe0 ? 2U : lead < 0xf0 ? 3U : 4U))
                text[i - 1] = 0;
}

int judge_violated(Judge *j, const JsonPlace *place, const char *keyword, const char *format, ...) {
        AUTO(buf_done)
        Buf pointer = BUF(JSON_POINTER_MAX_BYTES - 1);
        JsonViolation *v;
        va_list ap;

        if (!j->told || j->told->n == JSON_VIOLATIONS_MAX)
                return 1;
        v = &j->told->list[j->told->n++];
        v->keyword = keyword;
        if (json_place_print(place, &pointer) < 0) /* what contains it is told instead */
                while (pointer.n && pointer.p[--pointer.n] != '/')
                        ;
        memcpy(v->pointer, pointer.n ? pointer.p : "", pointer.n);
        v->pointer[pointer.n] = 0;
        va_start(ap, format);
        (void)vsnprintf(v->text, sizeof v->text, format, ap);
        va_end(ap);
        mend_end(v->text);
        return 1;
}

int judge_count(size_t n, Span number) {
        char text[32];
        int length = snprintf(text, sizeof text, "%zu", n);

        return json_number_compare((Span){text, (size_t)length}, number);
}

/* ---- type, enum, const ---- */

static const char *const kind_names[] = {
        [JSON_NULL] = "null",        [JSON_FALSE] = "true or false", [JSON_TRUE] = "true or false",
        [JSON_NUMBER] = "a number",  [JSON_STRING] = "a string",     [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object",
};

static int wrong_type(Judge *j, const Rule *rule, JsonKind kind, const JsonPlace *place) {
        char wanted[120] = "";

        for (unsigned k = 0, n = 0; k < COUNT_OF(kind_names); k++) {
                size_t at = strlen(wanted);

                if (!(rule->types >> k & 1) || k == JSON_FALSE) /* true and false are one type */
                        continue;
                (void)snprintf(wanted + at, sizeof wanted - at, "%s%s", n++ ? " or " : "",
                               k == JSON_NUMBER && rule->only_integers ? "an integer"
                                                                       : kind_names[k]);
        }
        return judge_violated(j, place, "type", "has to be %s, not %s", wanted,
                              kind == JSON_NUMBER && rule->types >> JSON_NUMBER & 1
                                      ? "a number with a fraction"
                                      : kind_names[kind]);
}

static int judge_type(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        JsonKind kind = json_kind(value);

        if (rule->types == 0 ||
            (rule->types >> kind & 1 &&
             !(kind == JSON_NUMBER && rule->only_integers && !json_number_is_integer(value))))
                return 0;
        return wrong_type(j, rule, kind, place);
}

static int judge_enum(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        Span key, one;

        for (size_t pos = 0; json_next(rule->one_of_values, &pos, &key, &one);) {
                if (judge_work(j, value.n) < 0)
                        return -EMSGSIZE;
                if (json_equal(one, value))
                        return 0;
        }
        return judge_violated(j, place, "enum", "is none of the allowed values: %.*s",
                              (int)rule->one_of_values.n, rule->one_of_values.p);
}

static int judge_const(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        if (judge_work(j, value.n) < 0)
                return -EMSGSIZE;
        return json_equal(rule->value, value) ? 0
                                              : judge_violated(j, place, "const", "has to be %.*s",
                                                               (int)rule->value.n, rule->value.p);
}

/* ---- schemas for the same value ---- */

static int judge_all_of(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        int all = 0;

        for (size_t i = 0; i < rule->all_of.n; i++)
                if (judge_is_over(j, judge(j, rule->all_of.at[i], value, place), &all))
                        return all;
        return all;
}

static int judge_any_of(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        for (size_t i = 0; i < rule->any_of.n; i++) {
                int r = judge_quietly(j, rule->any_of.at[i], value, place);

                if (r <= 0)
                        return r;
        }
        if (rule->any_of.n == 1)
                return judge(j, rule->any_of.at[0], value, place);
        return judge_violated(j, place, "anyOf",
                              "fits none of the %zu schemas of which it has to "
                              "fit one",
                              rule->any_of.n);
}

static int judge_one_of(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        size_t fitting = 0;

        for (size_t i = 0; i < rule->one_of.n && fitting < 2; i++) {
                int r = judge_quietly(j, rule->one_of.at[i], value, place);

                if (r < 0)
                        return r;
                fitting += r == 0;
        }
        if (fitting == 1)
                return 0;
        return judge_violated(j, place, "oneOf",
                              "fits %s of the %zu schemas of which it has to "
                              "fit exactly one",
                              fitting ? "more than one" : "none", rule->one_of.n);
}

static int judge_not(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        int r = judge_quietly(j, rule->no, value, place);

        if (r == 0)
                return judge_violated(j, place, "not", "fits a schema that it must not fit");
        return r < 0 ? r : 0;
}

static int judge_if(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        int r = judge_quietly(j, rule->iff, value, place);
        const Rule *next = r == 0 ? rule->then : rule->otherwise;

        return r < 0 || !next ? (r < 0 ? r : 0) : judge(j, next, value, place);
}

static int judge_ref(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        return judge(j, rule->ref, value, place);
}

/* ---- together ---- */

typedef int Part(Judge *j, const Rule *rule, Span value, const JsonPlace *place);

static Part *part_of_kind(JsonKind kind) {
        switch (kind) {
        case JSON_NUMBER:
                return judge_number;
        case JSON_STRING:
                return judge_string;
        case JSON_ARRAY:
                return judge_array;
        case JSON_OBJECT:
                return judge_object;
        default:
                return NULL;
        }
}

static int judge_parts(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        Part *own = part_of_kind(json_kind(value));
        const struct {
                bool is_said;
                Part *judge;
        } parts[] = {
                {rule->types, judge_type},      {rule->one_of_values.p, judge_enum},
                {rule->value.p, judge_const},   {own, own},
                {rule->ref, judge_ref},         {rule->all_of.n, judge_all_of},
                {rule->any_of.n, judge_any_of}, {rule->one_of.n, judge_one_of},
                {rule->no, judge_not},          {rule->iff, judge_if},
        };
        int all = 0;

        for (size_t i = 0; i < COUNT_OF(parts); i++)
                if (parts[i].is_said &&
                    judge_is_over(j, parts[i].judge(j, rule, value, place), &all))
                        return all;
        return all ? all : judge_unevaluated(j, rule, value, place);
}

int judge(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        int r = judge_work(j, 0);

        if (r < 0)
                return r;
        if (rule->is_false)
                return judge_violated(j, place, "false", "must not be here");
        if (j->depth == JUDGE_DEPTH_MAX)
                return -EMSGSIZE;
        j->depth++;
        r = judge_parts(j, rule, value, place);
        j->depth--;
        return r;
}

int judge_quietly(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        JsonViolations *told = j->told;
        int r;

        j->told = NULL;
        r = judge(j, rule, value, place);
        j->told = told;
        return r;
}

int json_schema_judge(const JsonSchema *s, Span value, JsonViolations *ret) {
        Judge j = {.told = ret, .work = WORK_BASE + 2 * (int64_t)value.n};

        if (ret)
                ret->n = 0;
        return judge(&j, s->root, json_trim(value), NULL);
}
