"""The market over the turn of the year 2026 to 2027, whose holidays nobody has announced, and beyond the calendar."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from types import MappingProxyType

import pytest
from typer.testing import CliRunner

from credit_api.app.wiring import assemble
from credit_api.cli.main import app
from financing.base.parameters.china_calendar import ChinaCalendar
from financing.lending.unit import UnitOfWork
from financing.market.order_book.audit import verify_books

CASH = 10_000_000


def shanghai(day, clock="10:00"):
    return datetime.fromisoformat(f"{day}T{clock}+08:00").astimezone(UTC)


def order(instrument, side, tonnes, price=3_000, **more):
    asked = {"instrument": instrument, "side": side, "quantity_kg": tonnes * 1_000, "price_fen_per_tonne": price}
    return asked | more


def preview_of(instrument):
    return f"/v1/orders/preview?instrument={instrument}&side=buy&quantity_kg=1000&price_fen_per_tonne=3000"


@pytest.fixture
def market(kind, tmp_path, ready_worlds):
    """Credits of `seller` and a buyer with money on 31 December 2026, a Thursday: (world, instrument)."""
    with ready_worlds.copied(kind, tmp_path / "home", selling) as opened:
        yield opened


def selling(world):
    world.now = shanghai("2026-12-31")
    world.admit("seller", "developer")
    issuance = world.credits("seller")
    world.admit("buyer", "buyer")
    world.fund("buyer", CASH)
    instrument = f"PHCER:{issuance['issuance_id']}"
    body = {"instrument": instrument, "rules": "listed", "reference_fen_per_tonne": 3_000}
    world.post("exchange-seee", "/v1/instruments", body)
    return instrument


@contextmanager
def calendar(world, china):
    """The service as it runs after a restart on another calendar file."""
    before = world.parts.parameters
    world.parts.parameters = replace(before, china=china)
    yield
    world.parts.parameters = before


def with_holiday(china, first, last):
    """A file in which the notice for the year was entered, and these days are off."""
    year = china.years[first.year]
    off = tuple(sorted((*year.off, (first, last))))
    told = year.model_copy(update={"status": "announced", "off": off})
    return ChinaCalendar(MappingProxyType(dict(china.years) | {first.year: told}))


def held(world, who):
    return sum(row["held"] for row in world.get(who, "/v1/balances"))


def audited(world):
    world.verify()
    with world.parts.reading() as connection:
        return verify_books(UnitOfWork(connection))


def test_a_day_order_of_the_last_day_of_2026_frees_its_money_on_new_years_day(market):
    world, instrument = market
    placed = world.post("buyer", "/v1/orders", order(instrument, "buy", 10))
    assert (placed["state"], held(world, "buyer")) == ("open", placed["reserved"])
    world.now = shanghai("2027-01-01")
    world.get("buyer", preview_of(instrument), status=409)
    assert world.get("buyer", f"/v1/orders/{placed['order_id']}")["state"] == "expired"
    assert held(world, "buyer") == 0
    world.assert_refused("buyer", "/v1/orders", order(instrument, "buy", 1), "market_closed")
    audited(world)


def test_the_market_trades_on_the_first_provisional_days_and_says_so(market):
    world, instrument = market
    path = f"/v1/instruments/{instrument}"
    assert world.get("buyer", path)["calendar_status"] == "announced"
    assert world.get("buyer", preview_of(instrument))["calendar_status"] == "announced"
    world.now = shanghai("2027-01-04", "09:20")
    world.post("seller", "/v1/orders", order(instrument, "sell", 10, 2_950))
    world.post("buyer", "/v1/orders", order(instrument, "buy", 4, 3_050))
    assert world.get("buyer", path)["phase"] == "call"
    world.now = shanghai("2027-01-04")
    preview = world.get("buyer", preview_of(instrument))
    assert (preview["calendar_status"], preview["reserved_fen"]) == ("provisional", 3_003)
    shown = world.get("buyer", path)
    assert (shown["phase"], shown["calendar_status"], shown["always_open"]) == ("continuous", "provisional", False)
    (trade,) = world.get("buyer", f"{path}/trades")
    assert (trade["price_fen_per_tonne"], trade["taker"]) == (2_950, "auction")
    asked = world.post("buyer", "/v1/orders", order(instrument, "buy", 1, 2_900))
    world.post("exchange-seee", f"{path}/halt", {"reason": "inquiry"})
    world.assert_refused("buyer", "/v1/orders", order(instrument, "buy", 1), "market_halted")
    ended = world.post("buyer", f"/v1/orders/{asked['order_id']}/cancellation")
    assert (ended["state"], held(world, "buyer")) == ("cancelled", 0)
    world.post("exchange-seee", f"{path}/resumption")
    world.post("exchange-seee", f"{path}/session", {"step": "call"})
    world.post("exchange-seee", f"{path}/session", {"step": "continue"})
    assert world.post("exchange-seee", f"{path}/session", {"step": "close"})["phase"] == "closed"
    assert [day["day"] for day in world.get("buyer", f"{path}/candles")] == ["2026-12-31", "2027-01-04"]
    world.now = shanghai("2027-02-05")  # the lunar year's last day
    world.assert_refused("buyer", "/v1/orders", order(instrument, "buy", 1), "market_closed")
    audited(world)


def test_a_provisional_day_that_turns_out_to_be_a_holiday_keeps_nobodys_money(market):
    """Taken in the morning's call, before the notice is entered: no auction, no trade, expiry at the day's end."""
    world, instrument = market
    world.now = shanghai("2027-02-11", "09:20")
    waiting = world.post("seller", "/v1/orders", order(instrument, "sell", 2, 2_950))
    taken = world.post("buyer", "/v1/orders", order(instrument, "buy", 1, 3_050))
    dated = world.post(
        "buyer", "/v1/orders", order(instrument, "buy", 1, 2_900, time_in_force="gtd", until="2027-02-12")
    )
    kept = world.post(
        "buyer", "/v1/orders", order(instrument, "buy", 1, 2_800, time_in_force="gtd", until="2027-02-15")
    )
    with calendar(world, with_holiday(world.parts.parameters.china, date(2027, 2, 11), date(2027, 2, 12))):
        world.now = shanghai("2027-02-11", "10:00")
        world.assert_refused("buyer", "/v1/orders", order(instrument, "buy", 1), "market_closed")
        assert world.get("buyer", f"/v1/instruments/{instrument}")["calendar_status"] == "announced"
        assert world.get("buyer", f"/v1/instruments/{instrument}/trades") == []
        ended = world.post("seller", f"/v1/orders/{waiting['order_id']}/cancellation")
        assert (ended["state"], held(world, "seller")) == ("cancelled", 0)
        world.now = shanghai("2027-02-11", "15:00")
        world.get("buyer", preview_of(instrument), status=409)
        assert world.get("buyer", f"/v1/orders/{taken['order_id']}")["state"] == "expired"
        world.now = shanghai("2027-02-15")
        world.post("seller", "/v1/orders", order(instrument, "sell", 2, 3_000))
        assert world.get("buyer", f"/v1/orders/{dated['order_id']}")["state"] == "expired"
        assert world.get("buyer", f"/v1/orders/{kept['order_id']}")["state"] == "open"
        audited(world)


def test_where_the_calendar_ends_orders_expire_and_can_be_cancelled_and_none_is_taken(market):
    world, instrument = market
    day = world.post("buyer", "/v1/orders", order(instrument, "buy", 10))
    dated = world.post("buyer", "/v1/orders", order(instrument, "buy", 5, time_in_force="gtd", until="2027-01-05"))
    later = world.post("buyer", "/v1/orders", order(instrument, "buy", 2, time_in_force="gtd", until="2027-03-01"))
    path = f"/v1/instruments/{instrument}"
    with calendar(world, world.parts.parameters.china.until(2026)):
        world.now = shanghai("2027-01-04")
        assert world.get("buyer", preview_of(instrument), status=503).json()["code"] == "calendar_missing"
        world.assert_refused("buyer", "/v1/orders", order(instrument, "buy", 1), "calendar_missing", status=503)
        assert world.get("buyer", path)["calendar_status"] == "missing"
        assert world.get("buyer", f"/v1/orders/{day['order_id']}")["state"] == "expired"
        assert world.get("buyer", f"/v1/orders/{dated['order_id']}")["state"] == "open"
        assert held(world, "buyer") == dated["reserved"] + later["reserved"]
        world.post("exchange-seee", f"{path}/halt", {"reason": "no calendar"})
        world.post("exchange-seee", f"{path}/resumption")
        world.assert_refused("exchange-seee", f"{path}/session", {"step": "call"}, "calendar_missing")
        world.now = shanghai("2027-01-06")
        world.get("buyer", preview_of(instrument), status=503)
        assert world.get("buyer", f"/v1/orders/{dated['order_id']}")["state"] == "expired"
        assert world.post("buyer", f"/v1/orders/{later['order_id']}/cancellation")["state"] == "cancelled"
        assert held(world, "buyer") == 0
        audited(world)
    assert world.post("buyer", "/v1/orders", order(instrument, "buy", 1))["state"] == "open"
    audited(world)


@pytest.mark.parametrize(("day", "told"), [("2026-11-01", False), ("2026-11-02", True), ("2027-03-01", True)])
def test_an_end_of_day_warns_of_holidays_that_are_not_announced(sqlite_world, monkeypatch, day, told):
    def at_that_day(settings):
        parts = assemble(settings)
        parts.clock = lambda: shanghai(day)
        return parts

    monkeypatch.setattr("credit_api.cli.business_days.assemble", at_that_day)
    settings = sqlite_world.parts.settings
    arguments = ["end-of-day", "--home", str(settings.home), "--database-url", settings.database_url, "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert ("warning: the holidays of 2027 are provisional" in done.stderr) is told
    assert json.loads(done.stdout) == {"closed": [], "failed": []}
