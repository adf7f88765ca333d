"""Orders: place, preview, cancel, and look at one's own."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Response

from credit_api.http.callers import CallDep, IssuerDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.order_book.schemas import OrderOut, OrderPlacedOut, OrderQuery, OwnTradeOut, PreviewOut
from financing.base.commands import AssetCode, Id
from financing.base.errors import NotFound
from financing.lending.unit import UnitOfWork
from financing.market.order_book.commands import PlaceOrder, cancel_order, place_order, preview_order

router = Router(prefix="/v1", tags=["order book"], responses=PROBLEMS)


@router.post("/orders", status_code=201, response_model=OrderPlacedOut)
async def add_order(body: PlaceOrder, call: CallDep) -> Response:
    """Place an order: it trades at once what it can, in one balanced entry, and what may wait is reserved for.

    The answer comes when all of it is durable.
    """
    given = place_order.given(call.parts.order_books, body)
    return await call.commit(given, answer=OrderPlacedOut.placed, instrument=body.instrument)


@router.get("/orders/preview")
async def show_preview(issuer: IssuerDep, asked: Annotated[OrderQuery, Query()]) -> PreviewOut:
    """What an order would reserve and the highest fee it can be charged; refused as the order itself would be."""
    await issuer.bring_up(asked.instrument, issuer.context())
    seen = await issuer.ask(preview_order.given(issuer.parts.order_books, asked))
    return PreviewOut.previewed(asked, seen)


@router.get("/orders")
def list_orders(
    parts: PartsDep,
    principal: PrincipalDep,
    paging: PagingDep,
    instrument: AssetCode | None = None,
    state: Literal["open", "filled", "cancelled", "expired", "self_trade"] | None = None,
) -> list[OrderOut]:
    """The caller's orders, newest first."""
    with parts.reading() as connection:
        orders = UnitOfWork(connection).orders.orders(
            owner=principal.organisation_id, instrument=instrument, state=state, window=paging.window
        )
    return paging.answers(orders, OrderOut.of)


@router.get("/orders/{order_id}")
def show_order(order_id: Id, parts: PartsDep, principal: PrincipalDep) -> OrderOut:
    """One of the caller's orders."""
    with parts.reading() as connection:
        order = UnitOfWork(connection).orders.order(order_id)
    if order.owner != principal.organisation_id:
        raise NotFound("no such order", order_id=order_id)
    return OrderOut.of(order)


@router.post("/orders/{order_id}/cancellation", response_model=OrderOut)
async def end_order(order_id: Id, call: CallDep) -> Response:
    """Take a waiting order back, at any hour and in a halt; what it reserved is free again."""
    return await call.commit(cancel_order.given(call.parts.order_books, order_id), answer=OrderOut.of, status=200)


@router.get("/trades")
def list_own_trades(
    parts: PartsDep, principal: PrincipalDep, paging: PagingDep, instrument: AssetCode
) -> list[OwnTradeOut]:
    """The caller's trades of an instrument, newest first, with fees and the settling entries."""
    owner = principal.organisation_id
    with parts.reading() as connection:
        trades = UnitOfWork(connection).orders.trades(instrument, party=owner, window=paging.window)
    return paging.answers(trades, lambda each: OwnTradeOut.own(each, owner))
