# SPDX-License-Identifier: Apache-2.0
"""Verifies one delivery as CGI hands it over; see ../README.md."""

import os
import sys


def check():
    """What verify says of environment and standard input."""
    secret = os.environ.get("WEBHOOK_SECRET", "")
    headers = [os.environ.get("HTTP_WEBHOOK_" + name) for name in ("ID", "TIMESTAMP", "SIGNATURE")]
    body = sys.stdin.buffer.read()
    if secret.startswith("whpk_"):
        from verify_v1a import verify_v1a  # pylint: disable=import-outside-toplevel

        return verify_v1a(secret, *headers, body)
    from verify import verify  # pylint: disable=import-outside-toplevel

    return verify(secret, *headers, body)


good = check()
print("accepted" if good else "refused")
sys.exit(0 if good else 1)
