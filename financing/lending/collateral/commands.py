"""A pledge as a two-phase transfer: the pledgor reserves, the lender posts; then release, or void and expire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from pydantic import Field

from financing.base.commands import Command, Id, Kilograms, Text, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, NotPermitted
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import business_date
from financing.ledger.accounts import Asset, holding, pledged
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.lending.collateral import pledge as rules
from financing.lending.collateral.coverage import require_releasable
from financing.lending.collateral.pledge import Pledge, PledgedUse, PledgeState, StoredPledge
from financing.lending.collateral.standing import loan_coverage, settle_call
from financing.lending.loans.loan import LoanState
from financing.lending.unit import UnitOfWork
from financing.valuation.marks import value_lots
from financing.valuation.pools import Lot


class ReservePledge(PledgedUse, Command):
    """Credits of the issuer's holding for a bank. Without a product, the usual one of the day."""

    bank_id: Id
    issuance_id: Id
    quantity_kg: Kilograms
    product: Id | None = None


class PostPledge(Command):
    loan_id: Id
    registration_number: Text = Field(description="number in the movable-property registry (动产融资统一登记)")


class AmendRegistration(Command):
    """The movable-property registry gives an amendment, and an extension, a number of its own (变更登记, 展期登记)."""

    registration_number: Text = Field(description="of the amendment, in the movable-property registry")


class ReleasePledge(Command):
    quantity_kg: Kilograms


@use_case
def reserve_pledge(unit: UnitOfWork, context: Context, command: ReservePledge) -> StoredPledge:
    """Set credits of the actor's holding aside for a bank, for as long as the product lets a reservation stand.

    Raises `CreditsPledged`, `InsufficientBalance`, `NotFound`, `NotPermitted` (class not eligible), `ParameterMissing`.
    """
    unit.organisations.require_kind(command.bank_id, "bank")
    product = product_of(context, command.product)
    issuance = unit.issuances.get(command.issuance_id)
    if issuance.asset_class not in product.eligible_classes:
        raise NotPermitted("the product does not take this class", asset_class=issuance.asset_class)
    asset = Asset.credits(issuance.issuance_id)
    pledge = Pledge(
        pledge_id=context.new_id("plg"),
        pledgor=context.actor.id,
        pledgee=command.bank_id,
        lot=Lot(asset.code, issuance.asset_class, command.quantity_kg),
        reserved_at=context.at,
        expires_at=context.at + timedelta(days=product.pledge_reservation_days),
    )
    unit.ledger.reserve(
        context.new_id("hld"),
        holding(pledge.pledgor, asset),
        pledge.lot.quantity.kg,
        reference=pledge.pledge_id,
        at=context.at,
        expires_at=pledge.expires_at,
    )
    unit.pledges.add(pledge, command)
    return unit.pledges.get(pledge.pledge_id)


@use_case
def post_pledge(unit: UnitOfWork, context: Context, pledge_id: str, command: PostPledge) -> StoredPledge:
    """Make a reserved pledge effective for a running loan, as its lender; a margin call that it cures is closed.

    Raises `NotPermitted`, `InvalidState` (loan closed, reservation lapsed or ended).
    """
    stored = unit.pledges.get(pledge_id)
    loan = unit.loans.get(command.loan_id).loan
    context.require_party(stored.pledge.pledgee)
    context.require_party(loan.lender)
    if loan.state is not LoanState.ACTIVE or loan.borrower != stored.pledge.pledgor:
        raise NotPermitted("the pledge does not belong to a running loan of this pledgor", loan_id=loan.loan_id)
    posted = freeze(unit, context, stored, command.loan_id, command.registration_number)
    settle_call(unit, context, loan_coverage(unit, context, command.loan_id))
    return posted


def freeze(
    unit: UnitOfWork, context: Context, stored: StoredPledge, loan_id: str, registration_number: str
) -> StoredPledge:
    """Move reserved credits into the pledge's own account, from where only release and disposal take them."""
    posted = rules.post(stored.pledge, loan_id, context.at)
    asset = Asset(posted.lot.asset)
    unit.ledger.close_hold(posted.pledge_id, "posted", at=context.at)
    leg = Leg(holding(posted.pledgor, asset), pledged(posted.pledgor, asset, posted.pledge_id), posted.lot.quantity)
    post_entry(unit, context, EntryKind.PLEDGE, posted.pledge_id, [leg])
    registered_on = business_date(context.at)
    unit.pledges.save(posted, registration_number=registration_number, registered_on=registered_on)
    return unit.pledges.get(posted.pledge_id)


@use_case
def void_pledge(unit: UnitOfWork, context: Context, pledge_id: str) -> StoredPledge:
    """Give a reservation up, as either party, and free the credits."""
    stored = unit.pledges.get(pledge_id)
    context.require_party(stored.pledge.pledgor, stored.pledge.pledgee)
    return _end_reservation(unit, context, stored, rules.void(stored.pledge), "voided")


@use_case
def expire_pledge(unit: UnitOfWork, context: Context, pledge_id: str) -> StoredPledge:
    """End a lapsed reservation, as either party, and free the credits."""
    stored = unit.pledges.get(pledge_id)
    context.require_party(stored.pledge.pledgor, stored.pledge.pledgee)
    return _end_reservation(unit, context, stored, rules.expire(stored.pledge, context.at), "expired")


@use_case
def end_reservation(unit: UnitOfWork, context: Context, pledge_id: str) -> StoredPledge:
    """Give a reservation up, as either party; one that has lapsed is ended as expired."""
    lapsed = context.at >= unit.pledges.get(pledge_id).pledge.expires_at
    return expire_pledge(unit, context, pledge_id) if lapsed else void_pledge(unit, context, pledge_id)


@use_case
def amend_registration(unit: UnitOfWork, context: Context, pledge_id: str, command: AmendRegistration) -> StoredPledge:
    """Put the number of an amended registration, and its day, in the place of what a posted pledge was registered
    under, as its lender. Raises `NotPermitted`, `InvalidState` (not posted, or under this number already)."""
    stored = unit.pledges.get(pledge_id)
    context.require_party(stored.pledge.pledgee)
    if stored.pledge.state is not PledgeState.POSTED:
        raise InvalidState(f"the pledge is {stored.pledge.state}", pledge_id=pledge_id)
    if command.registration_number == stored.registration_number:
        raise InvalidState("the pledge is registered under this number", pledge_id=pledge_id)
    number, day = command.registration_number, business_date(context.at)
    unit.pledges.save(stored.pledge, registration_number=number, registered_on=day)
    return unit.pledges.get(pledge_id)


@use_case
def release_pledge(unit: UnitOfWork, context: Context, pledge_id: str, command: ReleasePledge) -> StoredPledge:
    """Return pledged credits to the pledgor, as the lender, if what remains still covers the debt.

    Raises `CoverageInsufficient`, `PriceMissing` and its kin, `InvalidState`, `QuantityOutOfRange`.
    """
    stored = unit.pledges.get(pledge_id)
    context.require_party(stored.pledge.pledgee)
    quantity = command.quantity_kg
    released = rules.release(stored.pledge, quantity)
    assert released.loan_id is not None
    loan = unit.loans.get(released.loan_id).loan
    held = unit.pledges.posted([loan.loan_id]).get(loan.loan_id, [])
    remaining = _remaining([released if p.pledge.pledge_id == pledge_id else p.pledge for p in held])
    debt = loan_coverage(unit, context, loan.loan_id).exposed
    require_releasable(debt, value_lots(unit, context.parameters, remaining, context.at))
    asset = Asset(released.lot.asset)
    leg = Leg(pledged(released.pledgor, asset, pledge_id), holding(released.pledgor, asset), quantity)
    post_entry(unit, context, EntryKind.RELEASE, pledge_id, [leg])
    unit.pledges.save(released)
    return replace(stored, pledge=released)


def product_of(context: Context, key: str | None) -> LendingProduct:
    """The product that is named, or the usual one, as it holds today. Raises `ParameterMissing`."""
    on = business_date(context.at)
    return context.parameters.usual_product(on) if key is None else context.parameters.product(key, on)


def _remaining(pledges: Sequence[Pledge]) -> tuple[Lot, ...]:
    lots = (pledge.remaining_lot() for pledge in pledges)
    return tuple(lot for lot in lots if lot is not None)


def _end_reservation(
    unit: UnitOfWork, context: Context, stored: StoredPledge, ended: Pledge, hold_state: str
) -> StoredPledge:
    unit.ledger.close_hold(ended.pledge_id, hold_state, at=context.at)
    unit.pledges.save(ended)
    return replace(stored, pledge=ended)
