"""What one command may touch: the stores, on the writer's connection, inside the command's savepoint."""

from __future__ import annotations

from sqlalchemy import Connection

from financing.base.storage.idempotency import IdempotencyStore
from financing.ledger.organisations import OrganisationStore
from financing.ledger.store import LedgerStore
from financing.lending.business_day.store import DayStore
from financing.lending.loans.store import BookStore
from financing.lending.origination.security_store import SecurityStore
from financing.lending.store import LendingStore
from financing.market.auctions.store import AuctionStore
from financing.market.order_book.journal_store import JournalStore
from financing.market.order_book.store import OrderStore
from financing.market.over_the_counter.store import TradingStore
from financing.market.prices.store import MarketStore
from financing.registry.credits.serial_store import SerialStore
from financing.registry.metering.store import MeteringStore
from financing.registry.methodology.store import MethodologyStore
from financing.registry.neutrality.store import NeutralityStore
from financing.registry.oversight.guard_store import GuardStore
from financing.registry.oversight.store import CustodyStore
from financing.registry.packages.store import PackageStore
from financing.registry.store import RegistryStore
from financing.registry.transfers.store import TransferStore
from financing.registry.verification.store import VerificationStore


class UnitOfWork:
    """The stores on one connection. A reader builds one on its own connection and only reads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.organisations = OrganisationStore(connection)
        self.ledger = LedgerStore(connection)
        self.serials = SerialStore(connection)
        self.registry = RegistryStore(connection)
        self.custody = CustodyStore(connection)
        self.guard = GuardStore(connection)
        self.packages = PackageStore(connection)
        self.transfers = TransferStore(connection)
        self.trading = TradingStore(connection)
        self.auctions = AuctionStore(connection)
        self.neutrality = NeutralityStore(connection)
        self.market = MarketStore(connection)
        self.lending = LendingStore(connection)
        self.books = BookStore(connection)
        self.securities = SecurityStore(connection)
        self.days = DayStore(connection)
        self.metering = MeteringStore(connection)
        self.methodologies = MethodologyStore(connection)
        self.verification = VerificationStore(connection)
        self.journal = JournalStore(connection)
        self.orders = OrderStore(connection)
        self.idempotency = IdempotencyStore(connection)
