/* SPDX-License-Identifier: Apache-2.0
 *
 * What expressions see of an event whose body is no JSON: a form is stored as it came, and looked
 * at as the JSON that it stands for. How it is looked at is the event's own (meta, member "view"),
 * so that a change of the configuration does not change what is recorded already. */
#pragma once

#include "base/arena.h"
#include "config/config.h"
#include "ledger/event.h"

/* A form as JSON, in the arena. FORMS_FIELDS: an object of its fields, texts, or lists of texts for
 * those given more than once. FORMS_PAYLOAD: the JSON in its field `payload`, where it has one.
 * 0; -EBADMSG with a sentence for what is no form or holds no JSON there; -ENOMEM. */
MUST_CHECK int view_of_form(Span body, FormRule rule, Arena *a, Span *ret, char why[160]);
/* The member "view" of the event's meta for a form under that rule. */
const char *view_name(FormRule rule);
/* The event as a run sees it: its body; "null" where it has none, or where there is no room. */
Span view_of_event(const Event *e, Arena *a);
