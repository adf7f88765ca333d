"""The order book: best five prices, trades and closes live; orders with fees shown first; the exchange's controls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from credit_api.console import formats
from credit_api.console.charts import NARROW, WIDE, line_chart
from credit_api.console.navigation import HOLDERS
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Done, FieldInvalid, Post, PostDep, apply, shown
from credit_api.http.fields import Id
from credit_api.http.pipeline import REFUSALS
from credit_api.order_book.instruments_api import require_venue
from credit_api.order_book.market_data import book_out, candles, instrument_out
from credit_api.order_book.schemas import AssetCode
from financing.base.context import Context
from financing.base.quantities import CHINA_TIME, Price
from financing.ledger.accounts import Asset
from financing.lending.unit import UnitOfWork
from financing.market.order_book.commands import (
    Previewed,
    advance,
    cancel_order,
    place_order,
    preview_order,
)
from financing.market.order_book.engine.admission import OrderRequest
from financing.market.order_book.engine.orders import Side, TimeInForce
from financing.market.order_book.store import Instrument
from financing.market.order_book.venue import (
    SessionStep,
    halt,
    list_instrument,
    resume,
    run_session,
)

router = APIRouter(include_in_schema=False)
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
        context = page.context()
        _bring_up(page, instrument)
        request = _request_of(asked)
        seen = page.parts.writer.execute(
            lambda unit: preview_order(unit, context, page.parts.books, instrument, request)
        )
    except REFUSALS as refusal:
        page.shown = shown(refusal, form="order", values=asked.fields)
        return book_page(page, instrument)
    return book_page(page, instrument, previewed=seen, asked=asked)


@router.post("/console/book/{instrument}/orders")
def place(post: PostDep, instrument: AssetCode) -> Response:
    """Place the order that was shown."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        place_order(unit, context, post.page.parts.books, instrument, _request_of(post))
        return Done(to=f"/console/book/{instrument}#own", flash="order_placed")

    return _applied(post, instrument, run)


@router.post("/console/book/{instrument}/orders/{order_id}/cancellation")
def cancel(post: PostDep, instrument: AssetCode, order_id: Id) -> Response:
    """Take a waiting order back."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        cancel_order(unit, context, post.page.parts.books, order_id)
        return Done(to=f"/console/book/{instrument}#own", flash="order_cancelled")

    return _applied(post, instrument, run)


@router.post("/console/book-listing")
def add_instrument(post: PostDep) -> Response:
    """List an asset for trading, as the exchange."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        rules, asset = post.text("rules"), Asset(post.text("asset"))
        require_venue(post.page.parts, rules)
        list_instrument(unit, context, post.page.parts.books, asset, rules, post.price("reference"))
        return Done(to=f"/console/book/{asset.code}", flash="instrument_listed")

    return apply(post, run, lambda page: book_page(page, None))


@router.post("/console/book/{instrument}/session")
def change_session(post: PostDep, instrument: AssetCode) -> Response:
    """Halt, resume, or take the session a step on, as the exchange."""
    books = post.page.parts.books

    def run(unit: UnitOfWork, context: Context) -> Done:
        step = post.text("step")
        if step == "halt":
            halt(unit, context, books, instrument, post.text("reason"))
        elif step == "resume":
            resume(unit, context, books, instrument)
        elif step in set(SessionStep):
            run_session(unit, context, books, instrument, SessionStep(step))
        else:
            raise FieldInvalid("step: unknown choice", "step")
        return Done(to=f"/console/book/{instrument}", flash="session_changed")

    return _applied(post, instrument, run)


def _applied(post: Post, instrument: str, run: Callable[[UnitOfWork, Context], Done]) -> Response:
    page = post.page
    page.principal()
    _bring_up(page, instrument)
    response = apply(post, run, lambda again: book_page(again, instrument))
    page.parts.feeds.touch(instrument)
    return response


def _bring_up(page: Page, instrument: str) -> None:
    """Commit what time demands before a command that may be refused."""
    parts, context = page.parts, page.context()
    if parts.books.is_due(instrument, parts.parameters, context.at):
        parts.writer.execute(lambda unit: advance(unit, context, parts.books, instrument))


def _request_of(post: Post) -> OrderRequest:
    tif = post.text("tif")
    if tif not in set(TimeInForce):
        raise FieldInvalid("tif: unknown choice", "tif")
    side = post.text("side")
    if side not in set(Side):
        raise FieldInvalid("side: unknown choice", "side")
    return OrderRequest(
        side=Side(side),
        quantity=post.tonnes("quantity"),
        price=post.price("price") if post.text("price", required=False) else None,
        tif=TimeInForce(tif),
        all_or_none=post.checked("all_or_none"),
        post_only=post.checked("post_only"),
        until=post.day("until") if post.text("until", required=False) else None,
    )


def book_page(
    page: Page, instrument: str | None, *, previewed: Previewed | None = None, asked: Post | None = None
) -> Response:
    principal = page.principal()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        listed = unit.orders.instruments()
        found = unit.orders.instrument(instrument) if instrument is not None else None
        assets = _unlisted(unit, listed) if principal.kind == "exchange" else []
        values: dict[str, Any] = {} if found is None else _shown(page, unit, found, principal.organisation_id)
    return page.render(
        "book.html",
        listed=listed,
        found=found,
        previewed=previewed,
        asked=asked.fields if asked else {},
        trader=principal.kind in HOLDERS,
        exchange=principal.kind == "exchange",
        assets_to_list=assets,
        venues=page.parts.parameters.market_rules.records,
        tifs=[each.value for each in TimeInForce],
        **values,
    )


def _shown(page: Page, unit: UnitOfWork, found: Instrument, owner: str) -> dict[str, Any]:
    seen = instrument_out(page.parts, found)
    days = candles(unit.connection, found.id, DAYS)
    points = [
        (day.day, float(day.close_fen_per_tonne or day.last_fen_per_tonne or 0))
        for day in days
        if day.close_fen_per_tonne or day.last_fen_per_tonne
    ]
    drawn = [(datetime.combine(day, time(), CHINA_TIME), fen) for day, fen in points]
    return {
        "seen": seen,
        "depth": book_out(unit, found.id),
        "trades": unit.orders.trades(found.id, limit=TRADES),
        "own": unit.orders.orders(owner=owner, instrument=found.id, limit=OWN),
        "drawings": tuple(line_chart(frame, drawn, _price) for frame in (WIDE, NARROW)) if drawn else (),
    }


def _price(fen: float) -> str:
    return formats.price(Price(round(fen)))


def _unlisted(unit: UnitOfWork, listed: list[Instrument]) -> list[str]:
    taken = {each.id for each in listed}
    codes = [Asset.credits(found.issuance_id).code for found in unit.issuances.all()]
    return [code for code in codes if code not in taken]
