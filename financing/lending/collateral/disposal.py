"""Disposal of pledged credits: when it is allowed, how much, at which reserve, and where the money goes.

The reserve price is the mark × (1 − haircut). A sale at that price lowers debt ÷ value only while debt ÷ value is below
1 − haircut, and every line from warn upwards is at or above that (the loader refuses a class otherwise). A partial sale
would therefore worsen coverage; a disposal aims at the whole debt, and stops when it is paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from financing.base.errors import DisposalNotAllowed, QuantityOutOfRange
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import KG_PER_TONNE, Carbon, Money, Price, Rate, business_date
from financing.lending.collateral.coverage import CoverageStatus, coverage
from financing.lending.collateral.margin import MarginCall, is_cured
from financing.valuation.pools import Lot, PoolValuation, PoolValue, ValuedLot, require_priced

NOTHING = Money(0)


class DisposalGround(StrEnum):
    LIQUIDATION_LINE = "liquidation_line"
    CALL_NOT_CURED = "call_not_cured"
    MATURITY_DEFAULT = "maturity_default"


@dataclass(frozen=True, slots=True)
class DisposalLot:
    """What to sell of one lot, at no less than `reserve` (fen per tonne), and what that brings."""

    lot: Lot
    reserve: Price
    proceeds_at_reserve: Money


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Where the proceeds go, to the fen: costs + penal + interest + principal + surplus = proceeds.

    `unpaid_costs` are what the proceeds did not cover of the costs, `bad_debt` of penal interest, interest, principal.
    """

    proceeds: Money
    costs: Money
    penal: Money
    interest: Money
    principal: Money
    surplus: Money
    unpaid_costs: Money
    bad_debt: Money


def require_disposable(
    debt: Money,
    pool: PoolValuation,
    call: MarginCall | None,
    *,
    matures_on: date,
    product: LendingProduct,
    at: datetime,
) -> DisposalGround:
    """On which ground the lender may sell at `at`. Raises `DisposalNotAllowed`; `PriceMissing` and its kin when
    unpriced, because without a mark there is no reserve price.

    Grounds: debt unpaid `cure_days` after maturity; the liquidation line reached; a call not cured by its deadline.
    """
    if not debt.require_non_negative():
        raise DisposalNotAllowed("nothing is owed")
    require_priced(pool)
    status = coverage(debt, pool).status
    if business_date(at) > matures_on + timedelta(days=product.cure_days):
        return DisposalGround.MATURITY_DEFAULT
    if status is CoverageStatus.LIQUIDATE:
        return DisposalGround.LIQUIDATION_LINE
    if call is not None and call.is_past_due(at) and not is_cured(debt, pool):
        return DisposalGround.CALL_NOT_CURED
    raise DisposalNotAllowed(
        f"coverage is {status} and no cure period has lapsed",
        status=str(status),
        cure_by=str(call.cure_by) if call is not None else None,
    )


def reserve_price(valued: ValuedLot) -> Price:
    """The mark × (1 − haircut), rounded down to the tick. Raises `QuantityOutOfRange` when that is no price."""
    return valued.mark.price.scaled_floor(valued.policy.haircut.complement().fraction()).require_positive()


def plan_disposal(debt: Money, pool: PoolValue, product: LendingProduct) -> tuple[DisposalLot, ...]:
    """What to offer for sale: the least, in whole tonnes, that at the reserve pays the debt and the cost of disposal.

    The lots with the smallest haircut (the most liquid) go first; a lot's last part below a tonne goes with it when
    the whole lot does. When all lots do not suffice, all are offered. A preview: nothing is changed.
    """
    keep = Rate(product.disposal_cost_bps).complement().fraction()
    if not keep:
        raise QuantityOutOfRange("disposal cannot cost everything", disposal_cost_bps=product.disposal_cost_bps)
    needed = debt.require_non_negative().scaled_ceil(Fraction(1) / keep)
    plan: list[DisposalLot] = []
    for valued in sorted(pool.lines, key=lambda line: line.policy.haircut_bps):
        if needed <= Money(0):
            break
        part = _part_worth(valued, needed)
        plan.append(part)
        needed -= part.proceeds_at_reserve
    return tuple(plan)


def waterfall(proceeds: Money, costs: Money, *, interest: Money, principal: Money, penal: Money = NOTHING) -> Waterfall:
    """Distribute `proceeds`: costs, penal interest, interest, principal, the surplus to the pledgor."""
    left = proceeds.require_non_negative()
    paid: list[Money] = []
    for claim in (costs, penal, interest, principal):
        part = min(left, claim.require_non_negative())
        paid.append(part)
        left -= part
    return Waterfall(
        proceeds=proceeds,
        costs=paid[0],
        penal=paid[1],
        interest=paid[2],
        principal=paid[3],
        surplus=left,
        unpaid_costs=costs - paid[0],
        bad_debt=(penal - paid[1]) + (interest - paid[2]) + (principal - paid[3]),
    )


def surplus_shares(surplus: Money, contributions: Sequence[tuple[str, Money]]) -> tuple[tuple[str, Money], ...]:
    """Share a surplus among pledgors by what the sale of their credits brought, to the fen.

    Everyone gets the share rounded down; the fen left over go one each to the largest remainders, then in the order
    given. Raises `QuantityOutOfRange` when there is a surplus and no contribution.
    """
    total = sum(money.require_non_negative().fen for _, money in contributions)
    if not surplus.require_non_negative():
        return tuple((pledgor, Money(0)) for pledgor, _ in contributions)
    if not total:
        raise QuantityOutOfRange("a surplus comes from a sale", surplus_fen=surplus.fen)
    shares = [divmod(surplus.fen * money.fen, total) for _, money in contributions]
    left = surplus.fen - sum(whole for whole, _ in shares)
    largest = sorted(range(len(shares)), key=lambda place: (-shares[place][1], place))[:left]
    return tuple(
        (pledgor, Money(shares[place][0] + (place in largest))) for place, (pledgor, _) in enumerate(contributions)
    )


def _part_worth(valued: ValuedLot, needed: Money) -> DisposalLot:
    reserve = reserve_price(valued)
    exact = reserve.quantity_worth(needed)
    lots = Carbon(-(-exact.kg // KG_PER_TONNE) * KG_PER_TONNE)
    quantity = min(lots, valued.lot.quantity)
    lot = Lot(valued.lot.asset, valued.lot.asset_class, quantity)
    return DisposalLot(lot, reserve, reserve.value_of(quantity))
