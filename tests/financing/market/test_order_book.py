"""The order book over /v1, on SQLite and PostgreSQL: trades, refusals that move nothing, sessions, blocks, streams."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from financing.lending.unit import UnitOfWork
from financing.market.order_book.audit import verify_books
from financing.market.order_book.engine.orders import fee_on

OPEN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # a Monday, 10:00 in Shanghai


def listed(world, rules="listed"):
    """Credits of `seller` on sale at a reference of 30 CNY/t, with two buyers that have money; the instrument."""
    world.now = OPEN
    world.admit("seller", "developer")
    issuance = world.credits("seller")
    for name in ("buyer-a", "buyer-b"):
        world.admit(name, "buyer")
        world.fund(name, 100_000_000)
    instrument = f"PHCER:{issuance['issuance_id']}"
    body = {"instrument": instrument, "rules": rules, "reference_fen_per_tonne": 3_000}
    world.post("exchange-seee", "/v1/instruments", body)
    return instrument


@pytest.fixture
def market(kind, tmp_path, ready_worlds):
    """A world as `listed` leaves it: (world, instrument)."""
    with ready_worlds.copied(kind, tmp_path / "home", listed) as opened:
        yield opened


@pytest.fixture
def sqlite_market(tmp_path, ready_worlds):
    """As `market`, on SQLite only."""
    with ready_worlds.copied("sqlite", tmp_path / "home", listed) as opened:
        yield opened


def order(instrument, side, tonnes, price=None, **more):
    body = {"instrument": instrument, "side": side, "quantity_kg": tonnes * 1_000} | more
    return body | ({"price_fen_per_tonne": price} if price else {})


def audited(world):
    world.verify()
    with world.parts.reading() as connection:
        return verify_books(UnitOfWork(connection))


def test_an_order_is_previewed_reserved_traded_and_settled_in_one_entry(market):
    world, instrument = market
    asked = world.post("seller", "/v1/orders", order(instrument, "sell", 10, 3_000))
    assert (asked["state"], asked["reserved"]) == ("open", 10_000)
    preview = world.get(
        "buyer-a",
        f"/v1/orders/preview?instrument={instrument}&side=buy&quantity_kg=4000&price_fen_per_tonne=3100",
    )
    assert (preview["reserved_fen"], preview["fee_fen_max"]) == (12_400 + 9, 9)
    done = world.post("buyer-a", "/v1/orders", order(instrument, "buy", 4, 3_100))
    assert (done["state"], done["spent_fen"], done["filled_kg"]) == ("filled", 12_000, 4_000)
    assert done["fills"] == [{"price_fen_per_tonne": 3_000, "quantity_kg": 4_000, "fee_fen": 9}]
    assert world.balance("buyer-a", "cash") == 100_000_000 - 12_000 - fee_on(12_000, 700)
    assert world.balance("seller", "cash") == 12_000 - fee_on(12_000, 700)
    assert world.balance("exchange-seee", "cash") == 2 * fee_on(12_000, 700)
    assert world.balance("buyer-a", "holding", instrument) == 4_000
    book = world.get("buyer-b", f"/v1/instruments/{instrument}/book")
    assert book["asks"] == [{"price_fen_per_tonne": 3_000, "quantity_kg": 6_000, "orders": 1}]
    mine = world.get("buyer-a", f"/v1/trades?instrument={instrument}")
    assert (mine[0]["side"], mine[0]["fee_fen"]) == ("buy", 9)
    ended = world.post("seller", f"/v1/orders/{asked['order_id']}/cancellation")
    assert (ended["state"], ended["reserved"]) == ("cancelled", 0)
    assert audited(world)[0].waiting == 0


def test_one_seller_meets_several_buyers_and_every_serial_is_followed(market):
    world, instrument = market
    for name, price in (("buyer-a", 2_990), ("buyer-b", 2_980)):
        world.post(name, "/v1/orders", order(instrument, "buy", 3, price))
    done = world.post("seller", "/v1/orders", order(instrument, "sell", 5, 2_900))
    assert [fill["price_fen_per_tonne"] for fill in done["fills"]] == [2_990, 2_980]
    assert world.balance("buyer-a", "holding", instrument) == 3_000
    assert world.balance("buyer-b", "holding", instrument) == 2_000
    audited(world)


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
        ("buyer-a", {"time_in_force": "gtd", "until": "2026-11-22"}, "order_refused"),
        ("buyer-a", {"until": "2026-11-24"}, "order_refused"),
        ("buyer-a", {"post_only": True, "time_in_force": "ioc"}, "order_refused"),
        ("buyer-a", {"instrument": "PHCER:none"}, "not_found"),
        ("buyer-a", {"instrument": "CNY"}, "invalid_request"),
        ("buyer-a", {"price_fen_per_tonne": 0}, "invalid_request"),
        ("verifier-cqc", {}, "not_permitted"),
    ],
)
def test_bad_orders_move_nothing(sqlite_market, who, change, code):
    world, instrument = sqlite_market
    world.post("seller", "/v1/orders", order(instrument, "sell", 10, 3_000))
    world.assert_refused(who, "/v1/orders", order(instrument, "buy", 1, 3_000) | change, code)
    audited(world)


def test_hours_halts_and_what_was_bought_today(market):
    world, instrument = market
    asked = world.post("seller", "/v1/orders", order(instrument, "sell", 10, 3_000))
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 4, 3_000))
    world.assert_refused("buyer-a", "/v1/orders", order(instrument, "sell", 1, 3_000), "same_day_resale")
    world.assert_refused("buyer-a", f"/v1/orders/{asked['order_id']}/cancellation", None, "not_permitted")
    halt = f"/v1/instruments/{instrument}/halt"
    world.assert_refused("buyer-a", halt, {"reason": "x"}, "not_permitted")
    world.post("exchange-seee", halt, {"reason": "inquiry"})
    world.assert_refused("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000), "market_halted")
    world.post("exchange-seee", f"/v1/instruments/{instrument}/resumption")
    world.now = OPEN + timedelta(hours=2)  # noon
    world.assert_refused("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000), "market_closed")
    world.now = OPEN + timedelta(hours=6)  # 16:00: the day closes before the order is refused
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000), status=409)
    assert world.get("seller", f"/v1/orders/{asked['order_id']}")["state"] == "expired"
    days = world.get("seller", f"/v1/instruments/{instrument}/candles")
    assert [(day["close_fen_per_tonne"], day["quantity_kg"]) for day in days] == [(3_000, 4_000)]
    world.now = OPEN + timedelta(days=1)
    placed = world.post("buyer-a", "/v1/orders", order(instrument, "sell", 1, 3_000))
    assert placed["state"] == "open"
    world.now = datetime(2047, 1, 4, 2, 0, tzinfo=UTC)  # beyond what the calendar knows: the day ends all the same
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000), status=503)
    assert world.get("buyer-a", f"/v1/orders/{placed['order_id']}")["state"] == "expired"
    world.assert_refused("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000), "calendar_missing")
    audited(world)


def test_the_morning_call_uncrosses_at_one_price(market):
    world, instrument = market
    world.now = OPEN + timedelta(days=1, minutes=-40)  # 09:20
    world.post("seller", "/v1/orders", order(instrument, "sell", 6, 2_950))
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 4, 3_050))
    world.assert_refused("buyer-b", "/v1/orders", order(instrument, "buy", 1), "order_refused")
    assert world.get("seller", f"/v1/instruments/{instrument}")["phase"] == "call"
    world.now += timedelta(minutes=15)
    world.post("buyer-b", "/v1/orders", order(instrument, "buy", 1, 2_900))
    (trade,) = world.get("seller", f"/v1/instruments/{instrument}/trades")
    # Sellers are left over at every price, so the lowest one holds.
    assert (trade["price_fen_per_tonne"], trade["quantity_kg"], trade["taker"]) == (2_950, 4_000, "auction")
    audited(world)


def test_blocks_need_both_sides_or_the_exchange(market):
    world, instrument = market
    path = f"/v1/instruments/{instrument}/blocks"
    body = {
        "buyer_id": "buyer-a",
        "seller_id": "seller",
        "quantity_kg": 100_000_000,
        "price_fen_per_tonne": 2_100,
    }
    world.assert_refused("buyer-a", path, body | {"quantity_kg": 99_999_000}, "order_refused")
    world.assert_refused("buyer-a", path, body | {"price_fen_per_tonne": 2_099}, "outside_band")
    world.assert_refused("buyer-b", path, body, "not_permitted")
    world.assert_refused("exchange-seee", path, body, "insufficient_balance")
    block = world.post("buyer-a", path, body)
    confirm = f"/v1/blocks/{block['block_id']}/confirmation"
    world.assert_refused("buyer-a", confirm, None, "not_permitted")
    world.assert_refused("seller", confirm, None, "insufficient_balance")
    world.assert_refused("seller", f"/v1/blocks/{block['block_id']}/withdrawal", None, "not_permitted")
    assert world.post("buyer-a", f"/v1/blocks/{block['block_id']}/withdrawal")["state"] == "withdrawn"
    assert world.get("seller", "/v1/blocks")[0]["state"] == "withdrawn"
    audited(world)


def test_the_exchange_lists_once_and_only_what_exists(sqlite_world):
    instrument = listed(sqlite_world, rules="sandbox")
    body = {"instrument": instrument, "rules": "listed", "reference_fen_per_tonne": 3_000}
    sqlite_world.assert_refused("exchange-seee", "/v1/instruments", body, "already_exists")
    sqlite_world.assert_refused("exchange-seee", "/v1/instruments", body | {"instrument": "PKG:none"}, "not_found")
    sqlite_world.assert_refused("exchange-seee", "/v1/instruments", body | {"rules": "x"}, "parameter_missing")
    sqlite_world.assert_refused("seller", "/v1/instruments", body, "not_permitted")
    session = f"/v1/instruments/{instrument}/session"
    sqlite_world.post("exchange-seee", session, {"step": "call"})
    sqlite_world.assert_refused("exchange-seee", session, {"step": "call"}, "invalid_state")
    sqlite_world.post("exchange-seee", session, {"step": "continue"})
    sqlite_world.post("exchange-seee", session, {"step": "close"})
    sqlite_world.assert_refused("seller", "/v1/orders", order(instrument, "sell", 1, 3_000), "market_closed")


def test_a_command_is_applied_once_and_a_revoked_key_commits_nothing(sqlite_world):
    instrument = listed(sqlite_world)
    body = order(instrument, "sell", 1, 3_000)
    first = sqlite_world.post("seller", "/v1/orders", body, key="once")
    assert sqlite_world.post("seller", "/v1/orders", body, key="once")["order_id"] == first["order_id"]
    sqlite_world.revoke("seller")
    sqlite_world.assert_refused("seller", "/v1/orders", body, "unauthenticated", status=401)


def test_a_refused_settlement_leaves_book_and_books_as_they_were(sqlite_world, monkeypatch):
    """Whatever forbids a serial to move, the order that needs it never came: nothing of it is kept or rebuilt."""
    from financing.base.errors import InvalidState
    from financing.registry.credits.serial_store import SerialStore

    world = sqlite_world
    instrument = listed(world)
    world.post("seller", "/v1/orders", order(instrument, "sell", 10, 3_000))
    before, rebuilt = audited(world), world.parts.order_books.rebuilt

    def frozen(*_args, **_kwargs):
        raise InvalidState("a frozen serial does not move")

    with monkeypatch.context() as patch:
        patch.setattr(SerialStore, "deal", frozen)
        world.assert_refused("buyer-a", "/v1/orders", order(instrument, "buy", 4, 3_000), "invalid_state")
    assert audited(world) == before
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 4, 3_000))
    assert world.parts.order_books.rebuilt == rebuilt
    audited(world)


def test_a_stream_ends_with_the_key_that_opened_it(sqlite_world, monkeypatch):
    import asyncio

    from credit_api.http.auth.principal import digest
    from credit_api.http.pipeline import Issuer
    from credit_api.order_book import stream_api

    world, instrument = sqlite_world, listed(sqlite_world)
    key = world.keys["seller"]
    world.get("seller", "/v1/instruments")
    watcher = Issuer(world.parts, world.parts.known_keys.find(digest(key), world.now), digest(key))
    monkeypatch.setattr(stream_api, "HEARTBEAT_S", 0.05)

    async def watch():
        stream = stream_api.events(watcher, instrument, *stream_api.block_since(world.parts, instrument, None))
        seen = [await anext(stream), await anext(stream)]
        await asyncio.to_thread(world.revoke, "seller")
        return seen + [block async for block in stream]

    _, quiet, *rest = asyncio.run(watch())
    assert quiet == b": heartbeat\n\n"
    assert rest[-1] == b"event: ended\ndata: {}\n\n"
    world.assert_refused("seller", "/v1/orders", order(instrument, "sell", 1, 3_000), "unauthenticated", status=401)
    assert world.get("seller", f"/v1/market/{instrument}/stream", status=401).json()["code"] == "unauthenticated"


def test_a_stream_resumes_after_the_event_it_names(sqlite_world):
    from credit_api.order_book.stream_api import block_since

    world = sqlite_world
    instrument = listed(world)
    world.post("seller", "/v1/orders", order(instrument, "sell", 10, 3_000))
    seq, block = block_since(world.parts, instrument, None)
    assert b"event: trade" not in block
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 4, 3_000))
    newest, block = block_since(world.parts, instrument, seq)
    assert newest == seq + 1
    events = [dict(line.split(": ", 1) for line in part.splitlines()) for part in block.decode().split("\n\n") if part]
    assert [event["event"] for event in events] == ["trade", "book"]
    assert json.loads(events[0]["data"])["quantity_kg"] == 4_000
    assert events[1]["id"] == str(newest)
    assert world.get("seller", "/v1/market/PHCER:none/stream", status=404).json()["code"] == "not_found"
