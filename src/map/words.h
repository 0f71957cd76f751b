/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of a jq program, as far as safety and thrift need them: which forbidden ones it says,
 * and which parts of its input it may look at. Strings are looked through for the code in their
 * interpolations; comments are skipped. */
#pragma once

#include "base/base.h"

/* Calls fn for each word outside of string text: identifiers and $names. `before` is the last
 * character before it that is no blank (0 at the start), `after` the first one behind it. Stops
 * when fn returns false. Returns false when strings or brackets do not close. */
bool words_each(Span program, bool (*fn)(void *arg, Span word, char before, char after), void *arg);
/* The first word that programs may not say (DESIGN promise 9), or .p NULL. */
Span words_forbidden(Span program);
/* May the program look at the whole of its input, so that no part can be left out? */
bool words_take_all(Span program);
