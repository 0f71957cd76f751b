/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

void show_text(const char *text) {
        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;

                (void)putchar(c < ' ' || c == 0x7f ? '.' : c);
        }
}

void show_json(const json_t *j) {
        char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

        show_text(text ? text : "?");
        free(text);
}

const char *show_number(int64_t n, char ret[SHOW_NUMBER]) {
        char plain[24];
        size_t at = 0;
        int digits = snprintf(plain, sizeof plain, "%" PRId64, n < 0 ? 0 : n);

        for (int i = 0; i < digits; i++) {
                if (i && (digits - i) % 3 == 0)
                        ret[at++] = ',';
                ret[at++] = plain[i];
        }
        ret[at] = 0;
        return ret;
}
