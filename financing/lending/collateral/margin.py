"""Margin calls: what restores the debt to the advance line, in cash or in additional credits, and by when.

The cure in credits is the shortfall ÷ the advance rate of what is offered, never the shortfall itself: collateral
worth 1 supports only its advance rate of debt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

import numpy as np

from financing.base.business_days import add_business_days
from financing.base.errors import InvalidState
from financing.base.parameters.china_calendar import ChinaCalendar
from financing.base.parameters.records import CollateralClass, LendingProduct
from financing.base.quantities import Carbon, Money, business_date, require_utc
from financing.lending.collateral.coverage import CALLED, Bools, CoverageStatus, Ints, columns_of, coverage, cured
from financing.market.prices.model import Mark, require_marked
from financing.valuation.pools import PoolValuation, require_priced


@dataclass(frozen=True, slots=True)
class CollateralCure:
    """Additional credits that cure: their least value, the least quantity worth that at the mark, and the same in
    whole tonnes. Exact for a pledge of its own."""

    asset_class: str
    value: Money
    quantity: Carbon
    whole_tonnes: Carbon


@dataclass(frozen=True, slots=True)
class MarginCall:
    """A call made at `called_at`. It is cured by `cash` at the debt of that day, and lapses after `cure_by` (China)."""

    loan_id: str
    debt: Money
    shortfall: Money
    cash: Money
    called_at: datetime
    cure_by: date

    def is_past_due(self, at: datetime) -> bool:
        return business_date(at) > self.cure_by


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A margin call with the collateral's market value when it was made. `state`: open, cured or closed."""

    call_id: str
    call: MarginCall
    market: Money
    state: str = "open"
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """By loan: whether a margin call is due, and whether the open one is cured."""

    call: Bools
    cure: Bools


def judge(exposed: Ints, advance: Ints, status: Ints, called: Bools) -> Verdicts:
    """What is due on each loan: `exposed` is the debt that credits have to cover, `called` marks open calls.

    The one rule for a book of one loan and of a million. An unknown value neither calls nor cures.
    """
    back = cured(exposed, advance, status == CoverageStatus.UNPRICED)
    return Verdicts(call=~called & np.isin(status, CALLED), cure=called & back)


def shortfall_of(debt: Money, pool: PoolValuation) -> Money:
    """Debt above the advance line. Raises `PriceMissing`, `PriceStale` or `PriceImplausible` when unpriced."""
    return max(debt.require_non_negative() - require_priced(pool).lendable, Money(0))


def cash_cure(debt: Money, pool: PoolValuation) -> Money:
    """The least repayment that brings the debt to the advance line: the shortfall. Raises as `shortfall_of`."""
    return shortfall_of(debt, pool)


def collateral_cure(debt: Money, pool: PoolValuation, mark: Mark, policy: CollateralClass) -> CollateralCure:
    """The least additional pledge of `policy`'s class, at its mark. Raises as `shortfall_of`, also for the offer."""
    price = require_marked(mark).price
    shortfall = shortfall_of(debt, pool)
    if not shortfall:
        return CollateralCure(policy.key, Money(0), Carbon(0), Carbon(0))
    value = shortfall.scaled_ceil(Fraction(1) / policy.advance.fraction())
    quantity = price.quantity_worth(value)
    whole = quantity.whole_tonnes()
    return CollateralCure(policy.key, value, quantity, whole if whole == quantity else whole + Carbon.from_tonnes(1))


def make_call(
    loan_id: str, debt: Money, pool: PoolValuation, product: LendingProduct, at: datetime, china: ChinaCalendar
) -> MarginCall:
    """Call for margin, to be cured by the day that `cure_by` gives.

    Raises `InvalidState` when coverage is below the call line, `PriceMissing` and its kin when unpriced.
    """
    require_priced(pool)
    status = coverage(debt, pool).status
    if status not in CALLED:
        raise InvalidState(f"coverage is {status}: there is nothing to call", loan_id=loan_id)
    return called_for(
        loan_id, debt, require_priced(pool).lendable, require_utc(at), cure_by(product, business_date(at), china)
    )


def called_for(loan_id: str, debt: Money, advance: Money, at: datetime, by: date) -> MarginCall:
    """The call on a debt above its advance line: the shortfall, in cash."""
    shortfall = max(debt - advance, Money(0))
    return MarginCall(loan_id, debt, shortfall, shortfall, at, by)


def cure_by(product: LendingProduct, called_on: date, china: ChinaCalendar) -> date:
    """The last day on which a call made on `called_on` may be cured: calendar or business days, as the product says."""
    if product.cure_day_kind == "business":
        return add_business_days(called_on, product.cure_days, china.is_business_day)
    return called_on + timedelta(days=product.cure_days)


def is_cured(debt: Money, pool: PoolValuation) -> bool:
    """Whether the debt is back at or below the advance line. An unpriced pool cures nothing but a debt of zero."""
    columns = columns_of([pool])
    owed = np.array([debt.require_non_negative().fen], np.int64)
    return bool(cured(owed, columns.advance, columns.unpriced)[0])
