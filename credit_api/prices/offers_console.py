"""Answering offers: accept as the named buyer, take back as the seller, end what has lapsed."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import Response

from credit_api.console.navigation import HOLDERS
from credit_api.console.posting import Done, Post, PostDep, apply
from credit_api.credits.console import assets_page
from credit_api.http.fields import Id
from financing.base.context import Context
from financing.lending.collateral.disposing import settle_disposal
from financing.lending.unit import UnitOfWork
from financing.market.over_the_counter.offering import expire_offer, settle_offer, withdraw_offer
from financing.market.prices.store import StoredOffer

router = APIRouter(include_in_schema=False)
Answer = Callable[[UnitOfWork, Context, StoredOffer], object]


@router.post("/console/offers/{offer_id}/acceptance")
def accept(post: PostDep, offer_id: Id) -> Response:
    """Credits and money change hands in one entry, or nothing does."""
    return _answer(post, offer_id, _settle, "offer_accepted")


@router.post("/console/offers/{offer_id}/withdrawal")
def withdraw(post: PostDep, offer_id: Id) -> Response:
    """Take an open offer back."""
    return _answer(post, offer_id, _withdraw, "offer_ended")


@router.post("/console/offers/{offer_id}/expiry")
def expire(post: PostDep, offer_id: Id) -> Response:
    """End a lapsed offer, so that its credits are free again."""
    return _answer(post, offer_id, _expire, "offer_ended")


def _settle(unit: UnitOfWork, context: Context, stored: StoredOffer) -> object:
    """An ordinary sale, or a lender's sale of collateral through the waterfall."""
    if stored.pledge_id is None:
        return settle_offer(unit, context, stored)
    return settle_disposal(unit, context, stored)


def _withdraw(unit: UnitOfWork, context: Context, stored: StoredOffer) -> object:
    return withdraw_offer(unit, context, stored.offer.offer_id)


def _expire(unit: UnitOfWork, context: Context, stored: StoredOffer) -> object:
    return expire_offer(unit, context, stored.offer.offer_id)


def _answer(post: Post, offer_id: str, answer: Answer, flash: str) -> Response:
    post.page.principal(*HOLDERS)

    def run(unit: UnitOfWork, context: Context) -> Done:
        answer(unit, context, unit.market.offer(offer_id))
        return Done(to="/console/assets#offers", flash=flash)

    return apply(post, run, assets_page)
