"""Security beside pledged credits: receivables, future income, guarantees; and how much debt it supports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel

from financing.base.errors import PeriodInvalid
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import Money, Rate

SecurityKind = Literal["receivable", "income_stream", "guarantee"]


@dataclass(frozen=True, slots=True)
class Security:
    """What `provider` gives `bank` for the debt of `borrower`: worth `value` (a guarantee's amount; P90 and discounted
    for what is still to be earned), from `since` until `valid_until`. It is no ledger asset and never an issued credit.
    """

    security_id: str
    kind: SecurityKind
    provider: str
    bank: str
    borrower: str
    value: Money
    since: date
    valid_until: date

    def __post_init__(self) -> None:
        self.value.require_positive()
        if self.valid_until <= self.since:
            raise PeriodInvalid("a security lasts", valid_until=str(self.valid_until))


class SecurityStanding(BaseModel):
    """What is kept of a security and shown of it: its kind, how long it lasts, how it stands, what proves it."""

    kind: str
    since: date
    valid_until: date
    state: str
    evidence_sha256: str
    registration_number: str | None


def supported(securities: Sequence[Security], product: LendingProduct) -> Money:
    """The debt that the securities support under a product: value × its advance, each rounded down; 0 for a kind that
    the product does not take."""
    rates = {rule.kind: Rate(rule.advance_bps).fraction() for rule in product.securities}
    return sum((each.value.scaled_floor(rates[each.kind]) for each in securities if each.kind in rates), Money(0))


def shortages(securities: Sequence[Security], product: LendingProduct, amount: Money) -> list[str]:
    """The kinds of which the product demands a larger share of `amount` than is there."""
    missing: list[str] = []
    for rule in product.securities:
        there = supported([each for each in securities if each.kind == rule.kind], product)
        if there < amount.scaled_ceil(Rate(rule.share_bps_min).fraction()):
            missing.append(rule.kind)
    return missing
