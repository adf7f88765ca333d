"""Wrong triples are found whatever they are wrong by, and a peer that lies about them is found out."""

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import AggregationFailed
from federated.privacy.attacks.dealing import Trusting, row_by_wrong_correction
from federated.privacy.vertical import triples as module
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.dealer import Dealer, dealer_of
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.products import Products
from federated.privacy.vertical.ring import Tape
from federated.privacy.vertical.triples import CHANCE_BITS, Triples, bucket_size, dealt

ERRORS = (1, 1 << 14, 1 << 32, 3 << 62, 1 << 63, (1 << 64) - 1)


class Dealt:
    """Both sides of `count` triples in one place, of which the dealer changes the corrections by `wrong`."""

    def __init__(self, count, seed=0, wrong=lambda corrections: None):
        rng = np.random.default_rng(seed)
        dealer, self.common = Dealer(count), rng.bytes(32)
        self.bank, self.grid = (
            Triples(count, Tape(dealer.keys[role]), Tape(self.common), is_bank=role == "bank")
            for role in ("bank", "grid")
        )
        self.corrections = dealer.products(1)
        wrong(self.corrections)

    def check(self):
        tags = self.bank.compare(self.grid.told, None), self.grid.compare(self.bank.told, self.corrections)
        self.bank.check(tags[1])
        self.grid.check(tags[0])

    def passes(self):
        try:
            self.check()
        except AggregationFailed:
            return False
        return True


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, (1 << 64) - 1)] * 2), min_size=1, max_size=40), st.integers(0, 1 << 32))
def test_triples_that_are_right_pass_and_multiply_as_integers_do(pairs, seed):
    pair = Dealt(len(pairs), seed)
    bank, grid = (
        Products(np.array([[p[k] for p in pairs]], dtype=np.uint64), side, is_bank=not k)
        for k, side in enumerate((pair.bank, pair.grid))
    )
    pair.check()
    found = bank.shares(grid.opened) + grid.shares(bank.opened)
    assert found[0].tolist() == [a * b % (1 << 64) for a, b in pairs]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 60), st.sampled_from(ERRORS) | st.integers(1, (1 << 64) - 1), st.data())
def test_triples_that_are_wrong_anywhere_by_anything_are_found(count, error, data):
    places = data.draw(st.sets(st.integers(0, dealt(count) - 1), min_size=1, max_size=12))

    def wrong(corrections):
        corrections[sorted(places)] += np.uint64(error)

    assert not Dealt(count, data.draw(st.integers(0, 1 << 32)), wrong).passes()


@pytest.mark.parametrize("error", ERRORS)
def test_one_error_in_every_triple_is_found_by_those_that_are_opened(error):
    def wrong(corrections):
        corrections += np.uint64(error)

    assert not Dealt(50, wrong=wrong).passes()


def test_only_a_dealer_that_knew_the_order_would_get_a_bucket_through():
    """What the check rests on: the order is the pair's alone."""
    size = bucket_size(50)
    order = np.argsort(Tape(Dealt(50).common).draw(dealt(50)), kind="stable")

    def wrong(corrections):
        corrections[order[size:].reshape(size, 50)[:, 7]] += np.uint64(1 << 14)

    assert Dealt(50, wrong=wrong).passes()
    assert not Dealt(50, seed=1, wrong=wrong).passes()


def chance(count, size, buckets):
    """That wrong triples, as many as so many buckets hold, are whole buckets, none of them the one that is opened."""
    return Fraction(comb(count, buckets), comb(size * (count + 1), size * buckets))


@pytest.mark.parametrize("count", [1, 2, 5, 30, 120])
def test_no_number_of_wrong_triples_has_a_better_chance_than_two_to_the_minus_forty(count):
    size = bucket_size(count)
    chances = [chance(count, size, t) for t in range(1, count + 1)]
    assert max(chances) == chances[0] < Fraction(1, 1 << CHANCE_BITS)
    assert chance(count, size - 1, 1) >= Fraction(1, 1 << CHANCE_BITS)


@pytest.mark.parametrize(("count", "size"), [(100, 7), (3_000, 5), (10_000, 4), (1_000_000, 3)])
def test_more_triples_need_smaller_buckets(count, size):
    assert bucket_size(count) == size


def test_wrong_triples_pass_as_often_as_the_formula_says(monkeypatch):
    """In buckets of two, where it can be counted: of all pairs of six triples, as often as of all orders."""
    monkeypatch.setattr(module, "bucket_size", lambda _: 2)
    passed = Counter()
    for seed in range(60):
        for places in combinations(range(6), 2):

            def wrong(corrections, places=places):
                corrections[list(places)] += np.uint64(1 << 63)

            passed[Dealt(2, seed, wrong).passes()] += 1
    assert passed[True] / passed.total() == pytest.approx(float(chance(2, 2, 1)))


def lying(of):
    """A peer that says something else of what is compared, or of what is left."""
    pair = Dealt(30)
    told, tags = [pair.grid.told.copy(), pair.bank.told.copy()], [None, None]
    if of == "told":
        told[1][[3]] += np.uint64(1)
    tags = [pair.bank.compare(told[0], None), pair.grid.compare(told[1], pair.corrections)]
    if of == "tag":
        tags[0][[0]] += np.uint64(1)
    if of == "echo":
        tags[0] = tags[1]
    pair.grid.check(tags[0])


@pytest.mark.parametrize("of", ["told", "tag", "echo"])
def test_a_peer_that_lies_in_the_check_ends_the_run(of):
    with pytest.raises(AggregationFailed, match="triples do not agree"):
        lying(of)
    lying("nothing")


def test_a_check_that_was_never_begun_passes_nothing():
    pair = Dealt(5)
    with pytest.raises(AggregationFailed, match="triples do not agree"):
        pair.bank.check(np.zeros(0, dtype=np.uint64))
    with pytest.raises(AggregationFailed, match="corrections came for"):
        pair.grid.compare(pair.bank.told, pair.corrections[1:])
    with pytest.raises(AggregationFailed, match="comparisons of triples came"):
        pair.bank.compare(pair.grid.told[1:], None)


def a_pair(kind, seed=3):
    """Two sides, their dealer and their logits, over 60 rows."""
    rng = np.random.default_rng(seed)
    columns = {"bank": rng.random((60, 4)), "grid": rng.random((60, 5))}
    labels, dealer, curve = rng.integers(0, 2, 60).astype(float), Dealer(60), Curve.around(0.2)
    sides = {
        role: kind(columns[role], Tape(dealer.keys[role]), Tape(b"c" * 32), curve, labels if role == "bank" else None)
        for role in columns
    }
    return sides, dealer, (rng.normal(size=60), rng.normal(size=5))


def test_a_wrong_correction_reads_a_whole_row_of_sides_that_believe_it_and_ends_the_run_of_those_that_check():
    sides, *rest = a_pair(Trusting)
    rows = np.hstack([sides[role].seen_columns() for role in ("bank", "grid")])
    found = row_by_wrong_correction(sides, *rest, 1 << 40, np.random.default_rng(1))
    assert np.all(rows == found, axis=1).sum() == 1
    for error in (1 << 14, 1 << 40, 1 << 63):
        assert row_by_wrong_correction(*a_pair(PairSide), error, np.random.default_rng(1)) is None


def test_who_deals_follows_from_names_alone_and_is_never_of_the_pair():
    banks, grids = [f"bank-{k}" for k in range(4)], [f"grid-{k}" for k in range(3)]
    dealers = {(b, g): dealer_of(b, g, {*grids, *banks}) for b in banks for g in grids}
    assert dealers == {(b, g): dealer_of(b, g, [*reversed(banks), *grids]) for b in banks for g in grids}
    assert all(dealer not in pair for pair, dealer in dealers.items())
    assert max(Counter(dealers.values()).values()) <= 4
    assert dealer_of("bank-0", "grid-0", ["bank-0", "grid-0"]) is None
    assert dealer_of("bank-0", "grid-0", ["bank-0", "grid-0", "bank-1"]) == "bank-1"
