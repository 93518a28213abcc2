"""Signatures of the Standard Webhooks specification (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

SECRET_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A new signing secret: `whsec_` and 256 random bits in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(
    secrets: Sequence[str], message_id: str, sent_s: int, body: bytes
) -> Mapping[str, str]:
    """The headers that identify and sign a message.

    Args:
        secrets: See `new_secret`. Each one signs, and any signature is enough for a consumer.
        message_id: The same for every attempt to deliver the message.
        sent_s: Time of this attempt, in seconds since 1970.
        body: The body as it is sent.
    """
    content = f"{message_id}.{sent_s}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": " ".join(_sign(secret, content) for secret in secrets),
    }


def _sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}"
