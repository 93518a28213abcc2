"""Seals what must be stored but not read: addresses with credentials, webhook secrets."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from sgmn.errors import SgmnError
from sgmn.service.settings import ServiceSettings

SECRET_FILE = "secret"


class Sealer:
    """Encrypts and decrypts short texts with the secret of the instance.

    Args:
        secret: At least 16 characters.

    Example:
        >>> sealer = Sealer("a secret of the instance")
        >>> sealer.open(sealer.seal("rtmp://user:password@host"))
        'rtmp://user:password@host'
    """

    def __init__(self, secret: str) -> None:
        if len(secret) < 16:
            remedy = "use at least 16 random characters"
            raise SgmnError("is too short", "the secret of the service", remedy)
        key = hashlib.sha256(b"sgmn sealing\0" + secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, text: str) -> str:
        """Encrypt a text."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Decrypt a text. Raises SgmnError if another secret has sealed it."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            remedy = f"restore the file {SECRET_FILE!r} of the data folder, or SGMN_SECRET"
            raise SgmnError("was sealed with another secret", "a stored value", remedy) from error


def load_sealer(settings: ServiceSettings) -> Sealer:
    """The sealer of the instance; its secret is written to the data folder at the first start."""
    return Sealer(settings.secret or _read_or_create(settings.data / SECRET_FILE))


def _read_or_create(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{SECRET_FILE}.{secrets.token_hex(8)}")
    if not path.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # fails if another process was faster
        except FileExistsError:
            return path.read_text().strip()
        finally:
            temporary.unlink()
    return path.read_text().strip()
