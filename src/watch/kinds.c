/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/outbox.h"

const TriggerKind *const trigger_kinds[] = {&trigger_outbox, NULL};
