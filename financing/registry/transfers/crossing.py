"""A transfer between registries with books of their own: locked and told by one, minted and receipted by the other.

Guarantee: no kilogram counts in both books. The home registry locks before it signs, and unlocks or counts as gone only
what the other's signed receipt says; the other mints once for a message, for serials that it has not been told before,
and exactly what both regions' terms give. Threat model: a carrier that changes, repeats, drops or delays messages; a
registry that mints more than was locked, or takes back what was minted; one that tells of the same credits twice. Not
covered: a registry that signs for credits which it never issued: what stands behind them is in its own books.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue, ValidationError, model_validator

from financing.base.authority import HOLDERS
from financing.base.commands import UNSIGNED, Command, PublicKey, SignatureHex, SignedAt, use_case
from financing.base.context import Context
from financing.base.errors import (
    AlreadyExists,
    CreditsFrozen,
    InvalidState,
    NotEligible,
    NotPermitted,
    ParameterMissing,
    SerialInvalid,
    SignatureInvalid,
)
from financing.base.quantities import CHINA_TIME, Carbon, Period, business_date
from financing.base.signing import Signature, message_of, require_signed
from financing.ledger.accounts import AccountKey, AccountKind, Asset, escrow, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.serials import parse_serial
from financing.ledger.signing import id_to_sign, signed_by_actor
from financing.registry.credits.commands import mint
from financing.registry.credits.model import Issuance
from financing.registry.projects.model import Declarations, Location, Project
from financing.registry.regions import own_region
from financing.registry.transfers.commands import recognition_of, terms_of
from financing.registry.transfers.messages import (
    EXPORT_DOMAIN,
    RECEIPT_DOMAIN,
    Exported,
    Outcome,
    Spans,
    TransferMessage,
    export_document,
    receipt_document,
)
from financing.registry.transfers.model import Transfer, mintable, require_locked
from financing.registry.unit import RegistryUnit

ID_MAX, MICRO = 64, 1_000_000


def _written(document: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A document whose texts databases and encodings have. Raises `ValueError`."""
    text = json.dumps(document, ensure_ascii=False)
    text.encode()
    if "\\u0000" in text:
        raise ValueError("no text has this character")
    return document


# Fields of an answer with a message that no message is told by.
BESIDE = {"from_registry", "transfer_id", "to_registry", "kind", "at", "signer_id"}
Documented = Annotated[
    dict[Annotated[str, Field(max_length=40)], JsonValue], Field(max_length=40), AfterValidator(_written)
]


class Message(Command):
    """A message as the other registry signed it, whoever brought it."""

    document: Documented
    public_key: PublicKey
    signature: SignatureHex

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_answered(cls, given: Any) -> Any:
        # What an answer says beside is in the document, too.
        return {k: v for k, v in given.items() if k not in BESIDE} if isinstance(given, dict) else given


class ReceiveExport(SignedAt):
    """The other registry's export. What is answered to it, a receipt, is signed by the registry that receives it."""

    export: Message


@dataclass(frozen=True, slots=True)
class Received:
    """What came of an export here: the receipt, and the credits that were minted, if any were."""

    receipt: TransferMessage
    minted: Issuance | None


@use_case
def dispatch_transfer(
    unit: RegistryUnit, context: Context, transfer_id: str, command: SignedAt = UNSIGNED
) -> TransferMessage:
    """Tell the other registry, in a signed message, that credits are locked for it; from then on its receipt alone
    closes the transfer. Again gives the same message, signed anew where the key that signed it does not hold any more.

    Raises `NotPermitted`, `InvalidState`, `CreditsFrozen`, and what `signed_by_actor` refuses.
    """
    sent = unit.transfers.get(transfer_id)
    context.require_party(sent.from_registry)
    known = unit.transfers.message(sent.from_registry, transfer_id, "export")
    if known is not None:
        return _signed_now(unit, context, known, command)
    require_locked(sent)
    _require_free(unit, sent)
    origin = unit.issuances.get(sent.issuance_id)
    signed_at = command.moment(context.at)
    document = export_document(sent, origin, unit.projects.get(origin.project_id), signed_at)
    signature = signed_by_actor(unit, context, EXPORT_DOMAIN, document, command, signed_at=signed_at.isoformat())
    message = _message(document, "export", signature, context.at)
    unit.transfers.keep(message)
    return message


@use_case
def import_credits(unit: RegistryUnit, context: Context, command: ReceiveExport) -> Received:
    """Mint credits for those that another registry locked, and sign the receipt, in one commit. Again gives the same
    receipt.

    Raises `NotPermitted` for a message to another registry, `SignatureInvalid`, `NotEligible` where this region's terms
    give something else, `NotFound` for an owner who takes no part here, `AlreadyExists` for serials that came before,
    `InvalidState` for a message that was refused, and what `signed_by_actor` refuses.
    """
    told = _verified(unit, context, command.export, "export")
    known = unit.transfers.message(told.from_registry, told.transfer_id, "receipt")
    if known is not None:
        return _once(unit, context, command, told, known, "minted")
    export = _read(told)
    origin = _origin(context, told, export)
    _require_own_terms(context, told, export, origin)
    _require_new(unit, told, export, context.at)
    unit.organisations.require_kind(origin.owner_id, *HOLDERS)
    signed_at = command.moment(context.at)
    issuance_id = id_to_sign(unit, context, "iss", command, told.from_registry, told.transfer_id)
    minted = replace(origin, issuance_id=issuance_id, project_code=_free_code(unit))
    receipt = _receipt(unit, context, command, told, "minted", minted, signed_at)
    _know_project(unit, context, told, export, minted)
    unit.issuances.add(minted)
    mint(unit, context, minted, minted.whole_block(), Carbon(0))
    unit.transfers.keep(told)
    unit.transfers.keep(receipt)
    return Received(receipt, minted)


@use_case
def refuse_import(unit: RegistryUnit, context: Context, command: ReceiveExport) -> Received:
    """Refuse another registry's credits for good, and sign the receipt that lets it give them back. Again gives the
    same receipt. Raises as `import_credits`; what is wrong with a message does not matter."""
    told = _verified(unit, context, command.export, "export")
    known = unit.transfers.message(told.from_registry, told.transfer_id, "receipt")
    if known is not None:
        return _once(unit, context, command, told, known, "refused")
    signed_at = command.moment(context.at)
    receipt = _receipt(unit, context, command, told, "refused", None, signed_at)
    unit.transfers.keep(told)
    unit.transfers.keep(receipt)
    return Received(receipt, None)


@use_case
def settle_transfer(unit: RegistryUnit, context: Context, transfer_id: str, command: Message) -> Transfer:
    """Close a transfer by the other registry's receipt: gone for good, or back to its owner. Again changes nothing.

    Raises `NotPermitted`, `SignatureInvalid`, and `InvalidState` for a receipt of another message, or of other
    kilograms than were agreed: nothing is booked then, and both registries' people look.
    """
    sent = unit.transfers.get(transfer_id)
    context.require_party(sent.from_registry)
    export = unit.transfers.message(sent.from_registry, transfer_id, "export")
    if export is None:
        raise InvalidState("nothing was told of this transfer", transfer_id=transfer_id)
    told = _verified(unit, context, command, "receipt")
    known = unit.transfers.message(sent.from_registry, transfer_id, "receipt")
    if known is not None and known.document == told.document:
        return sent
    _require_answers(told, export, sent)
    require_locked(sent)
    asset = Asset.credits(sent.issuance_id)
    locked = escrow(sent.owner_id, asset, transfer_id)
    minted = told.document["outcome"] == "minted"
    to = AccountKey(sent.owner_id, AccountKind.EXPORTED, asset) if minted else holding(sent.owner_id, asset)
    kind = EntryKind.EXPORT if minted else EntryKind.ESCROW_RETURN
    post_entry(unit, context, kind, transfer_id, [Leg(locked, to, sent.quantity)])
    closed: dict[str, Any] = {"state": "minted" if minted else "refused", "closed_at": context.at}
    if minted:
        closed |= {"minted": sent.mintable, "minted_issuance_id": str(told.document["issuance_id"])}
    done = sent.model_copy(update=closed)
    unit.transfers.save(done)
    unit.transfers.keep(told)
    return done


def _require_free(unit: RegistryUnit, sent: Transfer) -> None:
    frozen = unit.serials.frozen(sent.issuance_id)
    for serial in sent.serials:
        text = parse_serial(serial)
        if any(low <= text.last_kg and text.first_kg <= high for low, high in frozen):
            raise CreditsFrozen("frozen serials are not sent to another region", serial=serial)


def _message(document: Mapping[str, Any], kind: Any, signature: Signature, at: datetime) -> TransferMessage:
    return TransferMessage(
        from_registry=str(document["from_registry"]),
        transfer_id=str(document["transfer_id"]),
        to_registry=str(document["to_registry"]),
        kind=kind,
        public_key=signature.public_key,
        signature=signature.signature,
        document=dict(document),
        at=at,
    )


def _verified(unit: RegistryUnit, context: Context, given: Message, kind: Any) -> TransferMessage:
    """A message of another registry to the actor, signed by a key of that registry's that holds."""
    domain, signer, reader = (
        (EXPORT_DOMAIN, "from_registry", "to_registry")
        if kind == "export"
        else (RECEIPT_DOMAIN, "to_registry", "from_registry")
    )
    try:
        told = _message(given.document, kind, Signature("", given.public_key, given.signature), context.at)
        message = message_of(domain, told.document)
    except (KeyError, TypeError, ValueError) as error:
        raise SignatureInvalid("this is no message between registries") from error
    if getattr(told, reader) != context.actor.id:
        raise NotPermitted("this message is to another registry", to_registry=getattr(told, reader))
    signer_id = str(getattr(told, signer))
    unit.organisations.require_kind(signer_id, "registry")
    key = unit.signing_keys.find(given.public_key)
    if key is None or key.organisation_id != signer_id or not key.holds_at(context.at):
        raise SignatureInvalid("no live key of that registry is known here", signer_id=signer_id)
    require_signed(Signature(signer_id, given.public_key, given.signature), message, key.public_key)
    return told


def _signed_now(unit: RegistryUnit, context: Context, known: TransferMessage, command: SignedAt) -> TransferMessage:
    """The actor's own message of before, signed with a key that holds: a key may be changed while it is on its way.

    What was signed stays as it is; the signature is not kept. Raises what `signed_by_actor` refuses.
    """
    key = unit.signing_keys.find(known.public_key)
    if key is not None and key.holds_at(context.at):
        return known
    domain = EXPORT_DOMAIN if known.kind == "export" else RECEIPT_DOMAIN
    signature = signed_by_actor(unit, context, domain, known.document, command)
    return known.model_copy(update={"public_key": signature.public_key, "signature": signature.signature})


def _once(
    unit: RegistryUnit,
    context: Context,
    command: ReceiveExport,
    told: TransferMessage,
    receipt: TransferMessage,
    wanted: Outcome,
) -> Received:
    """What was answered to this very message before."""
    same = _sha256(told) == receipt.document["export_sha256"]
    if not same or receipt.document["outcome"] != wanted:
        raise InvalidState(f"this transfer was {receipt.document['outcome']} here", transfer_id=told.transfer_id)
    minted = receipt.document["issuance_id"]
    receipt = _signed_now(unit, context, receipt, command)
    return Received(receipt, None if minted is None else unit.issuances.get(str(minted)))


def _read(told: TransferMessage) -> Exported:
    """What an export tells of. Raises `NotEligible` for what is not written as registries write it."""
    try:
        return Exported.model_validate(told.document)
    except ValidationError as error:
        wrong = ", ".join(sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]}))
        raise NotEligible("the message does not tell of credits as registries do", wrong=wrong) from error


def _origin(context: Context, told: TransferMessage, export: Exported) -> Issuance:
    """The credits as these books will have them, but for what is numbered here; their class is what this service's own
    methodology says. Raises `NotEligible` for a methodology that is not known here."""
    code = export.methodology.rstrip("0123456789")
    try:
        file = context.parameters.methodology(code, int(export.methodology.removeprefix(code)))
    except ParameterMissing as error:
        raise NotEligible("this methodology is not known here", methodology=export.methodology) from error
    project_id = f"{told.from_registry}.{export.project_id}"
    if len(project_id) > ID_MAX:
        # After several regions: the name of all of them would be too long.
        project_id = f"elsewhere.{hashlib.sha256(project_id.encode()).hexdigest()[:40]}"
    return Issuance(
        issuance_id=export.issuance_id,
        registry_id=context.actor.id,
        registry_code=own_region(context).registry_code,
        period_id=None,
        project_id=project_id,
        owner_id=export.owner_id,
        asset_class=file.asset_class,
        methodology_tag=export.methodology,
        project_code="",
        vintage=export.vintage,
        first_day=export.first_day,
        last_day=export.last_day,
        quantity=Carbon(export.mintable_kg),
        issued_at=context.at,
        transfer_id=f"{told.from_registry}:{told.transfer_id}",
    )


def _require_own_terms(context: Context, told: TransferMessage, export: Exported, origin: Issuance) -> None:
    """Raise `NotEligible` unless this region's own terms, on the day when the credits were locked, give what the other
    says that it will count."""
    on = business_date(export.locked_at)
    home, abroad = context.parameters.region_of(told.from_registry, on), own_region(context)
    recognition = recognition_of(context, home.key, abroad.key, on)
    factors = terms_of(context, home, abroad, on)
    given = mintable(Carbon(export.quantity_kg), recognition, origin.methodology, *factors)
    if (recognition.mode, given.kg) != (export.mode, export.mintable_kg):
        raise NotEligible(
            "the two regions' terms give other kilograms", mintable_kg=given.kg, told_kg=export.mintable_kg
        )


def _require_new(unit: RegistryUnit, told: TransferMessage, export: Exported, at: datetime) -> None:
    """Raise `AlreadyExists` for a kilogram that came in another message, `NotEligible` for serials that are none, or of
    other credits than the message tells of."""
    try:
        texts = [parse_serial(each) for each in export.serials]
    except SerialInvalid as error:
        raise NotEligible("the message names what is no serial number") from error
    told_of = (export.methodology, export.vintage, export.first_day, export.last_day)
    named = Spans()
    for text in texts:
        if (text.methodology_tag, text.vintage, text.first_day, text.last_day) != told_of:
            raise NotEligible("a serial is of other credits than the message tells of", serial=str(text))
        if not named.add(text):
            raise NotEligible("the message names a kilogram twice", serial=str(text))
    for before in _minted_for(unit, told):
        for each in before.document["serials"]:
            came = parse_serial(str(each))
            if not named.add(came):
                raise AlreadyExists(
                    "these credits came in another transfer", serial=str(came), transfer=before.transfer_id
                )
    kilograms = sum(text.last_kg - text.first_kg + 1 for text in texts)
    if kilograms != export.quantity_kg:
        raise NotEligible("the serials are of other kilograms", serials_kg=kilograms)
    if not export.last_day < business_date(export.locked_at) <= business_date(at):
        raise NotEligible("credits are locked after their last day, and not in the future", locked_at=export.locked_at)


def _minted_for(unit: RegistryUnit, told: TransferMessage) -> list[TransferMessage]:
    """Messages of the same registry that credits were minted for here; what was refused may come again."""
    receipts = unit.transfers.told(told.from_registry, told.to_registry, kind="receipt")
    minted = {each.transfer_id for each in receipts if each.document["outcome"] == "minted"}
    return [each for each in unit.transfers.told(told.from_registry, told.to_registry) if each.transfer_id in minted]


def _free_code(unit: RegistryUnit) -> str:
    """The next code of a project elsewhere that no project has: before they were kept for these, anybody took one."""
    number = unit.transfers.next_import()
    while unit.projects.about("site", f"I{number:08d}") is not None:
        number += 1
    return f"I{number:08d}"


def _receipt(
    unit: RegistryUnit,
    context: Context,
    command: SignedAt,
    told: TransferMessage,
    outcome: Outcome,
    minted: Issuance | None,
    signed_at: datetime,
) -> TransferMessage:
    document = receipt_document(told.document, _sha256(told), outcome, minted, signed_at)
    signature = signed_by_actor(unit, context, RECEIPT_DOMAIN, document, command, signed_at=signed_at.isoformat())
    return _message(document, "receipt", signature, context.at)


def _require_answers(told: TransferMessage, export: TransferMessage, sent: Transfer) -> None:
    document = told.document
    said = (document.get("transfer_id"), document.get("export_sha256"))
    if said != (sent.transfer_id, _sha256(export)):
        raise InvalidState("this receipt is of another message", transfer_id=sent.transfer_id)
    outcome, minted = document.get("outcome"), document.get("minted_kg")
    if (outcome, minted) not in {("minted", sent.mintable.kg), ("refused", 0)}:
        raise InvalidState(
            "the receipt tells of other kilograms than were agreed", minted_kg=minted, mintable_kg=sent.mintable.kg
        )


def _sha256(message: TransferMessage) -> str:
    domain = EXPORT_DOMAIN if message.kind == "export" else RECEIPT_DOMAIN
    return hashlib.sha256(message_of(domain, message.document)).hexdigest()


def _know_project(
    unit: RegistryUnit, context: Context, told: TransferMessage, export: Exported, minted: Issuance
) -> None:
    """The other registry's project, as far as its credits name it here: nobody claims a period on it."""
    if minted.project_id in unit.projects.named([minted.project_id]):
        return
    home = context.parameters.region_of(told.from_registry, business_date(context.at))
    first, last = (datetime.combine(day, time(), CHINA_TIME) for day in (minted.first_day, minted.last_day))
    connected = min(export.grid_connected_on, export.first_day)
    project = Project(
        project_id=minted.project_id,
        code=minted.project_code,
        owner=told.from_registry,
        name=export.project_name,
        methodology=minted.methodology,
        methodology_version=int(minted.methodology_tag.removeprefix(minted.methodology)),
        capacity_w=None,
        grid_connected_on=connected,
        crediting_period=Period(first, last + timedelta(days=1)),
        location=Location(home.registry_code, export.latitude_udeg / MICRO, export.longitude_udeg / MICRO),
        meter_ids=(),
        declarations=Declarations(True, True, True),
    )
    unit.projects.add(project, [], context.at)
