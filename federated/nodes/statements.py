"""What a bank's node states of a customer's score: signed, so that others can rest on it and prove it later.

Ed25519 (RFC 8032) over canonical bytes: a domain with its version, then every field with its length
(`consent.framing`). The key is the node's own for statements (`nodes.keys`), which signs nothing else: who registered
its public half can revoke it, and a bank changes it, without touching masks, training or the channel between nodes.

Guarantee: whoever lacks the node's key can neither make a statement that `require_signed` lets pass under that key, nor
change one that does. The signature covers the reasons by a digest that is salted with 32 random bytes: who sees the
statement learns nothing of the reasons, not even whether a guess of them is right; the bank keeps reasons and salt and
can show them to its customer, who verifies them (`shows`). Threat model: others than the bank. Not covered: a bank that
states another score than its node computed; and whoever has the key (as `nodes.keys`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from weakref import WeakKeyDictionary

from annotated_types import MaxLen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federated.consent.framing import framed, instant_bytes
from federated.consent.record import Purpose, utc
from federated.errors import DataMissing, InvalidStatement, StatementSignatureInvalid
from federated.models.served.reasons import Reason
from federated.models.served.scaling import SCORE_MAX, SCORE_MIN, grade_of, logit_of, probability_of
from federated.nodes.keys import STATING, first_key, put_key
from federated.nodes.store import NodeStore

DOMAIN = b"tanxin/score-statement/v1"
REASONS_DOMAIN = b"tanxin/score-reasons/v1"
PROOF_DOMAIN = b"tanxin/score-proof/v1"
SALT_BYTES, ID_BYTES = 32, 16
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
HEX = re.compile(r"[0-9a-f]+")
# How far a probability that another machine computed may be off, relative to it.
ROUNDING = 1e-9
# Of Curve25519: its prime, and the y of its eight points of small order.
PRIME = (1 << 255) - 19
EIGHTH = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SMALL_ORDER = frozenset({0, 1, PRIME - 1, EIGHTH, PRIME - EIGHTH})
Stated = Literal["joint", "bank_only"]
# Bounded before they are looked at (ADR 0027).
Word = Annotated[str, MaxLen(64)]
Hex64 = Annotated[str, MaxLen(64)]
Hex128 = Annotated[str, MaxLen(128)]


@dataclass(frozen=True, slots=True)
class ScoreStatement:
    """A bank's word on a score of 300–850: of whom, under which consent and for what, by which version, and how long it
    holds (`valid_until` is exclusive). `probability` is of default, at this score point.

    Hashes are SHA-256 in hex: of the version's manifest and of its weights (`model_sha256`) as the register has them,
    and of the salted reasons (`reasons_digest`). Raises `InvalidStatement`, and `InvalidTime` for a naive instant.
    """

    statement_id: Word
    bank_id: Word
    subject_id: Word
    consent_id: Word
    purpose: Purpose
    score: int
    probability: float
    basis: Stated
    reasons_sha256: Hex64
    model_version: Word
    manifest_sha256: Hex64
    model_sha256: Hex64
    assessed_at: datetime
    valid_until: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "assessed_at", utc(self.assessed_at))
        object.__setattr__(self, "valid_until", utc(self.valid_until))
        for name in ("statement_id", "bank_id", "subject_id", "consent_id", "model_version"):
            _require(NAME.fullmatch(getattr(self, name)) is not None, name, "an id has 1 to 64 letters, digits, _.:-")
        for name in ("reasons_sha256", "manifest_sha256", "model_sha256"):
            value = getattr(self, name)
            _require(len(value) == 64 and HEX.fullmatch(value) is not None, name, "a hash has 64 digits of 0-9a-f")
        _require(self.purpose in set(Purpose), "purpose", "there is no such purpose")
        _require(self.basis in get_args(Stated), "basis", "a score is joint or bank_only")
        _require(SCORE_MIN <= self.score <= SCORE_MAX, "score", f"a score lies between {SCORE_MIN} and {SCORE_MAX}")
        stands_for = probability_of(logit_of(self.score))
        close = math.isclose(self.probability, stands_for, rel_tol=ROUNDING)
        _require(close, "probability", "a probability is that of the score point")
        _require(self.assessed_at < self.valid_until, "valid_until", "a statement holds after it is made")

    def content(self) -> bytes:
        """What is signed: the domain, then every field in order. The score takes 2 bytes, the probability 8 (IEEE 754),
        both big-endian; instants are microseconds since 1970, hashes their 32 bytes."""
        return framed(
            DOMAIN,
            self.statement_id.encode(),
            self.bank_id.encode(),
            self.subject_id.encode(),
            self.consent_id.encode(),
            self.purpose.encode(),
            self.score.to_bytes(2, "big"),
            struct.pack(">d", self.probability),
            self.basis.encode(),
            bytes.fromhex(self.reasons_sha256),
            self.model_version.encode(),
            bytes.fromhex(self.manifest_sha256),
            bytes.fromhex(self.model_sha256),
            instant_bytes(self.assessed_at),
            instant_bytes(self.valid_until),
        )

    @property
    def grade(self) -> str:
        """Grade A (best) to E: the score's, so nobody states it."""
        return grade_of(self.score)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of `content`: two statements with one hash say the same."""
        return hashlib.sha256(self.content()).hexdigest()


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement with the node's signature (64 bytes as hex) and the public key that verifies it (32 bytes as hex).

    That the key is the bank's, nobody learns from here: who rests on the statement looks the key up where the bank
    registered it. Raises `InvalidStatement` for what is no such hex.
    """

    statement: ScoreStatement
    public_key: Hex64
    signature: Hex128

    def __post_init__(self) -> None:
        for name, digits in (("public_key", 64), ("signature", 128)):
            value = getattr(self, name)
            _require(len(value) == digits and HEX.fullmatch(value) is not None, name, f"{digits} digits of 0-9a-f")

    @property
    def proof_sha256(self) -> str:
        """SHA-256 (hex) of what is said, by which key, and the signature: that of another key has another one."""
        parts = self.statement.content(), bytes.fromhex(self.public_key), bytes.fromhex(self.signature)
        return hashlib.sha256(framed(PROOF_DOMAIN, *parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class ShownReasons:
    """Reasons and the salt (hex) of their digest: what a bank keeps beside its statement, for its customer."""

    reasons: tuple[Reason, ...]
    salt: str


def reasons_digest(reasons: Sequence[Reason], salt: bytes) -> str:
    """SHA-256 (hex) over a domain, the salt and each reason's code and texts, each with its length."""
    texts = [part.encode() for each in reasons for part in (each.code, each.zh, each.en)]
    return hashlib.sha256(framed(REASONS_DOMAIN, salt, *texts)).hexdigest()


def shows(statement: ScoreStatement, shown: ShownReasons) -> bool:
    """Whether these are the reasons that a statement was made with."""
    return reasons_digest(shown.reasons, bytes.fromhex(shown.salt)) == statement.reasons_sha256


def is_weak(public: bytes) -> bool:
    """Whether an Ed25519 public key (32 bytes) is of small order or not written canonically: under such a key anybody
    signs what he likes (Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", SSR 2020, section 2.1)."""
    y = int.from_bytes(public, "little") & ((1 << 255) - 1)
    return y >= PRIME or y in SMALL_ORDER


def require_signed(signed: SignedStatement) -> None:
    """Raise `StatementSignatureInvalid` unless the key that it names signed the statement."""
    try:
        if is_weak(bytes.fromhex(signed.public_key)):
            raise ValueError("under a key of small order anybody signs")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.public_key))
        key.verify(bytes.fromhex(signed.signature), signed.statement.content())
    except (InvalidSignature, ValueError) as error:
        detail = "the key that this statement names did not sign it"
        raise StatementSignatureInvalid(detail, statement_id=signed.statement.statement_id) from error


def as_document(signed: SignedStatement) -> dict[str, Any]:
    """The signed statement as JSON values, instants in ISO 8601: what `POST /v1/decisions` takes."""
    said = signed.statement
    # Every field is a plain value: nothing is copied in depth, which takes longer than to sign.
    stated: dict[str, Any] = {each.name: getattr(said, each.name) for each in fields(said)}
    for name in ("assessed_at", "valid_until"):
        stated[name] = stated[name].isoformat()
    stated["purpose"] = said.purpose.value
    return {"statement": stated, "public_key": signed.public_key, "signature": signed.signature}


def public_key(store: NodeStore) -> str:
    """The public key (32 bytes as hex) of the key that the node behind a store signs statements with, made at first
    use. Raises `NodeUnavailable`."""
    return _public(_key(store))


def jwk_of(public: str) -> dict[str, str]:
    """A public key (32 bytes as hex) as JWK (RFC 8037): how an exchange registers it."""
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(bytes.fromhex(public)).rstrip(b"=").decode()}


def renew_key(store: NodeStore) -> str:
    """Sign statements with a new key from now on, whose public half this answers. Raises `NodeUnavailable`.

    The one before is forgotten: what it signed stays good where it is registered.
    """
    put_key(store, STATING, Ed25519PrivateKey.generate().private_bytes_raw())
    return public_key(store)


def salted(reasons: Sequence[Reason]) -> tuple[ShownReasons, str]:
    """Reasons with a fresh salt, and their digest."""
    salt = secrets.token_bytes(SALT_BYTES)
    return ShownReasons(tuple(reasons), salt.hex()), reasons_digest(reasons, salt)


def new_id() -> str:
    """An id that nobody has used: 128 random bits."""
    return f"stm_{secrets.token_hex(ID_BYTES)}"


def signed_and_kept(store: NodeStore, statement: ScoreStatement, shown: ShownReasons) -> SignedStatement:
    """Sign a statement, and keep it with its reasons before it leaves. Raises `NodeUnavailable`."""
    key = _key(store)
    signed = SignedStatement(statement, _public(key), key.sign(statement.content()).hex())
    reasons = [{"code": each.code, "zh": each.zh, "en": each.en} for each in shown.reasons]
    told = {"signed": as_document(signed), "shown": {"reasons": reasons, "salt": shown.salt}}
    kept = json.dumps(told, ensure_ascii=False)
    store.keep_statement(statement.statement_id, statement.subject_id, kept)
    return signed


def kept_reasons(store: NodeStore, statement_id: str) -> ShownReasons:
    """The reasons behind a statement of this node's. Raises `DataMissing` where there is none: never made here, or
    deleted with its subject's file."""
    kept = store.kept_statement(statement_id)
    if kept is None:
        raise DataMissing(f"{store.org_id} keeps no such statement", statement_id=statement_id)
    shown = json.loads(kept)["shown"]
    return ShownReasons(tuple(Reason(**each) for each in shown["reasons"]), shown["salt"])


# A store's key as it was opened last, by the sealed bytes that it was opened from: another one has others.
_opened: WeakKeyDictionary[NodeStore, tuple[bytes, Ed25519PrivateKey]] = WeakKeyDictionary()


def _key(store: NodeStore) -> Ed25519PrivateKey:
    sealed, known = store.state(STATING), _opened.get(store)
    if sealed is not None and known is not None and known[0] == sealed:
        return known[1]
    fresh = Ed25519PrivateKey.generate
    key = Ed25519PrivateKey.from_private_bytes(first_key(store, STATING, lambda: fresh().private_bytes_raw()))
    _opened[store] = store.state(STATING) or b"", key
    return key


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def _require(good: bool, field: str, rule: str) -> None:
    if not good:
        raise InvalidStatement(f"{field}: {rule}", field=field)
