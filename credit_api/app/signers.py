"""Signing keys that the service keeps for its organisations, one file each, readable by the service's user only.

A key kept here proves that the service recorded the act under the organisation's credentials, not that a person held
the key; whoever wants more signs outside and has the public key registered. A key is made at first use.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from financing.base.errors import SignatureInvalid
from financing.base.signing import Signature, sign_with

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class FileSigner:
    """Keys under `folder`, `<organisation id>.key` (32 raw bytes, mode 0600)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._gate = threading.Lock()

    def sign(self, signer_id: str, message: bytes) -> Signature:
        return sign_with(self._key(signer_id), signer_id, message)

    def public_key(self, signer_id: str) -> str:
        return self._key(signer_id).public_key().public_bytes_raw().hex()

    def _key(self, signer_id: str) -> Ed25519PrivateKey:
        if NAME.fullmatch(signer_id) is None:
            raise SignatureInvalid("this name cannot own a key", signer_id=signer_id)
        with self._gate:
            if signer_id not in self._keys:
                self._keys[signer_id] = Ed25519PrivateKey.from_private_bytes(self._stored(signer_id))
            return self._keys[signer_id]

    def _stored(self, signer_id: str) -> bytes:
        path = self._folder / f"{signer_id}.key"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = Ed25519PrivateKey.generate().private_bytes_raw()
        # Written whole before it gets its name, so that a crash leaves no half of a key.
        draft = path.with_suffix(f".{os.getpid()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        return fresh
