"""Lock credits for another region; its registry mints its own for them, or gives them back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from financing.base.commands import Command, Id, Kilograms, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, NotEligible, ParameterMissing
from financing.base.parameters.records import GridFactor, Recognition, Region
from financing.base.quantities import business_date
from financing.ledger.accounts import AccountKey, AccountKind, Asset, escrow, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.registry.regions import own_region
from financing.registry.transfers.model import Transfer, mintable, require_locked
from financing.registry.unit import RegistryUnit


class SendCredits(Command):
    issuance_id: Id
    quantity_kg: Kilograms
    to_region: Id


@use_case
def send_credits(unit: RegistryUnit, context: Context, command: SendCredits) -> Transfer:
    """Lock credits of the actor's holding for another region, under the recognition that holds today.

    Raises `NotEligible` without such a recognition, `CreditsPledged`, `CreditsFrozen`, `InsufficientBalance`.
    """
    on = business_date(context.at)
    issuance = unit.issuances.get(command.issuance_id)
    home = context.parameters.region_of(issuance.registry_id, on)
    abroad = context.parameters.region(command.to_region, on)
    recognition = recognition_of(context, home.key, abroad.key, on)
    factors = terms_of(context, home, abroad, on)
    minted = mintable(command.quantity_kg, recognition, issuance.methodology, *factors)
    unit.organisations.require_kind(abroad.registry_id, "registry")
    transfer_id = context.new_id("trf")
    asset = Asset.credits(issuance.issuance_id)
    leg = Leg(holding(context.actor.id, asset), escrow(context.actor.id, asset, transfer_id), command.quantity_kg)
    moved = post_entry(unit, context, EntryKind.ESCROW, transfer_id, [leg])
    sent = Transfer(
        transfer_id=transfer_id,
        number=unit.transfers.next_number(),
        owner_id=context.actor.id,
        from_registry=issuance.registry_id,
        to_registry=abroad.registry_id,
        issuance_id=issuance.issuance_id,
        quantity=command.quantity_kg,
        mode=recognition.mode,
        mintable=minted,
        serials=tuple(block.serial for block in moved.blocks),
        minted_issuance_id=None,
        terms=tuple((each.file, each.version_hash) for each in (recognition, *factors)),
        locked_at=context.at,
    )
    unit.transfers.add(sent)
    return sent


@use_case
def mint_transfer(unit: RegistryUnit, context: Context, transfer_id: str) -> Transfer:
    """Mint the other region's credits and lock ours for good, in one entry, as the receiving registry.

    Raises `NotPermitted`, `InvalidState`, `CreditsFrozen` when the serials were frozen meanwhile.
    """
    sent = unit.transfers.get(transfer_id)
    context.require_party(sent.to_registry)
    require_locked(sent)
    _require_not_told(unit, sent)
    origin = unit.issuances.get(sent.issuance_id)
    region = own_region(context)
    minted = replace(
        origin,
        issuance_id=context.new_id("iss"),
        registry_id=sent.to_registry,
        registry_code=region.registry_code,
        period_id=None,
        owner_id=sent.owner_id,
        project_code=f"X{sent.number:08d}",
        quantity=sent.mintable,
        issued_at=context.at,
        transfer_id=transfer_id,
    )
    unit.issuances.add(minted)
    old, new = Asset.credits(origin.issuance_id), Asset.credits(minted.issuance_id)
    locked, gone = escrow(sent.owner_id, old, transfer_id), AccountKey(sent.owner_id, AccountKind.EXPORTED, old)
    target = holding(sent.owner_id, new)
    issued = AccountKey(sent.to_registry, AccountKind.ISSUED, new)
    legs = [Leg(locked, gone, sent.quantity), Leg(issued, target, sent.mintable)]
    posted = post_entry(unit, context, EntryKind.EXPORT, transfer_id, legs)
    block = minted.whole_block()
    unit.serials.open(block, account_id=posted.account_ids[target], entry_id=posted.entry_id)
    done = sent.model_copy(
        update={
            "state": "minted",
            "minted": sent.mintable,
            "minted_issuance_id": minted.issuance_id,
            "closed_at": context.at,
        }
    )
    unit.transfers.save(done)
    return done


@use_case
def refuse_transfer(unit: RegistryUnit, context: Context, transfer_id: str) -> Transfer:
    """Give locked credits back, as the receiving registry, or as their owner who changed its mind."""
    sent = unit.transfers.get(transfer_id)
    context.require_party(sent.to_registry, sent.owner_id)
    require_locked(sent)
    _require_not_told(unit, sent)
    asset = Asset.credits(sent.issuance_id)
    leg = Leg(escrow(sent.owner_id, asset, transfer_id), holding(sent.owner_id, asset), sent.quantity)
    post_entry(unit, context, EntryKind.ESCROW_RETURN, transfer_id, [leg])
    done = sent.model_copy(update={"state": "refused", "closed_at": context.at})
    unit.transfers.save(done)
    return done


def recognition_of(context: Context, from_region: str, to_region: str, on: date) -> Recognition:
    """The recognition between two regions on a day. Raises `NotEligible` where there is none."""
    try:
        return context.parameters.recognition(from_region, to_region, on)
    except ParameterMissing as error:
        raise NotEligible(
            "there is no recognition between these regions", from_region=from_region, to_region=to_region
        ) from error


def terms_of(context: Context, home: Region, abroad: Region, on: date) -> tuple[GridFactor, GridFactor]:
    """Both regions' grid factors on a day."""
    return context.parameters.grid_factor(home.factor_key, on), context.parameters.grid_factor(abroad.factor_key, on)


def _require_not_told(unit: RegistryUnit, sent: Transfer) -> None:
    """Raise `InvalidState` once a signed message went out: the other registry may have minted on it."""
    if unit.transfers.message(sent.from_registry, sent.transfer_id, "export") is not None:
        raise InvalidState("the other registry was told: its receipt closes this", transfer_id=sent.transfer_id)
