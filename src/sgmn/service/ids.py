"""Ids of resources: a prefix that names the kind, and 128 random bits."""

from __future__ import annotations

import base64
import secrets

ID_PATTERN = r"^[a-z]{2,5}_[a-z2-7]{26}$"


def new_id(prefix: str) -> str:
    """A new id, such as `cat_` and 26 characters.

    >>> len(new_id("cat"))
    30
    """
    digits = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
    return f"{prefix}_{digits}"
