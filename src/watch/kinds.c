/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/kind.h"

/* In the order in which the manual tells of them. */
const TriggerKind *const trigger_kinds[] = {
        &trigger_outbox, &trigger_replication, &trigger_table, &trigger_query,
        &trigger_poll,   &trigger_schedule,    NULL,
};
