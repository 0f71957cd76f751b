/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 (RFC 4648 sections 4 and 5) and hex, read to the letter: one value has one spelling, so
 * nobody can vary a signature that was seen. No blanks, no line ends, no mixed alphabets. */
#pragma once

#include "base/buf.h"

typedef enum Base64Padding {
        BASE64_PADDED, /* '=' up to a multiple of four */
        BASE64_EITHER, /* all of the padding or none of it */
} Base64Padding;

/* False when the text is no base64, or its bytes do not fit into `room`. */
bool base64_parse(Span text, Base64Padding padding, unsigned char *ret, size_t room, size_t *ret_n);
/* The alphabet of RFC 4648 section 5, which URLs and tokens hold: never padded. */
bool base64url_parse(Span text, unsigned char *ret, size_t room, size_t *ret_n);
/* Appends the padded form; outcomes as buf_add. */
MUST_CHECK int base64_print(Span bytes, Buf *out);

/* Appends lower-case digits; outcomes as buf_add. */
MUST_CHECK int hex_print(Span bytes, Buf *out);
/* Either case of letters; false as above. */
bool hex_parse(Span text, unsigned char *ret, size_t room, size_t *ret_n);
