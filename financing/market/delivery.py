"""Delivery versus payment out of escrow: credits, money and both fees in one balanced entry."""

from __future__ import annotations

from dataclasses import dataclass

from financing.base.context import Context
from financing.base.errors import NotFound
from financing.base.parameters.records import TradingRules
from financing.base.quantities import Carbon, Money, Price, business_date
from financing.ledger.accounts import CNY, AccountKey, AccountKind, Asset, cash
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, Posted, post_entry
from financing.market.fees import Quote, quote
from financing.market.over_the_counter.store import OtcTrade
from financing.market.unit import MarketUnit

RULES = "otc"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A sale to settle: from where the credits come, from where the money, and where the credits go."""

    seller: str
    buyer: str
    asset: Asset
    quantity: Carbon
    price: Price
    credits_from: AccountKey
    money_from: AccountKey
    credits_to: AccountKey


def rules_of(context: Context) -> TradingRules:
    return context.parameters.trading(RULES, business_date(context.at))


def asset_of(unit: MarketUnit, code: str) -> Asset:
    """A traded asset that exists: credits of an issuance or units of a package. Raises `NotFound`."""
    asset = Asset(code)
    if asset.is_money:
        raise NotFound("money is not traded", asset=code)
    if asset.is_package:
        unit.packages.get(asset.package_id)
    else:
        unit.issuances.get(asset.issuance_id)
    return asset


def deliver(
    unit: MarketUnit,
    context: Context,
    sale: Delivery,
    channel: str,
    reference: str,
) -> tuple[Posted, Quote]:
    """Settle a sale: the exchange gets both fees. Raises `InsufficientBalance`, `CreditsFrozen`; nothing moves then."""
    exchange = unit.organisations.exchange().id
    amounts = quote(sale.quantity, sale.price, rules_of(context))
    legs = [
        Leg(sale.credits_from, sale.credits_to, sale.quantity),
        Leg(sale.money_from, cash(sale.seller), amounts.seller_gets),
        Leg(sale.money_from, cash(exchange), amounts.seller_fee + amounts.buyer_fee),
    ]
    booked = post_entry(unit, context, EntryKind.TRADE, reference, legs)
    unit.otc.add_trade(
        OtcTrade(
            booked.entry_id,
            sale.asset.code,
            sale.seller,
            sale.buyer,
            sale.quantity,
            sale.price,
            channel,
            context.at,
        )
    )
    return booked, amounts


def money_in_escrow(owner_id: str, reference: str) -> AccountKey:
    return AccountKey(owner_id, AccountKind.ESCROW, CNY, reference)


def what_buyer_owes(context: Context, quantity: Carbon, price: Price) -> Money:
    return quote(quantity, price, rules_of(context)).buyer_pays
