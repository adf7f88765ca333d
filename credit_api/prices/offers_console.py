"""Answering offers: accept as the named buyer, take back as the seller, end what has lapsed."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from credit_api.console.posting import PostDep
from credit_api.credits.console import assets_page
from financing.base.commands import Id
from financing.base.context import HOLDERS
from financing.lending.collateral.disposing import accept_offer
from financing.market.over_the_counter.offering import expire_offer, withdraw_offer

router = APIRouter(include_in_schema=False)
HOME = "/console/assets#offers"


@router.post("/console/offers/{offer_id}/acceptance")
def accept(post: PostDep, offer_id: Id) -> Response:
    """Credits and money change hands in one entry, or nothing does."""
    post.page.principal(*HOLDERS)
    return post.commit(lambda: accept_offer.given(offer_id), to=HOME, flash="offer_accepted", again=assets_page)


@router.post("/console/offers/{offer_id}/withdrawal")
def withdraw(post: PostDep, offer_id: Id) -> Response:
    """Take an open offer back."""
    post.page.principal(*HOLDERS)
    return post.commit(lambda: withdraw_offer.given(offer_id), to=HOME, flash="offer_ended", again=assets_page)


@router.post("/console/offers/{offer_id}/expiry")
def expire(post: PostDep, offer_id: Id) -> Response:
    """End a lapsed offer, so that its credits are free again."""
    post.page.principal(*HOLDERS)
    return post.commit(lambda: expire_offer.given(offer_id), to=HOME, flash="offer_ended", again=assets_page)
