/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source that waits is told with a success, made of what the steps found. */
#pragma once

#include "flow/build.h"

/* Makes f->answer of the expression, after the flow's steps were built. 0 or -EINVAL with the
 * problems added. */
MUST_CHECK int answer_build(Build *b, const Expr *e, Flow *f);
