"""Trade beside the order book over /v1: what each route answers, and to whom. The rules of trade are the commands' own
(journeys/test_trade_beside_the_book)."""

from datetime import timedelta

import pytest

from financing.base.quantities import Carbon, Price
from financing.market.auctions.sealed import commitment

NONCE = "nonce-of-buyer-b-0001"


@pytest.fixture
def market(tmp_path, ready_worlds):
    with ready_worlds.copied("sqlite", tmp_path / "home", opened) as (world, issuance):
        world.asset = f"PHCER:{issuance['issuance_id']}"
        yield world


def opened(world):
    world.admit("dev-a", "developer")
    for buyer in ("buyer-a", "buyer-b"):
        world.admit(buyer, "buyer")
        world.fund(buyer, 100_000_000)
    return world.credits("dev-a")


def soon(world, **delta):
    return (world.now + timedelta(**delta)).isoformat()


def terms(w, **more):
    body = {"asset": w.asset, "quantity_kg": 50_000, "price_fen_per_tonne": 3_000, "expires_at": soon(w, days=2)}
    return body | more


def test_a_listing_is_shown_bought_and_ended(market):
    w = market
    listing = w.post("dev-a", "/v1/listings", terms(w))
    path = f"/v1/listings/{listing['listing_id']}"
    costs = w.get("buyer-a", "/v1/fees?quantity_kg=20000&price_fen_per_tonne=3000")
    assert costs == {
        "amount_fen": 60_000,
        "buyer_fee_fen": 42,
        "seller_fee_fen": 42,
        "buyer_pays_fen": 60_042,
        "seller_gets_fen": 59_958,
    }
    bought = w.post("buyer-a", f"{path}/purchases", {"quantity_kg": 20_000})
    assert (bought["fees"], bought["listing"]["left_kg"], bought["waterfall"]) == (costs, 30_000, None)
    retire = {"quantity_kg": 10_000, "retire_for": {"beneficiary": "Suzhou marathon", "purpose": "event"}}
    certificate = w.post("buyer-b", f"{path}/purchases", retire)["certificate"]
    assert certificate["quantity_kg"] == 10_000
    assert w.client.get(f"/v1/certificates/{certificate['certificate_number']}").json() == certificate
    w.now += timedelta(days=3)
    assert w.get("buyer-a", "/v1/listings") == []
    assert w.get("dev-a", "/v1/listings/own")[0]["state"] == "expired"
    assert w.post("buyer-a", f"{path}/end")["state"] == "expired"
    assert [trade["channel"] for trade in w.get("buyer-a", "/v1/otc-trades")] == ["listing", "listing"]


def test_a_listing_for_one_buyer_is_shown_to_its_two_sides(market):
    w = market
    for bare in (1_795_909_244, "1795909244", 1.5):
        w.assert_refused("dev-a", "/v1/listings", terms(w, expires_at=bare), "invalid_request")
    listing = w.post("dev-a", "/v1/listings", terms(w, buyer_id="buyer-a"))
    assert (listing["buyer_id"], listing["pledge_id"]) == ("buyer-a", None)
    for each in ("/v1/listings", "/v1/listings/own"):
        assert w.get("dev-a", each) == w.get("buyer-a", each) == [listing]
        assert w.get("buyer-b", each) == w.get("registry-sip", each) == []


def test_a_deal_is_signed_and_declined(market):
    w = market
    body = terms(w, counterparty_id="buyer-a", side="sell")
    deal, other = (w.post("dev-a", "/v1/deals", body) for _ in range(2))
    path = f"/v1/deals/{deal['deal_id']}"
    assert w.post("buyer-a", f"{path}/signature")["signed_by"] == ["buyer-a"]
    settled = w.post("dev-a", f"{path}/signature")
    assert (settled["state"], settled["signed_by"]) == ("settled", ["buyer-a", "dev-a"])
    assert w.post("buyer-a", f"/v1/deals/{other['deal_id']}/end")["state"] == "declined"
    assert {each["state"] for each in w.get("buyer-a", "/v1/deals")} == {"settled", "declined"}


def test_quotes_are_for_who_asked_and_ones_own(market):
    w = market
    ask = {"side": "sell", "wanted": w.asset, "quantity_kg": 10_000, "expires_at": soon(w, days=1)}
    request = w.post("dev-a", "/v1/quote-requests", ask)
    path = f"/v1/quote-requests/{request['request_id']}/quotes"
    given = {
        buyer: w.post(buyer, path, {"asset": w.asset, "price_fen_per_tonne": price, "expires_at": soon(w, hours=5)})
        for buyer, price in (("buyer-a", 2_900), ("buyer-b", 3_100))
    }
    assert len(w.get("buyer-a", path)) == 1
    assert len(w.get("dev-a", path)) == 2
    assert w.post("buyer-a", f"/v1/quotes/{given['buyer-a']['quote_id']}/end")["state"] == "lapsed"
    assert w.post("dev-a", f"/v1/quotes/{given['buyer-b']['quote_id']}/acceptance")["state"] == "taken"
    again = w.post("dev-a", "/v1/quote-requests", ask)
    assert w.post("dev-a", f"/v1/quote-requests/{again['request_id']}/end")["state"] == "withdrawn"
    assert {each["state"] for each in w.get("buyer-a", "/v1/quote-requests")} == {"dealt", "withdrawn"}


def auction(w, **changes):
    body = {
        "asset": w.asset,
        "quantity_kg": 100_000,
        "format": "english",
        "reserve_fen_per_tonne": 2_800,
        "start_fen_per_tonne": 2_500,
        "increment_fen_per_tonne": 50,
        "opens_at": w.now.isoformat(),
        "closes_at": soon(w, hours=2),
    }
    return w.post("dev-a", "/v1/auctions", body | changes)


def test_an_auction_hides_its_reserve_and_ends_in_contracts_that_are_paid_or_not(market):
    w = market
    paths = [f"/v1/auctions/{auction(w)['auction_id']}" for _ in range(2)]
    assert w.get("buyer-a", paths[0])["reserve_fen_per_tonne"] is None
    assert w.get("dev-a", paths[0])["reserve_fen_per_tonne"] == 2_800
    contracts = []
    for path in paths:
        w.post("buyer-a", f"{path}/bids", {"price_fen_per_tonne": 2_950})
    w.now += timedelta(hours=3)
    for path in paths:
        closed = w.post("buyer-b", f"{path}/close")
        assert (closed["state"], closed["reserve_fen_per_tonne"]) == ("awarded", 2_800)
        contracts += closed["contracts"]
    assert {each["price_fen_per_tonne"] for each in contracts} == {2_950}
    assert contracts[0]["document"]["amount_fen"] == 295_000
    paid, unpaid = (f"/v1/contracts/{each['contract_id']}" for each in contracts)
    for side in ("dev-a", "buyer-a"):
        signed = w.post(side, f"{paid}/signature")
    assert signed["signed_by"] == ["dev-a", "buyer-a"]
    assert w.post("buyer-a", f"{paid}/payment")["state"] == "paid"
    assert w.get("dev-a", paths[0])["state"] == "done"
    w.post("dev-a", f"{unpaid}/signature")
    w.now += timedelta(days=4)
    assert w.post("dev-a", f"{unpaid}/default")["state"] == "defaulted"
    assert len(w.get("buyer-a", "/v1/auctions")) == 2


def test_a_sealed_bid_shows_its_price_once_it_is_revealed(market):
    w = market
    opened = auction(w, format="first_price", reveal_until=soon(w, hours=4))
    path = f"/v1/auctions/{opened['auction_id']}"
    sealed = commitment(opened["auction_id"], "buyer-b", Price(3_200), Carbon(100_000), NONCE)
    w.post("buyer-b", f"{path}/commitments", {"quantity_kg": 100_000, "commitment": sealed})
    assert [bid["price_fen_per_tonne"] for bid in w.get("dev-a", path)["bids"]] == [None]
    w.now += timedelta(hours=3)
    body = {"price_fen_per_tonne": 3_200, "quantity_kg": 100_000, "nonce": NONCE}
    assert w.post("buyer-b", f"{path}/reveals", body)["price_fen_per_tonne"] == 3_200


def test_a_dutch_auction_shows_what_it_asks_and_is_taken_or_taken_back(market):
    w = market
    dutch = {"format": "dutch", "start_fen_per_tonne": 4_000, "increment_fen_per_tonne": 100, "step_seconds": 600}
    opened, other = (auction(w, **dutch) for _ in range(2))
    path = f"/v1/auctions/{opened['auction_id']}"
    assert opened["asking_fen_per_tonne"] == 4_000
    w.now += timedelta(minutes=35)
    assert w.get("buyer-a", path)["asking_fen_per_tonne"] == 3_700
    taken = w.post("buyer-a", f"{path}/takings", {"quantity_kg": 30_000, "price_max_fen_per_tonne": 3_700})
    assert (taken["state"], taken["signed_by"]) == ("paid", ["dev-a", "buyer-a"])
    assert w.post("dev-a", f"/v1/auctions/{other['auction_id']}/withdrawal")["state"] == "withdrawn"
