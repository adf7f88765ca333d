"""Pledges, what lenders do with them, and security beside them: guarantees, receivables, future reductions."""

from __future__ import annotations

from fastapi import Response

from credit_api.auctions.api import shown_auction
from credit_api.auctions.schemas import AuctionOut
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.lending.schemas import PledgeOut, SecurityOut, SubstitutedOut
from credit_api.over_the_counter.schemas import ListingOut
from financing.base.commands import Id
from financing.lending.collateral.commands import (
    AmendRegistration,
    PostPledge,
    ReleasePledge,
    ReservePledge,
    amend_registration,
    expire_pledge,
    post_pledge,
    release_pledge,
    reserve_pledge,
    void_pledge,
)
from financing.lending.collateral.disposal_auction import AuctionCollateral, auction_collateral
from financing.lending.collateral.disposing import ListCollateral, list_collateral
from financing.lending.collateral.substituting import SubstitutePledge, substitute_pledge
from financing.lending.origination.earnings import GiveEarnings, give_earnings
from financing.lending.origination.securing import GiveGuarantee, give_guarantee, release_security, withdraw_security
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["lending"], responses=PROBLEMS)


@router.post("/pledges", status_code=201, response_model=PledgeOut)
async def add_pledge(body: ReservePledge, call: CallDep) -> Response:
    """Reserve credits of the caller's holding for a bank: the first phase of a pledge."""
    return await call.commit(reserve_pledge.given(body), answer=PledgeOut.of)


@router.get("/pledges")
def list_pledges(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[PledgeOut]:
    """Pledges that the caller gave or holds, newest first."""
    with parts.reading() as connection:
        pledges = UnitOfWork(connection).pledges.of(principal.organisation_id, paging.window)
    return paging.answers(pledges, PledgeOut.of)


@router.post("/pledges/{pledge_id}/posting", response_model=PledgeOut)
async def post(pledge_id: Id, body: PostPledge, call: CallDep) -> Response:
    """Post a reserved pledge to a running loan (a top-up), as the lender: the second phase."""
    return await call.commit(post_pledge.given(pledge_id, body), answer=PledgeOut.of, status=200)


@router.post("/pledges/{pledge_id}/void", response_model=PledgeOut)
async def void(pledge_id: Id, call: CallDep) -> Response:
    """Give a reservation up, as either party."""
    return await call.commit(void_pledge.given(pledge_id), answer=PledgeOut.of, status=200)


@router.post("/pledges/{pledge_id}/expiry", response_model=PledgeOut)
async def expire(pledge_id: Id, call: CallDep) -> Response:
    """End a reservation that has lapsed, as either party."""
    return await call.commit(expire_pledge.given(pledge_id), answer=PledgeOut.of, status=200)


@router.post("/pledges/{pledge_id}/registration", response_model=PledgeOut)
async def amend(pledge_id: Id, body: AmendRegistration, call: CallDep) -> Response:
    """Record an amended or extended registration of a posted pledge, as the lender."""
    return await call.commit(amend_registration.given(pledge_id, body), answer=PledgeOut.of, status=200)


@router.post("/pledges/{pledge_id}/release", response_model=PledgeOut)
async def release(pledge_id: Id, body: ReleasePledge, call: CallDep) -> Response:
    """Return pledged credits to the pledgor, as the lender, if what remains covers the debt."""
    return await call.commit(release_pledge.given(pledge_id, body), answer=PledgeOut.of, status=200)


@router.post("/pledges/{pledge_id}/substitution", response_model=SubstitutedOut)
async def replace_pledge(pledge_id: Id, body: SubstitutePledge, call: CallDep) -> Response:
    """Put a reserved pledge in the place of a posted one, as the lender, if the debt stays covered: new, then old."""
    return await call.commit(substitute_pledge.given(pledge_id, body), answer=SubstitutedOut.of, status=200)


@router.post("/pledges/{pledge_id}/disposal", status_code=201, response_model=ListingOut)
async def dispose(pledge_id: Id, body: ListCollateral, call: CallDep) -> Response:
    """List pledged credits for one buyer, as the lender, when coverage or an uncured margin call allows it."""
    return await call.commit(list_collateral.given(pledge_id, body), answer=ListingOut.at(call.parts.clock()))


@router.post("/pledges/{pledge_id}/auctions", status_code=201, response_model=AuctionOut)
async def dispose_by_auction(pledge_id: Id, body: AuctionCollateral, call: CallDep) -> Response:
    """Put pledged credits up for a falling-price auction, as the lender, when coverage or an uncured call allows it."""
    return await call.commit(auction_collateral.given(pledge_id, body).then(shown_auction), answer=AuctionOut.itself)


@router.post("/guarantees", status_code=201, response_model=SecurityOut)
async def guarantee(body: GiveGuarantee, call: CallDep) -> Response:
    """Guarantee another organisation's debt to a bank, up to an amount."""
    return await call.commit(give_guarantee.given(body), answer=SecurityOut.of)


@router.post("/earnings", status_code=201, response_model=SecurityOut)
async def earnings(body: GiveEarnings, call: CallDep) -> Response:
    """Give a bank a plant's electricity bills or future reductions as security, valued at P90."""
    return await call.commit(give_earnings.given(body), answer=SecurityOut.of)


@router.get("/securities")
def list_securities(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[SecurityOut]:
    """Securities that the caller gave, holds, or borrows against, newest first."""
    with parts.reading() as connection:
        securities = UnitOfWork(connection).securities.of_organisation(principal.organisation_id, paging.window)
    return paging.answers(securities, SecurityOut.of)


@router.post("/securities/{security_id}/withdrawal", response_model=SecurityOut)
async def withdraw(security_id: Id, call: CallDep) -> Response:
    """Take an offered security back, as its provider, before a loan rests on it."""
    return await call.commit(withdraw_security.given(security_id), answer=SecurityOut.of, status=200)


@router.post("/securities/{security_id}/release", response_model=SecurityOut)
async def release_of(security_id: Id, call: CallDep) -> Response:
    """Give a security back, as the bank, when its loan is closed."""
    return await call.commit(release_security.given(security_id), answer=SecurityOut.of, status=200)
