/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses to listen on, as written: 127.0.0.1:8080, [::1]:8080. Numeric only: a name may mean
 * another machine tomorrow. */
#pragma once

#include "config/config.h"

/* The host without brackets lies in `a`. 0, or -EINVAL with the sentence. Port 0: the system
 * chooses one. */
MUST_CHECK int listen_parse(Span text, Arena *a, ListenConfig *ret, Err *e);
/* Can only this machine reach it? */
bool host_is_loopback(Span host); /* a numeric address, or localhost */
