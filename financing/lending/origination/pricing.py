"""Risk-based pricing: funding + expected loss (PD × LGD) + capital + cost, never below the product's rate grid.

Expected loss a year = PD × LGD × EAD; capital = ratio × hurdle on EAD. All rates are rounded up to the basis point.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from financing.base.parameters.records import LendingProduct, PrimeRate
from financing.base.quantities import BPS_PER_UNIT, Money, Rate, ceil_div, rate_from_estimate_up


@dataclass(frozen=True, slots=True)
class PriceWorkings:
    """How the rate came about. `risk_rate` is the sum of the parts, `grid_rate` LPR + spread, `rate` the higher."""

    exposure: Money
    recovery: Money
    probability: Rate
    loss_given_default: Rate
    expected_loss_rate: Rate
    expected_loss: Money
    funding_rate: Rate
    capital_rate: Rate
    cost_rate: Rate
    prime_rate: Rate
    grid_rate: Rate
    risk_rate: Rate
    rate: Rate


def price_loan(
    *,
    exposure: Money,
    after_haircut: Money,
    probability: float,
    spread: Rate,
    product: LendingProduct,
    prime: PrimeRate,
) -> PriceWorkings:
    """Price `exposure` secured by collateral worth `after_haircut`; it recovers that, less the cost of disposal.

    LGD = 1 − recovery ÷ exposure, at least the product's floor. Raises `QuantityOutOfRange` for no exposure.
    """
    exposure.require_positive()
    recovery = min(after_haircut.scaled_floor(Rate(product.disposal_cost_bps).complement().fraction()), exposure)
    unrecovered = Rate.ratio_up(exposure - recovery, exposure)
    lgd = max(unrecovered, Rate(product.lgd_bps_min))
    pd = rate_from_estimate_up(probability)
    expected = Rate(ceil_div(Fraction(pd.bps * lgd.bps, BPS_PER_UNIT)))
    funding = prime.rate + Rate(product.funding_spread_bps)
    capital = Rate(ceil_div(Fraction(product.capital_ratio_bps * product.capital_hurdle_bps, BPS_PER_UNIT)))
    cost = Rate(product.operating_cost_bps)
    grid = prime.rate + spread
    risk = funding + expected + capital + cost
    return PriceWorkings(
        exposure=exposure,
        recovery=recovery,
        probability=pd,
        loss_given_default=lgd,
        expected_loss_rate=expected,
        expected_loss=exposure.scaled_ceil(pd.fraction() * lgd.fraction()),
        funding_rate=funding,
        capital_rate=capital,
        cost_rate=cost,
        prime_rate=prime.rate,
        grid_rate=grid,
        risk_rate=risk,
        rate=max(grid, risk),
    )
