"""What is judged is shuffled once, in an order that a grid company has no part in, and a function is split once."""

from dataclasses import replace

import numpy as np
import pytest
from protected_world import BANKS, FEW, SEGMENTS, World

from federated.errors import AggregationFailed, ModelCorrupt, TrainingFailed
from federated.models.served.hidden import HiddenFunction
from federated.privacy.vertical.ring import Tape
from federated.privacy.vertical.shuffle import ShuffledBank
from federated.protocols.core.messages import Content
from federated.protocols.protected.evaluation import judged


def fitted():
    world = World(rows=900)
    training = world.training()
    training.fit()
    return world, training


@pytest.mark.parametrize(
    ("action", "why"),
    [("shuffle", "judged rows"), ("pass_on", "masked scores"), ("tell", "scores"), ("multiply", "products")],
)
def test_nothing_that_is_judged_is_told_twice_under_one_mask(action, why):
    """A bank whose coefficients a grid company put behind one mask twice read its columns off the difference."""
    world, training = fitted()
    asking = training.ask

    def twice(asked, requests):
        answers = asking(asked, requests)
        again = asked == action and (action != "multiply" or any(c.under("opened") for c in requests.values()))
        return asking(asked, requests) if again else answers

    training.ask = twice
    with pytest.raises(TrainingFailed, match=f"{why} are told once a run"):
        judged(training, SEGMENTS, -1.0)
    assert world.nodes


def test_an_operator_that_leaves_out_tags_of_products_counts_nothing_of_them():
    _, training = fitted()
    asking = training.ask

    def leaving_out(asked, requests):
        tags = asked == "multiply" and any(c.under("tag") for c in requests.values())
        return {} if tags else asking(asked, requests)

    training.ask = leaving_out
    with pytest.raises(AggregationFailed, match="was changed on the way"):
        judged(training, SEGMENTS, -1.0)


def test_an_order_is_drawn_by_chance():
    drawn = [ShuffledBank(np.zeros(2, dtype=np.uint64), 400, 1, Tape(bytes([k]) * 32)).order for k in range(3)]
    for order in drawn:
        assert sorted(order.tolist()) == list(range(400))
        # As far from where they were as places drawn by chance are: a third of all of them.
        assert np.abs(order - np.arange(400)).mean() > 400 / 5
    assert len({tuple(order.tolist()) for order in drawn}) == 3


@pytest.fixture(scope="module")
def split():
    """A fitted run, and what its lead and others were asked when the function was split."""
    world, training = fitted()
    asked, asking = {}, training.ask

    def listed(action, requests):
        asked[action] = requests
        return {} if action == "keep_part" else asking(action, requests)

    training.ask = listed
    training.concealed()
    return world, training, asked


def test_a_function_is_split_by_the_lead_and_once(split):
    _, training, asked = split
    (told,) = asked["conceal"].values()
    other = next(bank for bank in BANKS if bank != training.lead)
    for name in (other, "grid-x"):
        with pytest.raises(TrainingFailed, match="has no function of grid companies' columns to split"):
            training.session.board.ask("query.protected_conceal", {name: told})
    with pytest.raises(TrainingFailed, match="parts of a function are told once a run"):
        training.session.board.ask("query.protected_conceal", {training.lead: told})


@pytest.mark.parametrize("of", ["weights", "key"])
@pytest.mark.parametrize("name", ["lead", "grid-x", "grid-y"])
def test_nobody_keeps_a_part_of_another_function_and_each_keeps_one_once(split, name, of):
    """Whatever the operator changes of what is public, who was given a part for it finds out."""
    world, training, asked = split
    node = training.lead if name == "lead" else name
    state, request = world.nodes[node]._talk.state, asked["keep_part"][node]
    channel = world.nodes[node]._talk._channels.get(training.lead)
    received = channel._received if channel else 0
    right = HiddenFunction.from_arrays("function", request.arrays)
    for grid, committed in right.committed.items():
        changed = replace(committed, **{of: bytes(32)})
        if of == "key" and name != "lead" and f"dealing/{grid}/{training.lead}" not in request.arrays:
            continue
        if of == "weights" and name not in ("lead", grid):
            continue
        wrong = replace(right, committed={**right.committed, grid: changed})
        own = {n: a for n, a in request.arrays.items() if not n.startswith("function/")}
        state.told.discard("a part of a function")
        if channel:
            channel._received = received
        with pytest.raises(ModelCorrupt, match=r"not (those|that) of this function"):
            training.session.board.ask(
                "query.protected_keep_part", {node: Content({**own, **wrong.to_arrays("function")}, request.config)}
            )
        with pytest.raises(TrainingFailed, match="a part of a function are told once a run"):
            training.session.board.ask("query.protected_keep_part", {node: request})
    state.told.discard("a part of a function")
    if channel:
        channel._received = received
    others = replace(right, banks=("bank-z",))
    own = {n: a for n, a in request.arrays.items() if not n.startswith("function/")}
    with pytest.raises(ModelCorrupt, match="is of other parties than this run"):
        training.session.board.ask(
            "query.protected_keep_part", {node: Content({**own, **others.to_arrays("function")}, request.config)}
        )
    state.told.discard("a part of a function")
    if channel:
        channel._received = received


@pytest.mark.parametrize("short", [("pass_on",), ("tell",), ("pass_on", "tell")], ids=["grid", "bank", "both"])
def test_scores_of_other_rows_than_are_judged_are_refused(short):
    _, training = fitted()
    asking = training.ask

    def cutting(asked, requests):
        answers = asking(asked, requests)
        for content in answers.values() if asked in short else ():
            for name in [name for name in content.arrays if name.startswith("scores/")]:
                content.arrays[name] = content.arrays[name][:-1]
        return answers

    training.ask = cutting
    with pytest.raises(AggregationFailed, match="gave scores of"):
        judged(training, SEGMENTS, -1.0)


@pytest.mark.parametrize("name", ["directions", "tight", "trees/cut", "encoder/edges/0000", "cuts/0000"])
def test_an_operator_has_no_function_split_of_other_columns_than_were_fitted(name):
    """A bank with its ordinary code read a raw column, by columns that the operator made up: R² 1.000."""
    world, training = fitted()
    judged(training, [], -1.0)
    asking, seen = training.ask, []

    def changing(asked, requests):
        if asked == "conceal":
            seen.extend(sorted(requests[training.lead].arrays))
            own = requests[training.lead].arrays
            told = next(each for each in own if each.startswith(name))
            requests = {training.lead: Content(own | {told: own[told] + own[told].dtype.type(1)})}
        return asking(asked, requests)

    training.ask = changing
    with pytest.raises(TrainingFailed, match="not the columns that grid companies say were fitted"):
        training.concealed()
    assert "directions" in seen
    assert world.nodes[training.lead]._talk.state.others_made_of


@pytest.mark.parametrize("of", ["columns", "components"])
@pytest.mark.parametrize("name", ["grid-x", "bank"])
def test_nobody_keeps_a_part_of_a_function_of_other_columns(name, of):
    """Where the lead has other code too, its honest peers look."""
    world, training = fitted()
    judged(training, [], -1.0)
    node = next(bank for bank in BANKS if bank != training.lead) if name == "bank" else name
    asking, state = training.ask, world.nodes[node]._talk.state

    def changing(asked, requests):
        if asked == "keep_part":
            if of == "components":
                state.directions = state.directions * 1.001
            else:
                cuts = tuple(each + 0.5 for each in state.basis.binning.cuts)
                state.basis = replace(state.basis, binning=replace(state.basis.binning, cuts=cuts))
        return asking(asked, requests)

    training.ask = changing
    with pytest.raises(ModelCorrupt, match=f"is of other {of} than were fitted"):
        training.concealed()


def test_banks_keep_what_the_fit_came_to_of_their_own_columns():
    """A version of made-up columns told an operator all coefficients, and by these 55 of 55 labels."""
    world, training = fitted()
    judged(training, [], -1.0)
    other = next(bank for bank in BANKS if bank != training.lead)
    states = {bank: world.nodes[bank]._talk.state for bank in BANKS}
    asking = training.ask

    def changing(asked, requests):
        if asked == "keep_own":
            states[other].beta = states[other].beta * 1.001
        return asking(asked, requests)

    training.ask = changing
    with pytest.raises(ModelCorrupt, match="is not what the fit came to"):
        training.own_function()


def test_banks_keep_no_function_of_columns_that_were_not_fitted():
    world, training = fitted()
    judged(training, [], -1.0)
    other = next(bank for bank in BANKS if bank != training.lead)
    asking, state = training.ask, world.nodes[other]._talk.state

    def changing(asked, requests):
        if asked == "keep_own":
            cuts = tuple(each + 0.5 for each in state.basis.binning.cuts)
            state.basis = replace(state.basis, binning=replace(state.basis.binning, cuts=cuts))
        return asking(asked, requests)

    training.ask = changing
    with pytest.raises(ModelCorrupt, match="is of other columns than were fitted"):
        training.own_function()


@pytest.mark.parametrize("node", ["grid-x", "bank"])
def test_a_lead_with_other_code_has_no_function_of_more_factors_kept(monkeypatch, node):
    """Of as many factors as components a bank could ask for each component by itself."""
    world = World(rows=900)
    training = world.training(replace(FEW, interactions=5))
    training.fit()
    judged(training, [], -1.0)
    monkeypatch.setattr("federated.protocols.protected.concealing.FACTORS", 5)
    asking = training.ask

    def changing(asked, requests):
        if asked == "keep_part":
            monkeypatch.setattr("federated.protocols.protected.concealing.FACTORS", 4)
            name = next(bank for bank in BANKS if bank != training.lead) if node == "bank" else node
            requests = {name: requests[name]}
        return asking(asked, requests)

    training.ask = changing
    state = world.nodes[training.lead]._talk.state
    state.weights = state.weights.copy()
    state.weights[-25:] = np.diag(np.arange(1.0, 6.0)).ravel()
    with pytest.raises(ModelCorrupt, match="is of other products than were fitted"):
        training.concealed()
