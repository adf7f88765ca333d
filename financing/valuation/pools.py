"""The value of a mixed pool: every lot by its own mark and its own class, then summed.

Each line is rounded down to the fen, so a pool is never worth more than its parts. One lot without a mark makes the
whole pool unpriced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from financing.base.errors import CreditsNotIssued, ParameterMissing, PriceMissing
from financing.base.parameters.records import CollateralClass
from financing.base.quantities import Carbon, Money
from financing.market.prices.model import Mark, Marked, Unpriced, require_marked


@dataclass(frozen=True, slots=True)
class Lot:
    """A quantity of one ledger asset, valued by its collateral class."""

    asset: str
    asset_class: str
    quantity: Carbon

    def __post_init__(self) -> None:
        self.quantity.require_positive()


@dataclass(frozen=True, slots=True)
class ValuedLot:
    """One line of a valuation: market value, value after haircut, and what may be lent on it."""

    lot: Lot
    mark: Marked
    policy: CollateralClass
    market: Money
    after_haircut: Money
    lendable: Money


@dataclass(frozen=True, slots=True)
class PoolValue:
    """A priced pool. The empty pool is priced, at zero."""

    lines: tuple[ValuedLot, ...]

    @property
    def market(self) -> Money:
        return sum((line.market for line in self.lines), Money(0))

    @property
    def after_haircut(self) -> Money:
        return sum((line.after_haircut for line in self.lines), Money(0))

    @property
    def lendable(self) -> Money:
        return sum((line.lendable for line in self.lines), Money(0))


@dataclass(frozen=True, slots=True)
class PoolUnpriced:
    """A pool of unknown value, and the classes that have no usable price."""

    lots: tuple[Lot, ...]
    missing: tuple[Unpriced, ...]


PoolValuation = PoolValue | PoolUnpriced


def require_issued(offered: object) -> Lot:
    """The lot, or `CreditsNotIssued`: a future stream has no serial numbers and stands for no credits.

    The type checker says the same; this is for values that come from where it does not look.
    """
    if not isinstance(offered, Lot):
        raise CreditsNotIssued("only issued credits are valued as a lot", offered=type(offered).__name__)
    return offered


def value_lot(lot: Lot, mark: Marked, policy: CollateralClass) -> ValuedLot:
    """Value one lot at `mark` under `policy`. Raises `CreditsNotIssued` for what is no lot of issued credits."""
    require_issued(lot)
    market = mark.price.value_of(lot.quantity)
    return ValuedLot(
        lot=lot,
        mark=mark,
        policy=policy,
        market=market,
        after_haircut=market.scaled_floor(policy.haircut.complement().fraction()),
        lendable=market.scaled_floor(policy.advance.fraction()),
    )


def value_pool(lots: Iterable[Lot], marks: Mapping[str, Mark], classes: Mapping[str, CollateralClass]) -> PoolValuation:
    """Value `lots` by `marks` and `classes`, both by class key.

    A class without a mark counts as missing. Raises `ParameterMissing` for a lot of an unknown class,
    `CreditsNotIssued` for a future stream among them.
    """
    held = tuple(require_issued(lot) for lot in lots)
    unpriced: dict[str, Unpriced] = {}
    lines: list[ValuedLot] = []
    for lot in held:
        policy = classes.get(lot.asset_class)
        if policy is None:
            raise ParameterMissing(f"no collateral class '{lot.asset_class}'", key=lot.asset_class)
        mark = marks.get(lot.asset_class, Unpriced(lot.asset_class, "missing"))
        if isinstance(mark, Unpriced):
            unpriced[lot.asset_class] = mark
        else:
            lines.append(value_lot(lot, mark, policy))
    if unpriced:
        return PoolUnpriced(held, tuple(unpriced.values()))
    return PoolValue(tuple(lines))


def require_priced(pool: PoolValuation) -> PoolValue:
    """The pool's value, or `PriceMissing`, `PriceStale` or `PriceImplausible` for its first lot without a price."""
    if isinstance(pool, PoolValue):
        return pool
    for unpriced in pool.missing:
        require_marked(unpriced)
    raise PriceMissing("the pool has no price")
