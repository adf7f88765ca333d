"""What the pages of trade beside the book share: what an organisation has free, what assets are called, and fees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from credit_api.console.pages import Page
from credit_api.console.posting import FieldInvalid, Post
from financing.base.quantities import Carbon, Price
from financing.base.storage.paging import Page as Rows
from financing.base.storage.paging import Window
from financing.ledger.accounts import AccountKind, Asset
from financing.lending.unit import UnitOfWork
from financing.market.delivery import rules_of
from financing.market.fees import Quote, quote
from financing.market.over_the_counter.deals import Listing

# How many assets that are not one's own a form lets its reader choose from.
CHOICES = 200


@dataclass(frozen=True, slots=True)
class Free:
    """Credits of one issuance or units of one package that can be moved now."""

    asset: str
    name: str
    available: Carbon


def asset_names(unit: UnitOfWork, codes: Iterable[str]) -> dict[str, str]:
    """What these assets are called, by their code."""
    assets = {Asset(code) for code in codes}
    issuances = unit.issuances.these([each.issuance_id for each in assets if not each.is_package])
    packages = unit.packages.these([each.package_id for each in assets if each.is_package])
    names = {
        Asset.credits(each.issuance_id).code: f"{each.project_code} {each.vintage} · {each.methodology_tag}"
        for each in issuances
    }
    return names | {Asset.units(each.package_id).code: f"{each.code} · {each.name}" for each in packages}


def free_of(unit: UnitOfWork, owner_id: str) -> list[Free]:
    """What an owner can sell or move: credits and package units, most first."""
    free = {
        balance.key.asset.code: Carbon(balance.available)
        for balance in unit.ledger.balances(owner_id=owner_id, kinds=[AccountKind.HOLDING])
        if not balance.key.asset.is_money and balance.available > 0
    }
    names = asset_names(unit, free)
    choices = [Free(code, names[code], available) for code, available in free.items()]
    return sorted(choices, key=lambda each: (-each.available.kg, each.asset))


def asset_choices(unit: UnitOfWork, owner_id: str) -> dict[str, str]:
    """What a deal can be about, by code: all that its proposer has free, then the latest packages and issuances."""
    most = Window(CHOICES)
    latest = [Asset.units(each.package_id).code for each in unit.packages.all(newest_first=True, window=most)]
    latest += [Asset.credits(each.issuance_id).code for each in unit.issuances.all(newest_first=True, window=most)]
    own = {each.asset: each.name for each in free_of(unit, owner_id)}
    return own | asset_names(unit, [code for code in latest if code not in own])


def own_listings(page: Page, unit: UnitOfWork) -> tuple[Rows[Listing], dict[str, str]]:
    """The part that a page shows of the listings that its reader made or that are addressed to it, and their names."""
    listings = unit.otc.listings_of(page.principal().organisation_id, page.window("listings"))
    return listings, asset_names(unit, (each.asset for each in listings))


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
