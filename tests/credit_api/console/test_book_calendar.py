"""The page of the order book on days that are not announced, and where the calendar ends."""

from dataclasses import replace
from datetime import UTC, datetime

from test_console_forms import Browser

NEW_YEARS_EVE = datetime(2026, 12, 31, 2, 0, tzinfo=UTC)
FIRST_MONDAY = datetime(2027, 1, 4, 2, 0, tzinfo=UTC)


def test_the_page_tells_a_provisional_day_and_takes_orders_back_without_a_calendar(sqlite_world):
    world = sqlite_world
    world.now = NEW_YEARS_EVE
    world.admit("seller", "developer")
    instrument = f"PHCER:{world.credits('seller')['issuance_id']}"
    body = {"instrument": instrument, "rules": "listed", "reference_fen_per_tonne": 3_000}
    world.post("exchange-seee", "/v1/instruments", body)
    asked = {"instrument": instrument, "side": "sell", "quantity_kg": 1_000, "price_fen_per_tonne": 3_000}
    dated = world.post("seller", "/v1/orders", asked | {"time_in_force": "gtd", "until": "2027-03-01"})
    browser, page = Browser(world).act_as("seller"), f"/console/book/{instrument}"
    assert "provisional trading day" not in browser.get(page).text
    world.now = FIRST_MONDAY
    browser = Browser(world).act_as("seller")
    assert "provisional trading day" in browser.get(page).text
    world.parts.parameters = replace(world.parts.parameters, china=world.parts.parameters.china.until(2026))
    assert "calendar does not reach today" in browser.get(page).text
    path = f"/console/book/{instrument}/orders/{dated['order_id']}/cancellation"
    browser.post(path, browser.hidden(page, f"cancel-{dated['order_id']}"))
    assert world.get("seller", f"/v1/orders/{dated['order_id']}")["state"] == "cancelled"
