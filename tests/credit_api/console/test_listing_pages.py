"""Listings for one buyer at the console: on the pages of their two sides, and nowhere else; collateral among them."""

from datetime import timedelta

import pytest
from ready_worlds import begun, with_a_loan
from test_console_forms import Browser

BANK, BORROWER = "bank-gusu", "dev-a"


sqlite_world = begun(with_a_loan, "lent")


@pytest.fixture
def lent(sqlite_world):
    """A loan on 400 t of credits, and two organisations that may buy: (world, loan, pledge, asset)."""
    loan, pledge, issuance = sqlite_world.given
    for buyer in ("buyer-a", "buyer-b"):
        sqlite_world.admit(buyer, "buyer")
        sqlite_world.fund(buyer, 10_000_000)
    return sqlite_world, loan, pledge, f"PHCER:{issuance['issuance_id']}"


def listed(world, browser, asset, **changes):
    """List 10 t for a buyer through both forms: what is previewed is what is made."""
    asked = {"asset": asset, "quantity": "10", "price": "31", "days": "3", "buyer_id": "buyer-a"} | changes
    path = "/console/trade/listing?" + "&".join(f"{name}={value}" for name, value in asked.items())
    before = world.snapshot()
    fields = browser.hidden(path, "confirm")
    assert world.snapshot() == before
    return browser.post("/console/trade/listings", fields | asked)


def test_an_addressed_listing_is_on_the_pages_of_its_two_sides_only(lent):
    world, _, _, asset = lent
    listed(world, Browser(world).act_as(BORROWER), asset)
    listing = world.get("buyer-a", "/v1/listings")[0]
    path = f"/console/trade/listings/{listing['listing_id']}"
    for side in (BORROWER, "buyer-a"):
        browser = Browser(world).act_as(side)
        for page in ("/console/trade", "/console/assets", "/console/market"):
            assert path in browser.get(page).text, (side, page)
        assert "31.00" in browser.get(path).text
    stranger = Browser(world).act_as("buyer-b")
    for page in ("/console/trade", "/console/assets", "/console/market"):
        assert path not in stranger.get(page).text, page
    unknown = stranger.get("/console/trade/listings/lst_none", status=404).text
    assert "31.00" not in stranger.get(path, status=404).text
    assert "not_found" in unknown

    # The seller's credits wait in escrow and count as set aside.
    assert "10.000 t" in Browser(world).act_as(BORROWER).get("/console/assets").text
    buyer = Browser(world).act_as("buyer-a")
    fields = buyer.hidden(f"{path}?quantity=4", "confirm") | {"quantity": "4"}
    buyer.post(f"{path}/purchases", fields)
    assert world.balance("buyer-a", "holding", asset) == 4_000
    seller = Browser(world).act_as(BORROWER)
    form = f"end-{listing['listing_id']}"
    seller.post(f"{path}/end", seller.hidden("/console/assets", form))
    assert world.get(BORROWER, "/v1/listings/own")[0]["state"] == "withdrawn"


def test_a_listing_without_a_buyer_is_for_anyone(lent):
    world, _, _, asset = lent
    listed(world, Browser(world).act_as(BORROWER), asset, buyer_id="")
    assert world.get("buyer-b", "/v1/listings")[0]["buyer_id"] is None


def test_collateral_is_listed_and_bought_at_the_console(lent):
    world, loan, pledge, asset = lent
    world.now += timedelta(days=1)
    world.price(1_300, confirmed=True)
    officer, page = Browser(world).act_as(BANK), f"/console/loans/{loan['loan_id']}"
    form = f"dispose-{pledge['pledge_id']}"
    fields = officer.hidden(page, form) | {"buyer_id": "buyer-a", "quantity": "400", "price": "15", "days": "3"}
    action = f"{page}/disposals/{pledge['pledge_id']}"
    refused = officer.post(action, fields | {"days": "365"}, status=422)
    assert 'id="refusal"' in refused.text
    officer.post(action, officer.hidden(page, form) | fields | {"days": "3", "key": "again"})
    path = f"/console/trade/listings/{world.get('buyer-a', '/v1/listings')[0]['listing_id']}"
    # Lender and borrower see it on the loan's page; only the lender can take it back.
    assert f"{path}/end" in officer.get(page).text
    seen = Browser(world).act_as(BORROWER).get(page).text
    assert "¥15.00/t" in seen
    assert path not in seen
    buyer = Browser(world).act_as("buyer-a")
    buyer.post(f"{path}/purchases", buyer.hidden(f"{path}?quantity=400", "confirm") | {"quantity": "400"})
    assert world.balance("buyer-a", "holding", asset) == 400_000
    assert world.get(BANK, f"/v1/loans/{loan['loan_id']}")["state"] == "repaid"
    world.verify()
