"""What an identity authority does (an electronic-signature service under 电子签名法, article 16): it looks at who
somebody is, attests one key to him, and ends it.

Guarantee: a key is attested to a subject only by who has a code that a clerk of the authority gave out on evidence, and
the key itself; a code is good once, for two weeks. A key that was ended is never attested again. Threat model: a bank
that would attest a key of its own to its customer; somebody who saw a code that was used; somebody else's public key.
Not covered: a clerk who gives a code to the wrong person, and who has this home with what seals its key (0600, and in
the clear where neither a passphrase nor a token is set).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from federated.channel import key_file
from federated.channel.certificates import SKEW
from federated.channel.passphrase import PASSPHRASE, TOKEN, passphrase
from federated.consent.framing import framed
from federated.consent.instants import Clock, system_clock
from federated.consent.record import KeyAttestation
from federated.consent.revocations import Revocations
from federated.consent.signature import attest, public_of
from federated.errors import ConsentSignatureInvalid, CorruptData, DataMissing, HomeOccupied, NotPermitted
from federated.nodes.statements import is_weak
from financing.base.storage.columns import UtcDateTime
from financing.base.storage.database import lock_for_writing, open_engine

KEY, BOOK = "identity.key", "identity.db"
PROOF_DOMAIN, END_DOMAIN = b"tanxin/subject-key-proof/v1", b"tanxin/subject-key-end/v1"
CODE_BYTES, CODE_LIFE = 16, timedelta(days=14)
KEY_LIFE, LONGEST = timedelta(days=365), timedelta(days=3 * 365)
# A list is signed anew so long before the one before is over that who asks once a day never has one that is.
LIST_AGE = timedelta(days=1)
# Of one subject, at one time: a phone, a card, a computer, and the next of each.
MOST_KEYS = 6
REASONS = ("key_compromise", "key_lost", "superseded", "subject_ended", "mistaken_identity")

book = MetaData()
code_t = Table(
    "enrolment",
    book,
    Column("code_sha256", String, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("evidence", String, nullable=False),
    Column("given_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("public_key", String),
)
key_t = Table(
    "subject_key",
    book,
    Column("public_key", String, primary_key=True),
    Column("subject_id", String, nullable=False, index=True),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("valid_until", UtcDateTime, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", String),
    Column("reason", String),
)
list_t = Table(
    "revocation_list",
    book,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("content", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """One attested key (64 hex digits), and when, by whom and why it was ended, if it was."""

    public_key: str
    subject_id: str
    valid_from: datetime
    valid_until: datetime
    ended_at: datetime | None
    ended_by: str | None
    reason: str | None


def proof_bytes(subject_id: str, public_key: bytes, code: str) -> bytes:
    """What a key signs to be attested: domain, subject, the key itself and the digest of the code, each with its
    length."""
    return framed(PROOF_DOMAIN, subject_id.encode(), public_key, hashlib.sha256(code.encode()).digest())


def end_bytes(public_key: bytes) -> bytes:
    """What a key signs to be ended."""
    return framed(END_DOMAIN, public_key)


class IdentityAuthority:
    """The authority of a home: its key, and its book of codes, keys and lists."""

    def __init__(self, home: Path, clock: Clock = system_clock) -> None:
        """Raises `DataMissing` for a home that `create` did not make, `CorruptData` for a key that is not sealed by the
        passphrase or token of this process, `ChannelRefused` for a token that does not answer."""
        self._secret = _opened(home)
        self.public_key, self.now = public_of(self._secret), clock
        self._engine = open_engine(f"sqlite:///{(home / BOOK).resolve()}")
        with self._engine.begin() as connection:
            book.create_all(connection)
        (home / BOOK).chmod(0o600)

    @staticmethod
    def create(home: Path, secret: bytes | None = None) -> bytes:
        """Make a home with a fresh key, or this one, sealed where something seals keys; the public one (32 bytes).

        Raises `HomeOccupied` where there is one, `CorruptData` for a secret key of another length.
        """
        if secret is not None and len(secret) != key_file.KEY_BYTES:
            raise CorruptData(f"an authority's secret key has {key_file.KEY_BYTES} bytes")
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (home / KEY).exists():
            raise HomeOccupied(f"{home.name} has an identity authority's key already")
        key = Ed25519PrivateKey.generate() if secret is None else Ed25519PrivateKey.from_private_bytes(secret)
        key_file.written(home / KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _sealing()))
        return key.public_key().public_bytes_raw()

    def close(self) -> None:
        """Close the book."""
        self._engine.dispose()

    def enrol(self, subject_id: str, evidence: str) -> str:
        """A code for a subject whom a clerk has identified, by what he looked at (`evidence`)."""
        code, at = secrets.token_hex(CODE_BYTES), self.now()
        with self._writing() as connection:
            connection.execute(
                insert(code_t).values(
                    code_sha256=_digest(code), subject_id=subject_id, evidence=evidence, given_at=at,
                    until=at + CODE_LIFE,
                )
            )  # fmt: skip
        return code

    def attest(
        self, subject_id: str, code: str, public_key: bytes, proof: bytes, life: timedelta = KEY_LIFE
    ) -> KeyAttestation:
        """Attest a key to the subject that this code was given to; asked again, the same attestation.

        Raises `NotPermitted` for a code that is nobody's, another's, used or over, a key that anybody could sign under,
        one that was attested before, and more than `MOST_KEYS` at a time; `ConsentSignatureInvalid` where the key did
        not sign `proof_bytes`.
        """
        at = self.now()
        if is_weak(public_key):
            raise NotPermitted("under a key of small order anybody signs: make another")
        if not _fits(public_key, proof_bytes(subject_id, public_key, code), proof):
            raise ConsentSignatureInvalid("this key did not sign that it is to be attested by this code")
        if not timedelta(days=1) <= life <= LONGEST:
            raise NotPermitted(f"a key is attested for 1 to {LONGEST.days} days")
        with self._writing() as connection:
            given = connection.execute(select(code_t).where(code_t.c.code_sha256 == _digest(code))).first()
            known = connection.execute(select(key_t).where(key_t.c.public_key == public_key.hex())).first()
            if given is None or given.subject_id != subject_id:
                raise NotPermitted("this code was not given to this subject")
            if given.public_key == public_key.hex() and known is not None and known.ended_at is None:
                return _attestation(known)
            if given.public_key is not None or at >= given.until:
                raise NotPermitted("this code was used, or is over: ask for another")
            if known is not None:
                raise NotPermitted("this key was attested before: make another")
            if self._live(connection, subject_id, at) >= MOST_KEYS:
                raise NotPermitted(f"a subject has {MOST_KEYS} keys at a time: end one of them first")
            made = attest(self._secret, subject_id, public_key, at - SKEW, at + life)
            connection.execute(
                insert(key_t).values(
                    public_key=public_key.hex(), subject_id=subject_id, valid_from=made.valid_from,
                    valid_until=made.valid_until, signature=made.signature,
                )
            )  # fmt: skip
            connection.execute(
                update(code_t).where(code_t.c.code_sha256 == _digest(code)).values(public_key=public_key.hex())
            )
        return made

    def end(self, public_key: bytes, reason: str, by: str) -> SubjectKey:
        """End a key, on a clerk's word (`by`); the first end stands. Raises `DataMissing` for a key that was never
        attested, `NotPermitted` for another reason than `REASONS`."""
        if reason not in REASONS:
            raise NotPermitted(f"a key is ended for one of {', '.join(REASONS)}")
        with self._writing() as connection:
            row = connection.execute(select(key_t).where(key_t.c.public_key == public_key.hex())).first()
            if row is None:
                raise DataMissing("this key was never attested here")
            if row.ended_at is None:
                which = key_t.c.public_key == public_key.hex()
                connection.execute(update(key_t).where(which).values(ended_at=self.now(), ended_by=by, reason=reason))
                row = connection.execute(select(key_t).where(which)).one()
            return _subject_key(row)

    def end_own(self, public_key: bytes, signature: bytes, reason: str) -> SubjectKey:
        """End a key on its own word: whoever has it may. Raises `ConsentSignatureInvalid`, and as `end`."""
        if not _fits(public_key, end_bytes(public_key), signature):
            raise ConsentSignatureInvalid("this key did not sign that it is to be ended")
        return self.end(public_key, reason, "the key's holder")

    def keys_of(self, subject_id: str) -> list[SubjectKey]:
        """A subject's keys, the first that was attested first."""
        query = select(key_t).where(key_t.c.subject_id == subject_id).order_by(key_t.c.valid_from)
        with self._engine.connect() as connection:
            return [_subject_key(row) for row in connection.execute(query)]

    def revocations(self) -> bytes:
        """The list that holds now: the last one, or the next where keys were ended since, or it is a day old."""
        at = self.now()
        with self._writing() as connection:
            ended = connection.execute(select(key_t.c.public_key).where(key_t.c.ended_at.is_not(None))).scalars()
            keys = [bytes.fromhex(each) for each in ended]
            last = connection.execute(select(list_t).order_by(list_t.c.number.desc()).limit(1)).first()
            if last is not None:
                found = Revocations.read(last.content, self.public_key)
                if len(found.keys) == len(keys) and at - found.issued_at < LIST_AGE:
                    return bytes(last.content)
            made = Revocations.signed(self._secret, 1 if last is None else last.number + 1, keys, at)
            content = made.written()
            connection.execute(insert(list_t).values(number=made.number, issued_at=at, content=content))
        return content

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._engine.execution_options(tanxin_writer=True).begin() as connection:
            lock_for_writing(connection)
            yield connection

    @staticmethod
    def _live(connection: Connection, subject_id: str, at: datetime) -> int:
        query = select(func.count()).where(
            key_t.c.subject_id == subject_id, key_t.c.ended_at.is_(None), key_t.c.valid_until > at
        )
        return int(connection.execute(query).scalar_one())


def _sealing() -> KeySerializationEncryption:
    word = passphrase()
    return BestAvailableEncryption(word.encode()) if word else NoEncryption()


def _opened(home: Path) -> bytes:
    try:
        pem = (home / KEY).read_bytes()
    except OSError as error:
        raise DataMissing(f"no identity authority lies in {home.name}: `tanxin identity init` makes one") from error
    # A key that lies there in the clear is opened without one.
    word = passphrase() if b"ENCRYPTED" in pem else ""
    try:
        key = load_pem_private_key(pem, word.encode() or None)
    except (ValueError, TypeError) as error:
        raise CorruptData(f"{KEY} is not sealed by what this process has: {PASSPHRASE}, {TOKEN}?") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CorruptData(f"{KEY} is a key of another kind")
    return key.private_bytes_raw()


def _attestation(row: Row[Any]) -> KeyAttestation:
    public = bytes.fromhex(row.public_key)
    return KeyAttestation(row.subject_id, public, row.valid_from, row.valid_until, bytes(row.signature))


def _subject_key(row: Row[Any]) -> SubjectKey:
    return SubjectKey(
        row.public_key, row.subject_id, row.valid_from, row.valid_until, row.ended_at, row.ended_by, row.reason
    )


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _fits(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
