"""Signing keys in files, one each, readable by the service's user only: the service's own, and in a sandbox those of
organisations and meters that have brought none.

A key kept for an organisation proves that the sandbox recorded the act under its credentials, not that anybody held the
key. Outside a sandbox nothing is signed with one; what was signed so before stays verifiable by its public key. A key
is made at first use.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from financing.base.errors import SignatureInvalid, SigningKeyMissing
from financing.base.signing import Signature, sign_with
from financing.base.storage.writer import Writer
from financing.ledger.signing import kept_here
from financing.lending.unit import UnitOfWork

OWN = "service."
METER = "meter."
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class FileSigner:
    """Keys under `folder`, `<signer id>.key` (32 raw bytes, mode 0600)."""

    def __init__(self, folder: Path, *, for_others: bool = False) -> None:
        self._folder = folder
        self._for_others = for_others
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._gate = threading.Lock()

    def sign(self, signer_id: str, message: bytes) -> Signature:
        return sign_with(self._key(signer_id), signer_id, message)

    def public_key(self, signer_id: str) -> str:
        return self._key(signer_id).public_key().public_bytes_raw().hex()

    def kept(self) -> Mapping[str, str]:
        """The public keys of organisations whose keys lie here: from a sandbox, or from before they brought any."""
        kept = {}
        for path in sorted(self._folder.glob("*.key")):
            if not path.stem.startswith((OWN, METER)):
                key = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
                kept[path.stem] = key.public_key().public_bytes_raw().hex()
        return kept

    def _key(self, signer_id: str) -> Ed25519PrivateKey:
        if NAME.fullmatch(signer_id) is None:
            raise SignatureInvalid("this name cannot own a key", signer_id=signer_id)
        if not self._for_others and not signer_id.startswith(OWN):
            raise SigningKeyMissing(
                "this service keeps nobody's key: an organisation registers one and signs with it, a meter has its own",
                signer_id=signer_id,
            )
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


def register_kept(writer: Writer[UnitOfWork], signer: FileSigner, at: datetime) -> None:
    """Register the public halves of keys that were kept before there was a register, so that what they signed can be
    verified."""
    kept = signer.kept()

    def run(unit: UnitOfWork) -> None:
        for organisation_id, public_key in kept.items():
            if unit.organisations.find(organisation_id) and not unit.signing_keys.find(public_key):
                unit.signing_keys.add(kept_here(organisation_id, public_key, at))

    if kept:
        writer.execute(run)
