"""The order book: best five prices, trades and closes live; orders with fees shown first; the exchange's controls."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import anyio.from_thread
from fastapi.responses import Response

from credit_api.console import formats
from credit_api.console.charts import NARROW, WIDE, line_chart
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Post, PostDep, shown
from credit_api.http.pipeline import REFUSALS, Issuer
from credit_api.http.routing import Router
from credit_api.order_book.instruments_api import require_venue
from credit_api.order_book.market_data import book_out, candles, instrument_out
from financing.base.authority import HOLDERS
from financing.base.commands import AssetCode, Given, Id
from financing.base.quantities import CHINA_TIME, Price
from financing.base.storage.paging import Window
from financing.lending.unit import UnitOfWork
from financing.market.order_book.commands import PlaceOrder, Previewed, cancel_order, place_order, preview_order
from financing.market.order_book.engine.orders import TimeInForce
from financing.market.order_book.store import Instrument
from financing.market.order_book.venue import (
    HaltTrading,
    ListInstrument,
    StepSession,
    halt,
    list_instrument,
    resume,
    run_session,
)

router = Router(include_in_schema=False)
# How many assets the exchange can choose from to list.
CHOICES = 200
TRADES, OWN, DAYS = 12, 30, 250


@router.get("/console/book")
def first_book(page: PageDep) -> Response:
    """The first listed instrument, or what to do while there is none."""
    page.principal()
    with page.parts.reading() as connection:
        listed = UnitOfWork(connection).orders.instruments()
    return book_page(page, listed[0].id if listed else None)


@router.get("/console/book/{instrument}")
def show_book(page: PageDep, instrument: AssetCode) -> Response:
    """One instrument."""
    return book_page(page, instrument)


@router.get("/console/book/{instrument}/order")
def preview(page: PageDep, instrument: AssetCode) -> Response:
    """The order as it would be taken: what it sets aside and the highest fee, and a form that places it."""
    asked = Post(page, {name: [value] for name, value in page.request.query_params.items()})
    try:
        issuer = Issuer(page.parts, page.principal())
        given = preview_order.given(page.parts.order_books, _order_of(asked, instrument))
        anyio.from_thread.run(issuer.bring_up, instrument, issuer.context())
        seen = anyio.from_thread.run(issuer.ask, given)
    except REFUSALS as refusal:
        page.shown = shown(refusal, form="order", values=asked.fields)
        return book_page(page, instrument)
    return book_page(page, instrument, previewed=seen, asked=asked)


@router.post("/console/book/{instrument}/orders")
def place(post: PostDep, instrument: AssetCode) -> Response:
    """Place the order that was shown."""
    return post.commit(
        lambda: place_order.given(post.page.parts.order_books, _order_of(post, instrument)),
        to=f"/console/book/{instrument}#own",
        flash="order_placed",
        again=lambda page: book_page(page, instrument),
        instrument=instrument,
    )


@router.post("/console/book/{instrument}/orders/{order_id}/cancellation")
def cancel(post: PostDep, instrument: AssetCode, order_id: Id) -> Response:
    """Take a waiting order back."""
    return post.commit(
        lambda: cancel_order.given(post.page.parts.order_books, order_id),
        to=f"/console/book/{instrument}#own",
        flash="order_cancelled",
        again=lambda page: book_page(page, instrument),
        instrument=instrument,
    )


@router.post("/console/book-listing")
def add_instrument(post: PostDep) -> Response:
    """List an asset for trading, as the exchange."""

    def given() -> Given[UnitOfWork, Instrument]:
        command = post.read(ListInstrument, instrument=post.text("asset"))
        require_venue(post.page.parts, command.rules)
        return list_instrument.given(post.page.parts.order_books, command)

    return post.commit(
        given,
        to=lambda listed: f"/console/book/{listed.id}",
        flash="instrument_listed",
        again=lambda page: book_page(page, None),
    )


@router.post("/console/book/{instrument}/session")
def change_session(post: PostDep, instrument: AssetCode) -> Response:
    """Halt, resume, or take the session a step on, as the exchange."""
    books = post.page.parts.order_books

    def given() -> Given[UnitOfWork, Instrument]:
        step = post.text("step")
        if step == "halt":
            return halt.given(books, instrument, post.read(HaltTrading))
        if step == "resume":
            return resume.given(books, instrument)
        return run_session.given(books, instrument, post.read(StepSession))

    return post.commit(
        given,
        to=f"/console/book/{instrument}",
        flash="session_changed",
        again=lambda page: book_page(page, instrument),
        instrument=instrument,
    )


def _order_of(post: Post, instrument: str) -> PlaceOrder:
    return post.read(PlaceOrder, instrument=instrument)


def book_page(
    page: Page, instrument: str | None, *, previewed: Previewed | None = None, asked: Post | None = None
) -> Response:
    principal = page.principal()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        listed = unit.orders.instruments()
        current = unit.orders.instrument(instrument) if instrument is not None else None
        assets = unit.orders.unlisted(CHOICES) if principal.kind == "exchange" else []
        values: dict[str, Any] = {} if current is None else _shown(page, unit, current, principal.organisation_id)
    return page.render(
        "book.html",
        listed=listed,
        current=current,
        previewed=previewed,
        asked=asked.fields if asked else {},
        trader=principal.kind in HOLDERS,
        exchange=principal.kind == "exchange",
        assets_to_list=assets,
        venues=page.parts.parameters.market_rules.records,
        tifs=[each.value for each in TimeInForce],
        **values,
    )


def _shown(page: Page, unit: UnitOfWork, instrument: Instrument, owner: str) -> dict[str, Any]:
    seen = instrument_out(page.parts, instrument)
    days = candles(unit.connection, instrument.id, DAYS)
    points = [
        (day.day, float(day.close_fen_per_tonne or day.last_fen_per_tonne or 0))
        for day in days
        if day.close_fen_per_tonne or day.last_fen_per_tonne
    ]
    drawn = [(datetime.combine(day, time(), CHINA_TIME), fen) for day, fen in points]
    return {
        "seen": seen,
        "depth": book_out(unit, instrument.id),
        "trades": unit.orders.trades(instrument.id, window=Window(TRADES)),
        "own": unit.orders.orders(owner=owner, instrument=instrument.id, window=Window(OWN)),
        "drawings": tuple(line_chart(frame, drawn, _price) for frame in (WIDE, NARROW)) if drawn else (),
    }


def _price(fen: float) -> str:
    return formats.price(Price(round(fen)))
