"""The book in memory is never anything but its journal: other processes, rolled-back commands, crashes, tampering."""

import pytest
from book_world import UNITS, BookWorld
from databases import migrated
from sqlalchemy.exc import DBAPIError

from financing.base.errors import BookDiverged
from financing.base.quantities import Carbon, Price
from financing.market.order_book.audit import rebuilt, verify_books
from financing.market.order_book.cache import OrderBooks
from financing.market.order_book.commands import PlaceOrder, place_order
from financing.market.order_book.engine.orders import Side


@pytest.fixture
def world(books_url):
    opened = BookWorld(books_url)
    yield opened
    opened.close()


def limit(side, lots, price):
    return PlaceOrder(
        instrument=UNITS, side=Side(side), quantity_kg=Carbon(lots * 1_000), price_fen_per_tonne=Price(price)
    )


def state_hashes(world):
    """The hash of the state in memory, once it is current, and of one built anew."""
    kept = world.writer.execute(lambda unit: world.books.current(unit, world.instrument).state_hash())
    return kept, world.reading(lambda unit: rebuilt(unit, world.instrument)[0].state_hash())


def test_two_processes_take_turns_on_one_book(world):
    first, second = world.books, OrderBooks()
    for number in range(6):
        world.books = (first, second)[number % 2]
        world.run("ab"[number % 2], place_order, limit("buy" if number % 3 else "sell", 2, 100))
    for books in (first, second):
        world.books = books
        kept, anew = state_hashes(world)
        assert kept == anew
    world.reading(verify_books)
    assert (first.rebuilt, second.rebuilt) == (0, 1)


def test_what_is_rolled_back_leaves_the_cache_ahead_and_is_noticed(world):
    world.run("a", place_order, limit("sell", 5, 100))

    def fails_after_placing(unit):
        place_order(unit, world.context("b"), world.books, limit("buy", 2, 100))
        raise RuntimeError("after the order was applied")

    with pytest.raises(RuntimeError):
        world.writer.execute(fails_after_placing)
    kept, anew = state_hashes(world)
    assert kept == anew
    assert world.books.rebuilt == 1
    world.run("b", place_order, limit("buy", 2, 100))
    assert world.reading(verify_books)[0].trades == 1


def test_the_journal_is_append_only_and_without_gaps(world):
    world.run("a", place_order, limit("sell", 5, 100))
    for statement in (
        "UPDATE order_journal SET payload = '{}'",
        "DELETE FROM order_journal",
        "INSERT INTO order_journal SELECT instrument_id, seq + 5, kind, payload, chain, actor_id, at "
        "FROM order_journal",
        "DELETE FROM book_order",
        "UPDATE book_order SET price_fen = 1",
        "UPDATE book_order SET left_lots = left_lots + 1",
    ):
        with pytest.raises(DBAPIError):
            world.writer.execute(lambda unit, sql=statement: unit.connection.exec_driver_sql(sql))


def test_a_changed_journal_is_noticed(tmp_path):
    address = f"sqlite:///{tmp_path / 'books.db'}"
    migrated(address)
    world = BookWorld(address)
    world.run("a", place_order, limit("sell", 5, 100))

    def tamper(unit):
        unit.connection.exec_driver_sql("DROP TRIGGER order_journal_no_update")
        unit.connection.exec_driver_sql(
            "UPDATE order_journal SET payload = replace(payload, '\"lots\":5', '\"lots\":4') WHERE kind = 'placed'"
        )

    world.writer.execute(tamper)
    with pytest.raises(BookDiverged):
        world.reading(verify_books)
    world.close()
