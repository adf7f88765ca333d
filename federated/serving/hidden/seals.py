"""What two nodes say to each other in one query of a hidden function, past an operator who passes it on.

A query is known by a hash of all that it says, of a fresh nonce of the bank and one of the grid company, and of the
function (`query_hash`); what is dealt for it, which may be before it is known who is asked about, by the hash of all
that but what it says (`dealing_hash`). From two nodes' key (`nodes.masks`) and a hash follow the key of a tape and one
that messages are sealed with (HMAC-SHA512 as a pseudorandom function; ChaCha20-Poly1305 under a random nonce, RFC 8439,
with the message's name bound in). Guarantee: whoever lacks the pair's key learns sizes, and changes, repeats or
exchanges no message unnoticed: the nonce of each side is in the key of whatever it opens.
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

NONCE_BYTES, SEAL_NONCE, TAPE_BYTES = 16, 12, 32
PURPOSE = b"tanxin hidden function\0"
PAIR = "pair"


def fresh_nonce() -> bytes:
    """A nonce (16 bytes) that no query had before."""
    return os.urandom(NONCE_BYTES)


def query_hash(text: str, bank_nonce: bytes, grid_nonce: bytes, function_id: str, *, explained: bool) -> bytes:
    """What a query is known by to the pair: 32 bytes. Raises `SealBroken` for what is no nonce."""
    if len(bank_nonce) != NONCE_BYTES or len(grid_nonce) != NONCE_BYTES:
        raise SealBroken("a query was begun with what is no nonce")
    said = "\0".join((function_id, "explained" if explained else "not explained", text))
    return hashlib.sha256(PURPOSE + bank_nonce + grid_nonce + said.encode()).digest()


def dealing_hash(bank_nonce: bytes, grid_nonce: bytes, function_id: str, *, explained: bool) -> bytes:
    """What is dealt for a query is known by to the pair and its dealer: 32 bytes, of no customer. Each is good for one
    query: a grid company takes its nonce once. Raises `SealBroken` for what is no nonce."""
    return query_hash("dealt", bank_nonce, grid_nonce, function_id, explained=explained)


def dealt_to(node: str, bank: str, grid: str, function_id: str, *, explained: bool) -> str:
    """The purpose of a link between a dealer and one of the pair: for which pair, function and kind of query is dealt.

    A dealer cannot read the hash that it is given. What it deals follows from this too, so that a hash that it is
    given again, for another function or another bank, tells nothing of the first query's masks.
    """
    return "\0".join(("dealt to", node, bank, grid, function_id, "explained" if explained else "not explained"))


class Link:
    """One query between two nodes that have `key` (32 bytes) in common; `tape` (32 bytes) is for what both draw.

    `purpose` is `PAIR`, or says to whom is dealt: the same two nodes may deal to each other in other queries.
    """

    def __init__(self, key: bytes, query: bytes, purpose: str) -> None:
        both = hmac.digest(key, PURPOSE + query + purpose.encode(), hashlib.sha512)
        self.tape, self._cipher = both[:TAPE_BYTES], ChaCha20Poly1305(both[TAPE_BYTES:])

    def seal(self, message: str, numbers: Ring) -> bytes:
        """Numbers of a message of this name."""
        nonce = os.urandom(SEAL_NONCE)
        plain = numbers.astype("<u8", copy=False).tobytes()
        return nonce + self._cipher.encrypt(nonce, plain, message.encode())

    def open(self, message: str, sealed: bytes) -> Ring:
        """The numbers of a message. Raises `SealBroken` for any that was not sealed so for this query."""
        try:
            plain = self._cipher.decrypt(sealed[:SEAL_NONCE], sealed[SEAL_NONCE:], message.encode())
            return np.frombuffer(plain, dtype="<u8").astype(np.uint64, copy=False)
        except (InvalidTag, ValueError):
            raise SealBroken(f"the message {message!r} was not sealed for this query by the other party") from None
