"""Who signed a consent: the subject, with a key that an identity authority attested to be the subject's.

Ed25519 (RFC 8032) over canonical bytes: a domain with its version, then every field with its length before it, so no
two different records have the same bytes and no signature serves another purpose. Guarantee: whoever holds neither the
subject's nor the authority's secret key cannot make a record that `require_signed` lets pass, nor change one that does:
not a bank, not a grid company, not somebody who writes into a store file. Threat model: each node has the right public
key of the authority. Not covered: a subject's key that was stolen, until the authority ends it (`revocations`), and an
authority that attests a key to the wrong person.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federated.consent.framing import framed, instant_bytes
from federated.consent.record import ConsentRecord, KeyAttestation, utc
from federated.errors import ConsentSignatureInvalid

CONSENT_DOMAIN = b"tanxin/consent/v1"
# Of consents that name the grid company.
NAMING_DOMAIN = b"tanxin/consent/v2"
KEY_DOMAIN = b"tanxin/subject-key/v1"
WITHDRAWAL_DOMAIN = b"tanxin/withdrawal/v1"
BINDING_DOMAIN = b"tanxin/subject-binding/v1"
# Signatures that were found good or bad before; what is looked up are all the bytes, so an edited row is none of them.
REMEMBERED = 1 << 17
BULK = 256


def terms_bytes(record: ConsentRecord) -> bytes:
    """What a subject signs: domain, then id, subject, bank, purposes, scope and interval, each with its length.

    A consent that names a grid company has it after the bank, under a domain of its own.
    """
    return framed(
        NAMING_DOMAIN if record.grid_id else CONSENT_DOMAIN,
        record.consent_id.encode(),
        record.subject_id.encode(),
        record.bank_id.encode(),
        *([record.grid_id.encode()] if record.grid_id else []),
        " ".join(sorted(record.purposes)).encode(),
        " ".join(sorted(record.scope)).encode(),
        instant_bytes(record.valid_from),
        instant_bytes(record.valid_until),
    )


def key_bytes(key: KeyAttestation) -> bytes:
    """What the authority signs: domain, then subject, public key and interval, each with its length."""
    return framed(
        KEY_DOMAIN,
        key.subject_id.encode(),
        key.public_key,
        instant_bytes(key.valid_from),
        instant_bytes(key.valid_until),
    )


def withdrawal_bytes(record: ConsentRecord) -> bytes:
    """What a subject signs to withdraw for good: domain, then id, subject and bank, each with its length."""
    return framed(WITHDRAWAL_DOMAIN, record.consent_id.encode(), record.subject_id.encode(), record.bank_id.encode())


def binding_bytes(subject_id: str, organisation_id: str, challenge: str) -> bytes:
    """What a subject signs to say that an organisation is its own: domain, both ids and the service's challenge, each
    with its length."""
    return framed(BINDING_DOMAIN, subject_id.encode(), organisation_id.encode(), challenge.encode())


def public_of(secret: bytes) -> bytes:
    """The Ed25519 public key of a secret one, both 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def attest(
    authority: bytes, subject_id: str, public_key: bytes, valid_from: datetime, valid_until: datetime
) -> KeyAttestation:
    """The attestation of a subject's public key, signed with the authority's secret key (32 bytes)."""
    draft = KeyAttestation(subject_id, public_key, valid_from, valid_until, b"")
    return replace(draft, signature=Ed25519PrivateKey.from_private_bytes(authority).sign(key_bytes(draft)))


def sign(record: ConsentRecord, secret: bytes, key: KeyAttestation) -> ConsentRecord:
    """The record with the subject's signature, made with its secret key (32 bytes), and the attestation of the key."""
    signature = Ed25519PrivateKey.from_private_bytes(secret).sign(terms_bytes(record))
    return replace(record, signature=signature, key=key)


def sign_withdrawal(record: ConsentRecord, secret: bytes) -> bytes:
    """The subject's signature (64 bytes) over the withdrawal of a consent."""
    return Ed25519PrivateKey.from_private_bytes(secret).sign(withdrawal_bytes(record))


def sign_binding(subject_id: str, organisation_id: str, challenge: str, secret: bytes) -> bytes:
    """The subject's signature (64 bytes) under the statement that an organisation is its own."""
    return Ed25519PrivateKey.from_private_bytes(secret).sign(binding_bytes(subject_id, organisation_id, challenge))


def require_signed_binding(
    key: KeyAttestation, organisation_id: str, challenge: str, signature: bytes, authority: bytes, at: datetime
) -> None:
    """Raise `ConsentSignatureInvalid` unless the subject whose key the authority attested, for `at`, signed that this
    organisation is its own, over this challenge."""
    attested = _good(authority, key_bytes(key), key.signature) and key.valid_from <= utc(at) < key.valid_until
    if not attested or not _good(key.public_key, binding_bytes(key.subject_id, organisation_id, challenge), signature):
        raise ConsentSignatureInvalid("the subject did not sign this binding", subject_id=key.subject_id)


def is_signed(record: ConsentRecord, authority: bytes) -> bool:
    """Whether the subject signed these terms with a key that the authority (public key, 32 bytes) attested to it."""
    key = record.key
    return (
        key is not None
        and key.subject_id == record.subject_id
        and _good(authority, key_bytes(key), key.signature)
        and _good(key.public_key, terms_bytes(record), record.signature)
    )


def require_signed(record: ConsentRecord, authority: bytes) -> None:
    """Raise `ConsentSignatureInvalid` unless `is_signed`."""
    if not is_signed(record, authority):
        raise ConsentSignatureInvalid("the subject did not sign this consent", consent_id=record.consent_id)


def require_key_valid(record: ConsentRecord, at: datetime) -> None:
    """Raise `ConsentSignatureInvalid` unless the attestation of the key that signed covers `at`."""
    if record.key is None or not record.key.valid_from <= utc(at) < record.key.valid_until:
        raise ConsentSignatureInvalid("the signing key is not attested for this time", consent_id=record.consent_id)


def require_signed_withdrawal(record: ConsentRecord, signature: bytes) -> None:
    """Raise `ConsentSignatureInvalid` unless the key that signed the consent also signed its withdrawal."""
    if record.key is None or not _good(record.key.public_key, withdrawal_bytes(record), signature):
        raise ConsentSignatureInvalid("the subject did not sign this withdrawal", consent_id=record.consent_id)


def signed(records: Sequence[ConsentRecord], authority: bytes) -> list[bool]:
    """`is_signed` of many records, on all cores: the library releases the interpreter's lock while it verifies."""
    pieces = [records[i : i + BULK] for i in range(0, len(records), BULK)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        checks = pool.map(lambda piece: [is_signed(record, authority) for record in piece], pieces)
        return [good for piece in checks for good in piece]


@lru_cache(maxsize=REMEMBERED)
def _good(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
