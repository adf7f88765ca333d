"""Block trades: bilateral, reported by both sides or by the exchange, settled delivery versus payment."""

from __future__ import annotations

from fastapi import APIRouter, Response

from credit_api.http.callers import PartsDep, PrincipalDep
from credit_api.http.fields import Id
from credit_api.http.order_commands import CallerDep, KeyDep, commit_market
from credit_api.http.problems import PROBLEMS
from credit_api.order_book.schemas import AssetCode, BlockIn, BlockOut
from financing.base.context import Context
from financing.base.quantities import Carbon, Price
from financing.lending.unit import UnitOfWork
from financing.market.order_book.venue import (
    BlockTerms,
    confirm_block,
    report_block,
    withdraw_block,
)

router = APIRouter(prefix="/v1", tags=["order book"], responses=PROBLEMS)


@router.post("/instruments/{instrument}/blocks", status_code=201, response_model=BlockOut)
async def add_block(instrument: AssetCode, body: BlockIn, caller: CallerDep, key: KeyDep) -> Response:
    """Report a block: a party opens it for the other side to confirm, the exchange settles it at once."""
    books = caller.parts.books

    def run(unit: UnitOfWork, context: Context) -> BlockOut:
        terms = BlockTerms(body.buyer_id, body.seller_id, Carbon(body.quantity_kg), Price(body.price_fen_per_tonne))
        return BlockOut.of(report_block(unit, context, books, instrument, terms))

    return await commit_market(caller, key, body, run, instrument=instrument)


@router.get("/blocks")
def list_blocks(parts: PartsDep, principal: PrincipalDep) -> list[BlockOut]:
    """Blocks that the caller is a party of, newest first; every block for an exchange."""
    party = None if principal.kind == "exchange" else principal.organisation_id
    with parts.reading() as connection:
        return [BlockOut.of(each) for each in UnitOfWork(connection).orders.blocks(party)]


@router.post("/blocks/{block_id}/confirmation", response_model=BlockOut)
async def accept_block(block_id: Id, caller: CallerDep, key: KeyDep) -> Response:
    """Confirm a block as its other side, on the same day: credits and money change hands in one entry."""
    books = caller.parts.books

    def run(unit: UnitOfWork, context: Context) -> BlockOut:
        return BlockOut.of(confirm_block(unit, context, books, block_id))

    return await commit_market(caller, key, None, run, status=200)


@router.post("/blocks/{block_id}/withdrawal", response_model=BlockOut)
async def take_back_block(block_id: Id, caller: CallerDep, key: KeyDep) -> Response:
    """Take back a block that the other side has not confirmed, as the side that reported it."""

    def run(unit: UnitOfWork, context: Context) -> BlockOut:
        return BlockOut.of(withdraw_block(unit, context, block_id))

    return await commit_market(caller, key, None, run, status=200)
