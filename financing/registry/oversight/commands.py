"""What a registry does when something is wrong: freeze and lift, suspend and resume, revoke by a correcting entry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from financing.base.authority import REGULATOR
from financing.base.commands import Command, Id, Kilograms, Text, use_case
from financing.base.context import Context
from financing.base.errors import CreditsPledged, InvalidState, QuantityOutOfRange
from financing.base.quantities import INT64_MAX, Carbon
from financing.ledger.accounts import AccountKey, AccountKind, Asset
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, Posted, post_entry
from financing.ledger.serials import SerialBlock
from financing.ledger.store import FREEZE_REFERENCE, Balance
from financing.registry.credits.model import Issuance
from financing.registry.oversight.model import Cancellation, SerialFreeze, Suspension
from financing.registry.regions import require_own_project
from financing.registry.unit import RegistryUnit

# Credits under a pledge, an order or a package have a second party that must let go of them first.
REVOCABLE = frozenset({AccountKind.HOLDING, AccountKind.BUFFER})
FINAL = frozenset({AccountKind.RETIRED, AccountKind.CANCELLED, AccountKind.EXPORTED})


KilogramOf = Annotated[int, Field(strict=True, gt=0, le=INT64_MAX, description="kg CO2e")]


class FreezeSerials(Command):
    """Kilograms `first_kg` to `last_kg` of an issuance; without them, all of it."""

    issuance_id: Id
    reason: Text
    first_kg: KilogramOf | None = None
    last_kg: KilogramOf | None = None


class ReverseFromBuffer(Command):
    issuance_id: Id
    quantity_kg: Kilograms
    reason: Text


class SuspendProject(Command):
    reason: Text


@use_case
def freeze_serials(unit: RegistryUnit, context: Context, command: FreezeSerials) -> SerialFreeze:
    """Order that serials stay where they are, wherever that is; free balances shrink by as much at once.

    Raises `NotPermitted` unless the actor is a regulator or the registry that issued them, `QuantityOutOfRange` for
    serials that do not exist or are used up, `InvalidState` where a freeze is active already.
    """
    issuance = _own_issuance(unit, context, command.issuance_id)
    first, last = command.first_kg or 1, command.last_kg or issuance.quantity.kg
    if not 1 <= first <= last <= issuance.quantity.kg:
        raise QuantityOutOfRange("the issuance has no such serials", first_kg=first, last_kg=last)
    if any(low <= last and first <= high for low, high in unit.serials.frozen(issuance.issuance_id)):
        raise InvalidState("some of these serials are frozen already", issuance_id=issuance.issuance_id)
    order = SerialFreeze(
        freeze_id=context.new_id("frz"),
        issuance_id=issuance.issuance_id,
        first_kg=first,
        last_kg=last,
        reason=command.reason,
        state="active",
        ordered_by=context.actor.id,
        ordered_at=context.at,
    )
    unit.custody.add_freeze(order)
    for balance, blocks in _standing(unit, issuance, first, last):
        # What an order or a reservation holds already is protected by the serials; a hold takes only what is free.
        free = min(balance.available, sum(block.quantity.kg for block in blocks))
        if balance.key.kind is AccountKind.HOLDING and free > 0:
            unit.ledger.reserve(
                context.new_id("hld"),
                balance.key,
                free,
                reference=_hold_reference(order, balance),
                at=context.at,
                expires_at=None,
            )
    return order


@use_case
def lift_freeze(unit: RegistryUnit, context: Context, freeze_id: str) -> SerialFreeze:
    """Let frozen serials move again, as the registry or the regulator that froze them."""
    order = unit.custody.freeze(freeze_id)
    context.require_party(order.ordered_by)
    unit.custody.close_freeze(freeze_id, "lifted", context.at)
    _drop_holds(unit, context, order, "voided")
    return unit.custody.freeze(freeze_id)


@use_case
def revoke_frozen(unit: RegistryUnit, context: Context, freeze_id: str) -> tuple[Cancellation, ...]:
    """Take frozen credits out of circulation by correcting entries, one for each account that holds some.

    Raises `CreditsPledged` while any of them is pledged, packaged or in escrow: that party lets go first; and
    `InvalidState` when a part was retired, cancelled or exported before.
    """
    order = unit.custody.freeze(freeze_id)
    context.require_party(order.ordered_by)
    issuance = unit.issuances.get(order.issuance_id)
    standing = _standing(unit, issuance, order.first_kg, order.last_kg)
    for balance, _ in standing:
        if balance.key.kind in FINAL:
            raise InvalidState("some of these credits are used up", account=balance.key.kind.value)
        if balance.key.kind not in REVOCABLE:
            raise CreditsPledged("another party has a right to some of these credits", account=balance.key.kind.value)
    unit.custody.close_freeze(freeze_id, "revoked", context.at)
    _drop_holds(unit, context, order, "posted")
    return tuple(
        _cancel(unit, context, order, balance.key, blocks, ground="revoked", reason=order.reason)
        for balance, blocks in standing
    )


@use_case
def reverse_from_buffer(unit: RegistryUnit, context: Context, command: ReverseFromBuffer) -> Cancellation:
    """Cancel buffer credits for stored carbon that was lost, as the registry that holds the buffer.

    Raises `InsufficientBalance` when the buffer is smaller: then the holders' credits must be frozen and revoked.
    """
    issuance = _own_issuance(unit, context, command.issuance_id)
    key = AccountKey(issuance.registry_id, AccountKind.BUFFER, Asset.credits(issuance.issuance_id))
    cancellation_id = context.new_id("can")
    target = AccountKey(key.owner_id, AccountKind.CANCELLED, key.asset)
    leg = Leg(key, target, command.quantity_kg)
    posted = post_entry(unit, context, EntryKind.CANCELLATION, cancellation_id, [leg])
    return _record(
        unit, context, cancellation_id, key.owner_id, issuance.issuance_id, posted, "reversal", command.reason
    )


@use_case
def suspend_project(unit: RegistryUnit, context: Context, project_id: str, command: SuspendProject) -> Suspension:
    """Stop claims and issuance for a project, as its region's registry. Credits that exist are frozen separately.

    Raises `NotFound`, `NotPermitted`, `InvalidState` when it is suspended.
    """
    require_own_project(context, unit.projects.get(project_id))
    order = Suspension(
        context.new_id("sus"),
        project_id,
        command.reason,
        context.actor.id,
        context.at,
    )
    unit.custody.suspend(order)
    return order


@use_case
def resume_project(unit: RegistryUnit, context: Context, project_id: str) -> None:
    """End a suspension, as the registry of the project's region, whoever ordered it.

    Raises `NotFound`, `NotPermitted`, `InvalidState` when there is none.
    """
    require_own_project(context, unit.projects.get(project_id))
    unit.custody.resume(project_id, context.at)


def _own_issuance(unit: RegistryUnit, context: Context, issuance_id: str) -> Issuance:
    issuance = unit.issuances.get(issuance_id)
    if context.actor.kind != REGULATOR:
        context.require_party(issuance.registry_id)
    return issuance


def _standing(
    unit: RegistryUnit, issuance: Issuance, first_kg: int, last_kg: int
) -> list[tuple[Balance, list[SerialBlock]]]:
    """The accounts that hold these kilograms now, each with its blocks among them."""
    by_account: dict[int, list[SerialBlock]] = {}
    for account_id, block in unit.serials.standing(issuance.issuance_id, first_kg, last_kg):
        by_account.setdefault(account_id, []).append(block)
    return [(unit.ledger.by_id(account_id), blocks) for account_id, blocks in sorted(by_account.items())]


def _hold_reference(order: SerialFreeze, balance: Balance) -> str:
    return f"{FREEZE_REFERENCE}{order.freeze_id}:{balance.account_id}"


def _drop_holds(unit: RegistryUnit, context: Context, order: SerialFreeze, state: str) -> None:
    unit.ledger.close_holds_like(f"{FREEZE_REFERENCE}{order.freeze_id}:", state, at=context.at)


def _cancel(
    unit: RegistryUnit,
    context: Context,
    order: SerialFreeze,
    key: AccountKey,
    blocks: list[SerialBlock],
    *,
    ground: str,
    reason: str,
) -> Cancellation:
    cancellation_id = context.new_id("can")
    quantity = Carbon(sum(block.quantity.kg for block in blocks))
    target = AccountKey(key.owner_id, AccountKind.CANCELLED, key.asset)
    leg = Leg(key, target, quantity, kilograms=(order.first_kg, order.last_kg))
    posted = post_entry(unit, context, EntryKind.CANCELLATION, cancellation_id, [leg])
    return _record(unit, context, cancellation_id, key.owner_id, order.issuance_id, posted, ground, reason)


def _record(
    unit: RegistryUnit,
    context: Context,
    cancellation_id: str,
    owner_id: str,
    issuance_id: str,
    posted: Posted,
    ground: str,
    reason: str,
) -> Cancellation:
    cancelled = Cancellation(
        cancellation_id=cancellation_id,
        owner_id=owner_id,
        ordered_by=context.actor.id,
        issuance_id=issuance_id,
        quantity_kg=sum(block.quantity.kg for block in posted.blocks),
        ground=ground,
        reason=reason,
        serials=tuple(block.serial for block in posted.blocks),
        cancelled_at=context.at,
    )
    unit.custody.add_cancellation(cancelled, posted.blocks, entry_id=posted.entry_id)
    return cancelled
