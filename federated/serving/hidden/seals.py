"""What two nodes say to each other in one query of a hidden function, past an operator who passes it on.

A query is known by a hash of all that it says, of a fresh nonce of the bank and one of the grid company, and of the
function (`query_hash`). From a pair's key (`nodes.masks`) and that hash follow a key for each message, by its name, and
the key of a tape (HMAC-SHA256 as a pseudorandom function). Guarantee: whoever lacks the pair's key learns sizes, and
changes, repeats or exchanges no message unnoticed: the nonce of each side is in the key of whatever it opens. Sealed
with ChaCha20-Poly1305 under a random nonce (RFC 8439).
"""

from __future__ import annotations

import hashlib
import hmac
import os

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from federated.errors import SealBroken
from federated.privacy.vertical.ring import Ring

NONCE_BYTES, SEAL_NONCE = 16, 12
PURPOSE = b"tanxin hidden function\0"


def fresh_nonce() -> bytes:
    """A nonce (16 bytes) that no query had before."""
    return os.urandom(NONCE_BYTES)


def query_hash(text: str, bank_nonce: bytes, grid_nonce: bytes, function_id: str, *, explained: bool) -> bytes:
    """What a query is known by to all three nodes: 32 bytes, which say nothing of the customer to the dealer."""
    said = "\0".join((function_id, "explained" if explained else "not explained", text))
    return hashlib.sha256(PURPOSE + bank_nonce + grid_nonce + said.encode()).digest()


class Link:
    """One query between two nodes that have `key` (32 bytes) in common."""

    def __init__(self, key: bytes, query: bytes) -> None:
        self._key, self._query = key, query

    def key_for(self, purpose: str) -> bytes:
        """A key (32 bytes) of this query."""
        return hmac.digest(self._key, PURPOSE + self._query + purpose.encode(), hashlib.sha256)

    def seal(self, message: str, numbers: Ring) -> bytes:
        """Numbers behind the key of a message of this name."""
        nonce = os.urandom(SEAL_NONCE)
        plain = numbers.astype("<u8", copy=False).tobytes()
        return nonce + ChaCha20Poly1305(self.key_for(message)).encrypt(nonce, plain, None)

    def open(self, message: str, sealed: bytes) -> Ring:
        """The numbers of a message. Raises `SealBroken` for any that was not sealed so for this query."""
        try:
            plain = ChaCha20Poly1305(self.key_for(message)).decrypt(sealed[:SEAL_NONCE], sealed[SEAL_NONCE:], None)
            return np.frombuffer(plain, dtype="<u8").astype(np.uint64, copy=False)
        except (InvalidTag, ValueError):
            raise SealBroken(f"the message {message!r} was not sealed for this query by the other party") from None
