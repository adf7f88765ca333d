"""Deposits, prices and marks."""

from __future__ import annotations

from fastapi import Response

from credit_api.credits.schemas import BalanceOut
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.prices.schemas import MarkOut, PriceOut, PriceRecordedOut
from financing.base.commands import Id
from financing.ledger.deposits import Deposit, deposit
from financing.lending.business_day.pricing import RecordPrice, record_price
from financing.lending.unit import UnitOfWork
from financing.valuation.marks import marks_of

router = Router(prefix="/v1", tags=["market"], responses=PROBLEMS)


@router.post("/deposits", status_code=201, response_model=BalanceOut)
async def add_deposit(body: Deposit, call: CallDep) -> Response:
    """Credit money that reached the exchange's settlement account to a participant."""
    return await call.commit(deposit.given(body), answer=BalanceOut.of)


@router.post("/prices", status_code=201, response_model=PriceRecordedOut)
async def add_price(body: RecordPrice, call: CallDep) -> Response:
    """Record a price, as the exchange. Every active loan is looked at again in the same commit."""
    return await call.commit(record_price.given(body), answer=PriceRecordedOut.of)


@router.get("/prices")
def list_prices(parts: PartsDep, principal: PrincipalDep, paging: PagingDep, asset_class: Id) -> list[PriceOut]:
    """Price observations of a class, newest first."""
    with parts.reading() as connection:
        seen = UnitOfWork(connection).prices.observations(asset_class, paging.window)
    return paging.answers(seen, PriceOut.of)


@router.get("/marks/{asset_class}")
def show_mark(asset_class: Id, parts: PartsDep, principal: PrincipalDep) -> MarkOut:
    """The mark of a class now: a price, or why there is none."""
    with parts.reading() as connection:
        marks = marks_of(UnitOfWork(connection), parts.parameters, [asset_class], parts.clock())
    return MarkOut.of(marks[asset_class])
