/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/kind.h"

const TriggerKind *const trigger_kinds[] = {&trigger_outbox, &trigger_table, &trigger_schedule,
                                            NULL};
