/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes from elsewhere, shown on a terminal: bytes that it would obey are shown as dots. */
#pragma once

#include "base/base.h"

#include <jansson.h>

void show_text(const char *text);
void show_json(const json_t *j); /* in one line */
/* "1,234,567": into `ret`. */
enum { SHOW_NUMBER = 32 };
const char *show_number(int64_t n, char ret[SHOW_NUMBER]);
