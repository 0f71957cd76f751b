/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/outbox.h"
#include "watch/replication.h"

const TriggerKind *const trigger_kinds[] = {&trigger_outbox, &trigger_replication, NULL};
