"""Steps on shares are steps on numbers, and what crosses is noise to whoever sees it."""

from itertools import pairwise

import numpy as np
import pytest

from federated.errors import AggregationFailed
from federated.nodes.identity import fresh_identities
from federated.privacy.attacks.label_inference import from_gradients, from_residuals, inferred, strongest
from federated.privacy.vertical.channel import Introduction
from federated.privacy.vertical.counting import Counter, answer, deal
from federated.privacy.vertical.curve import REACH, Curve
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.party import PRODUCTS, PairSide
from federated.privacy.vertical.products import Products
from federated.privacy.vertical.ring import COLUMN_BITS, GRADIENT_BITS, Tape, fixed, floating
from federated.privacy.vertical.triples import Triples

RNG = np.random.default_rng(5)
RATE = 0.2
# The key that the pair of these tests has in common, and how many messages a step of theirs has.
COMMON, STEP = bytes(range(32)), 13


class Pair:
    """A bank, a grid company and their dealer in one place; `crossed` is all that goes from one to another."""

    def __init__(self, rows=1_500, width=6):
        self.columns = {"bank": RNG.random((rows, width)), "grid": RNG.random((rows, width + 2))}
        raw = 3 * self.columns["bank"][:, 1] - 2 * self.columns["grid"][:, 0] - 1.5
        self.labels = (RNG.random(rows) < 1 / (1 + np.exp(-raw))).astype(float)
        self.dealer = Dealer(rows)
        curve = Curve.around(RATE)
        tapes = {role: (Tape(key), Tape(COMMON)) for role, key in self.dealer.keys.items()}
        self.sides = {
            "bank": PairSide(self.columns["bank"], *tapes["bank"], curve, self.labels),
            "grid": PairSide(self.columns["grid"], *tapes["grid"], curve),
        }
        self.dealer.columns({role: c.shape[1] for role, c in self.columns.items()})
        hidden = {role: side.hidden_columns() for role, side in self.sides.items()}
        self.sides["bank"].take_hidden(hidden["grid"])
        self.sides["grid"].take_hidden(hidden["bank"])
        self.curve, self.crossed = curve, list(hidden.values())

    def gradient(self, owner, betas, widths=None):
        """One step up to both gradients, of the first columns if `widths` are fewer; the owner's."""
        bank, grid = self.sides["bank"], self.sides["grid"]
        hidden, weighed = bank.weigh(betas["grid"]), self.dealer.weighed()
        grid.take_weights(hidden, weighed)
        self.crossed += [hidden, *([weighed] if weighed is not None else [])]
        opened = {"bank": bank.open(self.columns["bank"] @ betas["bank"]), "grid": grid.open()}
        widths = widths or {role: len(beta) for role, beta in betas.items()}
        corrections, owed = self.dealer.products(PRODUCTS), self.dealer.gradients(widths)
        twice = {
            "bank": bank.cross(opened["grid"], owed["grid"]),
            "grid": grid.cross(opened["bank"], np.concatenate([corrections, owed["bank"]])),
        }
        bank.cube(twice["grid"])
        grid.cube(twice["bank"])
        handed = {"bank": grid.hand_over(), "grid": bank.hand_over()}
        self.crossed += [*opened.values(), *twice.values(), corrections, *owed.values()]
        found = {}
        for role, (masked, share) in handed.items():
            own = self.sides[role].receive(masked, widths[role])
            self.crossed += [masked, share, own]
            found[role] = floating(np.asarray(own + share), GRADIENT_BITS)
        return found[owner]


@pytest.mark.parametrize("owner", ["bank", "grid"])
def test_a_gradient_on_shares_is_the_gradient(owner):
    pair = Pair()
    betas = {role: 0.5 * RNG.normal(size=c.shape[1]) for role, c in pair.columns.items()}
    for scale in (0.0, 1.0):
        now = {role: scale * b for role, b in betas.items()}
        found = pair.gradient(owner, now)
        logits = sum(pair.columns[role] @ now[role] for role in now)
        exact = pair.columns[owner].T @ (pair.labels - pair.curve.of(logits))
        # A logit has a resolution of 0.005 and a column of 0.008: over 1,500 rows a few thousandths of a row each.
        assert np.abs(found - exact).max() < 4.0


def test_a_gradient_of_the_first_columns_is_a_part_of_that_of_all():
    pair = Pair(rows=400)
    betas = {role: RNG.normal(size=c.shape[1]) for role, c in pair.columns.items()}
    exact = pair.columns["grid"].T @ (pair.labels - pair.curve.of(sum(pair.columns[r] @ b for r, b in betas.items())))
    whole = pair.gradient("grid", betas)
    first = pair.gradient("grid", betas, dict.fromkeys(betas, 1))
    assert np.abs(whole - exact).max() < 4.0
    assert np.abs(first - exact[:1]).max() < 2.0


@pytest.mark.parametrize("again", ["weigh", "cube", "hand_over", "receive"])
def test_a_step_is_taken_once_and_in_order(again, monkeypatch):
    """Another residual, or gradient, of one step would be one more than nodes count."""
    pair = Pair(rows=60)
    taken = getattr(PairSide, again)

    def twice(side, *told):
        answer = taken(side, *told)
        taken(side, *told)
        return answer

    monkeypatch.setattr(PairSide, again, twice)
    with pytest.raises(AggregationFailed, match=f"{again} was asked for where"):
        pair.gradient("bank", {role: np.zeros(c.shape[1]) for role, c in pair.columns.items()})


def test_what_is_drawn_for_one_purpose_is_never_dealt_as_another():
    """A bank whose residual was asked for more often than its dealer dealt had its masks dealt as triples: labels."""
    whole, purposes = Tape(COMMON), ("triples", "weights", "residual", "gradient")
    drawn = [tape.draw(50).tolist() for _ in range(2) for tape in (whole, *map(whole.apart, purposes))]
    assert len({tuple(numbers) for numbers in drawn}) == len(drawn)
    other = Tape(COMMON)
    assert [other.apart("triples").draw(50).tolist() for _ in range(2)] == [drawn[1], drawn[6]]


def test_each_purpose_of_a_step_has_its_tape(monkeypatch):
    used = []
    draw = Tape.draw

    def listed(tape, *shape):
        used.append((tape._key, tape._drawn))
        return draw(tape, *shape)

    pair = Pair(rows=60)
    monkeypatch.setattr(Tape, "draw", listed)
    pair.gradient("bank", {role: np.zeros(c.shape[1]) for role, c in pair.columns.items()})
    for key in pair.dealer.keys.values():
        assert (key, 1) not in used
        assert all((Tape(key).apart(of)._key, 0) in used for of in ("triples", "residual", "gradient"))


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.22, 0.5, 0.9])
def test_the_cubic_is_near_the_logistic_function_and_rises_wherever_two_parties_can_be(rate):
    """The cubic that is nearest falls beyond six logits, and what is trained on it diverges."""
    curve = Curve.around(rate)
    z = curve.centre + np.linspace(-3, 3, 200)
    assert np.abs(curve.of(z) - 1 / (1 + np.exp(-z))).max() < 0.09
    assert np.diff(curve.of(curve.centre + np.linspace(-2 * REACH, 2 * REACH, 4_001))).min() > 0
    if rate in (0.22, 0.5):
        nearest = np.polynomial.Polynomial.fit(z, 1 / (1 + np.exp(-z)), 3)
        assert np.diff(nearest(curve.centre + np.linspace(-2 * REACH, 2 * REACH, 4_001))).min() < 0


def test_whatever_crosses_looks_uniform():
    pair = Pair(rows=4_000)
    for owner in ("bank", "grid"):
        pair.gradient(owner, {role: np.zeros(c.shape[1]) for role, c in pair.columns.items()})
    long = [a.ravel() for a in pair.crossed if a.size >= 4_000]
    assert len(long) >= 16
    for values in long:
        counts = np.bincount((values >> np.uint64(61)).astype(int), minlength=8)
        expected = len(values) / 8
        # Chi-squared with 7 degrees of freedom: 35 is beyond its 99.999 % quantile.
        assert ((counts - expected) ** 2 / expected).sum() < 35


def test_no_two_messages_of_a_pair_repeat_a_mask():
    pair = Pair(rows=64)
    zero = {role: np.zeros(c.shape[1]) for role, c in pair.columns.items()}
    opened = []
    for _ in range(3):
        pair.gradient("grid", zero)
        opened.append(pair.crossed[-STEP])
    assert all(not np.array_equal(a, b) for a, b in pairwise(opened))


def test_products_of_two_sides_are_exact():
    left, right = (RNG.integers(0, 1 << 64, (3, 500), dtype=np.uint64) for _ in range(2))
    dealer = Dealer(500)
    triples = {r: Triples(1_500, Tape(key), Tape(COMMON), is_bank=r == "bank") for r, key in dealer.keys.items()}
    bank, grid = Products(left, triples["bank"], is_bank=True), Products(right, triples["grid"], is_bank=False)
    triples["grid"].compare(triples["bank"].told, dealer.products(3))
    found = bank.shares(grid.opened) + grid.shares(bank.opened)
    assert np.array_equal(found, left * right)
    with pytest.raises(AggregationFailed, match="opened factors"):
        bank.shares(grid.opened[:, :10])
    with pytest.raises(AggregationFailed, match="more products were asked for than the 1500 that were dealt for"):
        Products(left[:1], triples["bank"], is_bank=True)


@pytest.mark.parametrize("dealers", [1, 2])
def test_counts_by_cell_are_exact_and_nobody_but_the_operator_sees_them(dealers):
    vectors = RNG.integers(0, 2, (700, 3)).astype(np.uint64)
    cell = RNG.integers(0, 9, 700)
    keys = [bytes([k]) * 32 for k in range(dealers)]
    corrections = [deal(700, 9, 3, COMMON, key, number) for number, key in enumerate(keys)]
    counter, correction = Counter(cell, 9, 3, COMMON, dealers), np.sum(corrections, axis=0, dtype=np.uint64)
    opened, share = answer(vectors, keys, correction, counter.hidden)
    wanted = np.array([[vectors[cell == k, v].sum() for v in range(3)] for k in range(9)])
    assert np.array_equal((counter.own(opened) + share).astype(np.int64), wanted)
    for seen in (counter.hidden, opened):
        assert np.bincount((seen.ravel() >> np.uint64(63)).astype(int)).min() > 0.4 * seen.size
    with pytest.raises(AggregationFailed, match="hidden cells"):
        answer(vectors[:10], keys, correction, counter.hidden)
    with pytest.raises(AggregationFailed, match="hidden vectors"):
        counter.own(opened[:10])
    for cells, vectors in ((0, 3), (9, -1), (1 << 20, 2)):
        with pytest.raises(AggregationFailed, match="cannot be counted"):
            deal(700, cells, vectors, COMMON, COMMON, 0)


@pytest.fixture
def channels():
    met = {name: Introduction(each, b"run") for name, each in fresh_identities(("bank", "grid")).items()}
    return met, {a: met[a].channel(b, met[b].public, met[b].signature) for a, b in (("bank", "grid"), ("grid", "bank"))}


def test_a_channel_opens_what_was_sealed_in_order_and_nothing_else(channels):
    met, (bank, grid) = channels[0], channels[1].values()
    first, second = bank.seal(b"one"), bank.seal(b"two")
    assert grid.open(first) == b"one"
    with pytest.raises(AggregationFailed, match="changed on the way"):
        grid.open(first)
    del second
    with pytest.raises(AggregationFailed, match="changed on the way"):
        bank.open(bytes(40))
    assert bank.key_for("logits") == grid.key_for("logits") != bank.key_for("other")
    with pytest.raises(AggregationFailed, match="was not signed by it"):
        met["bank"].channel("grid", met["bank"].public, met["grid"].signature)
    with pytest.raises(AggregationFailed, match="was not signed by it"):
        met["bank"].channel("stranger", met["grid"].public, met["grid"].signature)


def test_residuals_in_clear_are_labels_and_gradients_say_little_more_than_the_own_function():
    rows, width = 4_000, 8
    own, other = RNG.random((rows, width)), RNG.normal(size=rows)
    logits = own @ RNG.normal(size=width) - 1.0
    labels = (RNG.random(rows) < 1 / (1 + np.exp(-(logits + other)))).astype(np.int64)
    p = 1 / (1 + np.exp(-(logits + other)))
    assert inferred(from_residuals(labels - p), labels, logits).beyond == 1.0
    gradients = np.array([own.T @ (labels - q) for q in (np.full(rows, labels.mean()), p)])
    guesses = from_gradients(own, gradients, logits, float(labels.mean()))
    assert strongest(guesses, labels, logits).beyond < 0.56
    assert inferred(RNG.normal(size=rows), labels, logits).beyond == pytest.approx(0.5, abs=0.03)


def test_what_does_not_fit_is_refused():
    tapes, curve = (Tape(bytes(32)), Tape(COMMON)), Curve.around(RATE)
    with pytest.raises(AggregationFailed, match="not finite or beyond 1"):
        PairSide(np.full((5, 2), 1.5), *tapes, curve)
    with pytest.raises(AggregationFailed, match="not finite"):
        PairSide(np.full((5, 2), np.nan), *tapes, curve)
    with pytest.raises(AggregationFailed, match="may not fit the ring"):
        PairSide(np.zeros((curve.most_rows + 1, 1)), *tapes, curve)
    with pytest.raises(AggregationFailed, match="hidden columns"):
        PairSide(np.zeros((5, 2)), *tapes, curve).take_hidden(np.zeros((4, 2), dtype=np.uint64))
    assert np.array_equal(floating(fixed(np.array([0.5, -1.0]), COLUMN_BITS, 1.0), COLUMN_BITS), [0.5, -1.0])
