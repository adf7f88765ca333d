"""A function whose weights the bank knows, of columns that the grid company knows: right, and tried from every side."""

from dataclasses import replace

import numpy as np
import pytest
from hidden_world import FEATURES, made_split
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import AggregationFailed, ModelCorrupt
from federated.models.encoding.random_leaves import RandomLeaves, random_trees
from federated.models.served.hidden import HiddenFunction
from federated.models.served.interacting import Components, Interactions
from federated.models.served.reasons import POINT
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import tabulated
from federated.privacy.vertical.hidden_function import OPENED, RANGE, BankSide, GridDraws, GridSide, Shape, deal
from federated.privacy.vertical.hidden_weights import (
    MOST_TOGETHER,
    BankWeights,
    Factors,
    ServedWeights,
    mask_of_weights,
    require_key,
    require_weights,
    split,
)
from federated.privacy.vertical.ring import floating

GRID = "grid-g"


class Query:
    """One query between the three, step by step, with keys of its own. What a side is to use instead can be given."""

    def __init__(self, made, seed=0, *, explained=True, weights=None, masked=None, mask=None):
        rng = np.random.default_rng(seed)
        self.grid_key, self.bank_key = rng.bytes(32), rng.bytes(32)
        function, self.served = made.function, ServedWeights.of(made.function, made.secret, GRID)
        self.shape = Shape(*function.shape, function.factors)
        self.row = function.row
        self.dealt, self.dealt_bank = deal(
            self.shape, self.served.mask if mask is None else mask, self.grid_key, self.bank_key, explained=explained
        )
        self.grid = GridSide(
            self.shape, self.grid_key, made.masked[GRID] if masked is None else masked, self.dealt, explained=explained
        )
        self.bank = BankSide(self.shape, self.bank_key, self.served.weights if weights is None else weights)

    def first(self, values):
        self.said_first = self.grid.first(self.row.of(values))
        return self.served.at_reference + POINT * self.bank.points(self.said_first)

    def contributions(self):
        return self.bank.contributions(self.grid.shuffled(self.bank.told()))

    def opened(self, places, messages):
        return self.bank.opened(self.grid.answered(self.bank.asked(places), messages), self.dealt_bank)


@pytest.fixture(scope="module")
def made():
    return made_split(seed=1)


def plain(made):
    function, gamma = made[0].function, made[1]
    parts = [(1.0, each) for each in function.basis.functions(gamma)]
    return PartyScorer(tabulated(parts, function.basis.binning, function.reference), function.bands)


def test_the_value_the_contributions_and_what_is_opened_are_right(made):
    parts, _, values = made
    scorer, messages = plain(made), np.arange(FEATURES, dtype=np.uint64) + np.uint64(100)
    shuffles = set()
    for i, each in enumerate(values[:200]):
        query = Query(parts, i)
        logit, contributions = scorer.explain(each)
        assert query.first(each) == pytest.approx(logit, abs=POINT * 2**-10)
        got, order = query.contributions(), GridDraws(query.shape, query.grid_key).order
        assert np.abs(got - contributions[order] / POINT).max() <= 1.01
        places = np.random.default_rng(i).permutation(FEATURES)[:OPENED]
        assert query.opened(places, messages) == (order[places] + 100).tolist()
        shuffles.add(tuple(order))
    assert len(shuffles) > 190


def test_a_query_without_reasons_needs_one_step_and_no_more_can_be_had_of_it(made):
    parts, _, values = made
    query = Query(parts, explained=False)
    assert query.first(values[0]) == pytest.approx(plain(made).explain(values[0])[0], abs=POINT * 2**-10)
    assert len(query.dealt) == 1
    assert not len(query.dealt_bank)
    with pytest.raises(ValueError, match="operands could not"):
        query.grid.shuffled(query.bank.told())


@settings(max_examples=200, deadline=None)
@given(points=st.floats(-2000.0, 2000.0), share=st.integers(0, 2**64 - 1))
def test_contributions_are_at_most_a_point_off_whatever_the_share(points, share):
    """Shares cut off in the whole ring, as in SecureML, are off by 2^32 points now and then."""
    whole = np.array([round(points * 2**32)], dtype=np.int64).astype(np.uint64)
    other = np.array([share], dtype=np.uint64)
    bank = BankSide.__new__(BankSide)
    bank._shape = Shape(1, np.zeros(1, dtype=np.int64))
    bank._draws = type("Draws", (), {"after": other})
    cut = ((whole - other) >> np.uint64(32)) % np.uint64(RANGE)
    assert abs((int(bank.contributions(cut)[0]) << 32) - round(points * 2**32)) <= 1 << 32


def views_of_the_grid(values, splits):
    """All that a grid company sees, a row a query, of one customer, by weights that differ between queries."""
    views = []
    for i, made in enumerate(splits):
        query = Query(made, i)
        query.first(values)
        told = query.bank.told()
        query.grid.shuffled(told)
        asked = query.bank.asked(np.random.default_rng(i).permutation(FEATURES)[:OPENED])
        few = query.shape.starts
        d = query.shape.features
        # Of masked weights and betas, which are as many as entries, one a feature.
        view = np.concatenate([made.masked[GRID][few], query.dealt[: 3 * d], query.dealt[3 * d :][few], told, asked])
        views.append(view)
    return np.array(views)


def test_a_grid_company_sees_uniform_numbers_whatever_the_weights(made):
    """Two banks' weights of opposite signs, over many queries: nothing in its view tells them apart, nor its bits."""
    parts, gamma, values = made
    function, rng = parts.function, np.random.default_rng(3)
    labels = rng.permutation(np.repeat([1.0, -1.0], 200))
    arguments = (function.reference, function.bands, function.banks, tuple(function.committed))
    splits = [split(function.basis, sign * gamma, *arguments, rng.bytes(32)) for sign in labels]
    views = views_of_the_grid(values[0], splits)
    top = np.hstack([(views >> np.uint64(63)) & np.uint64(1), (views >> np.uint64(40)) & np.uint64(1)])
    top = top[:, top.std(axis=0) > 0].astype(np.float64)
    correlation = np.abs(np.corrcoef(np.column_stack([top, labels]).T)[-1, :-1])
    # Of so many columns the largest of 400 rows by chance: five standard errors.
    assert correlation.max() < 5 / np.sqrt(400)
    tags = 4 * FEATURES + FEATURES
    free = np.delete(views, np.s_[tags + FEATURES : tags + 2 * FEATURES], axis=1)[:, :-OPENED]
    mean = (free / 2.0**64).mean(axis=0)
    assert np.abs(mean - 0.5).max() < 5 / np.sqrt(12 * 400)
    # What is asked by is uniform, wherever the strongest stand.
    counts = np.bincount(views[:, -OPENED:].astype(np.int64).ravel(), minlength=FEATURES)
    expected = 400 * OPENED / FEATURES
    assert ((counts - expected) ** 2 / expected).sum() < 30.0


def uniform(numbers, bits=3):
    """Whether ring elements (queries, …) are spread evenly by their highest bits, and by their lowest, and differ."""
    whole = np.asarray(numbers, dtype=np.uint64).ravel()
    if len(np.unique(whole)) < len(whole):
        return False
    for part in (whole >> np.uint64(64 - bits), whole & np.uint64(2**bits - 1)):
        counts = np.bincount(part.astype(np.int64), minlength=2**bits)
        expected = len(whole) / 2**bits
        # Of seven degrees of freedom: once in 10 million.
        if ((counts - expected) ** 2 / expected).sum() > 48.0:
            return False
    return True


def test_who_guesses_the_weights_right_cannot_tell_by_what_a_grid_company_sees(made):
    """All that it is told, less what it would be by the true weights: what is left of each is as if drawn.

    Without any one of the bank's masks it would be zero, or what it was in another message.
    """
    parts, _, values = made
    left = {name: [] for name in ("t", "said", "both", "delta", "beta", "beta of a feature", "places")}
    for i, each in enumerate(values[:300]):
        query = Query(parts, i)
        query.first(each)
        told, d, shape = query.bank.told(), FEATURES, query.shape
        drawn = GridDraws(shape, query.grid_key)
        weights, masked = query.served.weights, parts.masked[GRID]
        t, delta, beta_each, beta = np.split(query.dealt, [d, 2 * d, 3 * d])
        minus_share = t + shape.by_feature(drawn.mask * masked) - shape.by_feature(drawn.mask * weights)
        share_less = told[:d] - shape.by_feature(query.grid._hidden * weights)
        left["t"].append(minus_share)
        left["said"].append(share_less)
        left["both"].append(minus_share + share_less)
        left["delta"].append(delta + (minus_share + share_less)[drawn.order])
        left["beta"].append((beta + drawn.alpha * (weights - masked))[shape.starts])
        left["beta of a feature"].append(beta_each + drawn.alpha * share_less)
        places = np.array([3, 1, 0, 5])
        asked = query.bank.asked(places).astype(np.int64)
        left["places"].append((places - asked) % d)
    places = np.bincount(np.array(left.pop("places")).ravel(), minlength=FEATURES)
    assert ((places - places.mean()) ** 2 / places.mean()).sum() < 45.0
    for name, numbers in left.items():
        assert uniform(numbers), name


def test_who_guesses_the_columns_right_cannot_tell_by_what_a_bank_sees(made):
    """What it is told beyond the value, shuffled contributions and four places: as if drawn, of whichever customer."""
    parts, _, values = made
    hidden, others, where = [], [], []
    messages = np.arange(FEATURES, dtype=np.uint64)
    for i, each in enumerate(values[:300]):
        query = Query(parts, i)
        query.first(each)
        entries = np.rint(query.row.of(each) * 2.0**16).astype(np.int64).astype(np.uint64)
        hidden.append((query.said_first[:-1] - entries)[query.shape.starts])
        order = GridDraws(query.shape, query.grid_key).order
        query.contributions()
        places = np.array([3, 1, 0, 5])
        answered = query.grid.answered(query.bank.asked(places), messages).reshape(OPENED, FEATURES)
        masks = answered - messages[order]
        others.append(np.array([np.delete(row, place) for row, place in zip(masks, places, strict=True)]))
        where.append(np.argsort(order))
    assert uniform(hidden)
    assert uniform(others)
    for feature in np.array(where).T:
        counts = np.bincount(feature, minlength=FEATURES)
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 45.0


def test_labels_cannot_be_regressed_on_what_a_grid_company_sees(made):
    """It knows its columns x, and regresses them on what it is told in every query: no weight comes of it."""
    parts, _, values = made
    rows, told = [], []
    for i, each in enumerate(np.tile(values, (4, 1))[:800]):
        query = Query(parts, i)
        query.first(each)
        said = query.bank.told()[:FEATURES]
        rows.append(parts.function.row.by_feature(parts.function.row.of(each)))
        told.append(floating(said - query.shape.by_feature(query.grid._hidden * parts.masked[GRID]), 63))
    design = np.column_stack([np.ones(len(rows)), rows])
    design = design[:, np.linalg.norm(design - design.mean(axis=0), axis=0) > 1e-9]
    told = np.array(told)
    left = told - design @ np.linalg.lstsq(design, told, rcond=None)[0]
    r2 = 1.0 - (left**2).sum(axis=0) / ((told - told.mean(axis=0)) ** 2).sum(axis=0)
    assert r2.max() < 5 * design.shape[1] / len(rows)


def test_a_bank_with_weights_of_its_own_reads_no_column(made):
    """Its weights read one entry, as a registered function of its choosing did: what comes out is uniform."""
    parts, _, values = made
    scorer, read, truth = plain(made), [], []
    for i, each in enumerate(values[:300]):
        query = Query(parts, i)
        own = np.zeros(query.shape.entries, dtype=np.uint64)
        own[query.shape.starts[0]] = np.uint64(1 << 16)
        query = Query(parts, i, weights=own)
        read.append((query.first(each) - scorer.reference_logit) / POINT / 2.0**15)
        truth.append(parts.function.row.of(each)[query.shape.starts[0]])
        with pytest.raises(AggregationFailed, match="not those of the weights"):
            query.contributions()
    assert np.std(truth) > 0.05
    assert abs(np.corrcoef(read, truth)[0, 1]) < 5 / np.sqrt(300)
    assert np.std(read) == pytest.approx(2 / np.sqrt(12), abs=0.1)


@pytest.mark.parametrize("unit", [2**32, 2**38, 2**43])
def test_a_bank_that_marks_its_shares_to_learn_the_order_is_refused(made, unit):
    """Number j times a unit added to share j unshuffles what comes back: without tags that was a reading of all."""
    parts, _, values = made
    for i in range(20):
        query = Query(parts, i)
        query.first(values[i])
        marks = np.arange(FEATURES, dtype=np.uint64) * np.uint64(unit)
        told = query.bank.told()
        told[:FEATURES] += marks
        with pytest.raises(AggregationFailed, match="not those of the weights"):
            query.grid.shuffled(told)
        # A guess of the key is as good as any.
        told[FEATURES:] += marks * np.uint64(12_345)
        with pytest.raises(AggregationFailed, match="not those of the weights"):
            query.grid.shuffled(told)


def test_without_tags_the_marks_would_give_the_order(made):
    """The check is what stands between: without it every contribution has its feature."""
    parts, _, values = made
    query, scorer = Query(parts, 5), plain(made)
    query.first(values[5])
    d = FEATURES
    marks = np.arange(d, dtype=np.uint64) * np.uint64(200 << 32)
    told = query.bank.told()
    told[:d] += marks
    # The key that only the grid company has, here in the attacker's hands.
    told[d:] += marks * GridDraws(query.shape, query.grid_key).alpha
    got = query.bank.contributions(query.grid.shuffled(told))
    features = (got + 100) // 200
    contributions = np.empty(d)
    contributions[features] = got - 200 * features
    assert np.abs(contributions - scorer.explain(values[5])[1] / POINT).max() <= 1.01


def test_four_places_are_opened_and_the_others_are_noise(made):
    parts, _, values = made
    query, messages = Query(parts), np.arange(FEATURES, dtype=np.uint64)
    query.first(values[0])
    answered = query.grid.answered(query.bank.asked([0, 1, 2, 3]), messages).reshape(OPENED, FEATURES)
    opened = query.bank.opened(answered.ravel(), query.dealt_bank)
    assert all(each < FEATURES for each in opened)
    for question, known in enumerate(query.dealt_bank):
        others = np.delete(answered[question] - known, question)
        assert (others > 2**40).all()


def test_a_grid_company_with_other_weights_and_a_dealer_with_another_mask_are_told_from_the_commitments(made):
    parts = made[0]
    other = made_split(seed=1, sign=-1.0)[0]
    assert require_weights(parts.function, GRID, parts.masked[GRID]) is parts.masked[GRID]
    for masked, grid in ((other.masked[GRID], GRID), (parts.masked[GRID][:-1], GRID), (parts.masked[GRID], "grid-h")):
        with pytest.raises(ModelCorrupt, match="masked weights"):
            require_weights(parts.function, grid, masked)
    for key, grid in ((b"k" * 32, GRID), (parts.keys[GRID], "grid-x")):
        with pytest.raises(ModelCorrupt, match="key of"):
            require_key(parts.function, grid, key)
    with pytest.raises(ModelCorrupt):
        ServedWeights.of(parts.function, other.secret, GRID)
    with pytest.raises(ModelCorrupt, match="do not fit"):
        ServedWeights.of(parts.function, parts.secret[:-8], GRID)


def test_a_wrong_dealer_shifts_a_score_by_what_it_does_not_see_and_has_its_tags_refused(made):
    parts, _, values = made
    right = Query(parts)
    logit = right.first(values[0])
    wrong = mask_of_weights(b"w" * 32, right.shape.entries)
    query = Query(parts, mask=wrong)
    assert abs(query.first(values[0]) - logit) > 1.0
    with pytest.raises(AggregationFailed, match="not those of the weights"):
        query.contributions()


def test_two_functions_have_no_mask_in_common_though_banks_use_a_key_again(made):
    first = made_split(seed=1)[0]
    second = made_split(seed=1, sign=-1.0)[0]
    keys = [BankWeights.from_bytes(each.secret).key for each in (first, second)]
    assert keys[0] == keys[1]
    assert first.keys[GRID] != second.keys[GRID]
    assert len({*first.keys.values(), *second.keys.values()}) == 4
    assert not np.any(first.masked[GRID] == first.masked["grid-h"])


def test_banks_that_have_the_key_come_to_the_same(made):
    again = made_split(seed=1)[0]
    assert again.function.function_id == made[0].function.function_id
    assert again.secret == made[0].secret


@pytest.mark.parametrize(("numbers", "step"), [(3, "first"), (0, "told"), (7, "answered"), (1, "opened")])
def test_too_many_or_too_few_numbers_are_refused(made, numbers, step):
    parts, _, values = made
    query = Query(parts)
    query.first(values[0])
    given_numbers = np.zeros(numbers, dtype=np.uint64)
    query.bank.asked([0, 1, 2, 3])
    steps = {
        "first": lambda: query.bank.points(given_numbers),
        "told": lambda: query.grid.shuffled(given_numbers),
        "answered": lambda: query.grid.answered(given_numbers, given_numbers),
        "opened": lambda: query.bank.opened(given_numbers, query.dealt_bank),
    }
    with pytest.raises(AggregationFailed, match="were due"):
        steps[step]()


def test_weights_that_no_score_could_have_and_deeper_trees_are_refused(made):
    parts, gamma, _ = made
    function = parts.function
    arguments = (function.reference, function.bands, function.banks, tuple(function.committed))
    for wrong in (np.full_like(gamma, np.nan), 1e9 * gamma, 30.0 * np.ones_like(gamma)):
        with pytest.raises(AggregationFailed):
            split(function.basis, wrong, *arguments)
    ranks = np.tile(np.linspace(-1.0, 1.0, 19), (FEATURES, 1))
    deep = RandomLeaves(
        function.basis.encoder, function.basis.binning, random_trees(function.basis.binning, ranks, 3, 3, 1)
    )
    with pytest.raises(ModelCorrupt, match="no exact reasons"):
        split(deep, np.zeros(deep.width), *arguments)


def test_a_hidden_function_is_read_back_and_damage_is_found(made):
    function = made[0].function
    arrays = function.to_arrays("joint_grid")
    again = HiddenFunction.from_arrays("joint_grid", arrays)
    assert again.function_id == function.function_id
    assert (again.n_features, again.exact, again.parties) == (FEATURES, True, ("bank-a", "bank-b", GRID, "grid-h"))
    assert HiddenFunction.is_in("joint_grid", arrays)
    assert not HiddenFunction.is_in("joint_bank", arrays)
    for name, array in arrays.items():
        spoilt = [array[:-1], np.roll(array, 1)]
        if array.dtype == np.float64:
            spoilt.append(np.full_like(array, np.nan))
        for wrong in ({}, *({name: each} for each in spoilt)):
            if not wrong or wrong[name].tobytes() != array.tobytes():
                with pytest.raises(ModelCorrupt):
                    HiddenFunction.from_arrays("joint_grid", {n: a for n, a in arrays.items() if n != name} | wrong)
    assert replace(function, bands=function.bands + 1.0).function_id != function.function_id


def test_a_silent_scorer_says_nothing_of_anybody(made):
    scorer = made[0].function.silent()
    logit, contributions = scorer.explain(made[2][0])
    assert logit == 0.0
    assert not contributions.any()
    assert PartyScorer.from_arrays("p", scorer.to_arrays("p")).n_features == FEATURES


def with_factors(seed, factors=2, components=3):
    """A function with products of both sides' components, its weights, factors, and raw values of either side."""
    rng = np.random.default_rng(seed)
    (_, gamma, values), (ours, _, theirs) = made_split(seed), made_split(seed + 1)
    basis = made_split(seed)[0].function.basis
    sides = [(each, rng.normal(size=(each.width, components)) / 20.0) for each in (ours.function.basis, basis)]
    both = [Components(*each) for each in sides]
    between = Factors(rng.normal(size=(factors, components)), 0.5 * rng.normal(size=(factors, components)))
    bands = ours.function.bands
    parts = split(
        basis, gamma, basis.encoder.reference, bands, ("bank-a", "bank-b"), (GRID,), bytes(32),
        (Interactions(*both, factors), between),
    )  # fmt: skip
    return parts, gamma, between, theirs, values


@pytest.mark.parametrize("explained", [True, False])
@pytest.mark.parametrize(("factors", "components"), [(1, 1), (2, 3), (4, 4)])
def test_products_of_both_sides_components_are_in_the_value(explained, factors, components):
    parts, gamma, between, theirs, values = with_factors(11, factors, components)
    plain_tables = plain((parts, gamma, values))
    together = []
    for i in range(60):
        function = parts.function
        bank, grid = function.interactions.bank.of(theirs[i]), function.interactions.grid.of(values[i])
        query = Query(parts, i, explained=explained)
        told = query.bank.begun(between.ours @ bank)
        points = query.bank.points(query.grid.first(function.entries(values[i]), told))
        logit, contributions = plain_tables.explain(values[i])
        together.append(between.between(bank, grid))
        assert query.served.at_reference + POINT * points == pytest.approx(logit + together[-1], abs=POINT * 0.03)
        if explained:
            order = GridDraws(query.shape, query.grid_key).order
            assert np.abs(query.contributions() - contributions[order] / POINT).max() <= 1.01
    assert np.std(together) > 0.02
    assert query.served.factors.theirs.shape == (factors, components)


def test_what_a_bank_says_of_its_factors_and_is_told_of_the_others_is_uniform():
    parts, _, between, theirs, values = with_factors(12)
    function, said, told = parts.function, [], []
    for i in range(400):
        query = Query(parts, i)
        said.append(query.bank.begun(between.ours @ function.interactions.bank.of(theirs[0])))
        first = query.grid.first(function.entries(values[0]), said[-1])
        told.append(first[query.shape.entries : -1])
    for seen in (np.array(said), np.array(told)):
        assert seen.shape == (400, 2)
        for column in (seen >> np.uint64(61)).astype(int).T:
            assert np.bincount(column, minlength=8).min() > 25


def test_factors_that_are_too_many_or_no_numbers_are_refused():
    parts, _, _, _, values = with_factors(13)
    query = Query(parts)
    for wrong in (np.zeros(1), np.zeros(3), np.array([np.nan, 0.0]), np.array([65.0, 0.0])):
        with pytest.raises(AggregationFailed):
            query.bank.begun(wrong)
    for told in (None, np.zeros(1, dtype=np.uint64), np.zeros(3, dtype=np.uint64)):
        with pytest.raises(AggregationFailed):
            query.grid.first(parts.function.entries(values[0]), told)


def test_a_function_with_factors_is_read_back_and_its_factors_are_committed_to():
    parts, _, between, *_ = with_factors(14)
    read = HiddenFunction.from_arrays("joint_grid", parts.function.to_arrays("joint_grid"))
    assert read.function_id == parts.function.function_id
    assert (read.factors, read.shape[0]) == (2, len(read.row) + 6)
    served = ServedWeights.of(read, parts.secret, GRID)
    assert np.array_equal(served.factors.ours, between.ours)
    held = BankWeights.from_bytes(parts.secret)
    for at in (-1, -8, 5):
        changed = held.numbers.copy()
        changed[at] += 0.5
        with pytest.raises(ModelCorrupt, match="not that of this function"):
            ServedWeights.of(read, BankWeights(held.key, changed).to_bytes(), GRID)
    with pytest.raises(ModelCorrupt, match="do not fit this function"):
        ServedWeights.of(read, BankWeights(held.key, held.numbers[:-1]).to_bytes(), GRID)
    arrays = parts.function.to_arrays("joint_grid")
    for wrong in (np.array([0]), np.array([4]), np.array([1, 2])):
        with pytest.raises(ModelCorrupt):
            HiddenFunction.from_arrays("joint_grid", arrays | {"joint_grid/hidden/interactions/factors": wrong})


def test_no_function_is_split_whose_products_could_be_told_as_another_number():
    parts, gamma, between, *_ = with_factors(15)
    function = parts.function
    most = MOST_TOGETHER * POINT / between.largest
    for times, fits in ((0.99 * most, True), (1.01 * most, False)):
        told = function.basis, gamma, function.reference, function.bands, ("bank-a", "bank-b"), (GRID,), bytes(32)
        factors = Factors(between.ours, between.theirs * times)
        if fits:
            assert split(*told, (function.interactions, factors)).function.factors == 2
        else:
            with pytest.raises(AggregationFailed, match="products could shift a score by 16384 points"):
                split(*told, (function.interactions, factors))
