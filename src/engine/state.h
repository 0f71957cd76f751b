/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of a job and the one function that changes them while it is in memory. A job is on
 * one list per state, so "how many are running?" is a count that the list keeps. */
#pragma once

#include "ledger/job.h"

/* A table says which moves there are; to its own state a job may always go: it changes lists. */
bool job_may_move(JobState from, JobState to);
/* Takes the job off `from` and puts it at the end of `onto` (NULL: it is, or will be, on none).
 * A move that the table does not know ends the process. */
void job_move(Job *job, JobState to, List *from, List *onto);
