"""Feature drift: an unchanged population is stable, a shifted column is named, small cells stay at the node."""

import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hand_made import in_use
from small_network import AT

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.errors import InvalidTime, ModelNotFound, NodeUnavailable, SchemaMismatch
from federated.governance.manifest import FeatureReference
from federated.governance.model_registry import ModelRegistry
from federated.governance.monitoring.drift import Verdict
from federated.governance.monitoring.feature_drift import feature_drift, holm
from federated.nodes.grid import GridNode
from federated.nodes.node import COUNTED_IN
from federated.nodes.store import NodeStore
from federated.serving import Network
from simulations.worlds.columns import load_schema
from simulations.worlds.wallet import Wallet

WALLET = Wallet(b"s" * 32, b"a" * 32)
NOW = AT + timedelta(days=1)
REFERENCE = FeatureReference((1.0, 2.0, 3.0), (2_000, 2_000, 2_000, 2_000, 40))


def set_column(home, org_id, column, value):
    """Overwrite one column of a node's whole file with a value."""
    path = home / "nodes" / f"{org_id}.db"
    store = NodeStore(path)
    table, j = store.table(), store.schema.party(store.role).columns.index(column)
    store.close()
    table.values[:, j] = value
    rows = [(v.astype("<f8").tobytes(), s) for v, s in zip(table.values, table.subjects, strict=True)]
    with sqlite3.connect(path) as db:
        db.executemany("UPDATE files SET features = ? WHERE subject_id = ?", rows)
    db.close()


def test_holm_is_the_text_books():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_chance_of_any_false_alarm():
    rng = np.random.default_rng(5)
    shared = rng.random((4_000, 1))
    for columns in (rng.random((4_000, 20)), np.repeat(shared, 20, axis=1)):
        assert np.mean([min(holm(row)) < 0.05 for row in columns]) < 0.06


def test_unchanged_customers_are_stable(network):
    found = network.feature_drift(NOW)
    manifest = network.champion(NOW)
    assert {role: set(columns) for role, columns in found.columns.items()} == {
        role: set(columns) for role, columns in manifest.columns.items()
    }
    assert {each.drift.verdict for each in found.ranked()} == {Verdict.STABLE}
    assert (found.version, found.unavailable) == ("v0001", ())
    assert set(found.counted) == set(manifest.participants)
    psi = [each.drift.psi for each in found.ranked()]
    assert psi == sorted(psi, reverse=True)


@pytest.mark.parametrize(
    ("column", "role", "orgs"),
    [("leverage", "bank", ("bank-gusu", "bank-jinji", "bank-taihu")), ("load_factor", "grid", ("grid-sip",))],
)
def test_a_column_that_moved_is_found_and_named(home, column, role, orgs):
    for org_id in orgs:
        set_column(home, org_id, column, np.nan)
    opened = Network.open(home, lambda: NOW)
    first, *others = opened.feature_drift(NOW).ranked()
    opened.close()
    assert (first.role, first.feature.column, first.drift.verdict) == (role, column, Verdict.DRIFTED)
    assert {each.drift.verdict for each in others} == {Verdict.STABLE}


def test_a_node_that_cannot_count_is_named(network, home, trained, monkeypatch):
    before = network.feature_drift(NOW)
    go_on = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr("federated.serving.network.COUNT_DEADLINE_S", 4.0)
        patched.setattr(network.bank_node("bank-jinji"), "column_counts", lambda *_: go_on.wait(60))
        network.grid_node("grid-sip").store.close()
        found = network.feature_drift(NOW)
    go_on.set()
    assert found.unavailable == ("bank-jinji", "grid-sip")
    assert found.columns["grid"]["load_factor"].rows < before.columns["grid"]["load_factor"].rows
    network.grid_node("grid-gaoxin").store.close()
    nothing = network.feature_drift(NOW).columns["grid"]["load_factor"]
    assert (nothing.rows, nothing.verdict) == (0, Verdict.TOO_FEW)


def test_a_node_whose_store_is_spoilt_is_named(home):
    for file in home.glob("nodes/grid-sip.db*"):
        file.unlink()
    (home / "nodes" / "grid-sip.db").write_text("no database " * 400)
    opened = Network.open(home, lambda: NOW)
    assert opened.feature_drift(NOW).unavailable == ("grid-sip",)
    opened.close()


def test_only_participants_count_and_only_a_champion_has_drift(home):
    (home / "registry" / "credit" / "events.jsonl").unlink()
    opened = Network.open(home, lambda: NOW)
    with pytest.raises(ModelNotFound):
        opened.feature_drift(NOW)
    governance, registry = opened.oversight.governance, ModelRegistry(home)
    first, weights = registry.manifest("credit", "v0001"), registry.load("credit", "v0001")
    fewer = tuple(each for each in first.participants if each != "bank-taihu")
    governance.register(registry.publish(replace(first, version="v0009", participants=fewer), weights), AT)
    in_use(home, AT, "v0009")
    found = opened.feature_drift(NOW)
    opened.close()
    assert set(found.counted) == set(fewer)
    assert found.unavailable == ()


def test_a_withdrawn_consent_is_not_counted(network, trained):
    bank = network.bank_node("bank-gusu")
    cuts = {"leverage": ()}
    before = bank.column_counts(cuts, NOW)["leverage"].sum()
    for subject in sorted(bank.reviewed_consents(NOW))[:50]:
        network.withdraw_consent(f"CONS-{subject}", "bank-gusu", NOW, by="bank-gusu")
    after = bank.column_counts(cuts, NOW + timedelta(seconds=1))["leverage"].sum()
    assert 30 <= before - after <= 70


@pytest.fixture
def grid(tmp_path):
    """A grid company with 47 customers, of whom 12 have no load factor; every consent is towards two banks."""
    schema = load_schema("generated-firms")
    subjects = [f"S-{i:02d}" for i in range(47)]
    values = np.ones((47, len(schema.grid.columns)))
    values[:12, schema.grid.columns.index("load_factor")] = np.nan
    values[12:20, schema.grid.columns.index("load_factor")] = 5.0
    store = NodeStore.create(
        tmp_path / "grid-x.db",
        org_id="grid-x",
        role="grid",
        schema=schema,
        data_origin="generated",
        authority=WALLET.authority,
        subjects=subjects,
        values=values,
    )
    node = GridNode(store, lambda: NOW)
    node.record_consents(
        WALLET.sign(
            ConsentRecord(
                f"{bank}-{subject}",
                subject,
                bank,
                frozenset({Purpose.LOAN_REVIEW}),
                frozenset(DataScope),
                AT,
                AT + timedelta(days=30),
                grid_id="grid-x",
            )
        )
        for subject in subjects
        for bank in ("bank-a", "bank-b")
    )
    yield node
    store.close()


def test_a_grid_company_counts_each_customer_once_and_in_tens(grid):
    found = grid.column_counts({"load_factor": (1.0, 2.0)}, NOW)["load_factor"]
    assert found.tolist() == [20, 0, 0, 10]  # of 27, none, 8 and 12
    # Nobody's word makes it another day: only the node's own clock.
    with pytest.raises(InvalidTime):
        grid.column_counts({"load_factor": (1.0, 2.0)}, AT + timedelta(days=40))
    late = GridNode(grid.store, lambda: AT + timedelta(days=40))
    assert late.column_counts({"load_factor": (1.0, 2.0)}, AT + timedelta(days=40))["load_factor"].sum() == 0


def test_unknown_and_protected_columns_are_not_counted(grid, tmp_path):
    with pytest.raises(SchemaMismatch, match="counts no column height"):
        grid.column_counts({"height": (1.0,)}, NOW)
    schema = load_schema("taiwan-fate-hetero")
    protected = [f.column for f in schema.grid.features if f.protected]
    store = NodeStore.create(
        tmp_path / "t.db",
        org_id="grid-t",
        role="grid",
        schema=schema,
        data_origin="taiwan",
        authority=WALLET.authority,
        subjects=["S"],
        values=np.ones((1, len(schema.grid.columns))),
    )
    assert protected
    for column in protected:
        with pytest.raises(SchemaMismatch, match="unknown, or protected"):
            GridNode(store, lambda: NOW).column_counts({column: (1.0,)}, NOW)
    store.close()
    with pytest.raises(NodeUnavailable):
        GridNode(store, lambda: NOW).column_counts({schema.grid.columns[-1]: (1.0,)}, NOW)


def test_rounding_to_tens_is_no_drift():
    rng = np.random.default_rng(11)
    shares = np.array(REFERENCE.counts) / sum(REFERENCE.counts)
    verdicts, significant = [], 0
    for _ in range(300):
        nodes = {str(n): {"x": rng.multinomial(400, shares) // COUNTED_IN * COUNTED_IN} for n in range(3)}
        found = feature_drift({"bank": {"x": REFERENCE}}, {"bank": nodes})["bank"]["x"]
        verdicts.append(found.verdict)
        significant += found.significant
        assert found.rows == pytest.approx(1_200, abs=70)
    assert set(verdicts) == {Verdict.STABLE}
    assert significant / 300 < 0.03


def test_no_answer_at_all_is_too_few():
    found = feature_drift({"bank": {"x": REFERENCE}}, {})["bank"]["x"]
    assert (found.rows, found.psi, found.p_value, found.verdict) == (0, 0.0, 1.0, Verdict.TOO_FEW)
