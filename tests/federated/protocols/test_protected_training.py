"""Protected training over Flower messages: several banks and grid companies fit what one table would, and see sums."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hand_made import in_use
from protected_world import FEW, World, marked
from small_network import AT, SMALL

from federated.consent.record import Purpose
from federated.errors import AggregationFailed, TrainingFailed
from federated.governance.cards.texts import offered_text
from federated.governance.manifest import PRIVACY_SHARES, Explanation, SegmentFigures
from federated.governance.model_registry import ModelRegistry
from federated.models.served.calibration import NONE
from federated.models.served.kept import KeptFunction
from federated.models.served.metrics import Metrics, ScoreHistogram, metrics_of
from federated.models.served.scaling import score_of
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import AdditiveTables, tabulated
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.hidden_weights import BankWeights
from federated.privacy.vertical.suppression import LEAST_OF_EACH, LEAST_ROWS
from federated.protocols.core.candidates import FittedModel, Measured, candidate_of, offered, pooled
from federated.protocols.core.messages import Content
from federated.protocols.operator_run import Reporter
from federated.protocols.protected import node
from federated.protocols.protected.evaluation import judged
from federated.protocols.protected.protocol import PROTECTED, PROTECTED_COMPANION, ProtectedProtocol
from federated.protocols.protected.state import FIT
from federated.serving import Basis, Network, ScoreQuery
from simulations.benchmarks.vertical import measure_vertical
from simulations.experiments.vertical_credit.pipeline import run
from simulations.worlds.credit_population import generate_population


def test_several_nodes_fit_what_one_table_would(fitted):
    world, training = fitted
    rows = marked(world, training, FIT)
    assert np.array_equal(rows, ~world.held_out)
    penalty = training.penalty(world.nodes[training.lead].ridges)
    residual = world.labels - Curve.around(training.session.rate).of(world.logits(training))
    gradient = world.columns(training)[rows].T @ residual[rows] - penalty * np.concatenate(world.betas(training))
    assert len(gradient) == sum(basis.width for basis in training.bases) + 4
    # At the optimum the gradient is 0; what is left are roundings of columns and logits over 1,150 rows.
    assert np.abs(gradient).max() < 3.0


def test_the_ridges_are_those_at_which_labels_are_likeliest():
    """By a table in one place: the evidence of coefficients drawn from the priors, to second order (Laplace)."""
    world = World(rows=1_600)
    training = world.training(replace(FEW, interactions=4))
    training.fit()
    rows = marked(world, training, FIT)
    columns = world.columns(training)[rows]
    found = np.array(world.nodes[training.lead].ridges)

    def evidence(ridges):
        penalty = training.penalty(ridges)
        beta = np.zeros(len(penalty))
        for _ in range(12):
            p = 1 / (1 + np.exp(-(columns @ beta)))
            curvature = (columns * (p * (1 - p))[:, None]).T @ columns + np.diag(penalty)
            beta += np.linalg.solve(curvature, columns.T @ (world.labels[rows] - p) - penalty * beta)
        logits = columns @ beta
        likelihood = (world.labels[rows] * logits - np.logaddexp(0, logits)).sum()
        size = np.log(penalty[1:]).sum() - penalty @ beta**2
        return likelihood + 0.5 * (size - np.linalg.slogdet(curvature)[1])

    here = evidence(found)
    common = [evidence(np.full(5, ridge)) for ridge in np.geomspace(0.2, 2_000.0, 30)]
    # Up to what draws all ridges together, and a curvature that is known on the average.
    assert here > max(common) - 2.0
    assert min(common) < here - 5.0
    for k in range(5):
        for times in (0.1, 10.0):
            # Products are noise here, and are drawn to what the rest says.
            allowed = 2.0 if k < 4 else 4.0
            assert evidence(found * np.where(np.arange(5) == k, times, 1.0)) < here + allowed


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


def test_a_node_answers_no_more_often_than_a_run_needs(monkeypatch):
    """Every answer is an equation about labels: an operator that goes on asking is refused."""
    monkeypatch.setattr(node, "MOST_ALONE", 1)
    with pytest.raises(TrainingFailed, match="more than 1 of a run's banks' gradients were asked for"):
        World(rows=600).training().fit()
    monkeypatch.undo()
    monkeypatch.setattr(node, "most_gradients", lambda _: 1)
    with pytest.raises(TrainingFailed, match="more than 1 of a run's gradients were asked for"):
        World(rows=600).training().fit()


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


def test_banks_alone_fit_their_own_columns():
    world = World(rows=1_600)
    training = world.training(joint=0)
    training.fit()
    assert len(training.bases) == 1
    found = judged(training, [], -1.0)
    held, labels = found, world.labels[world.held_out]
    assert held.rows.sum() == world.held_out.sum()
    assert held.defaults.sum() == labels.sum()
    assert (held.rows.min() >= LEAST_ROWS, held.defaults.min() >= LEAST_OF_EACH) == (True, True)
    exact = metrics_of(world.logits(training)[world.held_out], labels)
    drawn = [ScoreHistogram.of(held.logit, each).metrics() for each in held.drawn(3)]
    assert np.mean([each.auc for each in drawn]) == pytest.approx(exact.auc, abs=0.02)
    assert np.mean([each.brier for each in drawn]) == pytest.approx(exact.brier, abs=0.004)
    with pytest.raises(TrainingFailed, match="histograms are told once a run"):
        judged(training, [], -1.0)


def test_counts_of_banks_alone_reach_the_operator_in_blocks_alone():
    """In cells of its own each label of a customer who is scored later followed from his logit: 112 of 554."""
    world, seen = World(rows=900), []
    training = world.training(joint=0)
    training.fit()
    summed = training.ring_summed
    training.ring_summed = lambda *told: seen.append(summed(*told)) or seen[-1]
    judged(training, [], -1.0)
    assert np.median(np.abs(seen[-1].astype(np.int64))) > 2.0**58
    lead = training.lead
    with pytest.raises(TrainingFailed, match="counts of banks alone are told once a run"):
        training.ask("blocks", {lead: Content({"total": seen[-1]})})
    other = next(bank for bank in world.banks if bank != lead)
    with pytest.raises(TrainingFailed, match="reads no counts of banks alone"):
        training.ask("blocks", {other: Content({"total": seen[-1]})})


def test_a_lead_that_holds_nobody_out_hides_counts_all_the_same():
    """Opened with nobody held out, the lead was in no sum of counts, and the operator read the others' cells."""
    world, seen = World(rows=900), []
    world.held_out[world.of_bank == 0] = False
    world.apps = world._apps()
    training = world.training(joint=0)
    training.fit()
    assert training.lead == "bank-a"
    summed = training.ring_summed
    training.ring_summed = lambda *told: seen.append(summed(*told)) or seen[-1]
    found = judged(training, [], -1.0)
    assert found.rows.sum() == world.held_out.sum() > 100
    assert np.median(np.abs(seen[-1].astype(np.int64))) > 2.0**58


def test_protected_versions_are_registered_and_say_so(tmp_path):
    tables = generate_population(1_500, seed=2)
    quiet = Reporter(lambda _: None, lambda *_: None)
    protocols = [ProtectedProtocol(replace(FEW, ridge=20.0, ridges=1), replace(SMALL, ramps=6))]
    result = run(tables, folds=1, protocols=protocols, at=AT, home=tmp_path, reporter=quiet, least_rows=0)
    assert set(result.models) == {
        PROTECTED, PROTECTED_COMPANION, "label_holder_only", "xgboost",
    }  # fmt: skip
    registry = ModelRegistry(tmp_path)
    assert result.manifests[0].metrics["federated"]["auc"] == result.models[PROTECTED][0].metrics.auc
    for manifest in result.manifests:
        assert manifest.privacy == PRIVACY_SHARES
        # Fitted on everybody, and measured without the fold.
        assert manifest.refit
        assert {sum(r.counts) for r in manifest.feature_reference["bank"].values()} == {int(tables.joint.sum())}
        assert manifest.metrics["federated"]["rows"] < int(tables.joint.sum()) / 4
        assert manifest.learners == ("random_leaves",)
        assert {s.segment for s in manifest.segments} >= {"bank", "relationship", "self_generation"}
        for segment in {s.segment for s in manifest.segments}:
            parts = [s for s in manifest.segments if s.segment == segment]
            assert sum(s.rows for s in parts) == manifest.metrics["federated"]["rows"]
        model = registry.load("credit", manifest.version)
        assert isinstance(model.joint_bank, KeptFunction)
        assert isinstance(model.bank_only, KeptFunction)
        # By the fold's held-out rows, of which its own figures cannot be calibrated.
        assert (model.joint.method, model.alone.method) == ("platt", "platt")
        assert set(manifest.calibration["ece"]) == {"none"}
    assert result.manifests[0].explanation is Explanation.EXACT
    scored_as_trained(tmp_path, tables, registry)


def scored_as_trained(home, tables, registry):
    """What a run registers is what a score is computed with, of parts that no node but a bank can put together."""
    in_use(home, AT)
    now = AT + timedelta(days=1)
    network, model = Network.open(home, lambda: now), registry.load("credit", "v0001")
    function = model.joint_grid
    try:
        kept = {org: network.grid_node(org).kept_function(function.function_id) for org in network.grid_ids}
        secrets = {network.bank_node(org).kept_function(function.function_id) for org in network.bank_ids}
        assert (len(secrets), len(set(kept.values()))) == (1, len(kept))
        gamma, factors = BankWeights.from_bytes(secrets.pop()).parted(function)
        components = function.interactions
        plain = tabulated(
            [(1.0, f) for f in function.basis.functions(gamma)], function.basis.binning, function.reference
        )
        asked = 0
        for i in np.flatnonzero(tables.opens_electricity & tables.joint)[:40]:
            bank, subject = tables.bank_of[i], tables.subjects[i]
            score = network.score(ScoreQuery(bank, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, now))
            own = network.bank_node(bank).opened_function(model.joint_bank)
            logit = own.logits(tables.bank_values[i][None, list(tables.schema.bank.lending)])[0]
            logit += plain.logits(tables.grid_values[i][None, list(tables.schema.grid.lending)])[0]
            ours, theirs = tables.bank_values[i], tables.grid_values[i]
            bank_part = components.bank.of(ours[list(tables.schema.bank.lending)])
            logit += factors.between(bank_part, components.grid.of(theirs[list(tables.schema.grid.lending)]))
            expected = model.calibrated(logit, bank, alone=False)
            assert score.basis is Basis.JOINT
            assert score.score in {score_of(expected + near) for near in (-1e-4, 1e-4)}
            asked += 1
        assert asked == 40
    finally:
        network.close()


def test_the_bench_finds_little_cost_and_little_leak_on_generated_firms(monkeypatch):
    # With a third of the trees, an attack on electricity in the clear still gains 0.5, and 0.01 under protection.
    monkeypatch.setattr("federated.privacy.attacks.feature_inference.TREES", 30)
    found = measure_vertical(generate_population(8_000, seed=2), seed=2024)
    assert found.data_origin == "generated"
    assert found.shares_cost < 0.003
    assert found.label_attack_in_clear_beyond == 1.0
    # A coin's, the best of thirty guesses at some 500 defaults.
    assert found.label_attack_protected_beyond < 0.57
    assert found.feature_attack_protected_gain < 0.1 < found.feature_attack_in_clear_gain


def test_a_node_refuses_more_rows_in_all_than_a_gradient_has_room_for():
    world = World(rows=300)
    training = world.training()
    training._introduce()
    training._mark()
    training._count()
    for k, side in enumerate(training.session.sides):
        training._columns(k, side)
    told = {"rows": 1 << 20}
    with pytest.raises(AggregationFailed, match="may not fit the ring"):
        training.ask("hide", {"bank-a": Content(config=told)})


def test_a_joint_model_that_is_worse_than_its_companion_is_not_offered():
    """What grid companies say is noise here; the version then scores with banks' columns alone and says why."""
    joint, alone = (FittedModel(("it",), scorer(1.0), grid, NONE, {}) for grid in (scorer(2.0), None))
    candidate = candidate_of(joint, alone, offered(measured(0.12), measured(0.11)))
    assert candidate.offered == "bank_only: held-out Brier 0.12000 with grid companies, 0.11000 without"
    assert "Brier 含供电公司列为 0.12000，不含为 0.11000" in offered_text(candidate.offered, "zh")
    assert candidate.model.joint_bank is alone.bank
    values = np.array([[1.0, 2.0], [np.nan, -3.0]])
    assert candidate.model.joint_grid.logits(values).tolist() == [0.0, 0.0]
    assert candidate.model.joint_grid.explain(values[0])[1].tolist() == [0.0, 0.0]
    candidate = candidate_of(joint, alone, offered(measured(0.11), measured(0.12)))
    assert (candidate.offered, candidate.model.joint_grid) == ("joint", joint.grid)


def measured(loss):
    """Figures of a model with this held-out Brier score."""
    return Measured(Metrics(0.7, 0.3, loss, 0.01, 100), {"none": 0.02}, (), (1, 2))


def test_what_is_offered_and_reported_is_by_all_folds_together():
    figures = SegmentFigures("size", "small", 60, 10, 40, 36, 0.2, 0.1, 0.02, 0.8)
    few = replace(figures, rows=20, defaults=0, approved=20, approved_good=20, brier=0.2, auc=None)
    folds = [replace(measured(loss), segments=(part,)) for loss, part in ((0.13, figures), (0.10, few))]
    whole = pooled(folds)
    assert (whole.metrics.rows, whole.metrics.brier, whole.score_bands) == (200, pytest.approx(0.115), (2, 4))
    assert whole.segments == (replace(figures, rows=80, defaults=10, approved=60, approved_good=56, brier=0.125),)
    # Worse on the first fold alone, and better on both.
    assert offered(whole, pooled([measured(0.12)] * 2)) == "joint"
    assert offered(folds[0], measured(0.12)) == "bank_only: held-out Brier 0.13000 with grid companies, 0.12000 without"


def scorer(level):
    """A scorer of two features that says something of everybody."""
    tables = AdditiveTables(
        level, np.full((2, 1), np.inf), np.full((2, 2), level), np.full((2, 2), 0.5), np.zeros((2, 2), dtype=np.int64),
        np.zeros((0, 2), dtype=np.int64), np.zeros((0, 1, 1)), np.zeros(2),
    )  # fmt: skip
    return PartyScorer(tables, np.zeros((2, 4)))


def test_the_joint_fit_begins_where_banks_alone_came_to_rest():
    """From 0 the first gradient of a grid company says what its columns say by themselves, of everybody."""
    world = World(rows=900)
    training, at = world.training(), {"clear": [], "point": []}
    asking = training.ask

    def listening(action, requests):
        answers = asking(action, requests)
        if action in at:
            state = world.nodes[training.lead]._talk.state
            at[action].append((state.beta.copy(), state.weights.copy()))
        return answers

    training.ask = listening
    training.fit()
    (rested, none), (began, weights) = at["clear"][-1], at["point"][0]
    assert not none.size
    assert not weights.any()
    # Of the last points of banks alone one is where they rest: what a shorter step came to, or the last.
    assert any(np.array_equal(began, beta) for beta, _ in at["clear"])
    assert np.abs(began - rested).max() < 0.1
    assert np.abs(began[1:]).max() > 0.3
    state = world.nodes[training.lead]._talk.state
    assert at["clear"][0][0][0] == pytest.approx(training.session.prior)
    assert len(state.beta) == len(began)


@pytest.mark.parametrize("side", ["bank", "grid"])
def test_a_side_whose_columns_are_the_same_of_everybody_is_named(side):
    world = World(rows=500)
    setattr(world, side, np.ones_like(getattr(world, side)))
    world.apps = world._apps()
    with pytest.raises(TrainingFailed, match=f"no column of any {side} differs between the customers that are fitted"):
        world.training().fit()
