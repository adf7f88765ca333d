"""Rules of packages, carry-over and auctions, held against their definitions on random cases."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from financing.base.errors import (
    AuctionClosed,
    BidTooLow,
    CommitmentMismatch,
    DoubleClaim,
    NotEligible,
    PeriodInvalid,
    QuantityOutOfRange,
)
from financing.base.parameters import load_parameters
from financing.base.quantities import Carbon, Energy, Money, Period, Price, Rate
from financing.ledger.serials import SerialBlock, cut, without
from financing.market.auctions import english
from financing.market.auctions.english import OpenBid
from financing.market.auctions.sealed import SealedBid, clear, commitment, require_opens
from financing.market.auctions.terms import Format, Terms, dutch_price
from financing.market.fees import quote
from financing.registry.credits.carry_over import whole_tonnes, with_buffer
from financing.registry.oversight.overlap import (
    ExternalClaim,
    GreenCertificate,
    Subject,
    require_sold_energy_left_out,
    require_unregistered,
    to_freeze,
)
from financing.registry.packages.model import take_oldest_first, take_pro_rata
from financing.registry.transfers.model import mintable

AT = datetime(2026, 3, 2, 2, tzinfo=UTC)
holdings = st.lists(st.integers(0, 10**13), min_size=1, max_size=40).filter(any)


@given(holdings, st.data())
def test_redemption_sums_exactly_and_takes_no_more_than_there_is(held, data):
    column = np.array(held, dtype=np.int64)
    asked = data.draw(st.integers(1, int(column.sum())))
    for rule in (take_pro_rata, take_oldest_first):
        shares = rule(column, asked)
        assert int(shares.sum()) == asked
        assert ((shares >= 0) & (shares <= column)).all()
    exact = [Fraction(each * asked, int(column.sum())) for each in held]
    assert all(abs(share - want) < 1 for share, want in zip(take_pro_rata(column, asked).tolist(), exact, strict=True))
    oldest = take_oldest_first(column, asked).tolist()
    partly = [place for place, share in enumerate(oldest) if share < held[place]]
    assert all(oldest[place] == 0 for place in partly[1:])


@given(holdings)
def test_more_than_there_is_cannot_be_redeemed(held):
    column = np.array(held, dtype=np.int64)
    for rule in (take_pro_rata, take_oldest_first):
        for asked in (0, int(column.sum()) + 1):
            with pytest.raises(QuantityOutOfRange):
                rule(column, asked)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_carried_kilograms_are_issued_sooner_or_later(reductions):
    carried, issued = Carbon(0), 0
    for reduction in reductions:
        step = whole_tonnes(Carbon(reduction), carried)
        assert step.issued.kg % 1_000 == 0
        assert 0 <= step.carried_out.kg < 1_000
        issued, carried = issued + step.issued.kg, step.carried_out
    assert issued + carried.kg == sum(reductions)


def test_a_remainder_of_a_tonne_or_a_buffer_above_the_issue_is_refused():
    with pytest.raises(QuantityOutOfRange):
        whole_tonnes(Carbon(1), Carbon(1_000))
    with pytest.raises(QuantityOutOfRange):
        with_buffer(whole_tonnes(Carbon(1_500), Carbon(0)), Rate(10_001))
    assert with_buffer(whole_tonnes(Carbon(3_500), Carbon(0)), Rate(1_001)).buffer == Carbon(301)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), max_size=8))
def test_a_block_without_ranges_and_the_ranges_are_the_block(ranges):
    block = SerialBlock(
        issuance_id="i",
        methodology_tag="PV1",
        project_code="P",
        vintage=2025,
        first_day=AT.date(),
        last_day=AT.date(),
        first_kg=50,
        last_kg=150,
        registry_code="SIP",
    )
    taken = {kg for low, high in ranges for kg in range(min(low, high), max(low, high) + 1)}
    left = without(block, [(min(each), max(each)) for each in ranges])
    kept = [kg for part in left for kg in range(part.first_kg, part.last_kg + 1)]
    assert kept == [kg for kg in range(50, 151) if kg not in taken]
    assert all(part.history == (() if part.quantity == block.quantity else (block.serial,)) for part in left)
    with pytest.raises(QuantityOutOfRange):
        cut(block, 49, 60)


def terms(form, *, tonnes=100, reserve=2_800):
    return Terms(
        auction_id="auc",
        seller="s",
        asset="PHCER:i",
        quantity=Carbon.from_tonnes(tonnes),
        format=form,
        reserve=Price(reserve),
        increment=Price(50),
        start=Price(4_000),
        step=timedelta(minutes=10),
        extension=timedelta(minutes=5),
        deposit=Rate(1_000),
        opens_at=AT,
        closes_at=AT + timedelta(hours=2),
        reveal_until=AT + timedelta(hours=3),
        pay_within=timedelta(days=3),
    )


bids = st.lists(st.tuples(st.integers(2_000, 4_000), st.integers(1, 60)), min_size=1, max_size=12)


@given(bids)
def test_a_uniform_auction_sells_what_is_asked_at_one_price_to_the_highest(drawn):
    auction = terms(Format.UNIFORM)
    placed = [SealedBid(f"b{n}", Price(p), Carbon.from_tonnes(q), n) for n, (p, q) in enumerate(drawn)]
    awards = clear(auction, placed)
    valid = [bid for bid in placed if bid.price >= auction.reserve]
    sold = sum(award.quantity.kg for award in awards)
    assert sold == min(auction.quantity.kg, sum(bid.quantity.kg for bid in valid))
    assert len({award.price for award in awards}) <= 1
    if not awards:
        return
    price = awards[0].price
    asked = {bid.bidder: bid for bid in valid}
    got = {award.bidder: award.quantity for award in awards}
    assert all(quantity <= asked[bidder].quantity and asked[bidder].price >= price for bidder, quantity in got.items())
    # Nobody who offered more than the clearing price goes short, and unsold tonnes mean the reserve.
    assert all(got.get(bid.bidder) == bid.quantity for bid in valid if bid.price > price)
    assert price == (auction.reserve if sold < auction.quantity.kg else min(asked[bidder].price for bidder in got))


@given(st.lists(st.integers(2_000, 4_000), min_size=1, max_size=9))
def test_the_highest_sealed_bid_wins_and_pays_by_the_format(prices):
    placed = [SealedBid(f"b{n}", Price(p), Carbon.from_tonnes(100), n) for n, p in enumerate(prices)]
    for form in (Format.FIRST_PRICE, Format.VICKREY):
        awards = clear(terms(form), placed)
        valid = sorted((price for price in prices if price >= 2_800), reverse=True)
        if not valid:
            assert awards == []
            continue
        (award,) = awards
        assert prices[int(award.bidder[1:])] == valid[0]
        assert award.bidder == f"b{prices.index(valid[0])}"
        second = valid[1] if len(valid) > 1 else 2_800
        assert award.price == Price(valid[0] if form is Format.FIRST_PRICE else second)


@given(st.integers(0, 10**5))
def test_a_dutch_price_never_rises_and_never_falls_below_the_reserve(seconds):
    auction = terms(Format.DUTCH)
    now, later = AT + timedelta(seconds=seconds), AT + timedelta(seconds=seconds + 600)
    assert dutch_price(auction, now) >= dutch_price(auction, later) >= auction.reserve
    assert dutch_price(auction, AT - timedelta(days=1)) == auction.start


def test_an_english_bid_extends_only_near_the_end():
    auction = terms(Format.ENGLISH)
    best, end = english.place(auction, auction.closes_at, None, "a", Price(4_000), AT)
    assert end == auction.closes_at
    with pytest.raises(BidTooLow):
        english.place(auction, end, best, "b", Price(4_049), AT)
    late = auction.closes_at - timedelta(minutes=4, seconds=59)
    _, end = english.place(auction, end, best, "b", Price(4_050), late)
    assert end == late + timedelta(minutes=5)
    with pytest.raises(AuctionClosed):
        english.place(auction, auction.closes_at, best, "b", Price(5_000), auction.closes_at)
    with pytest.raises(AuctionClosed):
        english.place(auction, auction.closes_at, None, "b", Price(5_000), AT - timedelta(seconds=1))
    assert english.winner(auction, OpenBid("a", Price(2_799), AT)) is None


def test_a_commitment_binds_to_every_part_of_the_bid():
    bid = SealedBid("a", Price(3_000), Carbon.from_tonnes(5), 1)
    sealed_bid = commitment("auc", "a", bid.price, bid.quantity, "n" * 16)
    require_opens(sealed_bid, "auc", bid, "n" * 16)
    others = (
        ("auc", SealedBid("a", Price(3_001), bid.quantity, 1), "n" * 16),
        ("auc", SealedBid("a", bid.price, Carbon.from_tonnes(6), 1), "n" * 16),
        ("auc", SealedBid("b", bid.price, bid.quantity, 1), "n" * 16),
        ("other", bid, "n" * 16),
        ("auc", bid, "m" * 16),
    )
    for auction_id, other, nonce in others:
        with pytest.raises(CommitmentMismatch):
            require_opens(sealed_bid, auction_id, other, nonce)


def test_terms_that_cannot_be_run_are_refused():
    with pytest.raises(QuantityOutOfRange):
        terms(Format.ENGLISH, tonnes=0)
    with pytest.raises(QuantityOutOfRange):
        terms(Format.DUTCH, reserve=4_001)
    good = terms(Format.VICKREY)
    for changes in ({"closes_at": AT}, {"reveal_until": good.closes_at}):
        values = {name: getattr(good, name) for name in Terms.__slots__} | changes
        with pytest.raises(PeriodInvalid):
            Terms(**values)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_both_fees_come_out_of_the_trade(tonnes, price):
    amounts = quote(Carbon.from_tonnes(tonnes), Price(price), load_parameters().trading("otc", AT.date()))
    assert amounts.buyer_pays - amounts.seller_gets == amounts.buyer_fee + amounts.seller_fee
    assert amounts.seller_gets >= Money(0)


@given(st.integers(1, 10**12))
def test_another_region_never_mints_more_than_was_locked(kilograms):
    parameters, on = load_parameters(), AT.date()
    for recognition in parameters.recognitions.records:
        home = parameters.grid_factor(parameters.region(recognition.from_region, on).factor_key, on)
        abroad = parameters.grid_factor(parameters.region(recognition.to_region, on).factor_key, on)
        try:
            minted = mintable(Carbon(kilograms), recognition, "PV", home, abroad)
        except QuantityOutOfRange:
            assert recognition.mode == "requantify"
            assert kilograms * abroad.mg_per_kwh < home.mg_per_kwh
            continue
        assert 0 < minted.kg <= kilograms
        if recognition.mode == "recognise" or abroad.mg_per_kwh >= home.mg_per_kwh:
            assert minted.kg == kilograms
        else:
            assert minted.kg == kilograms * abroad.mg_per_kwh // home.mg_per_kwh
    strict = parameters.recognition("suzhou", "chengdu", on)
    with pytest.raises(NotEligible):
        mintable(Carbon(1_000), strict, "WETLAND", home, abroad)


def test_what_is_registered_elsewhere_is_not_claimed_here():
    period = Period(AT, AT + timedelta(days=10))
    touching = Period(AT + timedelta(days=10), AT + timedelta(days=20))
    inside = Period(AT + timedelta(days=9), AT + timedelta(days=20))
    claim = ExternalClaim("e", "VCS", Subject("meter", "M"), touching, "VCS 1")
    require_unregistered(period, [claim])
    with pytest.raises(DoubleClaim):
        require_unregistered(period, [ExternalClaim("e", "VCS", Subject("meter", "M"), inside, "VCS 1")])
    sold = GreenCertificate("g", "M", inside, Energy(500), "sold")
    with pytest.raises(DoubleClaim):
        require_sold_energy_left_out(period, [sold], Energy(499))
    require_sold_energy_left_out(period, [sold], Energy(500))
    free = GreenCertificate("h", "M", inside, Energy(500), "available")
    assert to_freeze(period, [sold, free]) == [free]
    with pytest.raises(DoubleClaim):
        to_freeze(period, [GreenCertificate("k", "M", inside, Energy(1), "frozen", "mon_1")])
