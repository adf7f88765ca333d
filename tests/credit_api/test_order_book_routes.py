"""The order book over /v1: what its routes answer, keys, the day that is brought up before a command, and streams. The
rules of trade are the commands' own (financing/market/test_order_book)."""

import json
from datetime import UTC, datetime, timedelta

import pytest

OPEN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # a Monday, 10:00 in Shanghai
EXCHANGE = "exchange-seee"


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
    world.post(EXCHANGE, "/v1/instruments", body)
    return instrument


@pytest.fixture
def market(tmp_path, ready_worlds):
    """A world as `listed` leaves it: (world, instrument)."""
    with ready_worlds.copied("sqlite", tmp_path / "home", listed) as opened:
        yield opened


def order(instrument, side, tonnes, price=None, **more):
    body = {"instrument": instrument, "side": side, "quantity_kg": tonnes * 1_000} | more
    return body | ({"price_fen_per_tonne": price} if price else {})


def test_an_order_is_previewed_placed_shown_and_cancelled(market):
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
    book = world.get("buyer-b", f"/v1/instruments/{instrument}/book")
    assert book["asks"] == [{"price_fen_per_tonne": 3_000, "quantity_kg": 6_000, "orders": 1}]
    (trade,) = world.get("buyer-b", f"/v1/instruments/{instrument}/trades")
    assert (trade["price_fen_per_tonne"], trade["quantity_kg"], trade["taker"]) == (3_000, 4_000, "buy")
    mine = world.get("buyer-a", f"/v1/trades?instrument={instrument}")
    assert (mine[0]["side"], mine[0]["fee_fen"]) == ("buy", 9)
    ended = world.post("seller", f"/v1/orders/{asked['order_id']}/cancellation")
    assert (ended["state"], ended["reserved"]) == ("cancelled", 0)


@pytest.mark.parametrize("change", [{"instrument": "CNY"}, {"price_fen_per_tonne": 0}])
def test_what_is_no_order_moves_nothing(market, change):
    world, instrument = market
    world.assert_refused("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000) | change, "invalid_request")


def test_the_day_ends_before_an_order_is_refused(market):
    world, instrument = market
    asked = world.post("seller", "/v1/orders", order(instrument, "sell", 10, 3_000))
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 4, 3_000))
    world.now = OPEN + timedelta(hours=6)  # 16:00
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000), status=409)
    assert world.get("seller", f"/v1/orders/{asked['order_id']}")["state"] == "expired"
    days = world.get("seller", f"/v1/instruments/{instrument}/candles")
    assert [(day["close_fen_per_tonne"], day["quantity_kg"]) for day in days] == [(3_000, 4_000)]
    world.now = OPEN + timedelta(days=1)
    placed = world.post("buyer-a", "/v1/orders", order(instrument, "sell", 1, 3_000))
    world.now = datetime(2047, 1, 4, 2, 0, tzinfo=UTC)  # beyond what the calendar knows: the day ends all the same
    world.post("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000), status=503)
    assert world.get("buyer-a", f"/v1/orders/{placed['order_id']}")["state"] == "expired"
    world.assert_refused("buyer-a", "/v1/orders", order(instrument, "buy", 1, 3_000), "calendar_missing")


def test_the_exchange_halts_resumes_and_steps_a_session(market):
    world, instrument = market
    path = f"/v1/instruments/{instrument}"
    assert world.post(EXCHANGE, f"{path}/halt", {"reason": "inquiry"})["halted"] is True
    assert world.post(EXCHANGE, f"{path}/resumption")["halted"] is False
    assert world.post(EXCHANGE, f"{path}/session", {"step": "call"})["phase"] == "call"
    assert world.get("seller", path)["phase"] == "call"
    assert world.post(EXCHANGE, f"{path}/session", {"step": "continue"})["phase"] == "continuous"
    assert world.post(EXCHANGE, f"{path}/session", {"step": "close"})["phase"] == "closed"
    body = {"instrument": instrument, "rules": "listed", "reference_fen_per_tonne": 3_000}
    world.assert_refused(EXCHANGE, "/v1/instruments", body | {"rules": "x"}, "parameter_missing")


def test_blocks_are_reported_confirmed_and_withdrawn(market):
    world, instrument = market
    body = {"buyer_id": "buyer-a", "seller_id": "seller", "quantity_kg": 100_000_000, "price_fen_per_tonne": 2_100}
    block = world.post("buyer-a", f"/v1/instruments/{instrument}/blocks", body)
    path = f"/v1/blocks/{block['block_id']}"
    world.assert_refused("seller", f"{path}/confirmation", None, "insufficient_balance")
    assert world.post("buyer-a", f"{path}/withdrawal")["state"] == "withdrawn"
    assert world.get("seller", "/v1/blocks")[0]["state"] == "withdrawn"


def test_a_command_is_applied_once_and_a_revoked_key_commits_nothing(market):
    world, instrument = market
    body = order(instrument, "sell", 1, 3_000)
    first = world.post("seller", "/v1/orders", body, key="once")
    assert world.post("seller", "/v1/orders", body, key="once")["order_id"] == first["order_id"]
    world.revoke("seller")
    world.assert_refused("seller", "/v1/orders", body, "unauthenticated", status=401)


def test_a_stream_ends_with_the_key_that_opened_it(market, monkeypatch):
    import asyncio

    from credit_api.http.auth.principal import digest
    from credit_api.http.pipeline import Issuer
    from credit_api.order_book import stream_api

    world, instrument = market
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


def test_a_stream_resumes_after_the_event_it_names(market):
    from credit_api.order_book.stream_api import block_since

    world, instrument = market
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
