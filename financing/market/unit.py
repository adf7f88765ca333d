"""The stores that a command of the market may touch."""

from __future__ import annotations

from sqlalchemy import Connection

from financing.market.auctions.store import AuctionStore
from financing.market.order_book.journal_store import JournalStore
from financing.market.order_book.store import OrderStore
from financing.market.over_the_counter.store import OtcStore
from financing.market.prices.store import PriceStore
from financing.registry.unit import RegistryUnit


class MarketUnit(RegistryUnit):
    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.otc = OtcStore(connection)
        self.auctions = AuctionStore(connection)
        self.prices = PriceStore(connection)
        self.journal = JournalStore(connection)
        self.orders = OrderStore(connection)
