"""A run that was broken off: what it measured is taken up by the next one of the same plan, over the same data."""

from dataclasses import replace

import numpy as np
import pytest
from small_network import AT

from federated.consent.instants import to_micros
from federated.errors import TrainingFailed
from federated.operating.checkpoint import KEPT_US, Checkpoint
from federated.protocols import operator_app as app
from federated.protocols.core.alignment import Alignment, Participants
from federated.protocols.core.cost import Cost
from federated.protocols.core.protocol import FoldReport
from federated.protocols.operator_app import RunPlan
from federated.protocols.operator_run import Reporter, RunRecord
from federated.protocols.protected.candidate import CountedRows
from federated.protocols.protected.evaluation import Counted, Group
from federated.protocols.protected.protocol import PROTECTED, PROTECTED_COMPANION, ProtectedProtocol
from simulations.worlds.credit_population import generate_population

AT_US = to_micros(AT)
PLAN = RunPlan((0, 1), AT_US, 530, (ProtectedProtocol(),), refit=True)


@pytest.fixture(scope="module")
def people():
    schema = generate_population(300, seed=1).schema
    data = {"bank-gusu": "a" * 64, "grid-sip": "b" * 64}
    return Participants(("bank-gusu",), ("grid-sip",), schema, "generated", data)


def reports_of(people, seed=7):
    rng = np.random.default_rng(seed)
    rows = 600
    block = np.repeat(np.arange(6), 100)
    band = rng.integers(0, 3, rows)
    own = np.bincount(band[:90], minlength=3)
    group = Group(band, own, own // 4, own // 3)
    known = Group(band, own, own // 4, own // 3, np.arange(90))
    counted = Counted(
        np.sort(rng.normal(size=rows)), block, np.array([5, 10, 15, 20, 30, 40]), rng.integers(0, 2, rows),
        rng.random(rows) < 0.5, rng.random(rows) < 0.1, {("size", "0"): group, ("district", "1"): known},
    )  # fmt: skip
    held_out = {name: CountedRows(counted, people.schema, 530, 2024) for name in (PROTECTED, PROTECTED_COMPANION)}
    cost = {name: Cost(1.5, 10, 1000) for name in held_out}
    return {ProtectedProtocol.name: FoldReport(held_out, PROTECTED_COMPANION, cost)}


def test_a_measured_fold_comes_back_as_it_was(tmp_path, people):
    reports = reports_of(people)
    Checkpoint(tmp_path, PLAN).keep(0, reports, people, AT_US)
    again = Checkpoint(tmp_path, replace(PLAN, at_us=AT_US + 5))
    assert again.began_us(AT_US + 5) == AT_US
    (fold, found), *others = again.measured(people, AT_US).items()
    assert (fold, others) == (0, [])
    before, after = reports["protected"], found["protected"]
    assert (after.companion, after.cost) == (before.companion, before.cost)
    for name, rows in before.held_out.items():
        assert after.held_out[name].measured([rows]) == rows.measured([rows])
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "run-checkpoint").rglob("*"))


def test_what_is_of_other_data_or_of_another_plan_or_spoilt_is_measured_anew(tmp_path, people):
    kept = Checkpoint(tmp_path, PLAN)
    kept.keep(0, reports_of(people), people, AT_US)
    changed = replace(people, data_sha256=people.data_sha256 | {"grid-sip": "c" * 64})
    assert kept.measured(changed, AT_US) == {}
    assert kept.measured(people, AT_US + 1) == {}
    for other in (
        replace(PLAN, cut_off=540),
        replace(PLAN, folds=(0,)),
        replace(PLAN, protocols=(ProtectedProtocol().seeded(9),)),
    ):
        assert Checkpoint(tmp_path, other).began_us(AT_US) is None
    assert kept.began_us(AT_US + KEPT_US - 1) == AT_US
    assert kept.began_us(AT_US + KEPT_US) is None
    (path,) = (tmp_path / "run-checkpoint").rglob("fold-0.npz")
    path.write_bytes(path.read_bytes()[:-200])
    assert kept.began_us(AT_US) is None
    assert kept.measured(people, AT_US) == {}
    kept.drop()
    assert not path.exists()


def test_only_what_was_not_measured_is_trained(people, monkeypatch):
    class Trains(ProtectedProtocol):
        def train(self, board, task):
            raise TrainingFailed(f"fold {task.fold} is trained")

    monkeypatch.setattr(app, "participants", lambda _: people)
    monkeypatch.setattr(app, "align", lambda *_: Alignment(0.0, {"bank-gusu|grid-sip": 300}))
    seen, plan = [], replace(PLAN, protocols=(Trains(),))
    observers = RunRecord(plan, 1, AT).observers(Reporter(seen.append, lambda *_: None))
    server = app.operator_app(plan, observers, lambda _: {0: reports_of(people)})
    with pytest.raises(TrainingFailed, match="fold 1 is trained"):
        server._main(None, None)
    assert seen[0].startswith("aligned 300 customers")
    assert seen[1].startswith("fold 0: held-out AUC")
