"""A pledge as a two-phase transfer: the pledgor reserves, the lender posts; then release, or void and expire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from financing.base.context import Context
from financing.base.errors import NotPermitted
from financing.base.quantities import Carbon, business_date
from financing.ledger.accounts import Asset, holding, pledged
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.lending.collateral import pledge as rules
from financing.lending.collateral.coverage import require_releasable
from financing.lending.collateral.pledge import Pledge
from financing.lending.collateral.standing import settle_call, stand
from financing.lending.loans.loan import LoanState
from financing.lending.store import PledgedUse, StoredPledge
from financing.lending.unit import UnitOfWork
from financing.valuation.marks import value_lots
from financing.valuation.pools import Lot


@dataclass(frozen=True, slots=True)
class ReservePledge:
    bank_id: str
    issuance_id: str
    quantity: Carbon
    product: str
    use: PledgedUse | None = None


@dataclass(frozen=True, slots=True)
class PostPledge:
    """`registration_number` is the one that the movable-property registry (动产融资统一登记) gave the lender."""

    pledge_id: str
    loan_id: str
    registration_number: str


def reserve_pledge(unit: UnitOfWork, context: Context, command: ReservePledge) -> StoredPledge:
    """Set credits of the actor's holding aside for a bank, for as long as the product lets a reservation stand.

    Raises `CreditsPledged`, `InsufficientBalance`, `NotFound`, `NotPermitted` (class not eligible), `ParameterMissing`.
    """
    unit.organisations.require_kind(command.bank_id, "bank")
    product = context.parameters.product(command.product, business_date(context.at))
    issuance = unit.registry.issuance(command.issuance_id)
    if issuance.asset_class not in product.eligible_classes:
        raise NotPermitted("the product does not take this class", asset_class=issuance.asset_class)
    asset = Asset.credits(issuance.issuance_id)
    pledge = Pledge(
        pledge_id=context.new_id("plg"),
        pledgor=context.actor.id,
        pledgee=command.bank_id,
        lot=Lot(asset.code, issuance.asset_class, command.quantity),
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
    unit.lending.add_pledge(pledge, command.use)
    return unit.lending.pledge(pledge.pledge_id)


def post_pledge(unit: UnitOfWork, context: Context, command: PostPledge) -> StoredPledge:
    """Make a reserved pledge effective for a running loan, as its lender; a margin call that it cures is closed.

    Raises `NotPermitted`, `InvalidState` (loan closed, reservation lapsed or ended).
    """
    stored = unit.lending.pledge(command.pledge_id)
    loan = unit.lending.loan(command.loan_id).loan
    context.require_party(stored.pledge.pledgee)
    context.require_party(loan.lender)
    if loan.state is not LoanState.ACTIVE or loan.borrower != stored.pledge.pledgor:
        raise NotPermitted("the pledge does not belong to a running loan of this pledgor", loan_id=loan.loan_id)
    posted = freeze(unit, context, stored, command.loan_id, command.registration_number)
    settle_call(unit, context, stand(unit, context, command.loan_id))
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
    unit.lending.save_pledge(posted, registration_number=registration_number, registered_on=registered_on)
    return unit.lending.pledge(posted.pledge_id)


def void_pledge(unit: UnitOfWork, context: Context, pledge_id: str) -> StoredPledge:
    """Give a reservation up, as either party, and free the credits."""
    stored = unit.lending.pledge(pledge_id)
    context.require_party(stored.pledge.pledgor, stored.pledge.pledgee)
    return _end_reservation(unit, context, stored, rules.void(stored.pledge), "voided")


def expire_pledge(unit: UnitOfWork, context: Context, pledge_id: str) -> StoredPledge:
    """End a lapsed reservation, as either party, and free the credits."""
    stored = unit.lending.pledge(pledge_id)
    context.require_party(stored.pledge.pledgor, stored.pledge.pledgee)
    return _end_reservation(unit, context, stored, rules.expire(stored.pledge, context.at), "expired")


def release_pledge(unit: UnitOfWork, context: Context, pledge_id: str, quantity: Carbon) -> StoredPledge:
    """Return pledged credits to the pledgor, as the lender, if what remains still covers the debt.

    Raises `CoverageInsufficient`, `PriceMissing` and its kin, `InvalidState`, `QuantityOutOfRange`.
    """
    stored = unit.lending.pledge(pledge_id)
    context.require_party(stored.pledge.pledgee)
    released = rules.release(stored.pledge, quantity)
    assert released.loan_id is not None
    loan = unit.lending.loan(released.loan_id).loan
    held = unit.lending.posted_pledges([loan.loan_id]).get(loan.loan_id, [])
    remaining = _remaining([released if p.pledge.pledge_id == pledge_id else p.pledge for p in held])
    debt = stand(unit, context, loan.loan_id).exposed
    require_releasable(debt, value_lots(unit, context.parameters, remaining, context.at))
    asset = Asset(released.lot.asset)
    leg = Leg(pledged(released.pledgor, asset, pledge_id), holding(released.pledgor, asset), quantity)
    post_entry(unit, context, EntryKind.RELEASE, pledge_id, [leg])
    unit.lending.save_pledge(released)
    return replace(stored, pledge=released)


def _remaining(pledges: Sequence[Pledge]) -> tuple[Lot, ...]:
    lots = (pledge.remaining_lot() for pledge in pledges)
    return tuple(lot for lot in lots if lot is not None)


def _end_reservation(
    unit: UnitOfWork, context: Context, stored: StoredPledge, ended: Pledge, hold_state: str
) -> StoredPledge:
    unit.ledger.close_hold(ended.pledge_id, hold_state, at=context.at)
    unit.lending.save_pledge(ended)
    return replace(stored, pledge=ended)
