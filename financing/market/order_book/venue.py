"""What the exchange does: list, halt, resume, run the session by hand; and block trades between two parties."""

from __future__ import annotations

from enum import StrEnum

from financing.base.authority import HOLDERS
from financing.base.commands import AssetCode, Command, FenPerTonne, Id, Kilograms, Text, use_case
from financing.base.context import Context
from financing.base.errors import AlreadyExists, InvalidState, MarketClosed, NotFound, NotPermitted, OrderRefused
from financing.base.quantities import business_date
from financing.ledger.accounts import Asset, cash
from financing.market.order_book.cache import OrderBooks, venue_of
from financing.market.order_book.commands import require_sellable
from financing.market.order_book.engine import events
from financing.market.order_book.engine.matching_engine import MatchingEngine
from financing.market.order_book.engine.orders import fee_on
from financing.market.order_book.engine.schedule import due, require_taking_orders
from financing.market.order_book.engine.sessions import (
    Phase,
    lots_of,
    require_on_tick,
    require_within_band,
    scheduled_phase,
)
from financing.market.order_book.recording import record
from financing.market.order_book.store import BlockReport, Instrument
from financing.market.unit import MarketUnit


class SessionStep(StrEnum):
    """What the exchange does with an open instrument: collect for an auction, trade (uncrossing), end the day."""

    CALL = "call"
    CONTINUE = "continue"
    CLOSE = "close"


class ListInstrument(Command):
    """List an asset under a venue's rule set, with its first previous close."""

    instrument: AssetCode
    rules: Id
    reference_fen_per_tonne: FenPerTonne


class HaltTrading(Command):
    reason: Text


class StepSession(Command):
    """`call` collects for an auction, `continue` uncrosses and trades on, `close` ends the day."""

    step: SessionStep


class ReportBlock(Command):
    """A bilateral trade of at least the venue's block size."""

    buyer_id: Id
    seller_id: Id
    quantity_kg: Kilograms
    price_fen_per_tonne: FenPerTonne


@use_case
def list_instrument(unit: MarketUnit, context: Context, books: OrderBooks, command: ListInstrument) -> Instrument:
    """Open an asset of the ledger to trading under a venue's rules, with its first previous close.

    Raises `NotPermitted`, `NotFound` for an asset nothing was booked in, `AlreadyExists`, `ParameterMissing`.
    """
    asset, rules = Asset(command.instrument), command.rules
    context.parameters.venue(rules, business_date(context.at))
    if asset.is_money or not unit.ledger.is_known(asset):
        raise NotFound("nothing was ever booked in this asset", asset=asset.code)
    if unit.journal.head(asset.code)[0]:
        raise AlreadyExists("the asset is listed already", instrument=asset.code)
    state = MatchingEngine(asset.code)
    record(unit, context, state, events.Listed(context.actor.id, rules, command.reference_fen_per_tonne.amount))
    _bring_up(unit, context, state)
    books.keep(state)
    return unit.orders.instrument(asset.code)


@use_case
def halt(unit: MarketUnit, context: Context, books: OrderBooks, instrument: str, command: HaltTrading) -> Instrument:
    """Stop trading; waiting orders stay and can be cancelled. Raises `NotPermitted`, `InvalidState`."""
    return _control(unit, context, books, instrument, events.Halted(command.reason))


@use_case
def resume(unit: MarketUnit, context: Context, books: OrderBooks, instrument: str) -> Instrument:
    """Take orders again. Raises `NotPermitted`, `InvalidState`."""
    return _control(unit, context, books, instrument, events.Resumed())


@use_case
def run_session(
    unit: MarketUnit, context: Context, books: OrderBooks, instrument: str, command: StepSession
) -> Instrument:
    """Collect for a call auction, go on to continuous trading (uncrossing what was collected), or end the day.

    Raises `NotPermitted`, `MarketHalted`, `MarketClosed` outside the venue's hours, `InvalidState`.
    """
    _require_own(unit, context, instrument)
    step = command.step
    with books.changing(unit, instrument) as state:
        _bring_up(unit, context, state)
        rules, calendar = venue_of(state, context.parameters, context.at)
        if step is SessionStep.CLOSE:
            if state.day_over or state.day is None:
                raise InvalidState("the day is closed already", instrument=instrument)
            record(unit, context, state, events.DayClosed(state.day))
            return unit.orders.instrument(instrument)
        if scheduled_phase(rules, calendar, context.at) in (Phase.CLOSED, Phase.BREAK):
            raise MarketClosed("outside the venue's hours", instrument=instrument)
        if state.day_over or state.day is None:
            raise InvalidState("the day is closed; the next one begins by itself", instrument=instrument)
        if step is SessionStep.CALL:
            if state.phase is Phase.CALL:
                raise InvalidState("a call auction is open", instrument=instrument)
            record(unit, context, state, events.CallOpened(manual=True))
        else:
            require_taking_orders(state, rules, calendar, context.at)
            if state.phase is Phase.CONTINUOUS:
                raise InvalidState("trading is continuous already", instrument=instrument)
            record(unit, context, state, events.Continued())
        return unit.orders.instrument(instrument)


@use_case
def report_block(
    unit: MarketUnit, context: Context, books: OrderBooks, instrument: str, command: ReportBlock
) -> BlockReport:
    """Report a block. One of its parties opens it for the other to confirm; the exchange settles it at once.

    Raises `OrderRefused` for a size or price outside the rules, `NotPermitted` for anyone else.
    """
    with books.changing(unit, instrument) as state:
        _bring_up(unit, context, state)
        report = _checked(unit, context, state, command)
        unit.orders.add_block(report)
        if context.actor.kind == "exchange":
            _settle(unit, context, state, report)
    return unit.orders.block(report.block_id)


@use_case
def confirm_block(unit: MarketUnit, context: Context, books: OrderBooks, block_id: str) -> BlockReport:
    """Confirm a block as its other side: it settles against payment in one entry.

    Raises `NotFound`, `NotPermitted`, `InvalidState` on another day or in another state, `InsufficientBalance`.
    """
    report = unit.orders.block(block_id)
    context.require_party(report.buyer, report.seller)
    if context.actor.id == report.reported_by:
        raise NotPermitted("the other side confirms a block", block_id=block_id)
    if report.state != "open" or report.day != business_date(context.at):
        raise InvalidState("the block is not open for confirmation today", block_id=block_id, state=report.state)
    with books.changing(unit, report.instrument) as state:
        _bring_up(unit, context, state)
        _settle(unit, context, state, report)
    return unit.orders.block(block_id)


@use_case
def withdraw_block(unit: MarketUnit, context: Context, block_id: str) -> BlockReport:
    """Take back a reported block, as the side that reported it."""
    report = unit.orders.block(block_id)
    context.require_party(report.reported_by)
    if report.state != "open":
        raise InvalidState(f"the block is {report.state}", block_id=block_id)
    unit.orders.end_block(block_id, "withdrawn", None)
    return unit.orders.block(block_id)


def _control(unit: MarketUnit, context: Context, books: OrderBooks, instrument: str, event: events.Event) -> Instrument:
    _require_own(unit, context, instrument)
    with books.changing(unit, instrument) as state:
        record(unit, context, state, event)
        _bring_up(unit, context, state)
    return unit.orders.instrument(instrument)


def _require_own(unit: MarketUnit, context: Context, instrument: str) -> None:
    context.require_party(unit.orders.instrument(instrument).listed_by)


def _bring_up(unit: MarketUnit, context: Context, state: MatchingEngine) -> None:
    rules, calendar = venue_of(state, context.parameters, context.at)
    while (event := due(state, rules, calendar, context.at)) is not None:
        record(unit, context, state, event)


def _checked(unit: MarketUnit, context: Context, state: MatchingEngine, terms: ReportBlock) -> BlockReport:
    rules, calendar = venue_of(state, context.parameters, context.at)
    if context.actor.kind == "exchange":
        context.require_party(state.exchange)
    else:
        context.require_party(terms.buyer_id, terms.seller_id)
    if terms.buyer_id == terms.seller_id:
        raise NotPermitted("nobody trades with itself", party=terms.buyer_id)
    for party in (terms.buyer_id, terms.seller_id):
        unit.organisations.require_kind(party, *HOLDERS)
    require_taking_orders(state, rules, calendar, context.at)
    lots = lots_of(rules, terms.quantity_kg.kg)
    if lots < rules.block_lots_min:
        raise OrderRefused("smaller than a block; place an order", lots=lots, least=rules.block_lots_min)
    require_on_tick(rules, terms.price_fen_per_tonne.amount)
    require_within_band(terms.price_fen_per_tonne.amount, state.reference, rules.block_band_bps)
    return BlockReport(
        block_id=context.new_id("blk"),
        instrument=state.instrument,
        buyer=terms.buyer_id,
        seller=terms.seller_id,
        price=terms.price_fen_per_tonne.amount,
        lots=lots,
        reported_by=context.actor.id,
        reported_at=context.at,
        day=business_date(context.at),
        state="open",
    )


def _settle(unit: MarketUnit, context: Context, state: MatchingEngine, report: BlockReport) -> None:
    rules, calendar = venue_of(state, context.parameters, context.at)
    require_taking_orders(state, rules, calendar, context.at)
    require_within_band(report.price, state.reference, rules.block_band_bps)
    amount = report.price * report.lots
    event = events.BlockTraded(
        block_id=report.block_id,
        buyer=report.buyer,
        seller=report.seller,
        price=report.price,
        lots=report.lots,
        buyer_fee=fee_on(amount, rules.buyer_fee_ppm),
        seller_fee=fee_on(amount, rules.seller_fee_ppm),
    )
    unit.ledger.require_available(cash(report.buyer), amount + event.buyer_fee)
    require_sellable(unit, state, rules, report.seller, report.lots * rules.lot_kg)
    record(unit, context, state, event)
    unit.orders.end_block(report.block_id, "settled", state.seq)
