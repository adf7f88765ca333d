"""What one command may touch: the stores, on the writer's connection, inside the command's savepoint."""

from __future__ import annotations

from sqlalchemy import Connection

from financing.persistence.auction_store import AuctionStore
from financing.persistence.book_store import BookStore
from financing.persistence.custody_store import CustodyStore
from financing.persistence.day_store import DayStore
from financing.persistence.guard_store import GuardStore
from financing.persistence.idempotency_store import IdempotencyStore
from financing.persistence.journal_store import JournalStore
from financing.persistence.ledger_store import LedgerStore
from financing.persistence.lending_store import LendingStore
from financing.persistence.market_store import MarketStore
from financing.persistence.metering_store import MeteringStore
from financing.persistence.methodology_store import MethodologyStore
from financing.persistence.neutrality_store import NeutralityStore
from financing.persistence.order_store import OrderStore
from financing.persistence.organisation_store import OrganisationStore
from financing.persistence.package_store import PackageStore
from financing.persistence.registry_store import RegistryStore
from financing.persistence.security_store import SecurityStore
from financing.persistence.serial_store import SerialStore
from financing.persistence.trading_store import TradingStore
from financing.persistence.transfer_store import TransferStore
from financing.persistence.verification_store import VerificationStore


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
