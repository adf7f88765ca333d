"""All stores: lending is the uppermost room."""

from __future__ import annotations

from sqlalchemy import Connection

from financing.lending.business_day.store import DayStore
from financing.lending.loans.store import BookStore
from financing.lending.origination.security_store import SecurityStore
from financing.lending.store import LendingStore
from financing.market.unit import MarketUnit


class UnitOfWork(MarketUnit):
    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.lending = LendingStore(connection)
        self.books = BookStore(connection)
        self.securities = SecurityStore(connection)
        self.days = DayStore(connection)
