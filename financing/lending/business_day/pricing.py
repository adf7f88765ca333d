"""Record a price observation, and see at once what it does to the loan book."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time

from financing.base.commands import Command, FenPerTonne, Id, Moment, Text, use_case
from financing.base.context import Context
from financing.base.quantities import CHINA_TIME, business_date
from financing.lending.business_day.intraday import Revalued, revalue_now
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import PriceObservation, admit, jumps


class RecordPrice(Command):
    asset_class: Id
    price_fen_per_tonne: FenPerTonne
    observed_at: Moment
    source: Text


@dataclass(frozen=True, slots=True)
class PriceRecorded:
    """The observation, and what looking at every loan again led to."""

    observation: PriceObservation
    revalued: Revalued


@use_case
def record_price(unit: UnitOfWork, context: Context, command: RecordPrice) -> PriceRecorded:
    """Admit a price and revalue every active loan in the same commit, so a fall cannot go unnoticed.

    A move beyond the class's band takes two people, in one step or in several of one day. Raises `NotPermitted` unless
    the actor is an exchange, `ParameterMissing` for an unknown class, `PriceImplausible`, `AwaitsSecondPerson`.
    """
    policy = context.parameters.collateral_class(command.asset_class, business_date(context.at))
    seen = PriceObservation(
        command.asset_class, command.price_fen_per_tonne, command.observed_at, command.source, confirmed=True
    )
    latest = unit.prices.latest_price(command.asset_class, context.at)
    # All but the jump is refused at once: nobody is asked to confirm a price that cannot be.
    admitted = admit(seen, latest, policy, context.at)
    day_began = datetime.combine(business_date(context.at), time.min, CHINA_TIME)
    before = unit.prices.price_before(command.asset_class, day_began)
    admitted = replace(admitted, confirmed=jumps(seen, latest, policy) or jumps(seen, before, policy))
    if admitted.confirmed:
        context.require_second_person(command.asset_class, "the price moves further than the class's band")
    unit.prices.add_price(admitted, recorded_by=context.actor.id, at=context.at)
    return PriceRecorded(admitted, revalue_now(unit, context))
