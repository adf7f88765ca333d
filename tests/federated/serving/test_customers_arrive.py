"""A customer who arrives after training is scored like any other, without a restart, and after a deletion is nobody."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import numpy as np
import pytest
from hidden_world import hide
from small_network import AT

from federated.consent.instants import to_micros
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.consent.uses import Action
from federated.errors import ConsentMissing, RowsTooAlike
from federated.nodes.customers import Batch, Outcomes, delete_customers, load_customers, set_outcomes
from federated.nodes.row_sets import NAME
from federated.nodes.store import NodeStore
from federated.protocols.core.messages import Content
from federated.protocols.core.node_rows import MEMORIES, NodeSource
from federated.serving import Basis, Electricity, Network, NoFile, ScoreQuery
from simulations.worlds.wallet import Wallet

NOW = AT + timedelta(days=1)
BANK, GRID = "bank-gusu", "grid-sip"
NEW = "NEWCOMER-1"
MANY = 140


def arrive(home, org_id, subject=NEW, like=0):
    """As another process: the store's file is opened, written and closed."""
    store = NodeStore(home / "nodes" / f"{org_id}.db")
    days = int(NOW.timestamp()) // 86_400
    period = (np.array([days - 364]), np.array([days])) if store.role == "grid" else (None, None)
    values = store.table().values[like : like + 1]
    load_customers(store, [Batch([subject], values, [1], None, *period)], NOW)
    store.close()


def consent(wallet, subject=NEW, **changes):
    given = {"grid_id": GRID, "purposes": frozenset(Purpose), "scope": frozenset(DataScope)} | changes
    terms = {"valid_from": AT, "valid_until": AT + timedelta(days=300)}
    return wallet.sign(ConsentRecord(f"C-{subject}", subject, BANK, **terms, **given))


def ask(network, subject=NEW):
    return network.score(ScoreQuery(BANK, subject, f"C-{subject}", Purpose.CREDIT_APPLICATION, NOW))


@pytest.fixture(params=["functions in clear", "a hidden function"])
def serving(request, trained, home):
    """A network whose champion's function of electricity data is known to the grid company, or to banks alone."""
    if request.param == "a hidden function":
        hide(home, trained[1].tables, AT)
    opened = Network.open(home, lambda: NOW)
    yield opened
    opened.close()


def test_a_customer_who_arrives_is_scored_jointly_and_after_a_deletion_is_nobody(serving, home):
    network = serving
    wallet = Wallet.open(home)
    with pytest.raises(ConsentMissing):
        ask(network)
    network.record_consent(consent(wallet))
    assert ask(network) == NoFile(NEW, NOW)
    arrive(home, BANK)
    alone = ask(network)
    assert (alone.basis, alone.electricity) == (Basis.BANK_ONLY, Electricity.NO_FILE)
    arrive(home, GRID)
    joint = ask(network)
    assert (joint.basis, joint.electricity) == (Basis.JOINT, Electricity.INCLUDED)
    assert 300 <= joint.score <= 850
    # A correction counts at once.
    bank, grid = network.bank_node(BANK).store, network.grid_node(GRID).store
    load_customers(bank, [Batch([NEW], bank.values_of(NEW)[None, :] + 3.0, [1])], NOW)
    assert ask(network).score != joint.score

    deleted = delete_customers(grid, [NEW], NOW)
    assert BANK in [kept.what for kept in deleted.kept]
    assert ask(network).electricity is Electricity.NO_FILE
    deleted = delete_customers(bank, [NEW], NOW)
    # What was allowed and done stays on record, and whom else to ask is named.
    kept = {each.what: each.count for each in deleted.kept}
    assert kept["consents"] == 1
    assert kept["use log"] >= 5
    assert GRID in kept
    assert ask(network) == NoFile(NEW, NOW)
    assert NEW not in network.bank_node(BANK).customers(10_000)
    assert [use.outcome for use in network.bank_node(BANK).uses_of(NEW)][:2] == ["no_file", "answered"]
    again = Network.open(home, lambda: NOW)
    assert ask(again) == NoFile(NEW, NOW)
    again.close()


def test_a_deleted_customer_of_training_is_left_out_of_the_next_run_and_the_alignment_holds(network, home):
    bank, grid = network.bank_node(BANK), network.grid_node(GRID)
    before = bank.store.alignment(GRID)
    table = bank.store.table()
    held_out = {name for name, fold in zip(table.subjects, table.folds, strict=True) if fold == 0}
    # The order of an alignment is one of chance; whom the fold holds out is missed by no run over the others.
    at = next(k for k, name in enumerate(before) if name not in held_out)
    gone = before[at]
    runs = sum(use.action is Action.TRAINING for use in bank.uses_of(gone))
    done = delete_customers(bank.store, [gone], NOW)
    assert done.places == {GRID: 1}
    assert {each.what: each.count for each in done.kept}["model weights"] == runs > 0
    after = bank.store.alignment(GRID)
    assert (after[at], after[:at], after[at + 1 :]) == ("", before[:at], before[at + 1 :])
    # The grid company's list is its own, and the same but for that place.
    assert grid.store.alignment(BANK) == before
    # One customer less is one label told: the run is refused for as long as the one before it is remembered.
    with pytest.raises(RowsTooAlike):
        NodeSource(bank).open(opening())
    forget_runs(bank)
    rows = NodeSource(bank).open(opening())
    subjects = bank.store.table().subjects
    assert gone not in subjects
    assert rows.peers[GRID][at] == -1
    assert [subjects[row] for row in rows.peers[GRID] if row >= 0] == [s for s in before if s != gone]


def forget_runs(bank):
    """As if the window had passed in which two runs may not be over nearly the same customers."""
    bank.store.drop_state([f"{NAME}{of}" for of in MEMORIES])


def opening(fold=0, joint=1):
    return Content(config={"at_us": to_micros(NOW), "fold": fold, "joint": joint})


@pytest.mark.parametrize("joint", [0, 1])
def test_who_has_no_outcome_yet_is_neither_trained_on_nor_judged(network, home, joint):
    bank = network.bank_node(BANK)
    subjects = bank.store.table().subjects
    # Enough of each fold: a bank alone leaves a fold of few customers out anyway.
    unknown = list(bank.store.alignment(GRID)[:MANY])
    set_outcomes(bank.store, [Outcomes(unknown, np.full(MANY, -1), range(MANY))])
    arrive(home, BANK)
    network.record_consent(consent(Wallet.open(home)))
    forget_runs(bank)
    rows = NodeSource(bank).open(opening(joint=joint))
    table = bank.store.table()
    assert table.labels[rows.training].min() == 0
    assert table.labels[rows.held_out].min() == 0
    chosen = {table.subjects[i] for i in np.flatnonzero(rows.training | rows.held_out)}
    assert chosen.isdisjoint({*unknown, NEW})
    assert len(chosen) > len(subjects) / 2
    # At aligned positions they take no part either, and the log says nothing of them.
    assert (rows.peers[GRID][:MANY] == -1).all()
    assert [use.at for use in bank.uses_of(unknown[0]) if use.at == NOW] == []
    # With an outcome they are rows like any other.
    set_outcomes(bank.store, [Outcomes(unknown, np.arange(MANY) % 2, range(MANY))])
    forget_runs(bank)
    rows = NodeSource(bank).open(opening(joint=joint))
    assert {table.subjects[i] for i in np.flatnonzero(rows.training | rows.held_out)} == chosen | set(unknown)


def test_a_load_does_not_touch_consents_uses_or_alignments(network, home):
    bank = network.bank_node(BANK)
    with closing(sqlite3.connect(bank.store.path)) as db:
        tables = {
            table: db.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("consents", "uses", "alignments", "state")
        }
        arrive(home, BANK)
        assert {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables} == tables
