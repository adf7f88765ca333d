"""Use credits up for good: from issuances, from a package's units, or bought and retired in one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from financing.base.commands import Command, Id, Kilograms, Moment, Text, use_case
from financing.base.context import Context
from financing.base.quantities import Carbon, Period
from financing.ledger.accounts import AccountKey, AccountKind, Asset, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.serials import SerialBlock
from financing.registry.oversight.model import Cancellation
from financing.registry.retirement.model import Retirement, retire
from financing.registry.unit import RegistryUnit


@dataclass(frozen=True, slots=True)
class Purpose:
    """For whom and for what credits are used up; `period` is the time whose emissions they offset."""

    beneficiary: str
    purpose: str
    period: Period | None = None


class RetireCredits(Command):
    issuance_id: Id
    quantity_kg: Kilograms
    beneficiary: Text
    purpose: Text
    period_from: Moment | None = Field(default=None, description="start of the emissions that are offset")
    period_until: Moment | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.period_from is None) is not (self.period_until is None):
            raise ValueError("period_from and period_until come together")
        return self


class CancelCredits(Command):
    issuance_id: Id
    quantity_kg: Kilograms
    reason: Text


@use_case
def retire_credits(unit: RegistryUnit, context: Context, command: RetireCredits) -> Retirement:
    """Use up credits of the actor's holding, irreversibly, and number the certificate.

    Raises `CreditsPledged`, `CreditsFrozen`, `InsufficientBalance`, `NotFound`, `QuantityOutOfRange`.
    """
    issuance = unit.issuances.get(command.issuance_id)
    period = None
    if command.period_from is not None and command.period_until is not None:
        period = Period(command.period_from, command.period_until)
    purpose = Purpose(command.beneficiary, command.purpose, period)
    return retire_lots(unit, context, [(issuance.issuance_id, command.quantity_kg)], purpose)


def retire_lots(unit: RegistryUnit, context: Context, lots: list[tuple[str, Carbon]], purpose: Purpose) -> Retirement:
    """Retire credits of several issuances of the actor's holding under one certificate, in one entry."""
    number = unit.retirements.next_number()
    owner = context.actor.id
    legs = [
        Leg(
            holding(owner, Asset.credits(issuance_id)),
            AccountKey(owner, AccountKind.RETIRED, Asset.credits(issuance_id)),
            quantity,
        )
        for issuance_id, quantity in lots
    ]
    booked = post_entry(unit, context, EntryKind.RETIREMENT, f"retirement:{number}", legs)
    return record_retirement(unit, context, number, booked.blocks, booked.entry_id, purpose)


def record_retirement(
    unit: RegistryUnit,
    context: Context,
    number: int,
    blocks: tuple[SerialBlock, ...],
    entry_id: int,
    purpose: Purpose,
) -> Retirement:
    """Number and keep the certificate of credits that an entry has just used up."""
    retirement = retire(
        number=number,
        retired_by=context.actor.id,
        beneficiary=purpose.beneficiary,
        purpose=purpose.purpose,
        period=purpose.period,
        blocks=blocks,
        at=context.at,
    )
    unit.retirements.add(retirement, number=number, entry_id=entry_id)
    return retirement


@use_case
def cancel_credits(unit: RegistryUnit, context: Context, command: CancelCredits) -> Cancellation:
    """Withdraw credits of the actor's holding without using them for anyone: no certificate comes of it.

    Raises as `retire_credits`.
    """
    asset = Asset.credits(unit.issuances.get(command.issuance_id).issuance_id)
    cancellation_id = context.new_id("can")
    leg = Leg(
        holding(context.actor.id, asset),
        AccountKey(context.actor.id, AccountKind.CANCELLED, asset),
        command.quantity_kg,
    )
    moved = post_entry(unit, context, EntryKind.CANCELLATION, cancellation_id, [leg])
    cancelled = Cancellation(
        cancellation_id=cancellation_id,
        owner_id=context.actor.id,
        ordered_by=context.actor.id,
        issuance_id=command.issuance_id,
        quantity_kg=command.quantity_kg.kg,
        ground="voluntary",
        reason=command.reason,
        serials=tuple(block.serial for block in moved.blocks),
        cancelled_at=context.at,
    )
    unit.custody.add_cancellation(cancelled, moved.blocks, entry_id=moved.entry_id)
    return cancelled
