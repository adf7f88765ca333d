"""Organisations register the keys that they sign with, and a document is signed where the key is: not here.

Guarantee: once an organisation has registered a key, no document is taken as signed by it without a signature of one of
its live keys over exactly that document; the service holds no private half and cannot make one. A key that is revoked
signs nothing more, and what it signed before stays signed, by this service's clock. Threat model: whoever has an API
key or a session of the organisation that may not register keys, a reader of this service's disk, an operator of this
service who would sign for others. Not covered: an administrator's session, with which another key is registered; an
operator who registers one in the database. The organisation sees both among its keys, and the trail has no command for
the second.
Source of the signatures: RFC 8032 (Ed25519).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from financing.base.commands import Command, PublicKey, SignatureHex, Signed, SignedAt, Text, use_case
from financing.base.context import Context
from financing.base.errors import AlreadyExists, InvalidState, NotFound, SignatureInvalid, SignatureNeeded
from financing.base.errors import SigningKeyMissing as NoKey
from financing.base.signing import Signature, is_weak, message_of, require_signed
from financing.ledger.public_keys import SigningKey
from financing.ledger.unit import LedgerUnit

KEY_DOMAIN = "tanxin-signing-key-v1"
KEYS_MAX = 5


class RegisterSigningKey(Command):
    """A public key, and the signature of its private half over the document that names it and the organisation."""

    public_key: PublicKey
    proof: SignatureHex = Field(description="signature over `tanxin-signing-key-v1` and the key's document")
    held_by: Literal["holder", "node"] = Field(
        default="holder", description="`node`: that of a grid company's own node, which states what meters read"
    )


class RevokeSigningKey(Command):
    why: Text


def key_document(organisation_id: str, public_key: str, held_by: str = "holder") -> dict[str, str]:
    """What a key signs when it is registered (`KEY_DOMAIN`): for which organisation it will sign, and where it is."""
    return {"held_by": held_by, "organisation_id": organisation_id, "public_key": public_key}


@use_case
def register_signing_key(unit: LedgerUnit, context: Context, command: RegisterSigningKey) -> SigningKey:
    """Register a key beside those that hold, so that they change over without a gap.

    Raises `SignatureInvalid` (no proof, or a key under which anybody signs), `AlreadyExists` (anybody's key, revoked
    ones too), `InvalidState` (five live keys are the most).
    """
    if is_weak(command.public_key):
        raise SignatureInvalid("under a key of small order anybody signs: make another", field="public_key")
    owner = context.actor.id
    proof = Signature(owner, command.public_key, command.proof)
    document = key_document(owner, command.public_key, command.held_by)
    require_signed(proof, message_of(KEY_DOMAIN, document), command.public_key)
    if unit.signing_keys.find(command.public_key) is not None:
        raise AlreadyExists("this key is registered, or was: make another", public_key=command.public_key)
    if sum(each.holds_at(context.at) for each in unit.signing_keys.of(owner)) >= KEYS_MAX:
        raise InvalidState(f"an organisation has at most {KEYS_MAX} signing keys at once")
    key = SigningKey(
        organisation_id=owner,
        public_key=command.public_key,
        held_by=command.held_by,
        registered_at=context.at,
        registered_by=context.person,
    )
    unit.signing_keys.add(key)
    return key


@use_case
def revoke_signing_key(unit: LedgerUnit, context: Context, public_key: str, command: RevokeSigningKey) -> SigningKey:
    """Let a key sign nothing more, from now on. Again changes nothing. Raises `NotFound`, for another's key too."""
    key = unit.signing_keys.find(public_key)
    if key is None or key.organisation_id != context.actor.id or key.held_by == "service":
        raise NotFound("no such signing key", public_key=public_key)
    unit.signing_keys.revoke(public_key, command.why, context.at)
    revoked = unit.signing_keys.find(public_key)
    assert revoked is not None
    return revoked


def signed_by_actor(
    unit: LedgerUnit,
    context: Context,
    domain: str,
    document: Mapping[str, Any],
    given: Signed,
    **needed: str,
) -> Signature:
    """The actor's signature on a document: the one given with the command, by a live key of the actor's.

    For an organisation that never registered a key, the key that a sandbox keeps for it signs. Raises `SignatureNeeded`
    with the text to sign (and `needed`, which is repeated with the signature) where none is given, `SignatureInvalid`
    with it where none of the actor's live keys made it, `SigningKeyMissing` where the actor has no live key.
    """
    message = message_of(domain, document)
    holders = _holders(unit, context)
    if not holders:
        return _kept(unit, context, context.actor.id, message, given)
    live = [each.public_key for each in holders if each.holds_at(context.at)]
    if not live:
        raise NoKey("every signing key of this organisation was revoked: register another", signer_id=context.actor.id)
    named = {"signer_id": context.actor.id, "public_keys": " ".join(live)}
    facts = {"to_sign": message.decode(), **named, **needed}
    if given.signature is None:
        raise SignatureNeeded("sign this text with a key of the organisation, and send it again with it", **facts)
    for public_key in live:
        signature = Signature(context.actor.id, public_key, given.signature)
        if signature.fits(message):
            return signature
    raise SignatureInvalid("no live key of this organisation made this signature on this text", **facts)


def id_to_sign(unit: LedgerUnit, context: Context, prefix: str, command: SignedAt, *of: str) -> str:
    """The id of a thing whose document names it: the same for the question what to sign and for the signed command, so
    that one signature makes one thing. A random one where a sandbox signs."""
    if not _holders(unit, context):
        return context.new_id(prefix)
    at = command.moment(context.at).isoformat()
    return f"{prefix}_{hashlib.sha256(' '.join((context.actor.id, at, *of)).encode()).hexdigest()[:20]}"


def signed_in_service(unit: LedgerUnit, context: Context, organisation_id: str, message: bytes) -> Signature:
    """A signature with the key that this service keeps for an organisation's node in a sandbox, and its registration.

    Raises `SigningKeyMissing` outside a sandbox.
    """
    signature = context.signer.sign(organisation_id, message)
    if unit.signing_keys.find(signature.public_key) is None:
        unit.signing_keys.add(kept_here(organisation_id, signature.public_key, context.at))
    return signature


def kept_here(organisation_id: str, public_key: str, at: datetime) -> SigningKey:
    """A key that this service keeps, or kept, for an organisation."""
    return SigningKey(
        organisation_id=organisation_id, public_key=public_key, held_by="service", registered_at=at, registered_by=""
    )


def require_node(
    unit: LedgerUnit, context: Context, organisation_id: str, signature: Signature, message: bytes
) -> None:
    """Raise `SignatureInvalid` unless a live key of the organisation's own node made the signature."""
    key = unit.signing_keys.find(signature.public_key)
    holds = key is not None and key.holds_at(context.at)
    if key is None or (key.organisation_id, key.held_by, holds) != (organisation_id, "node", True):
        raise SignatureInvalid("no live key of this organisation's node signed", signer_id=organisation_id)
    require_signed(signature, message, key.public_key)


def require_known(unit: LedgerUnit, signature: Signature, message: bytes) -> None:
    """Raise `SignatureInvalid` unless a key that is or was registered for the signer made the signature.

    A key's end is judged when a document is taken, by this service's clock, not when it is read again.
    """
    key = unit.signing_keys.find(signature.public_key)
    if key is None or key.organisation_id != signature.signer_id:
        raise SignatureInvalid("signed with a key that is not registered for the signer", signer_id=signature.signer_id)
    require_signed(signature, message, key.public_key)


def _kept(unit: LedgerUnit, context: Context, organisation_id: str, message: bytes, given: Signed) -> Signature:
    if given.signature is not None:
        raise NoKey("register the key that made this signature first", signer_id=organisation_id)
    return signed_in_service(unit, context, organisation_id, message)


def _holders(unit: LedgerUnit, context: Context) -> list[SigningKey]:
    return [each for each in unit.signing_keys.of(context.actor.id) if each.held_by == "holder"]
