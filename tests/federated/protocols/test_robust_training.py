"""Robust horizontal training: what the modes open, what they refuse, and that a minority decides neither."""

import numpy as np
import pytest

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AggregationFailed, PrivacyPlanRefused
from federated.nodes.identity import fresh_identities
from federated.privacy.attacks.poisoning import Poison
from federated.privacy.differential.moments import MomentShape
from federated.privacy.robust.bounding import bounded
from federated.privacy.robust.groups import isolated, two_groups
from federated.protocols.core.messages import Content, Switchboard, named_app
from federated.protocols.core.secure_sum import add_secure_sum, secure_sum
from federated.protocols.node_app import bank_app
from federated.protocols.robust.node import INSPECTED, SECURE, RobustNode, RobustRows, public_basis
from federated.protocols.robust.operator import train_inspected, train_secure, train_unprotected
from federated.protocols.robust.protocol import RobustProtocol
from simulations.experiments.poisoned_banks.run import attacks, dealt, judged, measured, switchboard
from simulations.experiments.private_credit.world import bank_names, folds_of, load_table

NAMES = bank_names()


@pytest.fixture(scope="module")
def table():
    return load_table(None, 2_500, 7)


@pytest.fixture(scope="module")
def mask(table):
    return folds_of(table)[0]


def test_two_of_five_poisoned_banks_bend_the_plain_sum_and_not_the_inspected_one(table, mask):
    clean = measured(table, mask, "unprotected").auc
    for poison in attacks(table):
        if poison.factor in (-10.0, 10.0) and poison.trigger is None:
            assert measured(table, mask, "unprotected", NAMES[:2], poison).auc < clean - 0.1
            assert measured(table, mask, "inspected", NAMES[:2], poison).auc > clean - 0.03
            assert measured(table, mask, "secure", NAMES[:1], poison).auc > clean - 0.05


def test_without_attackers_all_modes_rank_alike(table, mask):
    found = [measured(table, mask, mode).auc for mode in ("unprotected", "secure", "inspected")]
    assert max(found) - min(found) < 0.03


def test_a_bank_that_is_gone_is_left_out(table, mask):
    banks = dealt(table, mask, 2024, (), None)
    board = switchboard(banks)
    there = NAMES[:4]
    run = train_inspected(board, table.public, there)
    assert set(run.chosen) <= set(there)
    assert len(run.chosen) == 3
    assert judged(run, table, mask).auc > 0.6


def test_a_node_refuses_modes_groups_and_second_sums(table):
    rows = RobustRows(table.public, table.values[:50], table.labels[:50])
    node = RobustNode("bank-a", rows)
    with pytest.raises(PrivacyPlanRefused, match="takes no part in the mode inspected"):
        node.update(table.public.table, INSPECTED, ())
    with pytest.raises(PrivacyPlanRefused, match="holds no rows of another"):
        node.update("another", SECURE, ("bank-a", "bank-b"))
    with pytest.raises(PrivacyPlanRefused, match="not in a group"):
        node.update(table.public.table, SECURE, ("bank-b", "bank-c"))
    with pytest.raises(PrivacyPlanRefused, match="not in a group"):
        node.update(table.public.table, SECURE, ("bank-a",))
    node.update(table.public.table, SECURE, ("bank-a", "bank-b"))
    with pytest.raises(PrivacyPlanRefused, match="has given its moments into a sum before"):
        node.update(table.public.table, SECURE, ("bank-a", "bank-c"))
    with pytest.raises(PrivacyPlanRefused, match="is no model"):
        node.losses(table.public.table, {"00": np.zeros(3)})


def test_a_bank_that_allows_secure_sums_only_is_not_inspected(table, mask):
    known = fresh_identities(NAMES)
    rows = RobustRows(table.public, table.values[~mask][:300], table.labels[~mask][:300])
    apps = [bank_app(RobustProtocol(), RobustNode(name, rows), known[name]) for name in NAMES]
    board = Switchboard(InProcessGrid({i: Seat(app, {}) for i, app in enumerate(apps, start=2)}))
    board.introduce()
    with pytest.raises(AggregationFailed, match="0 updates"):
        train_inspected(board, table.public, NAMES)
    assert train_secure(board, table.public, NAMES).chosen
    # Every vector is spent: nothing can be summed again over other survivors.
    with pytest.raises(AggregationFailed):
        train_unprotected(board, table.public, NAMES)
    with pytest.raises(PrivacyPlanRefused, match="takes no part"):
        board.ask("query.robust_inspected", {NAMES[0]: Content(config={"table": table.public.table})})


def test_an_honest_mean_is_within_its_bounds_and_nothing_else_passes(table):
    basis = public_basis(table.public)
    shape = MomentShape(basis.width, basis.blocks)
    rows = RobustRows(table.public, table.values[:200], table.labels[:200])
    honest = RobustNode("bank-a", rows, frozenset({INSPECTED})).update(table.public.table, INSPECTED, ())
    assert np.array_equal(bounded(honest, shape), honest)
    wild = bounded(np.where(np.arange(shape.length) % 2, np.inf, -1e30), shape)
    assert np.isfinite(wild).all()
    assert np.linalg.norm(wild) <= np.sqrt(shape.bound_squared) * (1 + 1e-12)


def test_opened_groups_isolate_nobody():
    assert isolated(two_groups(NAMES)) == frozenset()
    assert isolated((("a", "b", "c"), ("b", "c"))) == {"a"}
    assert isolated((("a", "b"), ("b", "c"), ("a", "c"))) == {"a", "b", "c"}
    with pytest.raises(PrivacyPlanRefused, match="make no two groups"):
        two_groups(("a", "b", "c"))


def test_poison_does_what_it_says():
    values, labels = np.zeros((10, 3)), np.array([0, 1] * 5)
    assert Poison("labels", flips=True).rows(values, labels)[1].tolist() == [1, 0] * 5
    assert Poison("sign", factor=-1.0).update(np.ones(3)).tolist() == [-1.0, -1.0, -1.0]
    assert Poison("none").vote(np.array([0.1, 0.3])).tolist() == pytest.approx([0.3, 0.1])


def test_a_bank_is_summed_with_its_group_alone(table, mask):
    known, basis = fresh_identities(NAMES), public_basis(table.public)
    length = MomentShape(basis.width, basis.blocks).length
    rows = RobustRows(table.public, table.values[~mask][:300], table.labels[~mask][:300])
    apps = [bank_app(RobustProtocol(), RobustNode(name, rows), known[name]) for name in NAMES[:2]]
    idle = named_app(NAMES[2])
    add_secure_sum(idle, known[NAMES[2]], lambda _: np.zeros(length))
    board = Switchboard(InProcessGrid({i: Seat(app, {}) for i, app in enumerate([*apps, idle], start=2)}))
    board.introduce()
    request = Content(config={"table": table.public.table, "group": list(NAMES[:2])})
    with pytest.raises(AggregationFailed, match="others than the group's banks are in the sum"):
        secure_sum(board, NAMES[:3], length, 2, 3, request)
