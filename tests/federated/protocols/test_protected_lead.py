"""An operator that tells the lead, or nodes of a sum, what an honest one would not reads nothing by it."""

import numpy as np
import pytest
from protected_world import BANKS, World

from federated.errors import AggregationFailed, TrainingFailed
from federated.privacy.secure_aggregation.ring import BITS
from federated.privacy.vertical.gradients import FEWEST
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.ring import COLUMN_BITS
from federated.protocols.core.messages import Content
from federated.protocols.protected.evidence import CLOSER, RIDGES, rounded
from federated.protocols.protected.lead import FEWEST_RIDGES, LOOSEST, TIGHTEST_START
from federated.protocols.protected.state import BANKS_GRADIENT, GRADIENT, digest_of


class Stopped(Exception):
    """Where a test has seen what it wanted."""


def beginning(world, training, **other):
    """A message by which a fit begins, with `other` arrays instead."""
    width, ours = (basis.width for basis in training.bases[::-1])
    arrays = {
        "start": np.zeros(ours), "relative/bank": np.r_[0.0, np.ones(ours - 1)], "relative/grid": np.ones(width),
        "parts/bank": np.array([ours]), "parts/grid": np.array([width]), "ridges": np.full(2, 180.0),
    }  # fmt: skip
    config = {"tolerance": 1e30, "most": 50, "ridges": 2}
    return Content({**arrays, **other}, config)


@pytest.fixture
def hidden():
    """A world whose nodes have hidden their columns, and its operator."""
    world = World(rows=500)
    training = world.training()

    def stop(ridges):
        raise Stopped

    training._fit_jointly = stop
    with pytest.raises(Stopped):
        training.fit()
    return world, training


def test_a_gradient_that_nobody_computed_is_not_taken_for_one(hidden):
    """By the ridges of made-up fits an operator read every coefficient of grid companies' columns, to nine digits."""
    world, training = hidden
    assert not training._step(beginning(world, training)).integer("at_rest")
    ours, width = (basis.width for basis in training.bases)
    made_up = {"gradient": np.zeros(ours + width, dtype=np.uint64)}
    with pytest.raises(TrainingFailed, match="no gradient was computed at this point"):
        training._step(Content(made_up))


def test_a_gradient_is_answered_once(hidden):
    world, training = hidden
    begun = beginning(world, training)
    point = training._to_banks(training._step(Content(begun.arrays, {**begun.config, "tolerance": 1e-9})))
    found = {"gradient": training._gradient(point)}
    assert not training._step(Content(found)).integer("at_rest")
    with pytest.raises(TrainingFailed, match="no gradient was computed at this point"):
        training._step(Content(found))


def test_a_lead_fits_once_a_run(hidden):
    world, training = hidden
    training._step(beginning(world, training))
    with pytest.raises(TrainingFailed, match="steps of a fit are told once a run"):
        training._step(beginning(world, training))


@pytest.mark.parametrize(
    "other",
    [
        {"relative/grid": np.r_[1e9, np.full(27, 1e-9)]},
        {"relative/grid": np.ones(3)},
        {"relative/grid": np.zeros(28)},
        {"relative/bank": np.ones(2)},
        {"relative/bank": np.ones(29)},
        {"relative/bank": np.r_[0.0, -np.ones(28)]},
        {"relative/bank": np.r_[0.0, 2.0, np.ones(27)]},
        {"relative/bank": np.r_[0.0, np.full(28, 1e5)]},
        {"relative/grid": np.r_[1e-3, np.full(27, 1e15)]},
        {"start": np.zeros((29, 1))},
        {"start": np.zeros(500)},
        {"parts/grid": np.array([27])},
        {"parts/grid": np.array([29, -1])},
        {"parts/grid": np.ones(28, dtype=np.int64), "ridges": np.full(29, 180.0)},
    ],
)
def test_a_lead_begins_no_fit_of_other_columns_or_of_a_prior_that_picks_out_one(hidden, other):
    world, training = hidden
    with pytest.raises(TrainingFailed, match="a fit that begins so is none of these columns"):
        training._step(beginning(world, training, **other))


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


def test_an_operator_that_tells_banks_different_things_opens_no_sum_of_theirs():
    """It had each bank's own sums by other bits of each, and by columns in which one bank's customers do not differ."""
    for action, name in (("columns", "trees/cut"), ("clear", "beta")):
        training = World(rows=500).training()
        asking = training.ask

        def telling(asked, requests, action=action, name=name, asking=asking):
            if asked == action and "bank-b" in requests:
                own = requests["bank-b"]
                arrays = {n: a + (n == name) for n, a in own.arrays.items()}
                requests = {**requests, "bank-b": Content(arrays, own.config)}
            return asking(asked, requests)

        training.ask = telling
        opened, summed, last = [], training.summed, "gram bank" if action == "columns" else BANKS_GRADIENT

        def keep(of, over, length, bits, summed=summed, opened=opened, last=last):
            opened.append(summed(of, over, length, bits))
            if of == last:
                raise Stopped
            return opened[-1]

        training.summed = keep
        with pytest.raises(Stopped):
            training.fit()
        assert np.median(np.abs(opened[-1])) > 2.0 ** (50 - BITS)


def test_banks_that_were_told_no_point_weigh_nothing(hidden):
    _, training = hidden
    with pytest.raises(AggregationFailed, match="0 coefficients came for 32 columns"):
        training._gradient({})


def test_nodes_agree_on_where_grid_companies_columns_begin(hidden):
    """Else a gradient of theirs could be put where the lead hides nothing."""
    world, training = hidden
    point = training._to_banks(training._step(beginning(world, training)))
    training._gradient(point)
    assert len({node._talk.state.alike[GRADIENT] for node in world.nodes.values()}) == 1
    assert world.nodes["grid-x"]._talk.state.alike[GRADIENT] != digest_of(training.bases[0].width + 1)


def test_a_grid_company_that_shifts_residuals_shows_an_operator_no_row_of_a_bank(monkeypatch):
    """By 2^(9·j) for customer j it read seven rows of banks' columns a gradient, and by these all labels of a fit."""
    world = World(rows=500, grids=("grid-x",))
    training = world.training()
    training._fit_jointly = lambda _: (_ for _ in ()).throw(Stopped)
    with pytest.raises(Stopped):
        training.fit()
    side = world.nodes["grid-x"]._talk.state.sides["bank-a"]
    shift, handed = np.zeros(len(side.seen_columns()), dtype=np.uint64), PairSide.hand_over

    def shifting(own):
        masked, share = handed(own)
        return (masked + shift if own is side else masked), share

    monkeypatch.setattr(PairSide, "hand_over", shifting)
    ours = training.bases[0].width
    before = training._gradient(training._to_banks(training._step(beginning(world, training))))
    shift[4] = 1
    row = (training._gradient({}) - before)[:ours].astype(np.int64)
    columns = world.nodes["bank-a"]._talk.state.sides["grid-x"].seen_columns(ours)
    assert not np.array_equal(row, np.rint(columns[4] * (1 << COLUMN_BITS)))
    assert np.median(np.abs(row)) > 2.0**50


def test_no_node_but_the_lead_fits(hidden):
    world, training = hidden
    other = next(bank for bank in BANKS if bank != training.lead)
    for name in (other, "grid-x"):
        with pytest.raises(TrainingFailed, match=f"{name} does not fit in this run"):
            training.ask("step", {name: beginning(world, training)})


def test_a_fit_is_not_broken_off_where_its_coefficients_are_a_gradient(hidden):
    """Over a ridge that the operator chose: with one step they were that of grid companies' shifted residuals."""
    world, training = hidden
    begun = beginning(world, training)
    hasty = {**begun.config, "ridges": 1, "tolerance": 1e30, "left": 1}
    training.ask("step", {training.lead: Content({**begun.arrays, "ridges": np.full(2, 1e4)}, hasty)})
    held = world.nodes[training.lead]._lead._fit.gi_frame.f_locals
    effort = held["effort"]
    assert (effort.ridges, effort.tolerance, effort.left) == (FEWEST_RIDGES, LOOSEST, FEWEST - 1)
    assert max(held["ridges"]) == TIGHTEST_START


@pytest.mark.parametrize("hasty", [{"tolerance": float("nan")}, {"tolerance": 0.0}, {"most": 0}])
def test_a_fit_of_no_effort_is_not_begun(hidden, hasty):
    world, training = hidden
    begun = beginning(world, training)
    with pytest.raises(TrainingFailed, match=r"no fit comes to rest|tolerance"):
        training.ask("step", {training.lead: Content(begun.arrays, {**begun.config, **hasty})})
