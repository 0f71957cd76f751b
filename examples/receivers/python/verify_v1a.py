# SPDX-License-Identifier: Apache-2.0
"""Standard Webhooks v1a, Python 3.9 or newer with the package `cryptography`."""

import base64
import binascii
import re
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify_v1a(public_key, message_id, timestamp, signatures, body):
    """As verify, with the public key, whpk_..., in the place of the secret."""
    if not (message_id and timestamp and signatures) or "." in message_id:
        return False
    if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(time.time() - int(timestamp)) > 300:
        return False
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    signed = f"{message_id}.{timestamp}.".encode(errors="replace") + body
    for entry in signatures.split(" "):
        version, _, text = entry.partition(",")
        try:
            if version == "v1a":
                key.verify(base64.b64decode(text, validate=True), signed)
                return True
        except (InvalidSignature, binascii.Error, ValueError):
            pass  # perhaps the next one
    return False
