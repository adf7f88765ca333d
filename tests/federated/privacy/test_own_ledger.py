"""A bank's ledger is its own: it counts every run, nobody else grants, and one that is gone or cut opens nothing."""

import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from small_network import AT

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import (
    CorruptData,
    PrivacyBudgetExceeded,
    PrivacyBudgetMissing,
    PrivacyLedgerCorrupt,
    RowsTooAlike,
    TooFewRows,
)
from federated.nodes.bank import BankNode
from federated.nodes.budget import TrainingLimit, default_training_limit
from federated.nodes.grid import GridNode
from federated.nodes.row_sets import digests_of
from federated.nodes.store import NodeStore
from federated.privacy.budget import FIRST, Budget, PrivacyLedger
from federated.privacy.differential.accountant import Release
from federated.privacy.ledgers import dataset_of, ledger_of, ledger_path
from federated.protocols.core.messages import Content, Switchboard
from federated.protocols.core.node_rows import NodeSource
from federated.protocols.core.rows import NOBODY
from federated.protocols.core.session_app import session_app

SMALL = Budget(1.0, 1e-5)
OPENING = Content(config={"at_us": int(AT.timestamp() * 1e6), "fold": 0, "joint": 1})


@pytest.fixture
def clock():
    return [AT]


@pytest.fixture
def bank(home, clock):
    ledger_path(home, "bank-gusu").unlink(missing_ok=True)
    store = NodeStore(home / "nodes" / "bank-gusu.db")
    store.drop_state(["privacy ledger", "row sets counted"])
    bank = BankNode(store, lambda: clock[0])
    # A sandbox's banks allow as many runs as it takes to measure.
    limit = default_training_limit()
    bank.set_training_limit(replace(limit, row_sets=2, runs_a_set=limit.runs, least_apart=limit.least_rows))
    yield bank
    store.close()


def spend(ledger, bank, most=50):
    """How many runs of ε ≈ 0.9 a ledger lets through."""
    done = 0
    for number in range(most):
        try:
            ledger.reserve(f"run-{ledger.head()}-{number}", dataset_of(bank), [Release(5.0)], AT)
        except PrivacyBudgetExceeded:
            break
        done += 1
    return done


def test_a_caller_grants_nothing_for_a_bank(home, bank):
    ledger_of(bank.store).grant(dataset_of(bank), SMALL, AT)
    assert spend(ledger_of(bank.store), bank) == 1
    # A caller with the file and without the bank's key: this opened the ledger for as many runs as it liked.
    PrivacyLedger(ledger_path(home, "bank-gusu")).grant(dataset_of(bank), Budget(100.0, 1e-5), AT)
    assert spend(ledger_of(bank.store), bank) == 0
    (account,) = ledger_of(bank.store).accounts()
    assert account.budget == SMALL
    ledger_of(bank.store).grant(dataset_of(bank), Budget(3.0, 1e-5), AT)
    assert spend(ledger_of(bank.store), bank) > 0


def test_a_grant_of_another_place_or_another_bank_is_none(home, bank):
    ledger_of(bank.store).grant(dataset_of(bank), SMALL, AT)
    other = NodeStore(home / "nodes" / "bank-jinji.db")
    stranger = PrivacyLedger(ledger_path(home, "bank-gusu"), ledger_of(other)._owner)
    # It signs with its own key, and remembers another ledger.
    with pytest.raises(PrivacyLedgerCorrupt):
        stranger.grant(dataset_of(bank), Budget(100.0, 1e-5), AT)
    other.drop_state(["privacy ledger"])
    stranger.grant(dataset_of(bank), Budget(100.0, 1e-5), AT)
    other.close()
    assert ledger_of(bank.store).accounts()[0].budget == SMALL


@pytest.mark.parametrize("how", ["deleted", "emptied", "rolled back", "cut"])
def test_a_ledger_that_is_gone_or_shorter_opens_nothing(home, bank, tmp_path, how):
    path, ledger = ledger_path(home, "bank-gusu"), ledger_of(bank.store)
    assert ledger.head() == FIRST
    ledger.grant(dataset_of(bank), SMALL, AT)
    shutil.copy(path, tmp_path / "before")
    assert spend(ledger, bank) == 1
    if how == "deleted":
        path.unlink()
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "rolled back":
        shutil.copy(tmp_path / "before", path)
    else:
        with sqlite3.connect(path) as database:
            database.execute("DROP TRIGGER events_stay")
            database.execute("DELETE FROM events WHERE number = 2")
        database.close()
    again = ledger_of(bank.store)
    acts = (
        again.head,
        again.accounts,
        lambda: again.grant(dataset_of(bank), SMALL, AT),
        lambda: again.reserve("next", dataset_of(bank), [Release(5.0)], AT),
        lambda: NodeSource(bank).open(OPENING),
    )
    for act in acts:
        with pytest.raises(PrivacyLedgerCorrupt):
            act()
    assert how != "deleted" or not path.exists()


def test_training_without_noise_is_counted_and_ends_at_the_banks_own_limit(bank, clock):
    bank.set_training_limit(TrainingLimit(timedelta(days=30), 3, 0, 9, 0, 300))
    assert bank.training_limit.runs < default_training_limit().runs
    for _ in range(3):
        assert len(NodeSource(bank).open(OPENING).labels)
    before = len(bank.uses_of(bank.customers(1)[0]))
    with pytest.raises(PrivacyBudgetExceeded, match="3 runs without noise"):
        NodeSource(bank).open(OPENING)
    # No row was read, and the operator's instant moves no period: only the bank's own clock does.
    assert len(bank.uses_of(bank.customers(1)[0])) == before
    later = Content(config=OPENING.config | {"at_us": OPENING.config["at_us"] + 40 * 86_400 * 1_000_000})
    with pytest.raises(PrivacyBudgetExceeded):
        NodeSource(bank).open(later)
    clock[0] = AT + timedelta(days=31)
    assert len(NodeSource(bank).open(OPENING).labels)
    # Such a run has no ε: it grants nothing either.
    with pytest.raises(PrivacyBudgetMissing):
        ledger_of(bank.store).reserve("run", dataset_of(bank), [Release(5.0)], AT)


def test_how_many_of_nearly_the_same_customers_defaulted_is_told_once(bank, clock):
    (grid, *_), everybody = bank.store.peers(), {peer: bank.store.alignment(peer) for peer in bank.store.peers()}

    def opened(without):
        bank.store.put_alignment(grid, everybody[grid][without:])
        return int(NodeSource(bank).open(OPENING).training.sum())

    # Somebody chose whom a grid company brings to the alignment: the difference of two counts is one label.
    whole = opened(0)
    assert opened(0) == whole
    gone = next(n for n in range(1, 40) if _trained(bank, everybody[grid][:n]) == 1)
    with pytest.raises(RowsTooAlike, match="over nearly the same customers"):
        opened(gone)
    far = next(n for n in range(1, 60) if _trained(bank, everybody[grid][:n]) == 20)
    assert opened(far) == whole - 20
    with pytest.raises(RowsTooAlike, match="as many as 2 runs were opened over different customers"):
        opened(len(everybody[grid]))
    clock[0] = AT + timedelta(days=366)
    bank.set_training_limit(TrainingLimit(timedelta(days=30), 300, 0, 9, 0, 300))
    # Without a limit of rows of its own a bank asks for no distance.
    assert opened(gone) == whole - 1


def test_a_few_customers_are_not_counted_at_all(bank):
    """Two whom a grid company brings to the alignment: one of them a defaulter, or the bank's refusal says that both
    are alike."""
    everybody = {peer: bank.store.alignment(peer) for peer in bank.store.peers()}
    for peer, subjects in everybody.items():
        bank.store.put_alignment(peer, subjects[:2])
    with pytest.raises(TooFewRows, match=r"does not count defaults of [0-4] customers"):
        NodeSource(bank).open(OPENING)
    # Nor are all of one class, and that is one of the two sets that a year has.
    table = bank.store.table()
    paid = [
        s for s, label, fold in zip(table.subjects, table.labels, table.folds, strict=True) if label == 0 and fold != 0
    ]
    (grid, *others) = everybody
    for peer in others:
        bank.store.put_alignment(peer, ())
    for begin in (0, 40):
        bank.store.put_alignment(grid, [s for s in everybody[grid] if s in paid][begin : begin + 40])
        with pytest.raises(CorruptData, match="one class only"):
            NodeSource(bank).open(OPENING)
    bank.store.put_alignment(grid, everybody[grid])
    with pytest.raises(RowsTooAlike, match="as many as 2 runs"):
        NodeSource(bank).open(OPENING)


def test_a_bank_that_holds_nobody_out_trains_on_everybody(bank):
    fold = NodeSource(bank).open(OPENING)
    whole = NodeSource(bank).open(Content(config=OPENING.config | {"fold": NOBODY}))
    assert fold.held_out.any()
    assert not whole.held_out.any()
    assert np.array_equal(whole.training, fold.training | fold.held_out)


def test_by_themselves_banks_leave_out_few_whom_no_grid_company_serves(bank, monkeypatch):
    """A run over these too, less one over those in common, is a sum over the few: their labels."""
    alone = Content(config=OPENING.config | {"joint": 0})
    common, whole = (NodeSource(bank).open(each).training for each in (OPENING, alone))
    # Of each fold some 10 are in common with no grid company.
    assert np.array_equal(whole, common)
    bank.store.drop_state(["row sets counted alone"])
    monkeypatch.setattr("federated.protocols.core.node_rows.LEAST_APART", 4)
    assert (NodeSource(bank).open(alone).training & ~common).sum() > 30


def test_a_grid_company_opens_nothing_over_few_customers_nor_over_all_but_one(home, clock):
    """The operator named one position as trained on, and read that customer's row off sketches and counts."""
    store = NodeStore(home / "nodes" / "grid-sip.db")
    store.drop_state(["row sets counted", "row sets fitted"])
    app, _ = session_app(NodeSource(GridNode(store, lambda: clock[0])))
    board = Switchboard(InProcessGrid({2: Seat(app, {})}))
    (name,) = board.introduce()
    marks = {peer: np.ones((1, len(store.alignment(peer)))) for peer in store.peers()}

    def opened(without=(), only=None):
        told = {peer: own.copy() for peer, own in marks.items()}
        told["bank-gusu"][0, list(without)] = 0
        if only is not None:
            told = {peer: np.zeros_like(own) for peer, own in told.items()}
            told["bank-gusu"][0, list(only)] = 1
        arrays = {f"training/{peer}": own for peer, own in told.items()}
        board.ask("query.open", {name: Content(arrays, OPENING.config)})

    try:
        with pytest.raises(TooFewRows, match="opens nothing over 1 customers"):
            opened(only=[3])
        opened()
        opened()
        with pytest.raises(RowsTooAlike, match="nearly the same customers"):
            opened(without=[3])
        opened(without=range(25))
        with pytest.raises(RowsTooAlike, match="nearly the same customers"):
            opened(without=range(26))
    finally:
        store.close()


def test_two_runs_that_begin_at_once_do_not_both_find_the_memory_as_it_was(bank):
    first, second, own = bank.row_sets("counted"), bank.row_sets("counted"), [digests_of(["a", "b"])]
    first.begin(1, own, [(2,)], [first.known(own)], (0,))
    with pytest.raises(RowsTooAlike, match="another run began meanwhile"):
        second.begin(2, own, [(2,)], [second.known(own)], (0,))
    assert [run.number for run in bank.row_sets("counted").known(own).runs] == [1]


def _trained(bank, subjects):
    """How many of these are training rows of fold 0."""
    table = bank.store.table()
    return sum(int(table.folds[table.subjects.index(subject)] != 0) for subject in subjects)
