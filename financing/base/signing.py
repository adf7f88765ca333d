"""Ed25519 signatures over canonical documents: meters, verifiers, certifiers and contract parties sign with them.

What is signed is `domain`, a newline, and the document as canonical JSON (sorted keys, no blanks, UTF-8). The domain
keeps a signature on one kind of document from standing for another. Keys and signatures are lower-case hex.
Source: RFC 8032; canonical form after RFC 8785, whose number rules are not needed because documents carry no floats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from financing.base.errors import SignatureInvalid, SigningKeyMissing

PRIME = (1 << 255) - 19
_EIGHTH = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SMALL_ORDER = frozenset({0, 1, PRIME - 1, _EIGHTH, PRIME - _EIGHTH})


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed, with which public key (32 bytes as hex), and the signature (64 bytes as hex)."""

    signer_id: str
    public_key: str
    signature: str

    def fits(self, message: bytes) -> bool:
        """Whether the private half of `public_key` made the signature on `message`."""
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
            key.verify(bytes.fromhex(self.signature), message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(Protocol):
    """Holds private keys: in a sandbox one for each organisation that has brought none, else the service's own."""

    def sign(self, signer_id: str, message: bytes) -> Signature:
        """Raises `SigningKeyMissing` when it holds no key of `signer_id`."""
        ...

    def public_key(self, signer_id: str) -> str: ...


class NoKeys:
    """A signer without keys, for use cases that sign nothing."""

    def sign(self, signer_id: str, message: bytes) -> Signature:  # noqa: ARG002
        raise SigningKeyMissing("no signing key is held here", signer_id=signer_id)

    def public_key(self, signer_id: str) -> str:
        raise SigningKeyMissing("no signing key is held here", signer_id=signer_id)


def message_of(domain: str, document: Mapping[str, Any]) -> bytes:
    """The bytes to sign. Raises `TypeError` for a float, which has no canonical text."""
    _require_exact(document)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{domain}\n{text}".encode()


def sign_with(key: Ed25519PrivateKey, signer_id: str, message: bytes) -> Signature:
    return Signature(signer_id, key.public_key().public_bytes_raw().hex(), key.sign(message).hex())


def require_signed(signature: Signature, message: bytes, public_key: str) -> None:
    """Raise `SignatureInvalid` unless `signature` is one of `public_key` on `message`."""
    if signature.public_key != public_key:
        raise SignatureInvalid("signed with another key than the registered one", signer_id=signature.signer_id)
    if not signature.fits(message):
        raise SignatureInvalid("the signature does not fit the document", signer_id=signature.signer_id)


def is_weak(public_key: str) -> bool:
    """Whether an Ed25519 public key (64 hex digits) is of small order or not written canonically: under such a key
    anybody signs what he likes (Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", SSR 2020, section 2.1)."""
    y = int.from_bytes(bytes.fromhex(public_key), "little") & ((1 << 255) - 1)
    return y >= PRIME or y in SMALL_ORDER


def _require_exact(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a signed document carries no floats")
    if isinstance(value, Mapping):
        for each in value.values():
            _require_exact(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _require_exact(each)
