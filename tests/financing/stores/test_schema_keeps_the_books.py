"""The database itself refuses what may not happen to the books, whoever asks it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from soak import sized
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from credit_api.app.database import metadata, migrate
from financing.base.errors import InsufficientBalance, LedgerTampered
from financing.base.quantities import Money
from financing.base.storage.columns import table_of
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer, WriterClosed
from financing.ledger.accounts import CNY, AccountKey, AccountKind, cash
from financing.ledger.entries import EntryKind, balanced, pay, transfer
from financing.ledger.tables import OrganisationRow
from financing.lending.unit import UnitOfWork

AT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def books(books_url):
    engine = open_engine(books_url)
    writer = Writer(engine, UnitOfWork)

    def found(unit):
        rows = [{"id": o, "kind": "bank", "name_zh": o, "name_en": o, "created_at": AT} for o in ("a", "b")]
        unit.connection.execute(insert(table_of(OrganisationRow)), rows)
        funding = transfer(AccountKey("a", AccountKind.SETTLEMENT, CNY), cash("a"), Money(1_000))
        unit.ledger.post(balanced(EntryKind.FUNDING, "f", funding), at=AT, actor_id="a")
        unit.ledger.reserve("h", cash("a"), 100, reference="h", at=AT, expires_at=None)

    writer.execute(found)
    yield engine, writer
    writer.close()
    engine.dispose()


def payment(amount):
    return lambda unit: unit.ledger.post(
        balanced(EntryKind.TRADE, "t", pay("a", "b", Money(amount))), at=AT, actor_id="a"
    )


HASHES = "'" + "0" * 64 + "', '" + "1" * 64 + "'"
FORBIDDEN = [
    "UPDATE posting SET amount = 5",
    "DELETE FROM posting",
    "UPDATE entry SET kind = 'x'",
    "DELETE FROM entry",
    "UPDATE account SET posted = posted + 1 WHERE kind = 'cash'",
    "UPDATE account SET held = 0 WHERE kind = 'cash'",
    "UPDATE account SET floor = -5 WHERE kind = 'cash'",
    "DELETE FROM account",
    "DELETE FROM hold",
    "UPDATE hold SET amount = 1",
    "INSERT INTO posting (entry_id, account_id, account_seq, amount, balance_after) VALUES (1, 1, 2, 3, 3)",
    "INSERT INTO posting (entry_id, account_id, account_seq, amount, balance_after) VALUES (2, 1, 9, 3, 3)",
    "INSERT INTO entry (id, kind, reference, at, actor_id, previous_hash, hash) "
    f"VALUES (2, 'x', 'y', '2026-11-22 00:00:00', 'a', {HASHES})",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_schema_refuses(books, statement):
    engine, writer = books
    with pytest.raises(DBAPIError):
        writer.execute(lambda unit: unit.connection.execute(text(statement)))
    with engine.connect() as connection:
        assert UnitOfWork(connection).ledger.verify().entry_id == 1


def test_a_posting_without_its_entry_does_not_survive_the_commit(books):
    engine, writer = books

    def orphan(unit):
        balance = unit.ledger.balance(cash("a"))
        values = f"(2, {balance.account_id}, {balance.posting_count + 1}, -1, {balance.posted - 1})"
        columns = "(entry_id, account_id, account_seq, amount, balance_after)"
        unit.connection.execute(text(f"INSERT INTO posting {columns} VALUES {values}"))

    # The constraint fails at the shared commit: the orphan alone is refused, the payment beside it goes through.
    futures = [writer.submit(orphan), writer.submit(payment(1))]
    with pytest.raises(DBAPIError):
        futures[0].result()
    futures[1].result()
    with engine.connect() as connection:
        assert UnitOfWork(connection).ledger.balance(cash("b")).posted == 1


def test_holds_count_against_the_balance(books):
    _, writer = books
    with pytest.raises(InsufficientBalance):
        writer.execute(payment(901))
    writer.execute(payment(900))


def test_twenty_draws_on_money_for_nine(books):
    engine, writer = books
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda _: writer.submit(payment(100)).exception(), range(20)))
    assert sum(outcome is None for outcome in outcomes) == 9
    with engine.connect() as connection:
        assert UnitOfWork(connection).ledger.balance(cash("a")).available == 0


def test_two_writers_of_one_database_take_turns(books_url, books):
    _, writer = books
    other_engine = open_engine(books_url)
    other = Writer(other_engine, UnitOfWork)
    futures = [one.submit(payment(10)) for _ in range(20) for one in (writer, other)]
    assert [future.exception() for future in futures] == [None] * 40
    other.close()
    with other_engine.connect() as connection:
        assert UnitOfWork(connection).ledger.verify().entry_id == 41
    other_engine.dispose()


def test_tampering_behind_the_triggers_is_found(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    migrate(engine)
    writer = Writer(engine, UnitOfWork)

    def found(unit):
        rows = [{"id": o, "kind": "bank", "name_zh": o, "name_en": o, "created_at": AT} for o in ("a", "b")]
        unit.connection.execute(insert(table_of(OrganisationRow)), rows)
        funding = transfer(AccountKey("a", AccountKind.SETTLEMENT, CNY), cash("a"), Money(1_000))
        unit.ledger.post(balanced(EntryKind.FUNDING, "f", funding), at=AT, actor_id="a")

    writer.execute(found)
    for amount in (1, 2, 3):
        writer.execute(payment(amount))
    writer.close()
    changes = [
        "UPDATE posting SET amount = amount * 2 WHERE entry_id = 2",
        "DELETE FROM posting WHERE entry_id = 3",
        "UPDATE entry SET reference = 'z' WHERE id = 2",
        "DELETE FROM entry WHERE id = 2",
        "UPDATE account SET posted = posted + 5 WHERE id = 1",
    ]
    triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    for change in changes:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            for (name,) in connection.exec_driver_sql(triggers).all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            connection.exec_driver_sql(change)
            with pytest.raises(LedgerTampered):
                UnitOfWork(connection).ledger.verify()
            connection.rollback()
    engine.dispose()


def test_mutations_of_the_chain_at_random_are_all_found(tmp_path):
    """Flips, deletions, swaps and truncations anywhere in the books; what is cut off the end shows against the head."""
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    migrate(engine)
    writer = Writer(engine, UnitOfWork)

    def found(unit):
        rows = [{"id": o, "kind": "bank", "name_zh": o, "name_en": o, "created_at": AT} for o in ("a", "b")]
        unit.connection.execute(insert(table_of(OrganisationRow)), rows)
        funding = transfer(AccountKey("a", AccountKind.SETTLEMENT, CNY), cash("a"), Money(1_000))
        unit.ledger.post(balanced(EntryKind.FUNDING, "f", funding), at=AT, actor_id="a")

    writer.execute(found)
    for amount in range(1, 21):
        writer.execute(payment(amount))
    writer.close()
    random = Random(17)

    def mutation():
        entry, bit = random.randrange(2, 22), 1 << random.randrange(1, 40)
        return random.choice(
            [
                f"UPDATE posting SET amount = amount + {bit} WHERE entry_id = {entry} AND amount > 0",
                f"UPDATE posting SET balance_after = balance_after + {bit} WHERE entry_id = {entry} AND amount < 0",
                f"DELETE FROM posting WHERE entry_id = {entry}",
                f"DELETE FROM entry WHERE id = {entry}",
                f"UPDATE entry SET reference = 'x{bit}' WHERE id = {entry}",
                f"UPDATE posting SET account_seq = account_seq + {bit * 100} WHERE entry_id = {entry}",
                f"UPDATE account SET posted = posted + {bit} WHERE id = {random.randrange(1, 3)}",
            ]
        )

    with engine.connect() as connection:
        head = UnitOfWork(connection).ledger.verify()
        connection.rollback()
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for _ in range(sized(200, 5_000)):
            connection.exec_driver_sql("SAVEPOINT whole")
            connection.exec_driver_sql(mutation())
            try:
                unnoticed = UnitOfWork(connection).ledger.verify() == head
            except LedgerTampered:
                unnoticed = False
            connection.exec_driver_sql("ROLLBACK TO whole")
            assert not unnoticed
        connection.rollback()
    engine.dispose()


def test_a_closed_writer_takes_nothing_and_finishes_what_it_has(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    migrate(engine)
    writer = Writer(engine, UnitOfWork)
    future = writer.submit(lambda unit: unit.ledger.head())
    writer.close()
    writer.close()
    assert future.result().entry_id == 0
    with pytest.raises(WriterClosed):
        writer.submit(lambda unit: unit.ledger.head())
    engine.dispose()


def test_the_migrated_schema_is_the_declared_one(database_url):
    engine = open_engine(database_url)
    migrate(engine)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        differences = compare_metadata(context, metadata())
    engine.dispose()
    assert differences == []
