"""Record a price observation, and see at once what it does to the loan book."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from financing.base.context import Context
from financing.base.quantities import Price, business_date
from financing.lending.business_day.intraday import Revalued, revalue_now
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import PriceObservation, admit


@dataclass(frozen=True, slots=True)
class RecordPrice:
    asset_class: str
    price: Price
    observed_at: datetime
    source: str
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class PriceRecorded:
    """The observation, and what looking at every loan again led to."""

    observation: PriceObservation
    revalued: Revalued


def record_price(unit: UnitOfWork, context: Context, command: RecordPrice) -> PriceRecorded:
    """Admit a price and revalue every active loan in the same commit, so a fall cannot go unnoticed.

    Raises `NotPermitted` unless the actor is an exchange, `ParameterMissing` for an unknown class, `PriceImplausible`.
    """
    context.require_kind("exchange")
    policy = context.parameters.collateral_class(command.asset_class, business_date(context.at))
    seen = PriceObservation(command.asset_class, command.price, command.observed_at, command.source, command.confirmed)
    admitted = admit(seen, unit.market.latest_price(command.asset_class, context.at), policy, context.at)
    unit.market.add_price(admitted, recorded_by=context.actor.id, at=context.at)
    return PriceRecorded(admitted, revalue_now(unit, context))
