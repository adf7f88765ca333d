"""All stores: lending is the uppermost room."""

from __future__ import annotations

from sqlalchemy import Connection

from financing.lending.business_day.store import DayStore
from financing.lending.collateral.store import MarginCallStore, PledgeStore
from financing.lending.loans.store import LoanStore
from financing.lending.origination.security_store import SecurityStore
from financing.lending.origination.store import DecisionStore
from financing.market.unit import MarketUnit


class UnitOfWork(MarketUnit):
    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.decisions = DecisionStore(connection)
        self.loans = LoanStore(connection)
        self.pledges = PledgeStore(connection)
        self.calls = MarginCallStore(connection)
        self.securities = SecurityStore(connection)
        self.days = DayStore(connection)
