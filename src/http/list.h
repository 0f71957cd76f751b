/* SPDX-License-Identifier: Apache-2.0
 *
 * Header values that are lists, with parameters (RFC 9110 sections 5.6.1 and 5.6.6). */
#pragma once

#include "base/base.h"

/* Takes the next element off *rest, where `between` (',' or ';') parts the elements, quoted
 * strings are not looked into and empty elements are skipped; false at the end. */
bool http_list_next(Span *rest, char between, Span *ret);
/* Reads "name", "name=value" or "name=\"value\"" with blanks around the sign; *ret_value has no
 * quotes, but the backslashes of a quoted string; .p is NULL when there is no sign. False for
 * anything else. */
bool http_parameter_read(Span item, Span *ret_name, Span *ret_value);
