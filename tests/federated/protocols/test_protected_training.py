"""Protected training over Flower messages: several banks and grid companies fit what one table would, and see sums."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_network import AT, SMALL

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AggregationFailed, TrainingFailed
from federated.governance.manifest import PRIVACY_SHARES, Explanation
from federated.governance.model_registry import ModelRegistry
from federated.models.encoding.categories import RawTable
from federated.models.encoding.random_leaves import best_trees
from federated.models.served.calibration import NONE
from federated.models.served.metrics import Metrics, metrics_of
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import AdditiveTables
from federated.nodes.identity import fresh_identities
from federated.privacy.attacks.cell_counts import certain_labels, largest_chance
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.suppression import LEAST_OF_EACH, LEAST_ROWS
from federated.protocols.core.candidates import FittedModel, Measured, candidate_of
from federated.protocols.core.messages import Content, Switchboard, unpack
from federated.protocols.core.rows import BankRows, GridRows
from federated.protocols.core.secure_sum import secure_ring_sum
from federated.protocols.core.session import Session
from federated.protocols.core.session_app import session_app
from federated.protocols.core.settings import SessionSettings
from federated.protocols.protected import node
from federated.protocols.protected.evaluation import LEAST_CELL, judged
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.operator import ProtectedTraining
from federated.protocols.protected.protocol import PROTECTED, PROTECTED_COMPANION, ProtectedProtocol
from federated.protocols.protected.settings import ProtectedSettings
from federated.protocols.protected.state import FIT, HELD_OUT, SET_ASIDE, Parties, ProtectedNode
from simulations.benchmarks.vertical import measure_vertical
from simulations.experiments.vertical_credit.pipeline import Reporter, run
from simulations.worlds.credit_population import generate_population

FEW = ProtectedSettings(ramps=4, candidates=(12, 12), trees=(4, 4), depth=2, rows_a_column=20)
BANKS, GRIDS = ("bank-a", "bank-b"), ("grid-x", "grid-y")


class World:
    """Two banks and two grid companies over 1,600 made-up customers; `crossed` is all that the operator handles."""

    def __init__(self, rows=1_600, seed=4):
        rng = np.random.default_rng(seed)
        self.bank, self.grid = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 4))
        raw = self.bank[:, 0] + self.grid[:, 0] * self.grid[:, 1] - self.grid[:, 2] - 1.2
        self.labels = (rng.random(rows) < 1 / (1 + np.exp(-raw))).astype(np.int64)
        self.of_bank, self.of_grid = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
        self.held_out = rng.random(rows) < 0.25
        self.group = (self.grid[:, 3] > 0).astype(np.int64)
        self.crossed, self.nodes = [], {}
        self.apps = self._apps()

    def _apps(self):
        rows, both = {}, {}
        for i, bank in enumerate(BANKS):
            own = np.flatnonzero(self.of_bank == i)
            peers = {g: np.flatnonzero(self.of_grid[own] == j) for j, g in enumerate(GRIDS)}
            table = RawTable(("p", "q", "r"), self.bank[own], {})
            held = self.held_out[own]
            groups = {"young": (self.bank[own, 1] > 0).astype(np.int64)}
            rows[bank] = BankRows(bank, table, self.labels[own], ~held, held, peers, groups)
            both[bank] = own
        for j, grid in enumerate(GRIDS):
            own = np.flatnonzero(self.of_grid == j)
            peers = {b: np.flatnonzero(self.of_bank[own] == i) for i, b in enumerate(BANKS)}
            table = RawTable(("s", "t", "u", "v"), self.grid[own], {})
            rows[grid] = GridRows(grid, table, peers, {"solar": self.group[own]})
        known = fresh_identities(rows, {name: name.split("-")[0] for name in rows})
        apps = {}
        for name, own in rows.items():
            apps[name], opened = session_app(own)
            self.nodes[name] = ProtectedApp(known[name], opened)
            self.nodes[name].add_to(apps[name])
        return apps

    def training(self, settings=FEW, absent=None, **opening):
        seats = {}
        for i, (name, app) in enumerate(self.apps.items(), start=2):
            seats[i] = Seat(app if name != absent else Absent(app), {})
        board = Listening(InProcessGrid(seats), self.crossed)
        session = Session(board, SessionSettings(bins=16, ramps=settings.ramps), lambda *_: None, opening)
        return ProtectedTraining(session, settings)

    def logits(self, training):
        columns = (b.columns(v) for b, v in zip(training.bases, (self.bank, self.grid), strict=False))
        return sum(c @ beta for c, beta in zip(columns, training.betas, strict=True))


class Listening(Switchboard):
    """A switchboard that remembers the contents of all replies."""

    def __init__(self, grid, crossed):
        super().__init__(grid)
        self._crossed = crossed

    def exchange_present(self, messages):
        replies = super().exchange_present(messages)
        asked = {m.metadata.message_id: m.metadata.message_type for m in messages}
        for reply in replies:
            if not reply.has_error():
                self._crossed.append((asked[reply.metadata.reply_to_message_id], unpack(reply.content)))
        return replies


class Absent:
    """An app whose node is gone when masked vectors are asked for."""

    def __init__(self, app):
        self._app = app

    def __call__(self, message, context):
        if message.metadata.message_type == "query.secure_mask":
            raise ConnectionError("gone")
        return self._app(message, context)


@pytest.fixture(scope="module")
def fitted():
    world = World()
    training = world.training()
    training.fit()
    return world, training


def marked(world, training, purpose):
    """Customers whom pairs mark so."""
    rows = np.zeros(len(world.labels), dtype=bool)
    for (bank, grid), marks in training.marks.items():
        shared = np.flatnonzero((world.of_bank == BANKS.index(bank)) & (world.of_grid == GRIDS.index(grid)))
        rows[shared[marks == purpose]] = True
    return rows


def test_several_nodes_fit_what_one_table_would(fitted):
    world, training = fitted
    rows = marked(world, training, FIT)
    assert not (rows & world.held_out).any()
    assert 0.85 < rows.sum() / (~world.held_out).sum() < 1.0
    residual = world.labels - Curve.around(training.session.rate).of(world.logits(training))
    for k, (basis, beta, values) in enumerate(
        zip(training.bases, training.betas, (world.bank, world.grid), strict=True)
    ):
        columns = basis.columns(values)
        gradient = columns[rows].T @ residual[rows] - training.penalty(k, training.ridge) * beta
        # At the optimum the gradient is 0; what is left are roundings of columns and logits over 1,150 rows.
        assert np.abs(gradient).max() < 3.0


def test_a_gain_is_what_a_step_adds_to_the_likelihood_of_rows_set_aside(fitted):
    world, training = fitted
    rows = marked(world, training, SET_ASIDE)
    columns = [basis.columns(values) for basis, values in zip(training.bases, (world.bank, world.grid), strict=True)]
    step = [0.1 * np.cos(np.arange(len(beta))) for beta in training.betas]
    residual = world.labels - Curve.around(training.session.rate).of(world.logits(training))
    added = sum(c @ d for c, d in zip(columns, step, strict=True))
    assert training._gain(training.betas, step) == pytest.approx(float(residual[rows] @ added[rows]), abs=0.1)


def test_the_ridge_that_does_best_on_rows_set_aside_is_taken():
    """A column of noise for every customer: with little ridge it is learnt by heart."""
    world = World(rows=900)
    loose, path = replace(FEW, ridges=(0.05,), trees=(0, 0)), replace(FEW, ridges=(2_000.0, 20.0, 0.05), trees=(0, 0))
    chosen, learnt = world.training(path), world.training(loose)
    for training in (chosen, learnt):
        training.fit()
    assert chosen.ridge in (20.0, 0.05)
    held = world.held_out
    auc = [metrics_of(world.logits(t)[held], world.labels[held]).auc for t in (chosen, learnt)]
    assert auc[0] > auc[1] - 0.01


def test_training_comes_to_rest_where_labels_are_nearly_certain():
    """On the cubic that is nearest to the logistic function such rows drove logits to hundreds."""
    world = World(rows=1_200)
    raw = 6.0 * (world.bank[:, 0] + world.grid[:, 2]) - 2.0
    world.labels = (np.random.default_rng(1).random(1_200) < 1 / (1 + np.exp(-raw))).astype(np.int64)
    world.apps = world._apps()
    training = world.training()
    training.fit()
    logits = world.logits(training)
    assert np.abs(logits).max() < 20.0
    assert metrics_of(logits[world.held_out], world.labels[world.held_out]).auc > 0.95


def test_an_answer_that_the_operator_repeats_is_refused():
    training = World(rows=600).training()
    ask = training.ask

    def repeating(action, requests):
        answers = ask(action, requests)
        return ask(action, requests) if action == "gradient" else answers

    training.ask = repeating
    with pytest.raises(AggregationFailed, match="was changed on the way"):
        training.fit()


@pytest.mark.parametrize("what", ["gradient", "gain"])
def test_a_node_answers_no_more_often_than_a_run_needs(monkeypatch, what):
    """Every answer is an equation about labels: an operator that goes on asking is refused."""
    monkeypatch.setattr(node, f"MOST_{what.upper()}S", 1)
    with pytest.raises(TrainingFailed, match=f"more than 1 of a run's {what}s were asked for"):
        World(rows=600).training().fit()


SEGMENTS = [("young", "0", "bank"), ("young", "1", "bank"), ("solar", "0", "grid"), ("solar", "1", "grid")]


@pytest.fixture(scope="module")
def found(fitted):
    return judged(fitted[1], SEGMENTS, -1.0)


def held_rows(world, training):
    """Held-out rows of the world, in the order of the operator's."""
    order = []
    for (bank, grid), marks in training.marks.items():
        shared = np.flatnonzero((world.of_bank == BANKS.index(bank)) & (world.of_grid == GRIDS.index(grid)))
        order.append(shared[marks == HELD_OUT])
    return np.concatenate(order)


def test_counts_on_shares_are_those_of_the_rows(fitted, found):
    world, training = fitted
    held, rows = found.held_out, held_rows(world, training)
    labels = world.labels[rows]
    assert held.logit == pytest.approx(world.logits(training)[rows], abs=0.02)
    assert held.defaults.tolist() == np.bincount(held.block, labels).tolist()
    assert len(held.defaults) > 8
    assert held.rows.min() >= LEAST_ROWS
    assert min(held.defaults.min(), (held.rows - held.defaults).min()) >= LEAST_OF_EACH
    members = {"young": world.bank[:, 1] > 0, "solar": world.group > 0, "bank": world.of_bank}
    assert len(held.groups) == 6
    for (segment, name), group in held.groups.items():
        own = members[segment][rows] == (BANKS.index(name) if segment == "bank" else int(name))
        assert group.rows.tolist() == np.bincount(group.band[own], minlength=len(group.rows)).tolist()
        lower = np.bincount(group.band[own & (held.logit < -1.0)], minlength=len(group.rows))
        assert group.lower.tolist() == lower.tolist()
        assert group.defaults.tolist() == np.bincount(group.band[own], labels[own], len(group.rows)).tolist()
    aside = found.set_aside
    assert aside.defaults.sum() > 0
    with pytest.raises(TrainingFailed, match="logits are told once a run"):
        judged(training, SEGMENTS, -1.0)


def test_figures_of_blocks_are_close_to_those_of_the_rows(fitted, found):
    world, training = fitted
    rows, held = held_rows(world, training), found.held_out
    exact = metrics_of(world.logits(training)[rows], world.labels[rows])
    drawn = [held.histograms(NONE, labels, held.odds(), 1) for labels in held.drawn(3)]
    auc, brier = (np.mean([getattr(h["all", "0"].metrics(), name) for h in drawn]) for name in ("auc", "brier"))
    assert auc == pytest.approx(exact.auc, abs=0.01)
    assert brier == pytest.approx(exact.brier, abs=0.004)
    assert exact.auc > 0.7
    for labels in held.drawn(3, draws=2):
        assert np.bincount(held.block, labels).tolist() == held.defaults.tolist()
    young = drawn[0]["young", "1"].counts.sum(axis=1)
    bank = metrics_of(world.logits(training)[rows][held.owner == 0], world.labels[rows][held.owner == 0])
    assert np.mean([h["bank", "bank-a"].metrics().auc for h in drawn]) == pytest.approx(bank.auc, abs=0.03)
    group = held.groups["young", "1"]
    assert young.tolist() == [(group.rows - group.defaults).sum(), group.defaults.sum()]


def test_no_label_follows_for_sure_from_what_the_operator_is_told(fitted, found):
    world, training = fitted
    for part in (found.set_aside, found.held_out):
        sums = part.sums(BANKS)
        assert certain_labels(len(part.logit), sums) == 0
        assert largest_chance(sums) < 1.0
    # Nor to somebody who knows of each row in which group it is, of all segments at once.
    rows, sums = held_rows(world, training), found.held_out.sums(BANKS)
    for (segment, name), group in found.held_out.groups.items():
        if segment != "bank":
            own = (world.bank[:, 1] > 0 if segment == "young" else world.group > 0)[rows] == bool(int(name))
            sums += [(np.flatnonzero(own & (group.band == k)), int(d)) for k, d in enumerate(group.defaults)]
    assert certain_labels(len(rows), sums) == 0
    # Counts by bank in each cell of twenty, as they were told before, say more.
    cell = np.argsort(np.argsort(found.held_out.logit)) // LEAST_CELL
    owner, labels = found.held_out.owner, world.labels[rows]
    fine = [np.flatnonzero((cell == c) & (owner == b)) for c in range(cell.max() + 1) for b in (0, 1)]
    assert certain_labels(len(rows), [(own, int(labels[own].sum())) for own in fine if len(own)]) > 20


def test_counts_reach_the_operator_behind_masks_and_the_reader_finds_changed_ones():
    world = World()
    training = world.training()
    training.fit()
    asked, seen = training.ask, []

    def listening(action, requests):
        if action == "release":
            (reader,) = requests
            seen.append(requests[reader])
            for name in ("total/bank", "total/grid"):
                changed = requests[reader].arrays | {name: requests[reader].arrays[name] + np.uint64(0)}
                changed[name][5] += np.uint64(3)
                with pytest.raises(AggregationFailed, match="counts were changed on the way"):
                    world.nodes[reader]._judging._read(Content(changed, requests[reader].config))
            with pytest.raises(TrainingFailed, match="bank-b does not read counts"):
                asked(action, {"bank-b": requests[reader]})
        return asked(action, requests)

    training.ask = listening
    judged(training, SEGMENTS, -1.0)
    for total in (seen[0].arrays["total/bank"], seen[0].arrays["total/grid"]):
        assert (total < 1 << 32).mean() < 0.01
    with pytest.raises(TrainingFailed, match="released counts are told once a run"):
        asked("release", {"bank-a": seen[0]})
    again = Content(config={"cells": 3, "aside": 1, "vectors": ["rows"]})
    with pytest.raises(TrainingFailed, match="deals are told once a run"):
        asked("deal", {"grid-x": again})


def test_too_few_held_out_defaults_are_not_counted_at_all():
    world = World(rows=600)
    world.labels[world.held_out & (np.cumsum(world.labels * world.held_out) > 2)] = 0
    world.apps = world._apps()
    training = world.training()
    training.fit()
    with pytest.raises(TrainingFailed, match="fewer than 20 rows with 3 defaults and 3 that paid are held out"):
        judged(training, SEGMENTS, -1.0)


def test_nothing_that_the_operator_handles_is_a_row_in_the_clear(fitted):
    world, training = fitted
    told = {action for action, _ in world.crossed}
    assert not told & {"train.sums", "query.tell", "query.keep", "query.pairs", "query.level", "train.trees"}
    longest = max(world.of_bank.sum(), len(world.labels) - world.of_bank.sum())
    for action, content in world.crossed:
        for name, array in content.arrays.items():
            per_row = array.size >= 150 and "mark" not in name and "available" not in name and "training" not in name
            if per_row and array.dtype.kind == "f":
                assert "sketch" in name, (action, name)
            if per_row and array.dtype == np.uint64 and array.size <= 4 * longest:
                counts = np.bincount((array.ravel() >> np.uint64(62)).astype(int), minlength=4)
                assert counts.min() > 0.15 * array.size, (action, name)
    assert training.marks


def test_a_node_that_leaves_a_sum_ends_the_run_by_name():
    world = World(rows=600)
    with pytest.raises(AggregationFailed, match="grid-y failed"):
        world.training(absent="grid-y").fit()


def test_banks_alone_fit_their_own_columns():
    world = World(rows=900)
    training = world.training(joint=0)
    training.fit()
    assert len(training.bases) == 1
    found = judged(training, [], -1.0)
    assert found.held_out.rows.sum() == world.held_out.sum()
    assert found.held_out.defaults.sum() == world.labels[world.held_out].sum()
    exact = metrics_of(world.logits(training)[world.held_out], world.labels[world.held_out])
    assert found.held_out.expected().metrics().auc == pytest.approx(exact.auc, abs=0.002)


def test_the_best_tree_is_the_one_that_explains_what_ramps_leave(fitted):
    _, training = fitted
    basis = training.bases[1]
    gradient = np.zeros(basis.width)
    gradient[basis.leaves_of([2])] = 5.0
    assert best_trees(basis, np.eye(basis.width), gradient, 1) == [2]
    assert best_trees(basis, np.eye(basis.width), gradient, 9) == [0, 1, 2, 3]


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


def test_protected_versions_are_registered_and_say_so(tmp_path):
    tables = generate_population(1_500, seed=6)
    quiet = Reporter(lambda _: None, lambda *_: None)
    protocols = [ProtectedProtocol(FEW, replace(SMALL, ramps=6))]
    result = run(tables, folds=1, protocols=protocols, at=AT, home=tmp_path, reporter=quiet)
    assert set(result.models) == {
        PROTECTED, PROTECTED_COMPANION, "label_holder_only", "xgboost",
    }  # fmt: skip
    registry = ModelRegistry(tmp_path)
    for manifest in result.manifests:
        assert manifest.privacy == PRIVACY_SHARES
        assert manifest.learners == ("random_leaves",)
        assert {s.segment for s in manifest.segments} >= {"bank", "relationship", "self_generation"}
        for segment in {s.segment for s in manifest.segments}:
            parts = [s for s in manifest.segments if s.segment == segment]
            assert sum(s.rows for s in parts) == manifest.metrics["federated"]["rows"]
        model = registry.load("credit", manifest.version)
        assert np.isfinite(model.joint_bank.logits(tables.bank_values[:5, list(tables.schema.bank.lending)])).all()
    assert result.manifests[0].explanation is Explanation.EXACT


def test_the_bench_finds_little_cost_and_little_leak_on_generated_firms():
    found = measure_vertical(generate_population(8_000, seed=2), seed=2024)
    assert found.data_origin == "generated"
    assert found.shares_cost < 0.003
    assert found.label_attack_in_clear_beyond == 1.0
    assert found.label_attack_protected_beyond < 0.6
    assert found.feature_attack_protected_gain < 0.1 < found.feature_attack_in_clear_gain


def test_a_node_refuses_more_rows_in_all_than_a_gradient_has_room_for():
    world = World(rows=300)
    training = world.training()
    training._introduce()
    training._mark()
    for k, side in enumerate(training.session.sides):
        training._columns(k, side)
    told = {"rate": training.session.rate, "rows": 1 << 20}
    with pytest.raises(AggregationFailed, match="may not fit the ring"):
        training.ask("hide", {"bank-a": Content(config=told)})


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
    for of, names, threshold, why in (
        ("gram bank", {"bank-a", "grid-x"}, 2, "grid-x have nothing to add to the sum of gram bank"),
        ("gram bank", {"bank-a"}, 1, "over 1 node of its kind is its own"),
        ("gradient", {"bank-a", "grid-x", "grid-y"}, 3, "over 1 node of its kind is its own"),
        ("gradient", {"bank-a", "bank-b"}, 2, "grid-x may be missing"),
        ("gradient", everybody, 3, "some may be missing"),
    ):
        with pytest.raises(AggregationFailed, match=why):
            node.agree(of, frozenset(names), threshold, 10)
    for _ in range(2):
        node.agree("gradient", everybody, 4, 10)
    # The difference of two sums is a sum too: of bank-c alone.
    with pytest.raises(AggregationFailed, match="was over other nodes before"):
        node.agree("gradient", everybody - {"bank-c"}, 3, 10)


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
        secure_ring_sum(board, BANKS, 3, 10, 2, Content(config={"of": "gram bank"}))


def test_a_bank_alone_with_customers_in_common_is_not_summed_alone():
    training = World(rows=400).training()
    told = training.ask

    def starving(action, requests):
        """An operator that tells bank-b that grid companies can use none of its customers."""
        if action == "mark" and "bank-b" in requests:
            nobody = {name: np.zeros_like(a) for name, a in requests["bank-b"].arrays.items()}
            requests = {**requests, "bank-b": Content(nobody, requests["bank-b"].config)}
        return told(action, requests)

    training.ask = starving
    with pytest.raises(AggregationFailed, match="bank-a refused: bank-a: a sum that may be over 1 nodes hides nobody"):
        training.fit()
    # Nor beside a bank whose numbers are all zeros.
    width = training.bases[0].width
    with pytest.raises(AggregationFailed, match="bank-b has nothing to add to the sum of gram bank"):
        secure_ring_sum(
            training.session.board, BANKS, width * (width + 1) // 2, 10, 2, Content(config={"of": "gram bank"})
        )


def test_a_joint_model_that_is_worse_than_its_companion_is_not_offered():
    """What grid companies say is noise here; the version then scores with banks' columns alone and says why."""
    joint, alone = gated_pair(0.12, 0.11)
    candidate = candidate_of(joint, alone)
    assert candidate.offered == "bank_only: held-out Brier 0.12000 with grid companies, 0.11000 without"
    assert candidate.model.joint_bank is alone.scorers[0]
    values = np.array([[1.0, 2.0], [np.nan, -3.0]])
    assert candidate.model.joint_grid.logits(values).tolist() == [0.0, 0.0]
    assert candidate.model.joint_grid.explain(values[0])[1].tolist() == [0.0, 0.0]
    joint, alone = gated_pair(0.11, 0.12)
    assert candidate_of(joint, alone).offered == "joint"


def gated_pair(*losses):
    """A joint model and its companion with these held-out Brier scores."""
    return [FittedModel(("it",), tuple(scorer(1.0 + k) for k in range(2 - number)), NONE, {},
                        Measured(Metrics(0.7, 0.3, loss, 0.01, 100), {}, (), (1, 2)))
            for number, loss in enumerate(losses)]  # fmt: skip


def scorer(level):
    """A scorer of two features that says something of everybody."""
    tables = AdditiveTables(
        level, np.full((2, 1), np.inf), np.full((2, 2), level), np.full((2, 2), 0.5), np.zeros((2, 2), dtype=np.int64),
        np.zeros((0, 2), dtype=np.int64), np.zeros((0, 1, 1)), np.zeros(2),
    )  # fmt: skip
    return PartyScorer(tables, np.zeros((2, 4)))
