"""Private runs over Flower messages: nobody runs without the banks' consent, and what leaves them was paid for."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AggregationFailed, PrivacyBudgetExceeded, PrivacyPlanRefused
from federated.models.served.metrics import metrics_of
from federated.privacy.budget import Budget, PrivacyLedger
from federated.privacy.differential.accountant import epsilon_of
from federated.privacy.differential.bounding import GRID, squared_length
from federated.privacy.ledgers import ledger_path
from federated.protocols.core.messages import Content, Switchboard
from federated.protocols.core.secure_sum import secure_sum
from federated.protocols.private.network import Sampler, flat, gradient_sum, inputs, logits, network, parameter_count
from federated.protocols.private.node import Policy, PrivateNode, agreed_basis
from federated.protocols.private.operator import additive_plan, circle_of, network_plan, train_additive, train_network
from federated.protocols.private.plan import Circle, plan_from, plan_text, run_name
from simulations.benchmarks.secure_aggregation import _Leaving
from simulations.experiments.private_credit.pooled import transcript
from simulations.experiments.private_credit.world import bank_names, dealt_nodes, folds_of, load_table, now, switchboard
from simulations.worlds.columns import load_ranges

TABLE = load_table(None, 3_000, 2024)
PUBLIC = load_ranges("generated-firms")
HELD_OUT = folds_of(TABLE)[0]
BANKS = bank_names()
DELTA = 1e-5


class NoNoise:
    """Stands where noise is drawn, to see sums as they are."""

    def integers(self, scale, length):
        return np.zeros(length, dtype=np.int64)


def nodes_in(home, grant=Budget(8.0, DELTA)):
    return dealt_nodes(TABLE, HELD_OUT, home, 2024, grant=grant)


def plan_of(epsilon=4.0, **changes):
    return replace(additive_plan(PUBLIC, circle_of(BANKS), epsilon, DELTA, protected=True), **changes)


def spent(home, bank):
    return PrivacyLedger(ledger_path(home, bank)).accounts()[0]


def test_a_run_trains_and_every_bank_has_paid_for_it(tmp_path):
    plan = plan_of()
    run = train_additive(switchboard(nodes_in(tmp_path)), plan, PUBLIC, DELTA)
    assert run.agreed == BANKS
    assert [set(stage) for stage in run.survivors] == [set(BANKS)] * 3
    assert run.realised < run.epsilon <= 4.0
    for bank in BANKS:
        account = spent(tmp_path, bank)
        assert account.epsilon == run.epsilon
        assert account.runs == (run.run,)
        assert PrivacyLedger(ledger_path(tmp_path, bank)).head() == run.heads[bank]
    auc = metrics_of(run.model.logits(TABLE.columns(PUBLIC)[HELD_OUT]), TABLE.labels[HELD_OUT]).auc
    assert auc > 0.68
    tables = run.model.contributions()
    assert [len(tables[name]) for name in PUBLIC.names] == list(run.model.basis.sizes)


def test_one_bank_refuses_and_is_a_dropout(tmp_path):
    grant = dict.fromkeys(BANKS, Budget(8.0, DELTA)) | {"bank-2": Budget(1.0, DELTA)}
    run = train_additive(switchboard(nodes_in(tmp_path, grant)), plan_of(), PUBLIC, DELTA)
    assert run.refused == {"bank-2": "privacy_budget_exceeded"}
    assert all(set(stage) == set(BANKS) - {"bank-2"} for stage in run.survivors)
    assert spent(tmp_path, "bank-2").runs == ()
    assert run.realised <= run.epsilon * (1 + 1e-12)


def test_below_the_threshold_nothing_is_summed_and_agreeing_stays_spent(tmp_path):
    grant = {bank: Budget(8.0 if i < 3 else 1.0, DELTA) for i, bank in enumerate(BANKS)}
    with pytest.raises(AggregationFailed, match="3 banks agreed to the plan, 4 are needed: bank-4 privacy_budget"):
        train_additive(switchboard(nodes_in(tmp_path, grant)), plan_of(), PUBLIC, DELTA)
    assert len(spent(tmp_path, "bank-1").runs) == 1


def test_without_a_grant_no_bank_takes_part(tmp_path):
    with pytest.raises(AggregationFailed, match="privacy_budget_missing"):
        train_additive(switchboard(nodes_in(tmp_path, None)), plan_of(), PUBLIC, DELTA)


def test_a_second_run_is_composed_with_the_first_and_refused(tmp_path):
    nodes = nodes_in(tmp_path, Budget(5.5, DELTA))
    first, second = plan_of(), plan_of()
    nodes["bank-1"].agree(first)
    with pytest.raises(PrivacyBudgetExceeded):
        nodes["bank-1"].agree(second)
    third = plan_of(2.0)
    cost = [s.charged(p.circle, "bank-1") for p in (first, third) for s in p.stages(PUBLIC)]
    assert nodes["bank-1"].agree(third).epsilon == pytest.approx(epsilon_of(cost, DELTA))


def test_a_bank_that_leaves_is_survived_with_noise_enough(tmp_path):
    nodes = nodes_in(tmp_path)
    board = switchboard(nodes)
    seats = board.grid._seats
    place = 2 + BANKS.index("bank-3")
    seats[place] = Seat(_Leaving(seats[place].app, "query.secure_mask", 2), {})
    run = train_additive(board, plan_of(), PUBLIC, DELTA)
    assert [len(stage) for stage in run.survivors] == [5, 4, 4]
    assert run.realised <= run.epsilon * (1 + 1e-12)
    assert len(spent(tmp_path, "bank-3").runs) == 1


def asked(board, run, stage, length, arrays=None, threshold=4):
    request = Content(arrays or {}, {"run": run, "stage": stage})
    return secure_sum(board, BANKS, length, len(BANKS) - 1, threshold, request)


def test_the_operator_gets_nothing_that_was_not_agreed_to(tmp_path):
    nodes = nodes_in(tmp_path)
    board, plan = switchboard(nodes), plan_of()
    edges = plan.stage("edges", PUBLIC)
    with pytest.raises(AggregationFailed, match="0 parties"):
        asked(board, run_name(plan), "edges", edges.length)
    for node in nodes.values():
        node.agree(plan)
    with pytest.raises(AggregationFailed, match="0 parties"):
        asked(board, run_name(plan), "moments", plan.stage("moments", PUBLIC).length)
    with pytest.raises(AggregationFailed, match="0 parties"):
        asked(board, run_name(plan), "edges", edges.length, threshold=3)
    asked(board, run_name(plan), "edges", edges.length)
    # The same stage again would be a second release of the same rows.
    with pytest.raises(AggregationFailed, match="0 parties"):
        asked(board, run_name(plan), "edges", edges.length)
    with pytest.raises(PrivacyPlanRefused, match="no such run"):
        nodes["bank-1"].vector(run_name(plan_of()), "edges", {}, 4, 1)


def test_a_sum_stands_as_many_colluders_as_its_plan(tmp_path):
    node, plan = nodes_in(tmp_path)["bank-1"], plan_of(circle=circle_of(BANKS, colluding=2))
    node.agree(plan)
    with pytest.raises(PrivacyPlanRefused, match="agreed to another threshold"):
        node.vector(run_name(plan), "edges", {}, 4, 1)
    assert len(node.vector(run_name(plan), "edges", {}, 4, 2))
    with pytest.raises(PrivacyPlanRefused, match="4 among 5 banks with 3 colluding"):
        circle_of(BANKS, colluding=3)


@pytest.mark.parametrize(
    "changed",
    [
        {"digest": "0" * 64},
        {"knots": 1},
        {"edge_cells": 10**6},
        {"edges": 1e-7},
        {"circle": circle_of(BANKS, colluding=0)},
        {"circle": Circle(BANKS[:2], 2, 1, (1, 1))},
        {"circle": circle_of(BANKS[1:])},
        {"table": "nowhere"},
    ],
)
def test_a_plan_that_a_bank_does_not_allow_is_refused_before_it_is_paid(tmp_path, changed):
    node = nodes_in(tmp_path)["bank-1"]
    with pytest.raises(Exception, match=r".") as refused:
        node.agree(plan_of(**changed))
    assert refused.value.code in {"privacy_plan_refused", "schema_mismatch", "privacy_budget_exceeded"}
    assert spent(tmp_path, "bank-1").runs == ()


def test_a_bank_may_spend_less_on_one_run_than_its_budget_holds(tmp_path):
    given = nodes_in(tmp_path)["bank-1"]
    node = PrivateNode("bank-1", PUBLIC, given._rows, given._ledger, now, Policy(most_epsilon=1.0))
    with pytest.raises(PrivacyPlanRefused, match="at most ε = 1 on one run"):
        node.agree(plan_of(4.0))
    assert spent(tmp_path, "bank-1").runs == ()
    node.agree(plan_of(1.0))


def test_steps_and_clips_are_the_banks_to_refuse(tmp_path):
    node = nodes_in(tmp_path)["bank-1"]
    good = network_plan(PUBLIC, circle_of(BANKS), 4.0, DELTA, protected=True, hidden=4, steps=6)
    for wrong in ({"clip": 0.0}, {"clip": -1.0}, {"steps": 10**6}, {"sampling": 1.5}, {"multiplier": 0.01}):
        with pytest.raises((PrivacyPlanRefused, PrivacyBudgetExceeded)):
            node.agree(replace(good, **wrong))
    with pytest.raises(PrivacyPlanRefused):
        plan_from(plan_text(good).replace('"clip":1.0', '"clip":NaN'))
    assert spent(tmp_path, "bank-1").runs == ()


def test_a_plan_is_read_as_it_was_written_or_not_at_all():
    plan = plan_of()
    assert plan_from(plan_text(plan)) == plan
    assert run_name(plan) != run_name(plan_of())
    for text in ("", "{}", '{"kind":"other"}', plan_text(plan).replace('"knots":6', '"knots":6.0'), "[]"):
        with pytest.raises(PrivacyPlanRefused):
            plan_from(text)
    with pytest.raises(PrivacyPlanRefused):
        Circle(BANKS, 2, 1, (1,) * 5)
    with pytest.raises(PrivacyPlanRefused):
        Circle(BANKS, 4, 1, (1, 1, 1, 1, 0))


def test_knots_that_were_not_agreed_to_are_refused():
    plan = plan_of()
    good = {f"knots/{c.column}": np.linspace(*c.ends, 4) for _, c in PUBLIC.measures}
    assert agreed_basis(PUBLIC, plan, good).width > 1
    for wrong in (np.zeros(3), np.arange(9.0), np.array([0.0, np.nan]), np.array([1.0]), np.array([0.0, 1e300])):
        with pytest.raises(PrivacyPlanRefused):
            agreed_basis(PUBLIC, plan, good | {"knots/leverage": wrong})


def test_weights_count_in_the_sum_and_in_what_each_bank_pays(tmp_path):
    circle = circle_of(BANKS, weights=(1, 2, 3, 4, 5))
    plan = plan_of(circle=circle)
    run = train_additive(switchboard(nodes_in(tmp_path)), plan, PUBLIC, DELTA)
    costs = [spent(tmp_path, bank).epsilon for bank in BANKS]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1] == run.epsilon
    plain = {}
    for bank, weight in zip(BANKS, circle.weights, strict=True):
        own = dealt_nodes(TABLE, HELD_OUT, tmp_path / str(weight), 2024, grant=Budget(8.0, DELTA))[bank]
        own._noise = NoNoise()
        own.agree(plan)
        plain[bank] = own.vector(run_name(plan), "edges", {}, 4, 1)
        single = dealt_nodes(TABLE, HELD_OUT, tmp_path / f"one-{weight}", 2024, grant=Budget(8.0, DELTA))[bank]
        single._noise = NoNoise()
        even = plan_of()
        single.agree(even)
        assert np.array_equal(plain[bank], weight * single.vector(run_name(even), "edges", {}, 4, 1))


def test_a_row_without_a_value_that_must_be_there_keeps_the_bank_out(tmp_path):
    def rows(public):
        found = nodes_in(tmp_path)["bank-1"]._rows(public)
        values = found.values.copy()
        values[0, 0] = np.nan
        return replace(found, values=values)

    node = PrivateNode("bank-1", PUBLIC, rows, PrivacyLedger(ledger_path(tmp_path, "bank-1")), now, Policy())
    plan = plan_of()
    PrivacyLedger(ledger_path(tmp_path, "bank-1")).grant("generated-firms", Budget(8.0, DELTA), now())
    # Neither the row nor the column is told, and nothing is paid.
    with pytest.raises(PrivacyPlanRefused, match="do not fit the public columns"):
        node.agree(plan)
    assert spent(tmp_path, "bank-1").runs == ()


def test_the_sum_over_messages_is_the_sum_in_one_place(tmp_path):
    nodes = nodes_in(tmp_path)
    for node in nodes.values():
        node._noise = NoNoise()
    run = train_additive(switchboard(nodes), plan_of(), PUBLIC, DELTA)
    training = ~HELD_OUT
    pooled = transcript(PUBLIC, TABLE.values[training], TABLE.labels[training], None, NoNoise())
    assert run.model.basis.width == pooled.model.basis.width
    for name, knots in pooled.model.basis.knots.items():
        assert np.allclose(knots, run.model.basis.knots[name])


def test_private_gradient_descent_runs_on_the_same_ledger(tmp_path):
    nodes = nodes_in(tmp_path)
    plan = network_plan(PUBLIC, circle_of(BANKS), 4.0, DELTA, protected=True, hidden=4, steps=6)
    assert plan_from(plan_text(plan)) == plan
    run = train_network(switchboard(nodes), plan, PUBLIC, DELTA, seed=3)
    assert run.realised <= run.epsilon <= 4.0
    assert spent(tmp_path, "bank-1").epsilon == run.epsilon
    assert np.isfinite(run.model.logits(TABLE.values[:5])).all()
    with pytest.raises(PrivacyPlanRefused, match="no such run"):
        nodes["bank-1"].vector(run.run, "gradient", {"weights": run.model.weights}, 4, 1)
    wrong = replace(plan, parameters=plan.parameters + 1)
    with pytest.raises(PrivacyPlanRefused, match="parameters"):
        nodes["bank-1"].agree(wrong)


def test_what_would_overflow_for_some_records_is_refused(tmp_path):
    node, plan = nodes_in(tmp_path)["bank-1"], plan_of()
    node.agree(plan)
    node.vector(run_name(plan), "edges", {}, 4, 1)
    knots = {f"knots/{c.column}": np.linspace(*c.ends, 4) for _, c in PUBLIC.measures}
    node.vector(run_name(plan), "moments", knots, 4, 1)
    width = agreed_basis(PUBLIC, plan, knots).width
    with pytest.raises(PrivacyPlanRefused, match="beyond bounds"):
        node.vector(run_name(plan), "counts", {"beta": np.full(width, 1e300)}, 4, 1)


def test_gradients_are_clipped_per_record_and_summed():
    weights = flat(network(PUBLIC, 3)) + 0.1
    values, labels = TABLE.values[:40], TABLE.labels[:40]
    each = [gradient_sum(PUBLIC, 3, weights, values[[i]], labels[[i]], 0.2) for i in range(40)]
    assert len(weights) == parameter_count(PUBLIC, 3)
    assert squared_length(np.array(each)) <= GRID**2
    assert np.array_equal(gradient_sum(PUBLIC, 3, weights, values, labels, 0.2), np.sum(each, axis=0))
    assert not gradient_sum(PUBLIC, 3, weights, values[:0], labels[:0], 0.2).any()
    # A record whose gradient is within the clip keeps it: compared with a difference quotient.
    step = 1e-6
    slope = np.array(
        [
            (_loss(weights + step * unit, values[0], labels[0]) - _loss(weights - step * unit, values[0], labels[0]))
            / (2 * step)
            for unit in np.eye(len(weights))
        ]
    )
    found = gradient_sum(PUBLIC, 3, weights, values[[0]], labels[[0]], 100.0)
    assert np.allclose(found / GRID * 100.0, slope, atol=1e-3)


def _loss(weights, row, label):
    logit = logits(PUBLIC, 3, weights, row[None, :])[0]
    return float(np.logaddexp(0.0, -logit if label else logit))


def test_each_record_is_drawn_by_itself():
    taken = np.array([Sampler(np.random.default_rng(i)).taken(400, 0.2) for i in range(300)])
    assert abs(taken.mean() - 0.2) < 0.006
    assert taken.sum(axis=1).std() > 5
    assert inputs(PUBLIC, TABLE.values).min() >= -1.0
    assert inputs(PUBLIC, TABLE.values).max() <= 1.0


def test_a_network_of_one_app_too_few_still_says_who_refused(tmp_path):
    nodes = nodes_in(tmp_path)
    full = switchboard(nodes)
    grid = InProcessGrid({k: v for k, v in full.grid._seats.items() if k != 2})
    board = Switchboard(grid)
    board.introduce()
    board.node_ids["bank-1"] = 2
    board._orgs[2] = "bank-1"
    run = train_additive(board, plan_of(), PUBLIC, DELTA)
    assert run.refused == {"bank-1": "training_failed"}
    assert asdict(run.plan.circle)["threshold"] == 4
    assert Path(tmp_path).exists()
