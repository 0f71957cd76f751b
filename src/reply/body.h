/* SPDX-License-Identifier: Apache-2.0
 *
 * What the dialects share among themselves; nobody outside this room includes it. */
#pragma once

#include "reply/dialect.h"

extern const Dialect dialect_problem, dialect_plain, dialect_status, dialect_kratos,
        dialect_okta_inline, dialect_okta_event, dialect_entra_extension, dialect_graph,
        dialect_zitadel, dialect_keycloak, dialect_scim, dialect_trivore, dialect_slack,
        dialect_action_json;

enum { BODY_TEXT_MAX_BYTES = 256 * 1024 };

static inline bool outcome_is_success(const Outcome *o) {
        return o->status >= 200 && o->status < 300;
}
static inline bool outcome_has_data(const Outcome *o) {
        return outcome_is_success(o) && o->data.n > 0;
}
/* The data as the body, byte for byte. */
MUST_CHECK int body_is_data(const Outcome *o, Reply *ret, const char *content_type);
/* One member of a JSON object, with the comma before it where one is due. */
MUST_CHECK int body_add_name(Buf *b, const char *name);
/* The same with a text behind it; nothing at all for an empty text. */
MUST_CHECK int body_add_text(Buf *b, const char *name, Span text);
/* `errors`: a list of {pointer, detail, field}; nothing when there are none. */
MUST_CHECK int body_add_errors(Buf *b, const Outcome *o, const char *detail);
/* Appends one line's worth of text for a person: control characters become blanks, so that no
 * text can pass for two lines; bytes that are not UTF-8 become U+FFFD. */
MUST_CHECK int body_add_line(Buf *b, Span text);

/* What a person reads: the message, or at least what the status means. Never empty. */
Span body_message(const Outcome *o);
/* The text of one complaint: its own, or the message. */
static inline Span body_detail(const Outcome *o, const OutcomeError *e) {
        return e->detail.n ? e->detail : body_message(o);
}
/* The same with its place in front, "nick: is taken", for where nothing else tells the place. */
MUST_CHECK int body_add_placed(Buf *out, const Outcome *o, const OutcomeError *e);
/* For sources with a single line for it all: "Message (place: detail; place)". `place` writes a
 * pointer in the source's own form; NULL: as it is. */
MUST_CHECK int body_add_sentence(Buf *out, const Outcome *o, int (*place)(Span pointer, Buf *out));
/* Does one of the complaints say what the message says? */
bool body_says_message(const Outcome *o);

/* The text at `pointer` of the source's delivery; false when it is no JSON or has none there. */
bool body_request_text(const Outcome *o, Span pointer, Buf *ret);

/* Cuts the first segment off a pointer (RFC 6901) and appends it, its escapes resolved. False at
 * the end, or when it is no pointer or too long. */
bool pointer_next(Span *pointer, Buf *ret);
/* Is the segment, as pointer_next gave it, an index of a list? */
bool pointer_is_index(Span segment);
