"""Trade on the order book, on SQLite and PostgreSQL: trades, refusals that move nothing, sessions, blocks."""

from datetime import UTC, date, datetime, timedelta

import pytest
from desk import EXCHANGE

from financing.market.order_book.audit import verify_books
from financing.market.order_book.commands import PlaceOrder, cancel_order, place_order, preview_order
from financing.market.order_book.engine.orders import Side, fee_on
from financing.market.order_book.venue import (
    HaltTrading,
    ListInstrument,
    ReportBlock,
    SessionStep,
    StepSession,
    confirm_block,
    halt,
    list_instrument,
    report_block,
    resume,
    run_session,
    withdraw_block,
)

OPEN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # a Monday, 10:00 in Shanghai


def listed(desk, rules="listed"):
    """Credits of `seller` on sale at a reference of 30 CNY/t, with two buyers that have money; the instrument."""
    desk.now = OPEN
    desk.admit("seller", "developer")
    issuance = desk.credits("seller")
    for name in ("buyer-a", "buyer-b"):
        desk.admit(name, "buyer")
        desk.fund(name, 100_000_000)
    instrument = f"PHCER:{issuance.issuance_id}"
    asked = ListInstrument(instrument=instrument, rules=rules, reference_fen_per_tonne=3_000)
    desk.run_in_market(EXCHANGE, list_instrument, asked)
    return instrument


@pytest.fixture
def market(kind, tmp_path, ready_desks):
    """A desk as `listed` leaves it: (desk, instrument)."""
    with ready_desks.copied(kind, tmp_path / "home", listed) as opened:
        yield opened


@pytest.fixture
def sqlite_market(tmp_path, ready_desks):
    """As `market`, on SQLite only."""
    with ready_desks.copied("sqlite", tmp_path / "home", listed) as opened:
        yield opened


def order(instrument, side, tonnes, price=None, /, **more):
    asked = {"instrument": instrument, "side": side, "quantity_kg": tonnes * 1_000, "price_fen_per_tonne": price}
    return PlaceOrder(**asked | more)


def place(desk, who, *asked, **more):
    """An order as it stands after it arrived, and what it traded at once."""
    return desk.run_in_market(who, place_order, order(*asked, **more))


def refused(desk, who, code, *asked, **more):
    """The instrument is brought to the day first, in a commit of its own, as before any order."""
    placed = order(*asked, **more)
    desk.advance(asked[0])
    desk.assert_refused_in_market(who, code, place_order, placed)


def state_of(desk, placed):
    return desk.look(lambda unit: unit.orders.order(placed.order.order_id)).state


def trades_of(desk, instrument, **party):
    return [each.trade for each in desk.look(lambda unit: unit.orders.trades(instrument, **party))]


def audited(desk):
    desk.verify()
    return desk.look(verify_books)


def test_an_order_is_previewed_reserved_traded_and_settled_in_one_entry(market):
    desk, instrument = market
    asked = place(desk, "seller", instrument, "sell", 10, 3_000)
    assert (asked.order.state, asked.order.reserved) == ("open", 10_000)
    seen = desk.run_in_market("buyer-a", preview_order, order(instrument, "buy", 4, 3_100))
    assert (seen.reservation.money_fen, seen.reservation.fee_fen) == (12_400 + 9, 9)
    done = place(desk, "buyer-a", instrument, "buy", 4, 3_100)
    assert (done.order.state, done.order.spent, done.order.filled) == ("filled", 12_000, 4)
    assert [(trade.price, trade.lots, trade.buyer_fee) for trade in done.trades] == [(3_000, 4, 9)]
    assert desk.balance("buyer-a", "cash") == 100_000_000 - 12_000 - fee_on(12_000, 700)
    assert desk.balance("seller", "cash") == 12_000 - fee_on(12_000, 700)
    assert desk.balance(EXCHANGE, "cash") == 2 * fee_on(12_000, 700)
    assert desk.balance("buyer-a", "holding", instrument) == 4_000
    assert desk.look(lambda unit: unit.orders.depth(instrument, Side.SELL, 5)) == [(3_000, 6, 1)]
    mine = trades_of(desk, instrument, party="buyer-a")
    assert (mine[0].buyer, mine[0].buyer_fee) == ("buyer-a", 9)
    ended = desk.run_in_market("seller", cancel_order, asked.order.order_id)
    assert (ended.state, ended.reserved) == ("cancelled", 0)
    assert audited(desk)[0].waiting == 0


def test_one_seller_meets_several_buyers_and_every_serial_is_followed(market):
    desk, instrument = market
    for name, price in (("buyer-a", 2_990), ("buyer-b", 2_980)):
        place(desk, name, instrument, "buy", 3, price)
    done = place(desk, "seller", instrument, "sell", 5, 2_900)
    assert [trade.price for trade in done.trades] == [2_990, 2_980]
    assert desk.balance("buyer-a", "holding", instrument) == 3_000
    assert desk.balance("buyer-b", "holding", instrument) == 2_000
    audited(desk)


@pytest.mark.parametrize(
    ("who", "change", "code"),
    [
        ("buyer-a", {"price_fen_per_tonne": 3_301}, "outside_band"),
        ("buyer-a", {"price_fen_per_tonne": 2_699}, "outside_band"),
        ("buyer-a", {"quantity_kg": 1_500}, "order_refused"),
        ("buyer-a", {"quantity_kg": 100_000_000}, "order_refused"),
        ("buyer-a", {"quantity_kg": 50_000_000}, "insufficient_balance"),
        ("buyer-a", {"side": "sell"}, "insufficient_balance"),
        ("buyer-a", {"post_only": True, "price_fen_per_tonne": 3_000}, "would_cross"),
        ("buyer-a", {"time_in_force": "fok", "quantity_kg": 11_000}, "cannot_fill"),
        ("buyer-a", {"all_or_none": True, "quantity_kg": 11_000}, "cannot_fill"),
        ("buyer-a", {"time_in_force": "gtd"}, "order_refused"),
        ("buyer-a", {"time_in_force": "gtd", "until": date(2026, 11, 22)}, "order_refused"),
        ("buyer-a", {"until": date(2026, 11, 24)}, "order_refused"),
        ("buyer-a", {"post_only": True, "time_in_force": "ioc"}, "order_refused"),
        ("buyer-a", {"instrument": "PHCER:none"}, "not_found"),
        ("verifier-cqc", {}, "not_permitted"),
    ],
)
def test_bad_orders_move_nothing(sqlite_market, who, change, code):
    desk, instrument = sqlite_market
    place(desk, "seller", instrument, "sell", 10, 3_000)
    desk.assert_refused_in_market(who, code, place_order, order(instrument, "buy", 1, 3_000, **change))
    audited(desk)


def test_hours_halts_and_what_was_bought_today(market):
    desk, instrument = market
    asked = place(desk, "seller", instrument, "sell", 10, 3_000)
    place(desk, "buyer-a", instrument, "buy", 4, 3_000)
    refused(desk, "buyer-a", "same_day_resale", instrument, "sell", 1, 3_000)
    desk.assert_refused_in_market("buyer-a", "not_permitted", cancel_order, asked.order.order_id)
    desk.assert_refused_in_market("buyer-a", "not_permitted", halt, instrument, HaltTrading(reason="x"))
    desk.run_in_market(EXCHANGE, halt, instrument, HaltTrading(reason="inquiry"))
    refused(desk, "buyer-a", "market_halted", instrument, "buy", 1, 3_000)
    desk.run_in_market(EXCHANGE, resume, instrument)
    desk.now = OPEN + timedelta(hours=2)  # noon
    refused(desk, "buyer-a", "market_closed", instrument, "buy", 1, 3_000)
    desk.now = OPEN + timedelta(hours=6)  # 16:00: the day closes before the order is refused
    refused(desk, "buyer-a", "market_closed", instrument, "buy", 1, 3_000)
    assert state_of(desk, asked) == "expired"
    days = desk.look(lambda unit: unit.orders.closes(instrument, 250))
    assert [(day.close, day.lots) for day in days] == [(3_000, 4)]
    desk.now = OPEN + timedelta(days=1)
    placed = place(desk, "buyer-a", instrument, "sell", 1, 3_000)
    assert placed.order.state == "open"
    desk.now = datetime(2047, 1, 4, 2, 0, tzinfo=UTC)  # beyond what the calendar knows: the day ends all the same
    refused(desk, "buyer-a", "calendar_missing", instrument, "buy", 1, 3_000)
    assert state_of(desk, placed) == "expired"
    audited(desk)


def test_the_morning_call_uncrosses_at_one_price(market):
    desk, instrument = market
    desk.now = OPEN + timedelta(days=1, minutes=-40)  # 09:20
    place(desk, "seller", instrument, "sell", 6, 2_950)
    place(desk, "buyer-a", instrument, "buy", 4, 3_050)
    refused(desk, "buyer-b", "order_refused", instrument, "buy", 1)
    assert desk.look(lambda unit: unit.orders.instrument(instrument)).phase == "call"
    desk.now += timedelta(minutes=15)
    place(desk, "buyer-b", instrument, "buy", 1, 2_900)
    (trade,) = trades_of(desk, instrument)
    # Sellers are left over at every price, so the lowest one holds.
    assert (trade.price, trade.lots, trade.taker) == (2_950, 4, "auction")
    audited(desk)


def test_blocks_need_both_sides_or_the_exchange(market):
    desk, instrument = market
    terms = {
        "buyer_id": "buyer-a",
        "seller_id": "seller",
        "quantity_kg": 100_000_000,
        "price_fen_per_tonne": 2_100,
    }

    def report_refused(who, code, **change):
        desk.assert_refused_in_market(who, code, report_block, instrument, ReportBlock(**terms | change))

    report_refused("buyer-a", "order_refused", quantity_kg=99_999_000)
    report_refused("buyer-a", "outside_band", price_fen_per_tonne=2_099)
    report_refused("buyer-b", "not_permitted")
    report_refused(EXCHANGE, "insufficient_balance")
    block_id = desk.run_in_market("buyer-a", report_block, instrument, ReportBlock(**terms)).block_id
    desk.assert_refused_in_market("buyer-a", "not_permitted", confirm_block, block_id)
    desk.assert_refused_in_market("seller", "insufficient_balance", confirm_block, block_id)
    desk.assert_refused("seller", "not_permitted", withdraw_block, block_id)
    assert desk.run("buyer-a", withdraw_block, block_id).state == "withdrawn"
    assert desk.look(lambda unit: unit.orders.blocks("seller"))[0].state == "withdrawn"
    audited(desk)


def test_the_exchange_lists_once_and_only_what_exists(sqlite_desk):
    desk = sqlite_desk
    instrument = listed(desk, rules="sandbox")
    terms = {"instrument": instrument, "rules": "listed", "reference_fen_per_tonne": 3_000}

    def listing_refused(who, code, **change):
        desk.assert_refused_in_market(who, code, list_instrument, ListInstrument(**terms | change))

    listing_refused(EXCHANGE, "already_exists")
    listing_refused(EXCHANGE, "not_found", instrument="PKG:none")
    listing_refused(EXCHANGE, "parameter_missing", rules="x")
    listing_refused("seller", "not_permitted")
    call, go_on, close = (StepSession(step=step) for step in SessionStep)
    desk.run_in_market(EXCHANGE, run_session, instrument, call)
    desk.assert_refused_in_market(EXCHANGE, "invalid_state", run_session, instrument, call)
    desk.run_in_market(EXCHANGE, run_session, instrument, go_on)
    desk.run_in_market(EXCHANGE, run_session, instrument, close)
    refused(desk, "seller", "market_closed", instrument, "sell", 1, 3_000)


def test_a_refused_settlement_leaves_book_and_books_as_they_were(sqlite_market, monkeypatch):
    """Whatever forbids a serial to move, the order that needs it never came: nothing of it is kept or rebuilt."""
    from financing.base.errors import InvalidState
    from financing.registry.credits.serial_store import SerialStore

    desk, instrument = sqlite_market
    place(desk, "seller", instrument, "sell", 10, 3_000)
    books = desk.parts.order_books
    before, rebuilt = audited(desk), books.rebuilt

    def frozen(*_args, **_kwargs):
        raise InvalidState("a frozen serial does not move")

    with monkeypatch.context() as patch:
        patch.setattr(SerialStore, "deal", frozen)
        refused(desk, "buyer-a", "invalid_state", instrument, "buy", 4, 3_000)
    assert audited(desk) == before
    place(desk, "buyer-a", instrument, "buy", 4, 3_000)
    assert books.rebuilt == rebuilt
    audited(desk)
