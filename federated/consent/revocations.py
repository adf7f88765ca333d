"""Which subjects' keys an identity authority ended before their time: a numbered list, signed with its key.

Guarantee: whoever does not have the authority's secret key can neither end a key nor have an ended one hold again; a
node takes no list with a lower number than it has, and refuses every consent once its list is over. What a key signed
opens nothing from the moment its end is known, whenever it was signed: of a signature's time there is no other witness.
Threat model: whoever carries lists, changes them or keeps them back (for a week at the most, as long as one holds). Not
covered: what was opened before a list arrived, and a node that was never given one: it asks for none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federated.consent.framing import framed, instant_bytes
from federated.consent.record import ConsentRecord, utc
from federated.errors import ConsentSignatureInvalid

DOMAIN = b"tanxin/subject-key-revocations/v1"
LIFE = timedelta(days=7)
# What a list may have: a quarter of a million keys.
MOST_BYTES = 1 << 24
FIELDS = {"number", "issued_at", "next_at", "keys", "signature"}


@dataclass(frozen=True, slots=True)
class Revocations:
    """A list: its number, from when (included) until when (excluded) it holds, both UTC, the SHA-256 digests (32 bytes)
    of all ended public keys, and the authority's signature (64 bytes) over the rest."""

    number: int
    issued_at: datetime
    next_at: datetime
    keys: frozenset[bytes]
    signature: bytes

    @staticmethod
    def signed(secret: bytes, number: int, public_keys: Iterable[bytes], at: datetime) -> Revocations:
        """A list of these keys from `at` on, signed with the authority's secret key (32 bytes)."""
        keys = frozenset(hashlib.sha256(each).digest() for each in public_keys)
        until = utc(at) + LIFE
        signature = Ed25519PrivateKey.from_private_bytes(secret).sign(_bytes(number, utc(at), until, keys))
        return Revocations(number, utc(at), until, keys, signature)

    @staticmethod
    def read(content: bytes, authority: bytes) -> Revocations:
        """The list that an authority (public key, 32 bytes) signed. Raises `ConsentSignatureInvalid`."""
        try:
            told = json.loads(content)
            if set(told) != FIELDS or not isinstance(told["number"], int) or not 0 < told["number"] < 1 << 63:
                raise ValueError("other fields")
            found = Revocations(
                told["number"],
                utc(datetime.fromisoformat(told["issued_at"])),
                utc(datetime.fromisoformat(told["next_at"])),
                frozenset(bytes.fromhex(each) for each in told["keys"]),
                bytes.fromhex(told["signature"]),
            )
            what = _bytes(found.number, found.issued_at, found.next_at, found.keys)
            Ed25519PublicKey.from_public_bytes(authority).verify(found.signature, what)
        except (InvalidSignature, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConsentSignatureInvalid("the identity authority signed no such list of revoked keys") from error
        return found

    def written(self) -> bytes:
        """The list as JSON."""
        content = {
            "number": self.number,
            "issued_at": self.issued_at.isoformat(),
            "next_at": self.next_at.isoformat(),
            "keys": sorted(each.hex() for each in self.keys),
            "signature": self.signature.hex(),
        }
        return json.dumps(content).encode()

    def ends(self, public_key: bytes) -> bool:
        """Whether this key is on the list."""
        return hashlib.sha256(public_key).digest() in self.keys

    def require_holds(self, public_key: bytes, at: datetime, **context: object) -> None:
        """Raise `ConsentSignatureInvalid` for a key on the list, and once the list is over."""
        self.require_current(at)
        if self.ends(public_key):
            raise ConsentSignatureInvalid("the identity authority ended the key that signed this", **context)

    def require_current(self, at: datetime) -> None:
        """Raise `ConsentSignatureInvalid` once the list is over: keys may have been ended that it does not name."""
        if utc(at) >= self.next_at:
            raise ConsentSignatureInvalid(
                f"the identity authority's list of revoked keys is over since {self.next_at:%Y-%m-%d %H:%M} UTC"
            )


def require_not_ended(record: ConsentRecord, ended: Revocations | None, at: datetime) -> None:
    """Raise `ConsentSignatureInvalid` for a consent whose key is on the list, and where the list is over. None: the
    authority publishes no list."""
    if ended is not None:
        ended.require_holds(record.public_key, at, consent_id=record.consent_id)


def _bytes(number: int, issued_at: datetime, next_at: datetime, keys: frozenset[bytes]) -> bytes:
    return framed(DOMAIN, number.to_bytes(8, "big"), instant_bytes(issued_at), instant_bytes(next_at), *sorted(keys))
