/* SPDX-License-Identifier: Apache-2.0 */
#include "api/schema.h"

static bool is_name_byte(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
}

static bool is_name(Span text) {
        for (size_t i = 0; i < text.n; i++)
                if (!is_name_byte(text.p[i]))
                        return false;
        return text.n > 0;
}

static bool is_type_filter(Span text) {
        bool is_start = text.n > 2 && span_eq(span_from(text, text.n - 2), SPAN(".*"));

        return is_name(is_start ? (Span){text.p, text.n - 2} : text);
}

const TextForm form_name = {
        .pattern = "^[a-zA-Z0-9\\-_.]+$",
        .says = "letters, digits, '-', '_' and '.'",
        .fits = is_name,
};

const TextForm form_type_filter = {
        .pattern = "^[a-zA-Z0-9\\-_.]+(\\.\\*)?$",
        .says = "an event type, or the start of some, such as \"order.*\"",
        .fits = is_type_filter,
};
