"""OrderBooks with credits, money and a listed instrument, on the services alone (no HTTP)."""

from datetime import UTC, date, datetime
from itertools import count

from financing.base.context import Actor, Context
from financing.base.parameters import load_parameters
from financing.base.quantities import Carbon, Money, Price
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.ledger.accounts import CNY, AccountKey, AccountKind, Asset, cash, holding
from financing.ledger.entries import EntryKind, balanced, transfer
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork
from financing.market.order_book.cache import OrderBooks
from financing.market.order_book.venue import ListInstrument, list_instrument

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # a Monday, 10:00 in Shanghai
UNITS = "PKG:basket"
OWNERS = ("a", "b", "c", "d")


class BookWorld:
    """On a database that has the schema. `asset` is package units; credits, if asked for, carry serial numbers."""

    def __init__(self, url, *, rules="sandbox", reference=100, asset=UNITS, cash_fen=2_000_000, lots=400):
        self.engine = open_engine(url)
        self.writer = Writer(self.engine, UnitOfWork)
        self.books, self.parameters, self.now = OrderBooks(), load_parameters(), START
        self._numbers = count(1)
        self.asset = Asset(asset)
        self.instrument = asset

        def found(unit):
            for name in OWNERS:
                unit.organisations.add(Organisation(name, "buyer", name, name), START)
            unit.organisations.add(Organisation("x", "exchange", "x", "x"), START)
            unit.organisations.add(Organisation("r", "registry", "r", "r"), START)
            for name in OWNERS:
                funding = transfer(AccountKey("x", AccountKind.SETTLEMENT, CNY), cash(name), Money(cash_fen))
                unit.ledger.post(balanced(EntryKind.FUNDING, "f", funding), at=START, actor_id="x")
                units = transfer(
                    AccountKey("r", AccountKind.ISSUED, self.asset), holding(name, self.asset), Carbon(lots * 1_000)
                )
                unit.ledger.post(balanced(EntryKind.PACKAGING, "p", units), at=START, actor_id="r")

        self.writer.execute(found)
        self.run(
            "x",
            list_instrument,
            ListInstrument(instrument=self.asset.code, rules=rules, reference_fen_per_tonne=Price(reference)),
        )

    def context(self, who):
        kind = {"x": "exchange", "r": "registry"}.get(who, "buyer")
        return Context(Actor(who, kind), self.now, self._new_id, self.parameters)

    def _new_id(self, prefix):
        return f"{prefix}_{next(self._numbers):06d}"

    def command(self, who, use_case, *arguments):
        """A use case of the market as the writer takes it."""
        context = self.context(who)
        return lambda unit: use_case(unit, context, self.books, *arguments)

    def run(self, who, use_case, *arguments):
        return self.writer.execute(self.command(who, use_case, *arguments))

    def reading(self, look):
        with self.engine.connect() as connection:
            return look(UnitOfWork(connection))

    def balances(self):
        """{(owner, kind): (posted, held)} of money and of the instrument."""
        rows = self.reading(lambda unit: unit.ledger.balances())
        return {(b.key.owner_id, b.key.kind.value): (b.posted, b.held) for b in rows}

    def close(self):
        self.writer.close()
        self.engine.dispose()


TODAY = date(2026, 11, 23)
