"""Block trades: bilateral, reported by both sides or by the exchange, settled delivery versus payment."""

from __future__ import annotations

from fastapi import Response

from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.order_book.schemas import BlockOut
from financing.base.commands import AssetCode, Id
from financing.lending.unit import UnitOfWork
from financing.market.order_book.venue import ReportBlock, confirm_block, report_block, withdraw_block

router = Router(prefix="/v1", tags=["order book"], responses=PROBLEMS)


@router.post("/instruments/{instrument}/blocks", status_code=201, response_model=BlockOut)
async def add_block(instrument: AssetCode, body: ReportBlock, call: CallDep) -> Response:
    """Report a block: a party opens it for the other side to confirm, the exchange settles it at once."""
    given = report_block.given(call.parts.order_books, instrument, body)
    return await call.commit(given, answer=BlockOut.of, instrument=instrument)


@router.get("/blocks")
def list_blocks(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[BlockOut]:
    """Blocks that the caller is a party of, newest first; every block for an exchange."""
    party = None if principal.kind == "exchange" else principal.organisation_id
    with parts.reading() as connection:
        blocks = UnitOfWork(connection).orders.blocks(party, paging.window)
    return paging.answers(blocks, BlockOut.of)


@router.post("/blocks/{block_id}/confirmation", response_model=BlockOut)
async def accept_block(block_id: Id, call: CallDep) -> Response:
    """Confirm a block as its other side, on the same day: credits and money change hands in one entry."""
    return await call.commit(confirm_block.given(call.parts.order_books, block_id), answer=BlockOut.of, status=200)


@router.post("/blocks/{block_id}/withdrawal", response_model=BlockOut)
async def take_back_block(block_id: Id, call: CallDep) -> Response:
    """Take back a block that the other side has not confirmed, as the side that reported it."""
    return await call.commit(withdraw_block.given(block_id), answer=BlockOut.of, status=200)
