/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/outbox.h"
#include "watch/table.h"

const TriggerKind *const trigger_kinds[] = {&trigger_outbox, &trigger_table, NULL};
