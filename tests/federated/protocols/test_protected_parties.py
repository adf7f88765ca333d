"""Who takes part in protected training: no node is summed alone, beside made-up nodes, or after one has left."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from protected_world import BANKS, GRIDS, World

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AggregationFailed, TooFewRows, TrainingFailed
from federated.nodes.identity import fresh_identities
from federated.protocols.core.messages import Content, Switchboard
from federated.protocols.protected import columns, operator
from federated.protocols.protected.state import ALONE, Parties, ProtectedNode

TIGHT = {"cell_ridge": 2.0, "leaf_ridge": 8.0}


def asked(of, names, length):
    return Content(config={"of": of, "names": sorted(names), "length": length})


@pytest.mark.parametrize(
    ("banks", "grids", "why"),
    [
        (["bank-a"], [*GRIDS], "a run with 1 node of its kind hides nobody"),
        (["bank-a", "grid-x"], ["grid-y"], "grid-x cannot take part on the side"),
        (["bank-a", "bank-z"], [*GRIDS], "bank-z cannot take part on the side"),
        ([*BANKS], ["grid-x", "bank-b"], "bank-b cannot take part on the side"),
        (["bank-b"], [*GRIDS], "bank-a cannot take part on the side"),
    ],
)
def test_a_node_begins_no_run_in_which_it_stands_alone_or_beside_made_up_nodes(banks, grids, why):
    board = World(rows=300).training().session.board
    with pytest.raises(AggregationFailed, match=why):
        board.ask(
            "query.protected_introduce", {"bank-a": Content(config={"run": b"r", "banks": banks, "grids": grids})}
        )


def test_a_sum_is_over_all_that_add_to_it_and_over_the_same_throughout_a_run():
    parties = Parties(frozenset({"bank-a", "bank-b", "bank-c"}), frozenset(GRIDS), 2)
    node = ProtectedNode(SimpleNamespace(rows=SimpleNamespace(org_id="bank-a")), parties, sides={"grid-x": None})
    everybody = frozenset({"bank-a", "bank-b", "bank-c", "grid-x"})
    for of, names, why in (
        ("gram bank", {"bank-a", "grid-x"}, "grid-x have nothing to add to the sum of gram bank"),
        ("gram bank", {"bank-a"}, "over 1 node of its kind is its own"),
        ("gradient", {"bank-a", "grid-x", "grid-y"}, "over 1 node of its kind is its own"),
        ("gradient", {"bank-a", "bank-b"}, "grid-x would be missing"),
        ("gradient", everybody - {"bank-a"}, "bank-a would be missing"),
    ):
        with pytest.raises(AggregationFailed, match=why):
            node.agree(of, frozenset(names))
    for _ in range(2):
        node.agree("gradient", everybody)
    # The difference of two sums is a sum too: of bank-c alone.
    with pytest.raises(AggregationFailed, match="was over other nodes before"):
        node.agree("gradient", everybody - {"bank-c"})


def test_a_node_is_summed_alone_only_where_the_register_knows_no_other_of_its_kind():
    known = fresh_identities((*BANKS, "grid-x"), {"grid-x": "grid"})
    banks, grids = frozenset(BANKS), frozenset({"grid-x"})
    assert Parties.checked(known["grid-x"], grids, banks).least == 1
    assert Parties.checked(known["bank-a"], banks, grids).least == 2


def test_a_node_with_nothing_to_add_is_not_in_a_sum():
    board = World(rows=300).training().session.board
    named = {"run": b"r", "banks": list(BANKS), "grids": list(GRIDS)}
    board.ask("query.protected_introduce", dict.fromkeys(BANKS, Content(config=named)))
    with pytest.raises(AggregationFailed, match="bank-a has nothing to add to the sum of gram bank"):
        board.ask("query.protected_sum", dict.fromkeys(BANKS, asked("gram bank", BANKS, 3)))


def test_a_bank_alone_with_customers_in_common_is_not_summed_alone():
    world = World(rows=400)
    training = world.training()
    told = training.ask

    def starving(action, requests):
        """An operator that tells bank-b that grid companies can use none of its customers."""
        if action == "mark" and "bank-b" in requests:
            nobody = {name: np.zeros_like(a) for name, a in requests["bank-b"].arrays.items()}
            requests = {**requests, "bank-b": Content(nobody, requests["bank-b"].config)}
        return told(action, requests)

    training.ask = starving
    with pytest.raises(AggregationFailed, match="bank-a: a sum of gram bank over 1 node of its kind is its own"):
        training.fit()
    # Nor beside a bank whose numbers are all zeros.
    width = len(world.nodes["bank-b"]._talk.state.beta)
    asking = asked("gram bank", BANKS, width * (width + 1) // 2)
    with pytest.raises(AggregationFailed, match="bank-b has nothing to add to the sum of gram bank"):
        training.session.board.ask("query.protected_sum", {"bank-b": asking})


def test_a_node_that_leaves_a_sum_ends_the_run_by_name():
    world = World(rows=600)
    with pytest.raises(TrainingFailed, match="grid-y failed"):
        world.training(absent="grid-y").fit()


def test_a_step_out_of_order_is_refused():
    world = World(rows=300)
    board = Switchboard(InProcessGrid({i: Seat(app, {}) for i, app in enumerate(world.apps.values(), start=2)}))
    board.introduce()
    with pytest.raises(TrainingFailed, match="no session was opened"):
        board.ask(
            "query.protected_introduce",
            {"bank-a": Content(config={"run": b"r", "banks": list(BANKS), "grids": list(GRIDS)})},
        )
    with pytest.raises(TrainingFailed, match="no protected run was opened"):
        board.ask("query.protected_available", {"grid-x": Content()})


@pytest.mark.parametrize("told", [1, 100_000], ids=["honest", "lying"])
def test_banks_open_no_gradient_over_fewer_customers_than_they_allow_whatever_the_operator_says(told):
    world = World(rows=400)
    for bank in BANKS:
        world.nodes[bank]._opened = demanding(world.nodes[bank]._opened, 400)
    training = world.training()
    asking = training.ask

    def saying(action, requests):
        if action == "hide":
            more = {org: Content(c.arrays, {**c.config, "rows": told}) for org, c in requests.items()}
            requests = more if told > 1 and all("rows" in c.config for c in requests.values()) else requests
        return asking(action, requests)

    training.ask = saying
    with pytest.raises(TooFewRows, match=r"bank-a trains on 400 customers in common at least, not on \d+"):
        training.fit()
    assert "query.protected_open" not in {action for action, _ in world.crossed}


def test_columns_are_projected_once_and_before_they_are_hidden():
    world = World(rows=400)
    training = world.training()
    training._introduce()
    training._mark()
    training._count()
    for k, side in enumerate(training.session.sides):
        training._columns(k, side)
    told = Content({"directions": np.zeros((training.bases[1].basis.width, 2))}, TIGHT)
    for name in ("grid-x", "bank-a"):
        with pytest.raises(TrainingFailed, match="directions are told once a run"):
            training.ask("project", {name: told})
    world.nodes["grid-x"]._talk.state.told.clear()
    wide = training.bases[1].width
    for wrong in (np.zeros((3, 2)), np.full((wide, 2), np.nan), np.zeros((wide, 0)), np.ones((wide, wide + 1))):
        with pytest.raises(TrainingFailed, match="directions of"):
            training.ask("project", {"grid-x": Content({"directions": wrong}, TIGHT)})
        world.nodes["grid-x"]._talk.state.told.clear()


def test_a_run_asks_for_no_more_gradients_than_nodes_answer(monkeypatch):
    monkeypatch.setattr("federated.privacy.vertical.gradients.FEWEST", 12)
    monkeypatch.setattr("federated.privacy.vertical.gradients.MOST", 12)
    world = World(rows=600)
    training = world.training()
    training.fit()
    assert 6 < training.gradients <= 12
    state = world.nodes["bank-a"]._talk.state
    state.answered["gradient"] = 12
    with pytest.raises(TrainingFailed, match="more than 12 of a run's gradients were asked for"):
        training.ask("open", {"bank-a": Content()})


def test_columns_are_made_and_hidden_once_and_of_shallow_trees(monkeypatch):
    """Columns that are hidden after banks counted, or made anew, were one for every customer."""
    world = World(rows=400)
    training, hidden = world.training(), []
    asked = training.ask

    def listening(action, requests):
        if action == "hide" and any("hidden/" in name for c in requests.values() for name in c.arrays):
            hidden.append(requests)
        return asked(action, requests)

    training.ask = listening
    training.fit()
    with pytest.raises(TrainingFailed, match="hidden columns are told once a run"):
        asked("hide", {"bank-a": hidden[0]["bank-a"]})
    with pytest.raises(TrainingFailed, match="columns are told once a run"):
        training._columns(0, training.session.sides[0])
    monkeypatch.setattr(operator, "EXACT_DEPTH", 3)
    monkeypatch.setattr(operator, "joined", lambda pairs, _: pairs)
    with pytest.raises(TrainingFailed, match="leaves of deep trees hold single customers"):
        World(rows=400).training().fit()
    monkeypatch.undo()
    monkeypatch.setattr(columns, "MOST_TREES", 20)
    with pytest.raises(TrainingFailed, match="leaves of deep trees hold single customers"):
        World(rows=400).training().fit()


@pytest.mark.parametrize("name", ["grid-y", "bank-b"])
@pytest.mark.parametrize(
    ("by", "why"), [(0.0, "directions are of intervals or"), (1e-3, "the directions keep next to")]
)
def test_a_node_refuses_directions_in_which_its_own_customers_do_not_differ(name, by, why):
    """All columns would be the other node's, over its few customers."""
    training = World(rows=400).training()
    asked = training.ask

    def singling_out(action, requests):
        if action == "project" and name in requests:
            directions = requests[name].arrays["directions"].copy()
            # A bank's constant stays: only what sets its customers apart is gone.
            directions[:, int(name == "bank-b") :] *= by
            requests = {**requests, name: Content({"directions": directions}, TIGHT)}
        return asked(action, requests)

    training.ask = singling_out
    with pytest.raises(TrainingFailed, match=f"{name}: {why}"):
        training.fit()


def test_an_operator_that_keeps_banks_from_counting_opens_nothing():
    world = World(rows=400)
    training = world.training()
    asking = training.ask

    def silent(what, requests):
        counted = what == "rows" and any("fitted/" in name for c in requests.values() for name in c.arrays)
        return dict.fromkeys(BANKS, Content(config={"lead": "bank-a"})) if counted else asking(what, requests)

    training.ask = silent
    with pytest.raises(TrainingFailed, match="nothing is opened before banks have counted their rows"):
        training.fit()
    for action in ("columns", "approve", "hide", "clear", "point", "step", "open"):
        with pytest.raises(TrainingFailed, match="nothing is opened before banks have counted their rows"):
            asking(action, {"bank-a": Content({"beta": np.zeros(3)})})
    # Not even a Gram matrix: the difference of two over nearly the same customers is the others' rows.
    assert "query.protected_sum" not in {action for action, _ in world.crossed}


def demanding(opened, least, **more):
    def rows():
        node = opened()
        node.rows = replace(node.rows, least_rows=least, **more)
        return node

    return rows


@pytest.mark.parametrize(
    ("action", "arrays", "config"),
    [
        ("project", {"directions": np.zeros((3, 2))}, {}),
        ("project", {"directions": np.array([["x"]])}, {}),
        ("point", {"point/bank-b": np.zeros(3, dtype=np.uint8), "point/bank-a": np.zeros(3, dtype=np.uint8)}, {}),
        ("clear", {"beta": np.zeros(3)}, {}),
        ("clear", {"point/bank-b": np.zeros(3)}, {}),
        ("step", {"gradient": np.zeros(0)}, {}),
        ("approve", {"moments/bank-b": np.zeros(0)}, {}),
        ("rows", {"fitted/bank-b": np.zeros(0)}, {}),
        ("sum", {}, {"of": "gradient", "names": ["bank-a"], "length": -1}),
        ("mark", {"available/grid-x": np.zeros(1)}, {}),
    ],
)
def test_what_does_not_fit_is_refused_by_name(action, arrays, config):
    training = World(rows=400).training()
    training._fit = lambda *_: (_ for _ in ()).throw(InterruptedError)
    with pytest.raises(InterruptedError):
        training.fit()
    with pytest.raises((TrainingFailed, AggregationFailed)) as refused:
        training.ask(action, {"bank-a": Content(arrays, config)})
    assert "could not be answered" not in str(refused.value)


def test_banks_take_no_gradient_at_coefficients_of_a_threshold():
    """Two thresholds with one customer between them told that customer's row: 208 rows of 334 in one run."""
    world = World(rows=400)
    training = world.training()
    training._fit = lambda *_: (_ for _ in ()).throw(InterruptedError)
    with pytest.raises(InterruptedError):
        training.fit()
    steep = np.zeros(training.bases[0].width)
    steep[1] = 1e7
    for bank in BANKS:
        world.nodes[bank]._talk.state.go(ALONE, steep, np.zeros(0))
        with pytest.raises(TrainingFailed, match="a logit is not finite or beyond 16"):
            training.ask("clear", {bank: Content()})


def test_a_bank_hides_among_no_bank_of_few_customers():
    """Of a bank with one customer the sum over both was the other one's."""
    world = World(rows=500)
    training = world.training()
    asking = training.ask

    def starving(action, requests):
        answers = asking(action, requests)
        if action == "available":
            for content in answers.values():
                own = content.arrays["available/bank-b"].copy()
                own[10:] = 0
                content.arrays["available/bank-b"] = own
        return answers

    training.ask = starving
    with pytest.raises(TooFewRows, match="one of 2 banks fits"):
        training.fit()


def test_a_bank_hides_among_no_bank_of_few_customers_where_banks_train_alone():
    """No bank counted the others there: of a bank with one customer the sum over both was the other one's."""
    world = World(rows=500)
    world.of_bank[:] = 0
    world.of_bank[:19] = 1
    world.apps = world._apps()
    with pytest.raises(TooFewRows, match=r"one of 2 banks fits \d+ customers"):
        world.training(joint=0).fit()


@pytest.mark.parametrize("name", ["grid-y", "bank-b"])
@pytest.mark.parametrize(("level", "why"), [(0.5, "keep next to nothing"), (1e39, "directions of")])
def test_directions_in_which_all_customers_are_alike_or_none_are_refused(name, level, why):
    """What is the same of everybody is large, and sets nobody apart."""
    training = World(rows=400).training()
    asked = training.ask

    def levelling(action, requests):
        if action == "project" and name in requests:
            directions = 1e-3 * requests[name].arrays["directions"]
            directions[0] = level
            directions[:, : int(name == "bank-b")] = np.eye(len(directions), int(name == "bank-b"))
            requests = {**requests, name: Content({"directions": directions}, TIGHT)}
        return asked(action, requests)

    training.ask = levelling
    with pytest.raises(TrainingFailed, match=why):
        training.fit()


def test_a_bank_by_itself_leads_its_own_fit_of_enough_customers():
    world = World(rows=400, banks=("bank-a",), grids=("grid-x",))
    training = world.training(joint=0)
    training.fit()
    assert training.lead == "bank-a"
    assert np.abs(world.nodes["bank-a"].beta[1:]).max() > 0.1
    world.held_out[19:] = True
    world.apps = world._apps()
    few = world.training(joint=0)
    with pytest.raises(TooFewRows, match=r"one of 1 banks fits \d+ customers"):
        few.fit()


def test_no_operator_chooses_which_customers_banks_fit_by_themselves():
    training = World(rows=400).training(joint=0)
    training._introduce()
    few = {f"available/{grid}": np.ones(1, dtype=np.uint8) for grid in GRIDS}
    with pytest.raises(TrainingFailed, match="bank-a trains with banks alone in this run"):
        training.ask("mark", {"bank-a": Content(few)})
