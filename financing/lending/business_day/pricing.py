"""Record a price observation, and see at once what it does to the loan book."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from financing.base.commands import Command, FenPerTonne, Id, Moment, Text, issued_by
from financing.base.context import Context
from financing.base.quantities import business_date
from financing.lending.business_day.intraday import Revalued, revalue_now
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import PriceObservation, admit


class RecordPrice(Command):
    asset_class: Id
    price_fen_per_tonne: FenPerTonne
    observed_at: Moment
    source: Text
    confirmed: bool = Field(
        default=False, strict=True, description="a second person confirmed a move beyond the class's band"
    )


@dataclass(frozen=True, slots=True)
class PriceRecorded:
    """The observation, and what looking at every loan again led to."""

    observation: PriceObservation
    revalued: Revalued


@issued_by("exchange")
def record_price(unit: UnitOfWork, context: Context, command: RecordPrice) -> PriceRecorded:
    """Admit a price and revalue every active loan in the same commit, so a fall cannot go unnoticed.

    Raises `NotPermitted` unless the actor is an exchange, `ParameterMissing` for an unknown class, `PriceImplausible`.
    """
    policy = context.parameters.collateral_class(command.asset_class, business_date(context.at))
    seen = PriceObservation(
        command.asset_class, command.price_fen_per_tonne, command.observed_at, command.source, command.confirmed
    )
    admitted = admit(seen, unit.prices.latest_price(command.asset_class, context.at), policy, context.at)
    unit.prices.add_price(admitted, recorded_by=context.actor.id, at=context.at)
    return PriceRecorded(admitted, revalue_now(unit, context))
