"""Instruments: listing, sessions and halts by the exchange; book, trades and days for everyone."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Query, Response

from credit_api.app.errors import Forbidden
from credit_api.app.wiring import Parts
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.order_book.market_data import book_out, candles, instrument_out
from credit_api.order_book.schemas import BookOut, CandleOut, InstrumentOut, TradeOut
from financing.base.commands import AssetCode
from financing.base.quantities import business_date
from financing.lending.unit import UnitOfWork
from financing.market.order_book.venue import (
    HaltTrading,
    ListInstrument,
    StepSession,
    halt,
    list_instrument,
    resume,
    run_session,
)

router = Router(prefix="/v1", tags=["order book"], responses=PROBLEMS)


def require_venue(parts: Parts, rules: str) -> None:
    """A venue that is always open is for the sandbox. Raises `Forbidden`, `ParameterMissing`."""
    record = parts.parameters.venue(rules, business_date(parts.clock()))
    if record.always_open and not parts.settings.sandbox:
        raise Forbidden("a venue that is always open is for the sandbox", rules=rules)


@router.post("/instruments", status_code=201, response_model=InstrumentOut)
async def add_instrument(body: ListInstrument, call: CallDep) -> Response:
    """List an asset of the ledger for trading, as the exchange, with its first previous close."""
    parts = call.parts
    require_venue(parts, body.rules)
    return await call.commit(list_instrument.given(parts.order_books, body), answer=partial(instrument_out, parts))


@router.get("/instruments")
def list_instruments(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[InstrumentOut]:
    """Everything that is listed, with session, band and last price."""
    with parts.reading() as connection:
        instruments = UnitOfWork(connection).orders.instruments(paging.window)
    return paging.answers(instruments, partial(instrument_out, parts))


@router.get("/instruments/{instrument}")
def show_instrument(instrument: AssetCode, parts: PartsDep, principal: PrincipalDep) -> InstrumentOut:
    """One instrument with session, band and last price."""
    with parts.reading() as connection:
        return instrument_out(parts, UnitOfWork(connection).orders.instrument(instrument))


@router.get("/instruments/{instrument}/book")
def show_book(instrument: AssetCode, parts: PartsDep, principal: PrincipalDep) -> BookOut:
    """The best five prices of either side."""
    with parts.reading() as connection:
        return book_out(UnitOfWork(connection), instrument)


@router.get("/instruments/{instrument}/trades")
def list_trades(instrument: AssetCode, parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[TradeOut]:
    """The last trades of everyone, newest first, without their parties."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        unit.orders.instrument(instrument)
        trades = unit.orders.trades(instrument, window=paging.window)
    return paging.answers(trades, TradeOut.of)


@router.get("/instruments/{instrument}/candles")
def list_candles(
    instrument: AssetCode, parts: PartsDep, principal: PrincipalDep, days: Annotated[int, Query(ge=1, le=1000)] = 250
) -> list[CandleOut]:
    """Days of listed trading, oldest first: open, high, low, last, close (volume-weighted average) and quantity.

    It has no pages: `days` says how many at most.
    """
    with parts.reading() as connection:
        UnitOfWork(connection).orders.instrument(instrument)
        return candles(connection, instrument, days)


@router.post("/instruments/{instrument}/halt", response_model=InstrumentOut)
async def start_halt(instrument: AssetCode, body: HaltTrading, call: CallDep) -> Response:
    """Stop trading, as the exchange that listed it; waiting orders stay and can be cancelled."""
    given = halt.given(call.parts.order_books, instrument, body)
    return await call.commit(given, answer=partial(instrument_out, call.parts), instrument=instrument, status=200)


@router.post("/instruments/{instrument}/resumption", response_model=InstrumentOut)
async def end_halt(instrument: AssetCode, call: CallDep) -> Response:
    """End a halt, as the exchange that listed it."""
    given = resume.given(call.parts.order_books, instrument)
    return await call.commit(given, answer=partial(instrument_out, call.parts), instrument=instrument, status=200)


@router.post("/instruments/{instrument}/session", response_model=InstrumentOut)
async def step_session(instrument: AssetCode, body: StepSession, call: CallDep) -> Response:
    """Collect for a call auction, uncross it and trade on, or close the day, as the exchange that listed it."""
    given = run_session.given(call.parts.order_books, instrument, body)
    return await call.commit(given, answer=partial(instrument_out, call.parts), instrument=instrument, status=200)
