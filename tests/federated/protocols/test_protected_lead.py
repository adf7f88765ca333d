"""An operator that tells the lead, or nodes of a sum, what an honest one would not reads nothing by it."""

from dataclasses import replace

import numpy as np
import pytest
from protected_world import BANKS, FEW, World

from federated.errors import AggregationFailed, TrainingFailed
from federated.privacy.secure_aggregation.ring import BITS, decoded
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.ring import COLUMN_BITS, RESIDUAL_BITS
from federated.protocols.core.messages import Content
from federated.protocols.protected.evaluation import judged
from federated.protocols.protected.evidence import CLOSER, RIDGES, Effort, rounded
from federated.protocols.protected.lead import FEWEST_RIDGES, LOOSEST, MOST_ALONE, TIGHTEST_START
from federated.protocols.protected.state import ALONE, AT_REST, GRADIENT, digest_of


class Stopped(Exception):
    """Where a test has seen what it wanted."""


BEGUN = {"tolerance": 1e-3, "most": 50, "ridges": 2, "ridge": 180.0}


def beginning(**other):
    """A message by which a fit begins."""
    return Content(config={**BEGUN, **other})


def alone(training, step):
    """The lead's next step from a gradient of banks alone."""
    return training._step(Content({"gradient": training._clear_gradient(training._to_banks(step))}))


def together(training):
    """The first step at which a gradient of both sides is due."""
    step = training._step(beginning())
    while not step.integer("together"):
        step = alone(training, step)
    return step


@pytest.fixture
def hidden():
    """A world whose nodes have hidden their columns, and its operator."""
    return stopped(World(rows=500))


def stopped(world, **opening):
    """The world, and its operator before the lead begins."""
    training = world.training(**opening)

    def stop():
        raise Stopped

    training._fit = stop
    with pytest.raises(Stopped):
        training.fit()
    return world, training


def test_a_gradient_that_nobody_computed_is_not_taken_for_one(hidden):
    """By the ridges of made-up fits an operator read every coefficient of grid companies' columns, to nine digits."""
    _, training = hidden
    assert not training._step(beginning()).integer("at_rest")
    made_up = {"gradient": np.zeros(training.bases[0].width, dtype=np.uint64)}
    with pytest.raises(TrainingFailed, match="no gradient was computed at this point"):
        training._step(Content(made_up))


@pytest.mark.parametrize("stage", ["alone", "together"])
@pytest.mark.parametrize("made_up", ["zeros", "far", "numbers"])
def test_a_lead_goes_on_by_no_gradient_that_is_made_up(hidden, stage, made_up):
    """What is no sum comes out uniform behind the mask: not what any customers add up to."""
    _, training = hidden
    step = training._step(beginning()) if stage == "alone" else together(training)
    compute = training._clear_gradient if stage == "alone" else training._gradient
    found = compute(training._to_banks(step))
    other = {"zeros": np.zeros_like(found), "far": found + np.uint64(1 << 60), "numbers": found.astype(np.float64)}
    with pytest.raises(TrainingFailed, match=r"a gradient came that no customers add up to|numbers came for"):
        training._step(Content({"gradient": other[made_up]}))
    # Nor is there a second try.
    with pytest.raises(TrainingFailed, match="no fit was begun"):
        training._step(Content({"gradient": found}))


def test_a_gradient_is_answered_once(hidden):
    _, training = hidden
    point = training._to_banks(together(training))
    found = {"gradient": training._gradient(point)}
    assert not training._step(Content(found)).integer("at_rest")
    with pytest.raises(TrainingFailed, match="no gradient was computed at this point"):
        training._step(Content(found))


def test_a_lead_fits_once_a_run(hidden):
    """No operator has banks fit alone twice."""
    _, training = hidden
    together(training)
    with pytest.raises(TrainingFailed, match="steps of a fit are told once a run"):
        training._step(beginning())


def test_no_operator_says_where_banks_take_a_gradient(hidden):
    """At coefficients that it chose it read whole rows of banks' columns."""
    _, training = hidden
    other = next(bank for bank in BANKS if bank != training.lead)
    chosen = Content({"beta": np.ones(training.bases[0].width)})
    for bank in BANKS:
        for action in ("clear", "point"):
            with pytest.raises(TrainingFailed, match="the lead asks for no gradient here"):
                training.ask(action, {bank: chosen})
    told = training._to_banks(training._step(beginning()))
    training._clear_gradient(told)
    for bank in BANKS:
        with pytest.raises(TrainingFailed, match="the lead asks for no gradient here where banks alone fit"):
            training.ask("clear", {bank: chosen})
    # A point is for one gradient, and what was sealed is opened once.
    with pytest.raises(AggregationFailed, match="was changed on the way"):
        training.ask("clear", {other: Content(told[other])})


def test_banks_at_different_points_add_up_to_nothing(hidden):
    world, training = hidden
    width = training.bases[0].width
    for bank, level in zip(BANKS, (0.1, 0.2), strict=True):
        world.nodes[bank]._talk.state.go(ALONE, np.full(width, level), np.zeros(0))
    found = decoded(training._clear_gradient({}) - world.nodes[training.lead]._lead._mask)
    assert np.median(np.abs(found)) > 2.0 ** (50 - BITS)


def test_a_bank_goes_to_no_point_of_other_columns(hidden):
    world, training = hidden
    other = next(bank for bank in BANKS if bank != training.lead)
    for told in ([0.0, 1.0], [7.0, *np.zeros(training.bases[0].width)]):
        sealed = world.nodes[training.lead]._talk.sealed(other, np.array(told))
        with pytest.raises(TrainingFailed, match=f"{other}: {training.lead} sent {len(told) - 1} coefficients"):
            training.ask("clear", {other: Content({f"point/{training.lead}": sealed})})


def test_no_operator_leaves_out_what_banks_fit_alone_or_goes_back_to_it(hidden):
    """From 0 the first gradient of grid companies' columns says what these say alone, of everybody."""
    _, training = hidden
    told = training._to_banks(training._step(beginning()))
    for bank in BANKS:
        with pytest.raises(TrainingFailed, match="the lead asks for no gradient here where all fit"):
            training.ask("point", {bank: Content(told.get(bank, {}))})
    _, training = stopped(World(rows=500))
    told = training._to_banks(together(training))
    for bank in BANKS:
        with pytest.raises(TrainingFailed, match="the lead asks for no gradient here where banks alone fit"):
            training.ask("clear", {bank: Content(told.get(bank, {}))})


@pytest.mark.parametrize("opening", [{}, {"joint": 0}], ids=["joint", "banks"])
def test_the_operator_opens_no_gradient_and_no_point(opening):
    """Neither in a run of banks alone: it had the sum of their gradients, at points of its own."""
    world, read = World(rows=500), []
    training = world.training(**opening)
    step, compute = training._step, training._clear_gradient
    passed = []

    def stepping(content):
        told = step(content)
        assert all(name.startswith("point/") for name in told.arrays)
        return told

    def computing(points):
        passed.append(compute(points))
        read.append(passed[-1] - world.nodes[training.lead]._lead._mask)
        return passed[-1]

    training._step, training._clear_gradient = stepping, computing
    training.fit()
    assert len(passed) > 4
    spread = np.concatenate(passed)
    counts = np.bincount((spread >> np.uint64(62)).astype(int), minlength=4)
    assert counts.min() > 0.15 * spread.size
    assert np.abs(decoded(np.concatenate(read))).max() < 500


def test_nothing_is_scored_where_the_operator_says(hidden):
    """In cells of a column's values counts of defaults are labels."""
    _, training = stopped(World(rows=500), joint=0)
    told = training._to_banks(training._step(beginning()))
    for bank in BANKS:
        with pytest.raises(TrainingFailed, match="nothing is scored before a fit has come to rest"):
            training.ask("histogram", {bank: Content({**told.get(bank, {}), "beta": np.ones(training.bases[0].width)})})
    _, training = hidden
    told = training._to_banks(together(training))
    for bank in BANKS:
        with pytest.raises(TrainingFailed, match="nothing is scored before a fit has come to rest"):
            training.ask("shuffle", {bank: Content(told.get(bank, {}), {"groups": [], "width": 3})})


def test_nothing_is_split_before_a_fit_has_come_to_rest(hidden):
    _, training = hidden
    found = training._gradient(training._to_banks(together(training)))
    training._step(Content({"gradient": found}))
    with pytest.raises(TrainingFailed, match="nothing is scored before a fit has come to rest"):
        training.ask("conceal", {training.lead: Content()})


def test_a_ridge_says_which_of_a_hundred_it_is():
    told = {rounded(ridge) for ridge in np.geomspace(1e-3, 1e7, 5_000).tolist()}
    assert len(told) == 1 + round(np.log(RIDGES[1] / RIDGES[0]) / np.log(CLOSER)) < 120
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(TrainingFailed, match="is no ridge"):
            rounded(wrong)


def test_parts_of_a_sum_cancel_only_where_nodes_were_told_alike():
    world = World(rows=300)
    world.training()._introduce()
    talks = [world.nodes[bank]._talk for bank in BANKS]

    def total():
        return sum(talk.masked("gradient", np.zeros(5, dtype=np.uint64), frozenset(BANKS)) for talk in talks)

    assert not total().any()
    for what in ("alike", "made_of"):
        told = digest_of(np.arange(3)) if what == "made_of" else {GRADIENT: digest_of(3)}
        setattr(talks[0].state, what, told)
        assert total().min() > 1 << 40
        setattr(talks[1].state, what, told)
        assert not total().any()


@pytest.mark.parametrize(("name", "by"), [("trees/cut", 1), ("rate", 0.01)])
def test_an_operator_that_tells_banks_different_things_opens_no_sum_of_theirs(name, by):
    """It had each bank's own sums by other bits of each, and by columns in which one bank's customers do not differ."""
    training = World(rows=500).training()
    asking = training.ask

    def telling(asked, requests):
        if asked == "columns" and "bank-b" in requests:
            own = requests["bank-b"]
            arrays = {n: a + by * (n == name) for n, a in own.arrays.items()}
            config = {n: v + by * (n == name) for n, v in own.config.items()}
            requests = {**requests, "bank-b": Content(arrays, config)}
        return asking(asked, requests)

    training.ask = telling
    opened, summed = [], training.summed

    def keep(of, over, length, bits):
        opened.append(summed(of, over, length, bits))
        raise Stopped

    training.summed = keep
    with pytest.raises(Stopped):
        training.fit()
    assert np.median(np.abs(opened[-1])) > 2.0 ** (50 - BITS)


def test_nodes_agree_on_where_grid_companies_columns_begin(hidden):
    """Else a gradient of theirs could be put where the lead hides nothing."""
    world, training = hidden
    training._gradient(training._to_banks(together(training)))
    assert len({node._talk.state.alike[GRADIENT] for node in world.nodes.values()}) == 1
    assert world.nodes["grid-x"]._talk.state.alike[GRADIENT] != digest_of(training.bases[0].width + 1)


def test_a_grid_company_that_shifts_residuals_shows_an_operator_no_row_of_a_bank(monkeypatch):
    """By 2^(9·j) for customer j it read seven rows of banks' columns a gradient, and by these all labels of a fit."""
    world, training = stopped(World(rows=500, grids=("grid-x",)))
    side = world.nodes["grid-x"]._talk.state.sides["bank-a"]
    handed = PairSide.hand_over

    def shifting(own):
        masked, share = handed(own)
        if own is side:
            masked[4] += np.uint64(1 << (63 - COLUMN_BITS))
        return masked, share

    monkeypatch.setattr(PairSide, "hand_over", shifting)
    ours = training.bases[0].width
    passed = training._gradient(training._to_banks(together(training)))[:ours]
    # The shift is larger than all else: what is left of the sum without the lead's mask is the customer's row.
    columns = world.nodes["bank-a"]._talk.state.sides["grid-x"].seen_columns(ours)
    shifted = np.rint(columns[4] * (1 << COLUMN_BITS)).astype(np.int64).astype(np.uint64) << np.uint64(63 - COLUMN_BITS)
    for sum_of_all, close in ((passed, False), (passed - world.nodes[training.lead]._lead._mask[:ours], True)):
        left = (sum_of_all - shifted).astype(np.int64)
        assert (np.median(np.abs(left)) < 2.0**53) == close


def test_no_node_but_the_lead_fits(hidden):
    _, training = hidden
    other = next(bank for bank in BANKS if bank != training.lead)
    for name in (other, "grid-x"):
        with pytest.raises(TrainingFailed, match=f"{name} does not fit in this run"):
            training.ask("step", {name: beginning()})


def test_a_fit_is_not_broken_off_where_its_coefficients_are_a_gradient(hidden):
    """Over a ridge that the operator chose: with one step they were that of grid companies' shifted residuals."""
    world, training = hidden
    hasty = beginning(ridges=1, tolerance=1e30, left=1, ridge=1e4)
    training.ask("step", {training.lead: hasty})
    held = world.nodes[training.lead]._lead._fit.gi_frame.f_locals
    assert held["effort"] == Effort(LOOSEST, 50, FEWEST_RIDGES, MOST_ALONE - 1)
    assert held["ridge"] == TIGHTEST_START


@pytest.mark.parametrize("hasty", [{"tolerance": float("nan")}, {"tolerance": 0.0}, {"most": 0}])
def test_a_fit_of_no_effort_is_not_begun(hidden, hasty):
    _, training = hidden
    with pytest.raises(TrainingFailed, match=r"no fit comes to rest|tolerance"):
        training.ask("step", {training.lead: beginning(**hasty)})


def test_no_coefficient_of_banks_columns_passes_the_operator():
    """From where a fit rested an operator with other code told labels, by columns that differ in one customer."""
    world = World(rows=500)
    training = world.training()
    training.fit()
    judged(training, [], -1.0)
    training.own_function()
    lead = world.nodes[training.lead]
    assert np.count_nonzero(lead.beta) > 10
    for bank in BANKS:
        state = world.nodes[bank]._talk.state
        assert state.stage == AT_REST
        assert np.array_equal(state.beta, lead.beta)
    gamma = training.bases[0].directions @ lead.beta
    told = [(action, name, array) for action, content in world.crossed for name, array in content.arrays.items()]
    assert {"query.protected_step", "query.protected_conceal_own"} <= {action for action, _, _ in told}
    for action, name, array in told:
        if array.dtype.kind == "f":
            assert not np.isin(array, lead.beta[lead.beta != 0.0]).any(), (action, name)
            assert not np.isin(array, gamma[gamma != 0.0]).any(), (action, name)
    for _, content in world.crossed:
        assert "beta" not in content.arrays


def test_what_a_fit_comes_to_would_tell_a_customers_row_if_it_were_told(monkeypatch):
    """A grid company with other code shifts the residual of one customer, and of another by 2^-7 as much. With what a
    run came to with the first shift alone it read the other's row, when an operator was told coefficients."""
    found, first, second, handed = [], 4, 9, PairSide.hand_over
    for shifts in ({first: 8.0}, {first: 8.0, second: 8.0 / 128.0}):
        world = World(rows=700, grids=("grid-x",))
        # Shares of products would make numbers of such a shift that no customers add up to.
        training = world.training(replace(FEW, interactions=0))

        def shifting(own, world=world, shifts=shifts):
            masked, share = handed(own)
            if own is world.nodes["grid-x"]._talk.state.sides["bank-a"]:
                for customer, shift in shifts.items():
                    masked[customer] += np.uint64(round(shift * 2**RESIDUAL_BITS))
            return masked, share

        monkeypatch.setattr(PairSide, "hand_over", shifting)
        training.fit()
        found.append(world.nodes[training.lead].beta)
    node, width = world.nodes[training.lead], len(found[0])
    bent = np.concatenate([b.curvature + b.penalty(r) for b, r in zip(node._lead._blocks, node.ridges, strict=True)])
    row = world.nodes["bank-a"]._talk.state.sides["grid-x"].seen_columns()[second]
    assert np.corrcoef(((found[1] - found[0]) * bent[:width])[1:], row[1:])[0, 1] ** 2 > 0.7
