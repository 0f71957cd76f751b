/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP on 127.0.0.1 without waiting. */
#pragma once

#include "base/buf.h"

/* All return a descriptor that does not wait, or a fault. Port 0 lets the system choose. */
MUST_CHECK int loopback_listen(uint16_t port, uint16_t *ret_port, Err *e);
MUST_CHECK int loopback_dial(uint16_t port, Err *e);
MUST_CHECK int loopback_accept(int listener); /* -EAGAIN: nobody is there */

/* Appends what is there to `in`: 0, or -EAGAIN (nothing new), -EPIPE (closed), -EMSGSIZE. */
MUST_CHECK int loopback_read(int fd, Buf *in);
/* Sends all of it at once. A message of a benchmark fits into the socket's buffer while the other
 * side answers one by one; -EPIPE when it does not, or nobody is there any more. */
MUST_CHECK int loopback_send(int fd, Span bytes);
