"""Listings, bilateral deals, quotes and auctions: everything promised is in escrow. One of each kind runs on both
databases, the rest of the rules on one."""

from datetime import timedelta

import pytest
from desk import EXCHANGE, REGISTRY
from kinds import on_both, one_kind  # noqa: F401

from financing.base.quantities import Carbon, Money, Price
from financing.lending.collateral.disposal_auction import close_any, take_asking_price, withdraw_any
from financing.lending.collateral.disposing import buy_any
from financing.market.auctions.commands import (
    CommitBid,
    OpenAuction,
    PlaceBid,
    RevealBid,
    TakeAtAsking,
    commit_bid,
    open_auction,
    place_bid,
    reveal_bid,
)
from financing.market.auctions.contracts import contract_document, default_contract, pay_contract, sign_contract
from financing.market.auctions.sealed import commitment
from financing.market.auctions.terms import dutch_price
from financing.market.delivery import rules_of
from financing.market.fees import quote
from financing.market.over_the_counter.commands import (
    AskForQuotes,
    BuyListing,
    GiveQuote,
    MakeListing,
    ProposeDeal,
    ask_for_quotes,
    end_deal,
    end_listing,
    end_quote,
    end_request,
    give_quote,
    make_listing,
    propose_deal,
    sign_deal,
    take_quote,
)
from financing.registry.oversight.commands import FreezeSerials, freeze_serials
from financing.valuation.marks import marks_of

FEE = 70  # per 100,000
HUGE = 2**63 - 1


@pytest.fixture
def market(kind, tmp_path, ready_desks):
    with ready_desks.copied(kind, tmp_path / "home", opened) as (desk, issuance):
        desk.issuance, desk.asset = issuance, f"PHCER:{issuance.issuance_id}"
        yield desk


def opened(desk):
    desk.admit("dev-a", "developer")
    for buyer in ("buyer-a", "buyer-b", "buyer-c"):
        desk.admit(buyer, "buyer")
        desk.fund(buyer, 100_000_000)
    return desk.credits("dev-a")


def soon(w, **delta):
    return w.now + timedelta(**delta)


def fee(amount):
    return round(amount * FEE / 100_000)


def money(w):
    return {name: w.balance(name, "cash") for name in ("dev-a", "buyer-a", "buyer-b", "buyer-c", EXCHANGE)}


def escrow(w, who, asset="CNY"):
    return w.balance(who, "escrow", asset)


def offer(w, **change):
    """Fifty tonnes at 30 CNY/t, for two days."""
    terms = {"asset": w.asset, "quantity_kg": 50_000, "price_fen_per_tonne": 3_000, "expires_at": soon(w, days=2)}
    return MakeListing(**terms | change)


def buy(w, who, listing, quantity_kg, **more):
    return w.run(who, buy_any, listing.listing_id, BuyListing(quantity_kg=quantity_kg, **more))


def buy_refused(w, who, code, listing, quantity_kg):
    w.assert_refused(who, code, buy_any, listing.listing_id, BuyListing(quantity_kg=quantity_kg))


def standing(w, who):
    """Listings that an organisation is shown, and those that are its own or for it, as they stand now."""
    shown = w.look(lambda unit: list(unit.otc.open_listings(who, w.now)))
    own = w.look(lambda unit: list(unit.otc.listings_of(who)))
    return shown, own


def channels(w):
    return [trade.channel for trade in w.look(lambda unit: unit.otc.trades())]


@on_both
def test_a_listing_is_taken_in_parts_and_bought_to_be_retired(market):
    w = market
    w.assert_refused("dev-a", "quantity_out_of_range", make_listing, offer(w, quantity_kg=500))
    w.assert_refused("dev-a", "insufficient_balance", make_listing, offer(w, quantity_kg=10**9))
    w.assert_refused("dev-a", "quantity_out_of_range", make_listing, offer(w, expires_at=soon(w, days=400)))
    w.assert_refused("dev-a", "not_found", make_listing, offer(w, asset="PKG:pkg_none"))
    listing = w.run("dev-a", make_listing, offer(w))
    assert escrow(w, "dev-a", w.asset) == 50_000
    costs = quote(Carbon(20_000), Price(3_000), rules_of(w.context("buyer-a")))
    assert (costs.amount, costs.buyer_fee, costs.seller_fee) == (Money(60_000), Money(42), Money(42))
    assert (costs.buyer_pays, costs.seller_gets) == (Money(60_042), Money(59_958))
    before = money(w)
    bought = buy(w, "buyer-a", listing, 20_000).bought
    assert bought.amounts == costs
    assert bought.listing.left == Carbon(30_000)
    after = money(w)
    assert after["buyer-a"] == before["buyer-a"] - 60_042
    assert after["dev-a"] == before["dev-a"] + 59_958
    assert after[EXCHANGE] == before[EXCHANGE] + 84
    purpose = {"beneficiary": "Suzhou marathon", "purpose": "event"}
    retirement = buy(w, "buyer-b", listing, 10_000, retire_for=purpose).bought.retirement
    assert retirement.quantity == Carbon(10_000)
    assert w.look(lambda unit: unit.retirements.get(retirement.certificate_number)) == retirement
    assert w.balance("buyer-b", "retired", w.asset) == 10_000
    buy_refused(w, "buyer-a", "quantity_out_of_range", listing, 21_000)
    buy_refused(w, "dev-a", "not_permitted", listing, 1_000)
    w.assert_refused("buyer-a", "not_permitted", end_listing, listing.listing_id)
    w.now += timedelta(days=3)
    assert standing(w, "buyer-a")[0] == []
    assert standing(w, "dev-a")[1][0].state_at(w.now) == "expired"
    buy_refused(w, "buyer-a", "offer_expired", listing, 1_000)
    assert w.run("buyer-a", end_listing, listing.listing_id).state == "expired"
    w.assert_refused("dev-a", "invalid_state", end_listing, listing.listing_id)
    assert escrow(w, "dev-a", w.asset) == 0
    assert channels(w) == ["listing", "listing"]
    w.verify()


def test_a_listing_for_one_buyer_is_between_its_two_sides(market):
    w = market
    w.assert_refused("dev-a", "not_permitted", make_listing, offer(w, buyer_id="dev-a"))
    w.assert_refused("dev-a", "not_found", make_listing, offer(w, buyer_id="registry-sip"))
    w.assert_refused("dev-a", "not_found", make_listing, offer(w, buyer_id="nobody"))
    listing = w.run("dev-a", make_listing, offer(w, buyer_id="buyer-a"))
    assert (listing.buyer, listing.pledge_id) == ("buyer-a", None)
    assert escrow(w, "dev-a", w.asset) == 50_000
    assert standing(w, "dev-a") == standing(w, "buyer-a") == ([listing], [listing])
    assert standing(w, "buyer-b") == standing(w, "registry-sip") == ([], [])
    buy_refused(w, "buyer-b", "not_found", listing, 1_000)
    w.assert_refused("buyer-a", "not_permitted", end_listing, listing.listing_id)

    def mark():
        return w.look(lambda unit: marks_of(unit, w.parts.parameters, ["PHCER"], w.now))

    # The mark knows nothing of it; the record of trades does, as of every sale over the counter.
    before, marked = money(w), mark()
    done = buy(w, "buyer-a", listing, 20_000)
    assert (done.bought.listing.left, done.waterfall) == (Carbon(30_000), None)
    assert money(w)["buyer-a"] == before["buyer-a"] - 60_000 - fee(60_000)
    assert money(w)["dev-a"] == before["dev-a"] + 60_000 - fee(60_000)
    assert mark() == marked
    assert channels(w) == ["listing"]

    w.now += timedelta(days=3)
    shown, own = standing(w, "buyer-a")
    assert shown == []
    assert own[0].state_at(w.now) == "expired"
    buy_refused(w, "buyer-a", "offer_expired", listing, 1_000)
    w.assert_refused("buyer-b", "not_found", end_listing, listing.listing_id)
    assert w.run("buyer-a", end_listing, listing.listing_id).state == "expired"
    assert escrow(w, "dev-a", w.asset) == 0
    w.verify()


def test_frozen_credits_do_not_leave_escrow(market):
    w = market
    listing = w.run("dev-a", make_listing, offer(w))
    w.run(REGISTRY, freeze_serials, FreezeSerials(issuance_id=w.issuance.issuance_id, reason="doubt"))
    buy_refused(w, "buyer-a", "credits_frozen", listing, 1_000)
    w.assert_refused("dev-a", "credits_frozen", end_listing, listing.listing_id)


@on_both
def test_a_deal_settles_with_the_second_signature(market):
    w = market
    terms = ProposeDeal(
        counterparty_id="buyer-a",
        side="sell",
        asset=w.asset,
        quantity_kg=40_000,
        price_fen_per_tonne=2_950,
        expires_at=soon(w, days=5),
    )
    deal_id = w.run("dev-a", propose_deal, terms).deal_id
    w.assert_refused("buyer-b", "not_permitted", sign_deal, deal_id)
    assert escrow(w, "dev-a", w.asset) == 0
    assert signers(w.run("buyer-a", sign_deal, deal_id)) == ["buyer-a"]
    amount = 40 * 2_950
    assert escrow(w, "buyer-a") == amount + fee(amount)
    w.assert_refused("buyer-a", "invalid_state", sign_deal, deal_id)
    before = money(w)
    settled = w.run("dev-a", sign_deal, deal_id)
    assert (settled.state, signers(settled)) == ("settled", ["buyer-a", "dev-a"])
    assert money(w)["dev-a"] == before["dev-a"] + amount - fee(amount)
    assert w.balance("buyer-a", "holding", w.asset) == 40_000
    assert escrow(w, "buyer-a") == escrow(w, "dev-a", w.asset) == 0

    second = w.run("dev-a", propose_deal, terms).deal_id
    w.run("dev-a", sign_deal, second)
    assert w.run("buyer-a", end_deal, second).state == "declined"
    third = w.run("dev-a", propose_deal, terms).deal_id
    w.run("dev-a", sign_deal, third)
    w.now += timedelta(days=6)
    w.assert_refused("buyer-a", "offer_expired", sign_deal, third)
    assert w.run("dev-a", end_deal, third).state == "expired"
    assert escrow(w, "dev-a", w.asset) == 0
    w.verify()


def signers(signed):
    return [each.signer_id for each in signed.signatures]


@on_both
def test_the_best_of_two_quotes_is_taken_and_the_other_lapses(market):
    w = market
    ask = AskForQuotes(side="sell", wanted=w.asset, quantity_kg=10_000, expires_at=soon(w, days=1))
    request_id = w.run("dev-a", ask_for_quotes, ask).request_id
    quotes = {}
    for buyer, price in (("buyer-a", 2_900), ("buyer-b", 3_100)):
        given = GiveQuote(asset=w.asset, price_fen_per_tonne=price, expires_at=soon(w, hours=5))
        quotes[buyer] = w.run(buyer, give_quote, request_id, given).quote_id
        assert escrow(w, buyer) == 10 * price + fee(10 * price)
    assert len(w.look(lambda unit: unit.otc.quotes(request_id, maker="buyer-a"))) == 1
    assert len(w.look(lambda unit: unit.otc.quotes(request_id))) == 2
    w.assert_refused("buyer-a", "not_permitted", take_quote, quotes["buyer-b"])
    w.assert_refused("buyer-c", "not_permitted", end_quote, quotes["buyer-b"])
    assert w.run("dev-a", take_quote, quotes["buyer-b"]).state == "taken"
    assert escrow(w, "buyer-a") == escrow(w, "buyer-b") == 0
    assert w.balance("buyer-b", "holding", w.asset) == 10_000
    w.assert_refused("dev-a", "invalid_state", take_quote, quotes["buyer-a"])

    wanted = AskForQuotes(side="buy", wanted="PHCER", quantity_kg=5_000, expires_at=soon(w, days=1))
    request_id = w.run("buyer-c", ask_for_quotes, wanted).request_id
    given = GiveQuote(asset=w.asset, price_fen_per_tonne=3_050, expires_at=soon(w, hours=5))
    w.assert_refused("buyer-c", "not_permitted", give_quote, request_id, given)
    first, second = (w.run(maker, give_quote, request_id, given).quote_id for maker in ("dev-a", "buyer-b"))
    assert escrow(w, "dev-a", w.asset) == 5_000
    w.run("dev-a", end_quote, first)
    w.now += timedelta(hours=6)
    w.assert_refused("buyer-c", "offer_expired", take_quote, second)
    assert w.run("buyer-c", end_request, request_id).state == "withdrawn"
    assert escrow(w, "buyer-b", w.asset) == escrow(w, "dev-a", w.asset) == 0
    w.verify()


def auction(w, **changes):
    """A hundred tonnes for two hours; English unless another form is asked for."""
    terms = {
        "asset": w.asset,
        "quantity_kg": 100_000,
        "format": "english",
        "reserve_fen_per_tonne": 2_800,
        "start_fen_per_tonne": 2_500,
        "increment_fen_per_tonne": 50,
        "opens_at": w.now,
        "closes_at": soon(w, hours=2),
    }
    return w.run("dev-a", open_auction, OpenAuction(**terms | changes))


def id_of(auction):
    return auction.terms.auction_id


def bid(price):
    return PlaceBid(price_fen_per_tonne=price)


def contracts(w, auction):
    return w.look(lambda unit: unit.auctions.contracts(id_of(auction)))


def closed(w, who, auction):
    """An auction that anyone ends when its time is over, and the contracts that it ends in."""
    return w.run(who, close_any, id_of(auction)), contracts(w, auction)


@on_both
def test_an_english_auction_ends_late_for_a_late_bid_and_in_a_contract(market):
    w = market
    opened = auction(w)
    auction_id = id_of(opened)
    assert escrow(w, "dev-a", w.asset) == 100_000
    w.assert_refused("buyer-a", "bid_too_low", place_bid, auction_id, bid(2_499))
    w.assert_refused("dev-a", "not_permitted", place_bid, auction_id, bid(3_000))
    w.run("buyer-a", place_bid, auction_id, bid(2_500))
    deposit = 100 * 2_800 // 10
    assert escrow(w, "buyer-a") == deposit
    w.assert_refused("buyer-b", "bid_too_low", place_bid, auction_id, bid(2_549))
    w.assert_refused("buyer-a", "not_permitted", place_bid, auction_id, bid(2_600))
    w.now += timedelta(hours=1, minutes=58)
    w.run("buyer-b", place_bid, auction_id, bid(2_900))
    assert w.look(lambda unit: unit.auctions.get(auction_id)).closes_at > opened.closes_at
    w.now += timedelta(minutes=3)
    w.assert_refused("buyer-c", "auction_closed", close_any, auction_id)
    w.run("buyer-a", place_bid, auction_id, bid(2_950))
    assert escrow(w, "buyer-a") == deposit
    w.now += timedelta(minutes=6)
    w.assert_refused("buyer-b", "auction_closed", place_bid, auction_id, bid(3_500))
    ended, (contract,) = closed(w, "buyer-c", opened)
    assert ended.state == "awarded"
    assert ended.terms.reserve == Price(2_800)
    assert (contract.bidder, contract.price) == ("buyer-a", Price(2_950))
    assert contract_document(ended.terms, contract)["amount_fen"] == 295_000
    assert escrow(w, "buyer-b") == 0

    w.assert_refused("buyer-a", "invalid_state", pay_contract, contract.award_id)
    for side in ("dev-a", "buyer-a"):
        w.run(side, sign_contract, contract.award_id)
    w.assert_refused("buyer-b", "not_permitted", pay_contract, contract.award_id)
    before = money(w)
    assert w.run("buyer-a", pay_contract, contract.award_id).state == "paid"
    assert money(w)["buyer-a"] == before["buyer-a"] + deposit - 295_000 - fee(295_000)
    assert money(w)["dev-a"] == before["dev-a"] + 295_000 - fee(295_000)
    assert w.balance("buyer-a", "holding", w.asset) == 100_000
    assert escrow(w, "buyer-a") == escrow(w, "dev-a", w.asset) == 0
    assert w.look(lambda unit: unit.auctions.get(auction_id)).state == "done"
    w.verify()


def won(w):
    """The contract of an English auction that `buyer-a` won at 30 CNY/t."""
    opened = auction(w)
    w.run("buyer-a", place_bid, id_of(opened), bid(3_000))
    w.now += timedelta(hours=3)
    return closed(w, "dev-a", opened)[1][0].award_id


def test_a_winner_that_does_not_pay_loses_its_deposit(market):
    w = market
    contract = won(w)
    w.assert_refused("dev-a", "invalid_state", default_contract, contract)
    w.run("dev-a", sign_contract, contract)
    w.now += timedelta(days=4)
    w.assert_refused("buyer-a", "invalid_state", default_contract, contract)
    w.assert_refused("buyer-b", "not_permitted", default_contract, contract)
    before, held = money(w), w.balance("dev-a", "holding", w.asset)
    assert w.run("dev-a", default_contract, contract).state == "defaulted"
    assert money(w)["dev-a"] == before["dev-a"] + 28_000
    assert w.balance("dev-a", "holding", w.asset) == held + 100_000
    assert escrow(w, "buyer-a") == 0
    w.verify()


def test_a_seller_that_withholds_its_signature_gains_no_deposit(market):
    w = market
    contract = won(w)
    w.run("buyer-a", sign_contract, contract)
    w.assert_refused("buyer-a", "invalid_state", pay_contract, contract)
    w.now += timedelta(days=4)
    w.assert_refused("dev-a", "invalid_state", default_contract, contract)
    before, held = money(w), w.balance("dev-a", "holding", w.asset)
    w.run("buyer-a", default_contract, contract)
    assert money(w)["buyer-a"] == before["buyer-a"] + 28_000
    assert w.balance("dev-a", "holding", w.asset) == held + 100_000
    w.assert_refused("dev-a", "invalid_state", default_contract, contract)
    w.verify()


def test_a_price_whose_amount_fits_no_account_never_binds(market):
    w = market
    w.assert_refused("buyer-a", "quantity_out_of_range", place_bid, id_of(auction(w)), bid(HUGE))
    w.assert_refused("dev-a", "quantity_out_of_range", make_listing, offer(w, price_fen_per_tonne=HUGE))
    terms = offer(w, price_fen_per_tonne=HUGE).model_dump(exclude={"buyer_id"})
    deal = ProposeDeal(**terms, counterparty_id="buyer-a", side="sell")
    w.assert_refused("dev-a", "quantity_out_of_range", propose_deal, deal)
    assert len(w.look(lambda unit: unit.auctions.all())) == 1


def test_an_auction_below_its_reserve_sells_nothing(market):
    w = market
    opened = auction(w)
    w.run("buyer-a", place_bid, id_of(opened), bid(2_750))
    w.assert_refused("dev-a", "invalid_state", withdraw_any, id_of(opened))
    w.now += timedelta(hours=3)
    assert closed(w, "dev-a", opened)[0].state == "unsold"
    assert escrow(w, "buyer-a") == escrow(w, "dev-a", w.asset) == 0
    assert w.run("dev-a", withdraw_any, id_of(auction(w))).state == "withdrawn"
    assert escrow(w, "dev-a", w.asset) == 0
    w.verify()


def sealed_round(w, form, bids, unrevealed=()):
    """Commit, close, reveal, award; returns the contracts. `bids`: bidder → (price, quantity)."""
    opened = auction(w, format=form, reveal_until=soon(w, hours=4))
    auction_id = id_of(opened)

    def commit(bidder, quantity, sealed):
        return bidder, commit_bid, auction_id, CommitBid(quantity_kg=quantity, commitment=sealed)

    def reveal(bidder, *, more=0):
        price, quantity = bids[bidder]
        shown = RevealBid(price_fen_per_tonne=price + more, quantity_kg=quantity, nonce=f"nonce-of-{bidder}-0001")
        return reveal_bid, auction_id, shown

    for bidder, (price, quantity) in bids.items():
        sealed = commitment(auction_id, bidder, Price(price), Carbon(quantity), f"nonce-of-{bidder}-0001")
        w.run(*commit(bidder, quantity, sealed))
    assert all(each.price is None for each in w.look(lambda unit: unit.auctions.bids(auction_id)))
    first = next(iter(bids))
    w.assert_refused(first, "auction_closed", *reveal(first))
    w.now += timedelta(hours=3)
    late = CommitBid(quantity_kg=100_000, commitment="0" * 64)
    w.assert_refused(first, "auction_closed", commit_bid, auction_id, late)
    w.assert_refused(first, "commitment_mismatch", *reveal(first, more=1))
    for bidder in bids:
        if bidder not in unrevealed:
            w.run(bidder, *reveal(bidder))
    w.assert_refused("dev-a", "auction_closed", close_any, auction_id)
    w.now += timedelta(hours=2)
    return closed(w, "dev-a", opened)[1]


@pytest.mark.parametrize(("form", "paid"), [("first_price", 3_200), ("vickrey", 3_000)])
def test_a_sealed_auction_sells_the_whole_lot(market, form, paid):
    w = market
    bids = {"buyer-a": (3_000, 100_000), "buyer-b": (3_200, 100_000), "buyer-c": (2_600, 100_000)}
    (contract,) = sealed_round(w, form, bids)
    assert (contract.bidder, contract.price) == ("buyer-b", Price(paid))
    assert escrow(w, "buyer-a") == escrow(w, "buyer-c") == 0
    assert escrow(w, "buyer-b") == 28_000


def test_an_unrevealed_bid_forfeits_its_deposit(market):
    w = market
    before = money(w)["dev-a"]
    bids = {"buyer-a": (3_000, 100_000), "buyer-b": (9_000, 100_000)}
    (contract,) = sealed_round(w, "vickrey", bids, unrevealed=("buyer-b",))
    assert (contract.bidder, contract.price) == ("buyer-a", Price(2_800))
    assert money(w)["dev-a"] == before + 28_000
    w.verify()


@on_both
def test_a_uniform_price_auction_shares_the_margin(market):
    w = market
    bids = {"buyer-a": (3_300, 60_000), "buyer-b": (3_000, 50_000), "buyer-c": (3_000, 30_000)}
    awarded = sealed_round(w, "uniform", bids)
    got = {each.bidder: each.quantity.kg for each in awarded}
    assert got == {"buyer-a": 60_000, "buyer-b": 25_000, "buyer-c": 15_000}
    assert {each.price for each in awarded} == {Price(3_000)}
    for contract in awarded:
        for side in ("dev-a", contract.bidder):
            w.run(side, sign_contract, contract.award_id)
        w.run(contract.bidder, pay_contract, contract.award_id)
    assert w.balance("buyer-c", "holding", w.asset) == 15_000
    assert escrow(w, "dev-a", w.asset) == 0
    assert all(escrow(w, buyer) == 0 for buyer in bids)
    w.verify()


def test_a_dutch_auction_falls_until_somebody_takes(market):
    w = market
    opened = auction(w, format="dutch", start_fen_per_tonne=4_000, increment_fen_per_tonne=100, step_seconds=600)
    auction_id = id_of(opened)

    def asking():
        return dutch_price(opened.terms, w.now)

    def take(price, quantity_kg=30_000):
        return take_asking_price, auction_id, TakeAtAsking(quantity_kg=quantity_kg, price_max_fen_per_tonne=price)

    assert asking() == Price(4_000)
    w.now += timedelta(minutes=35)
    assert asking() == Price(3_700)
    w.assert_refused("buyer-a", "bid_too_low", *take(3_699))
    before = money(w)
    taken = w.run("buyer-a", *take(3_700)).contract
    assert (taken.state, signers(taken)) == ("paid", ["dev-a", "buyer-a"])
    assert money(w)["buyer-a"] == before["buyer-a"] - 111_000 - fee(111_000)
    w.assert_refused("buyer-b", "quantity_out_of_range", *take(3_699, 71_000))
    w.now += timedelta(hours=1, minutes=24)
    assert asking() == Price(2_900)
    w.now += timedelta(minutes=2)
    assert closed(w, "buyer-c", opened)[0].state == "done"
    assert escrow(w, "dev-a", w.asset) == 0
    w.verify()
