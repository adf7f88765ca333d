"""What a trade costs each side, to be shown before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from financing.base.parameters.records import TradingRules
from financing.base.quantities import Carbon, Money, Price


@dataclass(frozen=True, slots=True)
class Quote:
    """Amounts of a trade in fen: the buyer pays `amount + buyer_fee`, the seller gets `amount − seller_fee`."""

    amount: Money
    buyer_fee: Money
    seller_fee: Money

    @property
    def buyer_pays(self) -> Money:
        return self.amount + self.buyer_fee

    @property
    def seller_gets(self) -> Money:
        return self.amount - self.seller_fee


def quote(quantity: Carbon, price: Price, rules: TradingRules) -> Quote:
    """The amounts of a trade under `rules`; the seller's fee is never more than the amount."""
    amount = price.cost_of(quantity)
    fee = rules.fee_on(amount)
    return Quote(amount, fee, min(fee, amount))
