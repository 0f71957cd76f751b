# SPDX-License-Identifier: Apache-2.0
"""Standard Webhooks v1, Python 3.9 or newer."""

import base64
import hmac
import re
import time


def verify(secret, message_id, timestamp, signatures, body):
    """True if the holder of the secret sent exactly this, at most 5 minutes ago.

    The headers are text, or None where one is missing; the body is the bytes that came."""
    if not (message_id and timestamp and signatures) or "." in message_id:
        return False
    if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(time.time() - int(timestamp)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    if len(key) < 24:  # such as none at all, because a setting is missing
        return False
    signed = f"{message_id}.{timestamp}.".encode(errors="replace") + body
    expected = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    given = signatures.encode(errors="replace").split(b" ")
    return any(hmac.compare_digest(expected, entry) for entry in given)
