"""What the pages of trade beside the book share: what an organisation has free, what assets are called, and fees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from credit_api.console.pages import Page
from credit_api.console.posting import FieldInvalid, Post
from financing.base.quantities import Carbon, Price
from financing.ledger.accounts import AccountKind, Asset
from financing.lending.unit import UnitOfWork
from financing.market.delivery import rules_of
from financing.market.fees import Quote, quote
from financing.market.over_the_counter.deals import Listing


@dataclass(frozen=True, slots=True)
class Free:
    """Credits of one issuance or units of one package that can be moved now."""

    asset: str
    name: str
    available: Carbon


def asset_names(unit: UnitOfWork) -> dict[str, str]:
    """What every asset is called, by its code."""
    names = {
        Asset.credits(each.issuance_id).code: f"{each.project_code} {each.vintage} · {each.methodology_tag}"
        for each in unit.issuances.all()
    }
    return names | {Asset.units(each.package_id).code: f"{each.code} · {each.name}" for each in unit.packages.all()}


def free_of(unit: UnitOfWork, owner_id: str, names: dict[str, str]) -> list[Free]:
    """What an owner can sell or move: credits and package units, most first."""
    found = [
        Free(balance.key.asset.code, names[balance.key.asset.code], Carbon(balance.available))
        for balance in unit.ledger.balances(owner_id=owner_id, kinds=[AccountKind.HOLDING])
        if not balance.key.asset.is_money and balance.available > 0
    ]
    return sorted(found, key=lambda each: (-each.available.kg, each.asset))


def listings_of(unit: UnitOfWork, party: str) -> list[Listing]:
    """Listings that a party made or that are addressed to it, newest first."""
    return sorted(unit.trading.listings_of(party), key=lambda each: (each.listed_at, each.listing_id), reverse=True)


def fees(page: Page, quantity: Carbon, price: Price) -> Quote:
    """What a trade would cost each side by the rules of now."""
    return quote(quantity, price, rules_of(page.context()))


def asked_of(page: Page) -> Post:
    """The query of a preview, read like a form."""
    return Post(page, {name: [value] for name, value in page.request.query_params.items()})


def side_of(post: Post) -> str:
    side = post.text("side")
    if side not in {"buy", "sell"}:
        raise FieldInvalid("side: unknown choice", "side")
    return side


def in_days(post: Post, at: datetime, most: int) -> datetime:
    """When something that is to stand for a number of days ends."""
    return at + timedelta(days=post.whole("days", 1, most))
