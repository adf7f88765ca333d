"""Passwords (argon2id) and one-time codes (RFC 6238), whose secrets are sealed with a key of the home.

Guarantee: whoever reads the database alone learns no password and no code. Whoever reads the home too can make codes.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import threading
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from cryptography.fernet import Fernet

ISSUER = "Tanxin"
STEP_SECONDS = 30
# A code of the step before or after is taken too: clocks differ. (RFC 6238, section 5.2)
STEPS = (0, -1, 1)
# Tried for a login that nobody has, so that it takes as long as one that somebody has.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$nbkL/3dbpsFtUiyiEtVTjg$J7qNvgdLmxgdn6mmNHPw2hs7Vmon8vgQrkwNNHyHMGI"

_hasher = PasswordHasher()
# Each takes 64 MiB while it works.
_AT_ONCE = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    with _AT_ONCE:
        return _hasher.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Whether it is this password; of a login that nobody has (None) it never is, after as much work."""
    try:
        with _AT_ONCE:
            return _hasher.verify(NOBODY if stored is None else stored, password) and stored is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


def new_totp_secret() -> str:
    """A base32 secret for an authenticator."""
    return pyotp.random_base32()


def totp_uri(secret: str, login: str) -> str:
    """What an authenticator reads, as a link or a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def totp_step(secret: str, code: str, at: datetime, *, after: int = 0) -> int | None:
    """The step that a code is of, later than `after`, or None: a code that was used is worth nothing."""
    now = int(at.timestamp()) // STEP_SECONDS
    made = pyotp.TOTP(secret)
    for step in (now + each for each in STEPS):
        if step > after and hmac.compare_digest(made.generate_otp(step), code.strip()):
            return step
    return None


class Sealer:
    """Seals texts with a key kept in one file (mode 0600), made at first use. (Fernet: AES-128-CBC and HMAC-SHA256)"""

    def __init__(self, path: Path) -> None:
        self._path = path

    def seal(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def code_for(self, name: str) -> str:
        """A secret that only the holder of the key can tell for a name; the same each time, and stored nowhere."""
        made = hmac.digest(self._key, f"tanxin code {name}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()

    def unseal(self, sealed: str) -> str:
        """Raises `cryptography.fernet.InvalidToken` for what another key sealed."""
        return self._fernet.decrypt(sealed.encode()).decode()

    @cached_property
    def _fernet(self) -> Fernet:
        return Fernet(self._key)

    @cached_property
    def _key(self) -> bytes:
        # Written whole before it gets its name: whoever comes second finds a whole key.
        draft = self._path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}.new")
        if not self._path.exists():
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, self._path)
            draft.unlink()
        return self._path.read_bytes()
