"""The end of day on both databases, on generated books in the real tables."""

from datetime import timedelta

import pytest
from databases import migrated
from sqlalchemy import text

from financing.base.errors import BooksDiverged, InvalidState, PeriodInvalid
from financing.base.storage.database import open_engine
from financing.lending.business_day.closing import close_day, open_dates
from financing.lending.unit import UnitOfWork
from simulations.benchmarks.end_of_day import DAY, context_at, counted
from simulations.benchmarks.generated_book import BANK, BookSize, seed_book

LOANS = 400
STATE = "SELECT * FROM loan_account ORDER BY number"


@pytest.fixture
def engine(kind, tmp_path, databases):
    with databases.copied(kind, tmp_path / "books.db", seeded) as address:
        opened = open_engine(address)
        yield opened
        opened.dispose()


def seeded(address, size=BookSize(LOANS, 2)):
    migrated(address)
    opened = open_engine(address)
    with opened.execution_options(tanxin_writer=True).begin() as connection:
        seed_book(connection, context_at(DAY), size, DAY)
    opened.dispose()


def close(engine, day, at=None):
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        return close_day(UnitOfWork(connection), context_at(at or day), day)


def rows(engine, query=STATE):
    with engine.connect() as connection:
        return connection.execute(text(query)).all()


def days(count):
    return [DAY + timedelta(days=place) for place in range(count)]


def test_a_rerun_changes_nothing(engine):
    first = close(engine, DAY)
    before = rows(engine), rows(engine, "SELECT * FROM entry"), rows(engine, "SELECT * FROM alert")
    assert close(engine, DAY, at=DAY + timedelta(days=3)) == first
    assert (rows(engine), rows(engine, "SELECT * FROM entry"), rows(engine, "SELECT * FROM alert")) == before


def test_missed_days_caught_up_give_the_books_of_days_closed_in_time(engine, tmp_path):
    for day in days(6):
        close(engine, day)
    address = f"sqlite:///{tmp_path / 'other.db'}"
    seeded(address)
    other = open_engine(address)
    late = DAY + timedelta(days=6)
    with other.connect() as connection:
        missed = open_dates(UnitOfWork(connection), context_at(late))
    assert missed == [day for day in (DAY - timedelta(days=1), *days(6)) if day >= missed[0]]
    for day in days(6):
        close(other, day, at=late)
    shown = [tuple(str(cell) for cell in row) for row in rows(engine)]
    assert shown == [tuple(str(cell) for cell in row) for row in rows(other)]
    balances = "SELECT kind, posted FROM account ORDER BY owner_id, kind, reference"
    assert rows(engine, balances) == rows(other, balances)
    other.dispose()


def test_one_bad_loan_in_two_thousand_is_parked_and_the_rest_done(books_url):
    engine = open_engine(books_url)
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        seed_book(connection, context_at(DAY), BookSize(2_000, 1), DAY)
    clean = close(engine, DAY)
    assert clean.parked == 0
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        connection.execute(text("UPDATE loan_account SET rate_bps = 99999 WHERE number = 7"))
        before = connection.execute(text("SELECT * FROM loan_account WHERE number = 7")).one()
    closed = close(engine, DAY + timedelta(days=1))
    assert (closed.loans, closed.parked) == (clean.loans - 1, 1)
    with engine.connect() as connection:
        unit = UnitOfWork(connection)
        assert unit.days.parked(BANK, closed.day) == [("loan_7", "rate")]
        assert ("loan_parked", "7") in {(alert.kind, alert.subject) for alert in unit.days.alerts(BANK)}
        after = connection.execute(text("SELECT * FROM loan_account WHERE number = 7")).one()
        forward = connection.execute(text("SELECT MIN(accrued_to) FROM loan_account WHERE number <> 7 AND state = 0"))
        assert str(forward.scalar_one()) == str(closed.day)
    assert after == before
    engine.dispose()


def test_the_number_of_statements_does_not_grow_with_the_book(engine, tmp_path):
    with counted(engine) as many:
        close(engine, DAY)
    address = f"sqlite:///{tmp_path / 'small.db'}"
    seeded(address, BookSize(20, 2))
    small = open_engine(address)
    with counted(small) as few:
        close(small, DAY)
    small.dispose()
    assert abs(many[0] - few[0]) <= 8  # PostgreSQL fills a temporary table first


@pytest.mark.parametrize("change", ["DELETE FROM price_observation", "UPDATE price_observation SET observed_at = :old"])
def test_without_a_price_no_loan_is_healthy_and_an_alert_says_so(engine, change):
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        if engine.dialect.name == "sqlite":
            for (name,) in connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'price_observation'")
            ).all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(text("ALTER TABLE price_observation DISABLE TRIGGER USER"))
        connection.execute(text(change), {"old": "2020-01-01 00:00:00"} if ":old" in change else {})
    closed = close(engine, DAY)
    found = next(step for step in closed.steps if step["step"] == "revalue")
    assert found["unpriced"] == closed.loans
    assert found["healthy"] == 0
    with engine.connect() as connection:
        assert {alert.kind for alert in UnitOfWork(connection).days.alerts(BANK)} >= {"price_missing"}


def test_dates_are_closed_in_order_and_not_before_they_come(engine):
    with pytest.raises(PeriodInvalid):
        close(engine, DAY + timedelta(days=1), at=DAY)
    close(engine, DAY)
    with pytest.raises(InvalidState):
        close(engine, DAY + timedelta(days=2))


def test_a_book_that_disagrees_with_its_ledger_is_not_closed(engine):
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        connection.execute(text("UPDATE loan_account SET principal_fen = principal_fen + 1 WHERE number = 3"))
    with pytest.raises(BooksDiverged):
        close(engine, DAY)
    with engine.connect() as connection:
        assert UnitOfWork(connection).days.last(BANK) is None


def test_the_chain_of_entries_holds_after_days(engine):
    for day in days(3):
        close(engine, day)
    with engine.connect() as connection:
        head = UnitOfWork(connection).ledger.verify()
    assert head.entry_id >= 4
