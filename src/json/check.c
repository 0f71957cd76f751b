/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte is refused where it stands: all before it could still have become JSON. The kinds of the
 * open containers are one bit each, so the stack is 16 bytes whatever the input. */
#include "json/check.h"

#include "json/scan.h"

typedef struct Checker {
        const char *text, *end;
        uint64_t objects[JSON_DEPTH_MAX / 64]; /* bit d: the container at depth d is an object */
        unsigned depth;
        size_t keys, keys_max;
        JsonFault *fault;
} Checker;

static const char ends_early[] = "the text ends too early";

/* Returns NULL, which every step hands on. */
static const char *refuse(Checker *c, const char *at, const char *why) {
        *c->fault = (JsonFault){(size_t)(at - c->text), at == c->end ? ends_early : why};
        return NULL;
}

/* One UTF-8 sequence that is not ASCII (RFC 3629): only the second byte has limits of its own,
 * against overlong forms, surrogates, and what lies above U+10FFFF. */
static const char *sequence_step(Checker *c, const char *p) {
        static const char why[] = "bytes that are not UTF-8";
        unsigned char lead = (unsigned char)*p, low = 0x80, high = 0xbf;
        int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;

        if (lead < 0xc2 || lead > 0xf4)
                return refuse(c, p, why);
        if (lead == 0xe0)
                low = 0xa0;
        else if (lead == 0xed)
                high = 0x9f;
        else if (lead == 0xf0)
                low = 0x90;
        else if (lead == 0xf4)
                high = 0x8f;
        for (p++; more > 0; more--, p++, low = 0x80, high = 0xbf)
                if (p == c->end || (unsigned char)*p < low || (unsigned char)*p > high)
                        return refuse(c, p, why);
        return p;
}

/* All such sequences from p on: few texts have only one. */
static const char *utf8_step(Checker *c, const char *p) {
        do
                p = sequence_step(c, p);
        while (p && p < c->end && (unsigned char)*p >= 0x80);
        return p;
}

/* The escape whose backslash is at p. */
static const char *escape_step(Checker *c, const char *p) {
        static const char letters[] = "\"\\/bfnrt";

        p++;
        if (p < c->end && *p == 'u') {
                p++;
                for (int i = 0; i < 4; i++, p++)
                        if (p == c->end || !json_is(*p, JSON_HEX))
                                return refuse(c, p, "\\u without four hexadecimal digits");
                return p;
        }
        if (p == c->end || !memchr(letters, *p, sizeof letters - 1))
                return refuse(c, p, "an escape that JSON does not have");
        return p + 1;
}

/* From after the opening quote to after the closing one. */
static const char *string_step(Checker *c, const char *p) {
        while (p) {
                p = json_plain_run(p, c->end);
                if (p == c->end)
                        return refuse(c, p, ends_early);
                if (*p == '"')
                        return p + 1;
                if (*p == '\\')
                        p = escape_step(c, p);
                else if ((unsigned char)*p >= 0x80)
                        p = utf8_step(c, p);
                else
                        return refuse(c, p, "a control byte in a string");
        }
        return NULL;
}

static const char *digits_step(Checker *c, const char *p) {
        if (p == c->end || !json_is(*p, JSON_DIGIT))
                return refuse(c, p, "a digit is missing");
        while (p < c->end && json_is(*p, JSON_DIGIT))
                p++;
        return p;
}

static const char *number_step(Checker *c, const char *p) {
        if (*p == '-')
                p++;
        if (p < c->end && *p == '0') {
                p++;
                if (p < c->end && json_is(*p, JSON_DIGIT))
                        return refuse(c, p, "a digit after a leading zero");
        } else {
                p = digits_step(c, p);
        }
        if (p && p < c->end && *p == '.')
                p = digits_step(c, p + 1);
        if (p && p < c->end && (*p | 0x20) == 'e') {
                p++;
                if (p < c->end && (*p == '+' || *p == '-'))
                        p++;
                p = digits_step(c, p);
        }
        return p;
}

static const char *literal_step(Checker *c, const char *p, Span word) {
        for (size_t i = 0; i < word.n; i++, p++)
                if (p == c->end || *p != word.p[i])
                        return refuse(c, p, "not one of true, false, null");
        return p;
}

/* A key with its colon; p is where the key must begin. */
static const char *key_step(Checker *c, const char *p) {
        p = json_blanks(p, c->end);
        if (p == c->end || *p != '"')
                return refuse(c, p, "a key in double quotes is missing");
        if (c->keys++ >= c->keys_max) {
                *c->fault = (JsonFault){(size_t)(p - c->text), "too many keys"};
                return NULL;
        }
        p = string_step(c, p + 1);
        if (!p)
                return NULL;
        p = json_blanks(p, c->end);
        if (p == c->end || *p != ':')
                return refuse(c, p, "a colon after the key is missing");
        return p + 1;
}

static bool in_object(const Checker *c) {
        unsigned top = c->depth - 1;

        return c->objects[top / 64] >> top % 64 & 1;
}

/* Opens the container at p. *ret_closed says that it was empty and is closed again. */
static const char *open_step(Checker *c, const char *p, bool *ret_closed) {
        bool is_object = *p == '{';
        uint64_t bit = (uint64_t)1 << c->depth % 64;

        if (c->depth == JSON_DEPTH_MAX)
                return refuse(c, p, "nested too deeply");
        if (is_object)
                c->objects[c->depth / 64] |= bit;
        else
                c->objects[c->depth / 64] &= ~bit;
        p = json_blanks(p + 1, c->end);
        *ret_closed = p < c->end && *p == (is_object ? '}' : ']');
        if (*ret_closed)
                return p + 1;
        c->depth++;
        return is_object ? key_step(c, p) : p;
}

/* Goes past what follows a value: any number of closing brackets, then a comma (and a key) or the
 * end of the text, which *ret_done tells. */
static const char *after_step(Checker *c, const char *p, bool *ret_done) {
        for (;;) {
                p = json_blanks(p, c->end);
                if (c->depth == 0) {
                        *ret_done = p == c->end;
                        return *ret_done ? p : refuse(c, p, "bytes after the end of the value");
                }
                if (p == c->end)
                        return refuse(c, p, ends_early);
                if (*p == ',')
                        return in_object(c) ? key_step(c, p + 1) : p + 1;
                if (*p != (in_object(c) ? '}' : ']'))
                        return refuse(c, p,
                                      in_object(c) ? "neither a comma nor a closing brace"
                                                   : "neither a comma nor a closing bracket");
                c->depth--;
                p++;
        }
}

/* One value, or the opening of one; *ret_complete tells which. */
static const char *value_step(Checker *c, const char *p, bool *ret_complete) {
        *ret_complete = true;
        if (p == c->end)
                return refuse(c, p, ends_early);
        switch (*p) {
        case '"':
                return string_step(c, p + 1);
        case '{':
        case '[':
                return open_step(c, p, ret_complete);
        case 't':
                return literal_step(c, p, SPAN("true"));
        case 'f':
                return literal_step(c, p, SPAN("false"));
        case 'n':
                return literal_step(c, p, SPAN("null"));
        default:
                if (*p == '-' || json_is(*p, JSON_DIGIT))
                        return number_step(c, p);
                return refuse(c, p, "no JSON value begins like this");
        }
}

int json_check(Span text, size_t keys_max, JsonFault *fault) {
        /* An empty span may have no pointer at all. */
        const char *p = text.n ? text.p : "";
        Checker c = {.text = p, .end = p + text.n, .keys_max = keys_max, .fault = fault};
        bool is_complete, is_done = false;

        while (!is_done) {
                p = value_step(&c, json_blanks(p, c.end), &is_complete);
                if (p && is_complete)
                        p = after_step(&c, p, &is_done);
                if (!p)
                        return -EBADMSG;
        }
        return 0;
}
