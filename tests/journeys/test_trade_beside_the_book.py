"""Listings, bilateral deals, quotes and auctions over /v1: everything promised is in escrow. One of each kind runs on
both databases, the rest of the rules on one."""

from datetime import timedelta

import pytest
from kinds import on_both, one_kind  # noqa: F401

from financing.base.quantities import Carbon, Price
from financing.market.auctions.sealed import commitment

FEE = 70  # per 100,000


@pytest.fixture
def market(kind, tmp_path, ready_worlds):
    with ready_worlds.copied(kind, tmp_path / "home", opened) as (world, issuance):
        world.issuance, world.asset = issuance, f"PHCER:{issuance['issuance_id']}"
        yield world


def opened(world):
    world.admit("dev-a", "developer")
    for buyer in ("buyer-a", "buyer-b", "buyer-c"):
        world.admit(buyer, "buyer")
        world.fund(buyer, 100_000_000)
    return world.credits("dev-a")


def soon(world, **delta):
    return (world.now + timedelta(**delta)).isoformat()


def fee(amount):
    return round(amount * FEE / 100_000)


def money(world):
    return {name: world.balance(name, "cash") for name in ("dev-a", "buyer-a", "buyer-b", "buyer-c", "exchange-seee")}


def escrow(world, who, asset="CNY"):
    return world.balance(who, "escrow", asset)


@on_both
def test_a_listing_is_taken_in_parts_and_bought_to_be_retired(market):
    w = market
    body = {"asset": w.asset, "quantity_kg": 50_000, "price_fen_per_tonne": 3_000, "expires_at": soon(w, days=2)}
    w.assert_refused("dev-a", "/v1/listings", {**body, "quantity_kg": 500}, "quantity_out_of_range")
    w.assert_refused("dev-a", "/v1/listings", {**body, "quantity_kg": 10**9}, "insufficient_balance")
    w.assert_refused("dev-a", "/v1/listings", {**body, "expires_at": soon(w, days=400)}, "quantity_out_of_range")
    w.assert_refused("dev-a", "/v1/listings", {**body, "asset": "PKG:pkg_none"}, "not_found")
    listing = w.post("dev-a", "/v1/listings", body)
    assert escrow(w, "dev-a", w.asset) == 50_000
    path = f"/v1/listings/{listing['listing_id']}"
    costs = w.get("buyer-a", "/v1/fees?quantity_kg=20000&price_fen_per_tonne=3000")
    assert costs == {
        "amount_fen": 60_000,
        "buyer_fee_fen": 42,
        "seller_fee_fen": 42,
        "buyer_pays_fen": 60_042,
        "seller_gets_fen": 59_958,
    }
    before = money(w)
    bought = w.post("buyer-a", f"{path}/purchases", {"quantity_kg": 20_000})
    assert bought["fees"] == costs
    assert bought["listing"]["left_kg"] == 30_000
    after = money(w)
    assert after["buyer-a"] == before["buyer-a"] - 60_042
    assert after["dev-a"] == before["dev-a"] + 59_958
    assert after["exchange-seee"] == before["exchange-seee"] + 84
    retire = {"quantity_kg": 10_000, "retire_for": {"beneficiary": "Suzhou marathon", "purpose": "event"}}
    certificate = w.post("buyer-b", f"{path}/purchases", retire)["certificate"]
    assert certificate["quantity_kg"] == 10_000
    assert w.client.get(f"/v1/certificates/{certificate['certificate_number']}").json() == certificate
    assert w.balance("buyer-b", "retired", w.asset) == 10_000
    w.assert_refused("buyer-a", f"{path}/purchases", {"quantity_kg": 21_000}, "quantity_out_of_range")
    w.assert_refused("dev-a", f"{path}/purchases", {"quantity_kg": 1_000}, "not_permitted")
    w.assert_refused("buyer-a", f"{path}/end", None, "not_permitted")
    w.now += timedelta(days=3)
    assert w.get("buyer-a", "/v1/listings") == []
    assert w.get("dev-a", "/v1/listings/own")[0]["state"] == "expired"
    w.assert_refused("buyer-a", f"{path}/purchases", {"quantity_kg": 1_000}, "offer_expired")
    assert w.post("buyer-a", f"{path}/end")["state"] == "expired"
    w.assert_refused("dev-a", f"{path}/end", None, "invalid_state")
    assert escrow(w, "dev-a", w.asset) == 0
    assert [trade["channel"] for trade in w.get("buyer-c", "/v1/otc-trades")] == ["listing", "listing"]
    w.verify()


def test_a_listing_for_one_buyer_is_between_its_two_sides(market):
    w = market
    body = {"asset": w.asset, "quantity_kg": 50_000, "price_fen_per_tonne": 3_000, "expires_at": soon(w, days=2)}
    w.assert_refused("dev-a", "/v1/listings", body | {"buyer_id": "dev-a"}, "not_permitted")
    w.assert_refused("dev-a", "/v1/listings", body | {"buyer_id": "registry-sip"}, "not_found")
    w.assert_refused("dev-a", "/v1/listings", body | {"buyer_id": "nobody"}, "not_found")
    for bare in (1_795_909_244, "1795909244", 1.5):
        w.assert_refused("dev-a", "/v1/listings", body | {"expires_at": bare}, "invalid_request")
    listing = w.post("dev-a", "/v1/listings", body | {"buyer_id": "buyer-a"})
    assert (listing["buyer_id"], listing["pledge_id"]) == ("buyer-a", None)
    assert escrow(w, "dev-a", w.asset) == 50_000
    for each in ("/v1/listings", "/v1/listings/own"):
        assert w.get("dev-a", each) == w.get("buyer-a", each) == [listing]
        assert w.get("buyer-b", each) == w.get("registry-sip", each) == []
    path = f"/v1/listings/{listing['listing_id']}"
    w.assert_refused("buyer-b", f"{path}/purchases", {"quantity_kg": 1_000}, "not_found")
    w.assert_refused("buyer-a", f"{path}/end", None, "not_permitted")

    # The mark knows nothing of it; the record of trades does, as of every sale over the counter.
    mark = w.get("dev-a", "/v1/marks/PHCER")
    before = money(w)
    bought = w.post("buyer-a", f"{path}/purchases", {"quantity_kg": 20_000})
    assert (bought["listing"]["left_kg"], bought["waterfall"]) == (30_000, None)
    assert money(w)["buyer-a"] == before["buyer-a"] - 60_000 - fee(60_000)
    assert money(w)["dev-a"] == before["dev-a"] + 60_000 - fee(60_000)
    assert w.get("dev-a", "/v1/marks/PHCER") == mark
    assert [trade["channel"] for trade in w.get("buyer-c", "/v1/otc-trades")] == ["listing"]

    w.now += timedelta(days=3)
    assert w.get("buyer-a", "/v1/listings") == []
    assert w.get("buyer-a", "/v1/listings/own")[0]["state"] == "expired"
    w.assert_refused("buyer-a", f"{path}/purchases", {"quantity_kg": 1_000}, "offer_expired")
    w.assert_refused("buyer-b", f"{path}/end", None, "not_found")
    assert w.post("buyer-a", f"{path}/end")["state"] == "expired"
    assert escrow(w, "dev-a", w.asset) == 0
    w.verify()


def test_frozen_credits_do_not_leave_escrow(market):
    w = market
    body = {"asset": w.asset, "quantity_kg": 50_000, "price_fen_per_tonne": 3_000, "expires_at": soon(w, days=2)}
    listing = w.post("dev-a", "/v1/listings", body)
    w.post("registry-sip", "/v1/freezes", {"issuance_id": w.issuance["issuance_id"], "reason": "doubt"})
    path = f"/v1/listings/{listing['listing_id']}"
    w.assert_refused("buyer-a", f"{path}/purchases", {"quantity_kg": 1_000}, "credits_frozen")
    w.assert_refused("dev-a", f"{path}/end", None, "credits_frozen")


@on_both
def test_a_deal_settles_with_the_second_signature(market):
    w = market
    body = {
        "counterparty_id": "buyer-a",
        "side": "sell",
        "asset": w.asset,
        "quantity_kg": 40_000,
        "price_fen_per_tonne": 2_950,
        "expires_at": soon(w, days=5),
    }
    deal = w.post("dev-a", "/v1/deals", body)
    path = f"/v1/deals/{deal['deal_id']}"
    w.assert_refused("buyer-b", f"{path}/signature", None, "not_permitted")
    assert escrow(w, "dev-a", w.asset) == 0
    assert w.post("buyer-a", f"{path}/signature")["signed_by"] == ["buyer-a"]
    amount = 40 * 2_950
    assert escrow(w, "buyer-a") == amount + fee(amount)
    w.assert_refused("buyer-a", f"{path}/signature", None, "invalid_state")
    before = money(w)
    settled = w.post("dev-a", f"{path}/signature")
    assert (settled["state"], settled["signed_by"]) == ("settled", ["buyer-a", "dev-a"])
    assert money(w)["dev-a"] == before["dev-a"] + amount - fee(amount)
    assert w.balance("buyer-a", "holding", w.asset) == 40_000
    assert escrow(w, "buyer-a") == escrow(w, "dev-a", w.asset) == 0

    second = w.post("dev-a", "/v1/deals", body)
    w.post("dev-a", f"/v1/deals/{second['deal_id']}/signature")
    assert w.post("buyer-a", f"/v1/deals/{second['deal_id']}/end")["state"] == "declined"
    third = w.post("dev-a", "/v1/deals", body)
    w.post("dev-a", f"/v1/deals/{third['deal_id']}/signature")
    w.now += timedelta(days=6)
    w.assert_refused("buyer-a", f"/v1/deals/{third['deal_id']}/signature", None, "offer_expired")
    assert w.post("dev-a", f"/v1/deals/{third['deal_id']}/end")["state"] == "expired"
    assert escrow(w, "dev-a", w.asset) == 0
    w.verify()


@on_both
def test_the_best_of_two_quotes_is_taken_and_the_other_lapses(market):
    w = market
    ask = {"side": "sell", "wanted": w.asset, "quantity_kg": 10_000, "expires_at": soon(w, days=1)}
    request = w.post("dev-a", "/v1/quote-requests", ask)
    path = f"/v1/quote-requests/{request['request_id']}/quotes"
    quotes = {}
    for buyer, price in (("buyer-a", 2_900), ("buyer-b", 3_100)):
        body = {"asset": w.asset, "price_fen_per_tonne": price, "expires_at": soon(w, hours=5)}
        quotes[buyer] = w.post(buyer, path, body)["quote_id"]
        assert escrow(w, buyer) == 10 * price + fee(10 * price)
    assert len(w.get("buyer-a", path)) == 1
    assert len(w.get("dev-a", path)) == 2
    w.assert_refused("buyer-a", f"/v1/quotes/{quotes['buyer-b']}/acceptance", None, "not_permitted")
    w.assert_refused("buyer-c", f"/v1/quotes/{quotes['buyer-b']}/end", None, "not_permitted")
    assert w.post("dev-a", f"/v1/quotes/{quotes['buyer-b']}/acceptance")["state"] == "taken"
    assert escrow(w, "buyer-a") == escrow(w, "buyer-b") == 0
    assert w.balance("buyer-b", "holding", w.asset) == 10_000
    w.assert_refused("dev-a", f"/v1/quotes/{quotes['buyer-a']}/acceptance", None, "invalid_state")

    wanted = {"side": "buy", "wanted": "PHCER", "quantity_kg": 5_000, "expires_at": soon(w, days=1)}
    request = w.post("buyer-c", "/v1/quote-requests", wanted)
    path = f"/v1/quote-requests/{request['request_id']}/quotes"
    body = {"asset": w.asset, "price_fen_per_tonne": 3_050, "expires_at": soon(w, hours=5)}
    w.assert_refused("buyer-c", path, body, "not_permitted")
    first, second = w.post("dev-a", path, body), w.post("buyer-b", path, body)
    assert escrow(w, "dev-a", w.asset) == 5_000
    w.post("dev-a", f"/v1/quotes/{first['quote_id']}/end")
    w.now += timedelta(hours=6)
    w.assert_refused("buyer-c", f"/v1/quotes/{second['quote_id']}/acceptance", None, "offer_expired")
    assert w.post("buyer-c", f"/v1/quote-requests/{request['request_id']}/end")["state"] == "withdrawn"
    assert escrow(w, "buyer-b", w.asset) == escrow(w, "dev-a", w.asset) == 0
    w.verify()


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


@on_both
def test_an_english_auction_ends_late_for_a_late_bid_and_in_a_contract(market):
    w = market
    opened = auction(w)
    path = f"/v1/auctions/{opened['auction_id']}"
    assert escrow(w, "dev-a", w.asset) == 100_000
    assert w.get("buyer-a", path)["reserve_fen_per_tonne"] is None
    w.assert_refused("buyer-a", f"{path}/bids", {"price_fen_per_tonne": 2_499}, "bid_too_low")
    w.assert_refused("dev-a", f"{path}/bids", {"price_fen_per_tonne": 3_000}, "not_permitted")
    w.post("buyer-a", f"{path}/bids", {"price_fen_per_tonne": 2_500})
    deposit = 100 * 2_800 // 10
    assert escrow(w, "buyer-a") == deposit
    w.assert_refused("buyer-b", f"{path}/bids", {"price_fen_per_tonne": 2_549}, "bid_too_low")
    w.assert_refused("buyer-a", f"{path}/bids", {"price_fen_per_tonne": 2_600}, "not_permitted")
    w.now += timedelta(hours=1, minutes=58)
    late = w.post("buyer-b", f"{path}/bids", {"price_fen_per_tonne": 2_900})
    assert late["closes_at"] > opened["closes_at"]
    w.now += timedelta(minutes=3)
    w.assert_refused("buyer-c", f"{path}/close", None, "auction_closed")
    w.post("buyer-a", f"{path}/bids", {"price_fen_per_tonne": 2_950})
    assert escrow(w, "buyer-a") == deposit
    w.now += timedelta(minutes=6)
    w.assert_refused("buyer-b", f"{path}/bids", {"price_fen_per_tonne": 3_500}, "auction_closed")
    closed = w.post("buyer-c", f"{path}/close")
    assert closed["state"] == "awarded"
    assert closed["reserve_fen_per_tonne"] == 2_800
    contract = closed["contracts"][0]
    assert (contract["bidder_id"], contract["price_fen_per_tonne"]) == ("buyer-a", 2_950)
    assert contract["document"]["amount_fen"] == 295_000
    assert escrow(w, "buyer-b") == 0

    pay = f"/v1/contracts/{contract['contract_id']}/payment"
    w.assert_refused("buyer-a", pay, None, "invalid_state")
    for side in ("dev-a", "buyer-a"):
        w.post(side, f"/v1/contracts/{contract['contract_id']}/signature")
    w.assert_refused("buyer-b", pay, None, "not_permitted")
    before = money(w)
    assert w.post("buyer-a", pay)["state"] == "paid"
    assert money(w)["buyer-a"] == before["buyer-a"] + deposit - 295_000 - fee(295_000)
    assert money(w)["dev-a"] == before["dev-a"] + 295_000 - fee(295_000)
    assert w.balance("buyer-a", "holding", w.asset) == 100_000
    assert escrow(w, "buyer-a") == escrow(w, "dev-a", w.asset) == 0
    assert w.get("dev-a", path)["state"] == "done"
    w.verify()


def test_a_winner_that_does_not_pay_loses_its_deposit(market):
    w = market
    opened = auction(w)
    path = f"/v1/auctions/{opened['auction_id']}"
    w.post("buyer-a", f"{path}/bids", {"price_fen_per_tonne": 3_000})
    w.now += timedelta(hours=3)
    contract = w.post("dev-a", f"{path}/close")["contracts"][0]["contract_id"]
    w.assert_refused("dev-a", f"/v1/contracts/{contract}/default", None, "invalid_state")
    w.post("dev-a", f"/v1/contracts/{contract}/signature")
    w.now += timedelta(days=4)
    w.assert_refused("buyer-a", f"/v1/contracts/{contract}/default", None, "invalid_state")
    w.assert_refused("buyer-b", f"/v1/contracts/{contract}/default", None, "not_permitted")
    before, held = money(w), w.balance("dev-a", "holding", w.asset)
    assert w.post("dev-a", f"/v1/contracts/{contract}/default")["state"] == "defaulted"
    assert money(w)["dev-a"] == before["dev-a"] + 28_000
    assert w.balance("dev-a", "holding", w.asset) == held + 100_000
    assert escrow(w, "buyer-a") == 0
    w.verify()


def test_a_seller_that_withholds_its_signature_gains_no_deposit(market):
    w = market
    path = f"/v1/auctions/{auction(w)['auction_id']}"
    w.post("buyer-a", f"{path}/bids", {"price_fen_per_tonne": 3_000})
    w.now += timedelta(hours=3)
    contract = w.post("dev-a", f"{path}/close")["contracts"][0]["contract_id"]
    w.post("buyer-a", f"/v1/contracts/{contract}/signature")
    w.assert_refused("buyer-a", f"/v1/contracts/{contract}/payment", None, "invalid_state")
    w.now += timedelta(days=4)
    w.assert_refused("dev-a", f"/v1/contracts/{contract}/default", None, "invalid_state")
    before, held = money(w), w.balance("dev-a", "holding", w.asset)
    w.post("buyer-a", f"/v1/contracts/{contract}/default")
    assert money(w)["buyer-a"] == before["buyer-a"] + 28_000
    assert w.balance("dev-a", "holding", w.asset) == held + 100_000
    w.assert_refused("dev-a", f"/v1/contracts/{contract}/default", None, "invalid_state")
    w.verify()


def test_a_price_whose_amount_fits_no_account_never_binds(market):
    w = market
    huge = {"price_fen_per_tonne": 2**63 - 1}
    path = f"/v1/auctions/{auction(w)['auction_id']}"
    w.assert_refused("buyer-a", f"{path}/bids", huge, "quantity_out_of_range")
    body = {"asset": w.asset, "quantity_kg": 50_000, "expires_at": soon(w, days=2)} | huge
    w.assert_refused("dev-a", "/v1/listings", body, "quantity_out_of_range")
    w.assert_refused(
        "dev-a", "/v1/deals", body | {"counterparty_id": "buyer-a", "side": "sell"}, "quantity_out_of_range"
    )
    assert len(w.get("buyer-a", "/v1/auctions")) == 1


def test_an_auction_below_its_reserve_sells_nothing(market):
    w = market
    path = f"/v1/auctions/{auction(w)['auction_id']}"
    w.post("buyer-a", f"{path}/bids", {"price_fen_per_tonne": 2_750})
    w.assert_refused("dev-a", f"{path}/withdrawal", None, "invalid_state")
    w.now += timedelta(hours=3)
    assert w.post("dev-a", f"{path}/close")["state"] == "unsold"
    assert escrow(w, "buyer-a") == escrow(w, "dev-a", w.asset) == 0
    other = f"/v1/auctions/{auction(w)['auction_id']}"
    assert w.post("dev-a", f"{other}/withdrawal")["state"] == "withdrawn"
    assert escrow(w, "dev-a", w.asset) == 0
    w.verify()


def sealed_round(w, form, bids, unrevealed=()):
    """Commit, close, reveal, award; returns the closed auction. `bids`: bidder → (price, quantity)."""
    opened = auction(w, format=form, reveal_until=soon(w, hours=4))
    path = f"/v1/auctions/{opened['auction_id']}"
    for bidder, (price, quantity) in bids.items():
        sealed = commitment(opened["auction_id"], bidder, Price(price), Carbon(quantity), f"nonce-of-{bidder}-0001")
        w.post(bidder, f"{path}/commitments", {"quantity_kg": quantity, "commitment": sealed})
    assert all(bid["price_fen_per_tonne"] is None for bid in w.get("dev-a", path)["bids"])
    first = next(iter(bids))
    body = {"price_fen_per_tonne": bids[first][0], "quantity_kg": bids[first][1], "nonce": f"nonce-of-{first}-0001"}
    w.assert_refused(first, f"{path}/reveals", body, "auction_closed")
    w.now += timedelta(hours=3)
    w.assert_refused(first, f"{path}/commitments", {"quantity_kg": 100_000, "commitment": "0" * 64}, "auction_closed")
    lie = {**body, "price_fen_per_tonne": bids[first][0] + 1}
    w.assert_refused(first, f"{path}/reveals", lie, "commitment_mismatch")
    for bidder, (price, quantity) in bids.items():
        if bidder not in unrevealed:
            body = {"price_fen_per_tonne": price, "quantity_kg": quantity, "nonce": f"nonce-of-{bidder}-0001"}
            w.post(bidder, f"{path}/reveals", body)
    w.assert_refused("dev-a", f"{path}/close", None, "auction_closed")
    w.now += timedelta(hours=2)
    return w.post("dev-a", f"{path}/close")


@pytest.mark.parametrize(("form", "paid"), [("first_price", 3_200), ("vickrey", 3_000)])
def test_a_sealed_auction_sells_the_whole_lot(market, form, paid):
    w = market
    bids = {"buyer-a": (3_000, 100_000), "buyer-b": (3_200, 100_000), "buyer-c": (2_600, 100_000)}
    closed = sealed_round(w, form, bids)
    (contract,) = closed["contracts"]
    assert (contract["bidder_id"], contract["price_fen_per_tonne"]) == ("buyer-b", paid)
    assert escrow(w, "buyer-a") == escrow(w, "buyer-c") == 0
    assert escrow(w, "buyer-b") == 28_000


def test_an_unrevealed_bid_forfeits_its_deposit(market):
    w = market
    before = money(w)["dev-a"]
    closed = sealed_round(
        w, "vickrey", {"buyer-a": (3_000, 100_000), "buyer-b": (9_000, 100_000)}, unrevealed=("buyer-b",)
    )
    (contract,) = closed["contracts"]
    assert (contract["bidder_id"], contract["price_fen_per_tonne"]) == ("buyer-a", 2_800)
    assert money(w)["dev-a"] == before + 28_000
    w.verify()


@on_both
def test_a_uniform_price_auction_shares_the_margin(market):
    w = market
    bids = {"buyer-a": (3_300, 60_000), "buyer-b": (3_000, 50_000), "buyer-c": (3_000, 30_000)}
    closed = sealed_round(w, "uniform", bids)
    got = {each["bidder_id"]: each["quantity_kg"] for each in closed["contracts"]}
    assert got == {"buyer-a": 60_000, "buyer-b": 25_000, "buyer-c": 15_000}
    assert {each["price_fen_per_tonne"] for each in closed["contracts"]} == {3_000}
    for contract in closed["contracts"]:
        for side in ("dev-a", contract["bidder_id"]):
            w.post(side, f"/v1/contracts/{contract['contract_id']}/signature")
        w.post(contract["bidder_id"], f"/v1/contracts/{contract['contract_id']}/payment")
    assert w.balance("buyer-c", "holding", w.asset) == 15_000
    assert escrow(w, "dev-a", w.asset) == 0
    assert all(escrow(w, buyer) == 0 for buyer in bids)
    w.verify()


def test_a_dutch_auction_falls_until_somebody_takes(market):
    w = market
    opened = auction(w, format="dutch", start_fen_per_tonne=4_000, increment_fen_per_tonne=100, step_seconds=600)
    path = f"/v1/auctions/{opened['auction_id']}"
    assert opened["asking_fen_per_tonne"] == 4_000
    w.now += timedelta(minutes=35)
    assert w.get("buyer-a", path)["asking_fen_per_tonne"] == 3_700
    take = {"quantity_kg": 30_000, "price_max_fen_per_tonne": 3_699}
    w.assert_refused("buyer-a", f"{path}/takings", take, "bid_too_low")
    before = money(w)
    taken = w.post("buyer-a", f"{path}/takings", {**take, "price_max_fen_per_tonne": 3_700})
    assert (taken["state"], taken["signed_by"]) == ("paid", ["dev-a", "buyer-a"])
    assert money(w)["buyer-a"] == before["buyer-a"] - 111_000 - fee(111_000)
    w.assert_refused("buyer-b", f"{path}/takings", {**take, "quantity_kg": 71_000}, "quantity_out_of_range")
    w.now += timedelta(hours=1, minutes=24)
    assert w.get("buyer-a", path)["asking_fen_per_tonne"] == 2_900
    w.now += timedelta(minutes=2)
    closed = w.post("buyer-c", f"{path}/close")
    assert closed["state"] == "done"
    assert escrow(w, "dev-a", w.asset) == 0
    w.verify()
