"""Reasons that a grid company seals for the bank: the operator who passes them on reads neither text nor strength.

Strengths would undo the masks of `nodes.masks`: a few of them give the grid company's logit almost as well as the logit
itself. Key: HKDF-SHA256 of the pair's key over all that the query says, so a seal of another query does not open, with
a fresh nonce (ChaCha20-Poly1305, RFC 8439) should the same query be asked again. Guarantee: whoever holds not the
pair's key learns that reasons were asked for and nothing of them, not even how many, and changes or exchanges none
unnoticed. Threat model: an operator who does anything with what it passes on; authentic public keys. The bank reads
its customer's reasons with their strengths: that is what it asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federated.errors import SealBroken
from federated.models.served.reasons import RankedReason, Reason

# Every seal is of this many bytes before it is encrypted: four reasons in two languages take half of it.
PADDED = 4096
NONCE, TAG = 12, 16
SEALED = NONCE + PADDED + TAG


def seal(key: bytes, query: str, ranked: Sequence[RankedReason]) -> bytes:
    """Reasons behind the key of a pair (32 bytes) for one query: `SEALED` bytes, whatever they are.

    Raises `ValueError` for reasons that do not fit.
    """
    plain = json.dumps([(r.reason.code, r.reason.zh, r.reason.en, r.strength) for r in ranked], ensure_ascii=False)
    padded = plain.encode().ljust(PADDED)
    if len(padded) > PADDED:
        raise ValueError("these reasons are too long to be sealed")
    nonce = os.urandom(NONCE)
    return nonce + _cipher(key, query).encrypt(nonce, padded, None)


def opened(key: bytes, query: str, sealed: bytes) -> tuple[RankedReason, ...]:
    """The reasons behind a seal for this query. Raises `SealBroken` for anything that was not sealed for it."""
    try:
        plain = _cipher(key, query).decrypt(sealed[:NONCE], sealed[NONCE:], None)
    except (InvalidTag, ValueError):
        raise SealBroken("the reasons were not sealed for this query by the other party") from None
    return tuple(RankedReason(Reason(code, zh, en), strength) for code, zh, en, strength in json.loads(plain))


def _cipher(key: bytes, query: str) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, None, b"tanxin sealed reasons\0" + query.encode()).derive(key))
