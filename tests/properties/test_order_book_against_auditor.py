"""Random commands on the order book, on SQLite and PostgreSQL: book, ledger, holds and an independent auditor agree."""

from datetime import timedelta
from random import Random

import pytest
from book_auditor import BookAuditor
from book_world import OWNERS, BookWorld

from financing.base.errors import FinancingError
from financing.base.quantities import Carbon, Price, business_date
from financing.market.order_book.audit import verify_books
from financing.market.order_book.cache import OrderBooks
from financing.market.order_book.commands import PlaceOrder, advance, cancel_order, place_order
from financing.market.order_book.engine.orders import SelfTrade, Side, TimeInForce
from financing.market.order_book.venue import SessionStep, StepSession, run_session

CASH, LOTS = 12_000, 60


@pytest.fixture
def world(books_url):
    opened = BookWorld(books_url, cash_fen=CASH, lots=LOTS)
    yield opened
    opened.close()


def random_order(rng, reference):
    tif = rng.choices(("day", "gtd", "ioc", "fok"), (6, 2, 2, 1))[0]
    kind = rng.random()
    waits = tif in ("day", "gtd")
    return {
        "owner": rng.choice(OWNERS),
        "side": rng.choice(("buy", "sell")),
        "price": max(-(-reference * 9 // 10), min(reference * 11 // 10, round(rng.gauss(100, 3)))),
        "lots": rng.choice((1, 2, 3, 5, 8, 13, 40)),
        "tif": tif,
        "aon": waits and kind < 0.1,
        "post_only": waits and kind > 0.9,
        "stp": rng.choice(list(SelfTrade)).value,
    }


def request_of(order, world):
    until = business_date(world.now) + timedelta(days=30) if order["tif"] == "gtd" else None
    return PlaceOrder(
        instrument=world.instrument,
        side=Side(order["side"]),
        quantity_kg=Carbon(order["lots"] * 1_000),
        price_fen_per_tonne=Price(order["price"]),
        time_in_force=TimeInForce(order["tif"]),
        all_or_none=order["aon"],
        post_only=order["post_only"],
        self_trade=SelfTrade(order["stp"]),
        until=until,
    )


def attempt(world, order):
    """(code of the refusal, None) or (None, what was placed)."""
    try:
        return None, world.run(order["owner"], place_order, request_of(order, world))
    except FinancingError as error:
        return error.code, None


def check(world, auditor):
    balances = world.balances()
    for owner in OWNERS:
        assert balances[owner, "cash"] == (auditor.cash[owner], auditor.reserved(owner, "buy"))
        assert balances[owner, "holding"] == (auditor.lots[owner] * 1_000, auditor.reserved(owner, "sell") * 1_000)
        assert balances[owner, "cash"][0] >= balances[owner, "cash"][1] >= 0
        assert balances[owner, "holding"][0] >= balances[owner, "holding"][1] >= 0
    assert balances.get(("x", "cash"), (0, 0)) == (auditor.fees, 0)
    assert sum(auditor.cash.values()) + auditor.fees == CASH * len(OWNERS)
    assert sum(auditor.lots.values()) == LOTS * len(OWNERS)
    rows = world.reading(lambda unit: unit.orders.orders(state="open"))
    assert {(row.order_id, row.left) for row in rows} == {(o["id"], o["left"]) for o in auditor.waiting}
    stored = world.reading(lambda unit: unit.orders.trades_after(world.instrument, 0, 10_000))
    found = [(s.trade.buy_order, s.trade.sell_order, s.trade.price, s.trade.lots) for s in stored]
    assert found == auditor.trades


@pytest.mark.parametrize("seed", range(4))
def test_the_market_and_an_independent_auditor_agree(world, seed):
    rng = Random(seed)
    auditor = BookAuditor(dict.fromkeys(OWNERS, CASH), dict.fromkeys(OWNERS, LOTS))
    reference = 100
    refusals = set()
    for number in range(220):
        choice = rng.random()
        if choice < 0.8:
            order = random_order(rng, reference)
            expected = auditor.expects(order)
            code, placed = attempt(world, order)
            assert code == expected, order
            if placed is None:
                refusals.add(code)
            else:
                auditor.place(order | {"id": placed.order.order_id})
        elif choice < 0.9 and auditor.waiting:
            target = rng.choice(auditor.waiting)
            world.run(target["owner"], cancel_order, target["id"])
            auditor.cancel(target["id"])
        elif choice < 0.93 and not auditor.calling:
            world.run("x", run_session, world.instrument, StepSession(step=SessionStep.CALL))
            auditor.calling = True
        elif choice < 0.97 and auditor.calling:
            world.run("x", run_session, world.instrument, StepSession(step=SessionStep.CONTINUE))
            auditor.uncross(reference)
        elif choice < 0.975 and not auditor.calling:
            world.now += timedelta(days=1)
            world.run("a", advance, world.instrument)
            auditor.end_day()
            reference = world.reading(lambda unit: unit.orders.instrument(world.instrument)).reference
        elif choice > 0.99:
            world.books = OrderBooks()  # as after a crash: the next command rebuilds from the journal
        if number % 20 == 19:
            check(world, auditor)
    check(world, auditor)
    audited = world.reading(verify_books)
    assert audited[0].trades == len(auditor.trades)
    world.reading(lambda unit: unit.ledger.verify())
    assert len(refusals) >= 3
