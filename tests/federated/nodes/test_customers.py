"""Customers arrive, change and leave in a node's store: whole batches or nothing, and a deletion leaves nothing."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from arriving import AT, BANK, DAY, GRID, all_of, batch, bytes_of, digest_of, store_of, values_for

from federated.alignment import psi
from federated.alignment.session import AlignmentSession
from federated.consent.record import Purpose
from federated.consent.uses import Action, Use
from federated.errors import CorruptData, InvalidTime, NodeUnavailable, NotPermitted, SchemaMismatch
from federated.nodes import store as stores
from federated.nodes.bank import BankNode
from federated.nodes.customers import Outcomes, delete_customers, folds_of, holdings, load_customers, set_outcomes
from federated.nodes.keys import TO_SCRUB
from federated.nodes.row_sets import NAME, digests_of
from federated.nodes.store import NodeStore


@pytest.fixture
def bank(tmp_path):
    opened = store_of(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def grid(tmp_path):
    opened = store_of(tmp_path, GRID)
    yield opened
    opened.close()


def test_a_load_adds_changes_and_leaves_others(bank):
    before, told = bank.table(), bank.data_sha256
    done = load_customers(bank, [batch("XB"), batch("Y", first=90.0, line=3)])
    assert (done.rows, done.added, done.changed, done.unchanged, done.customers) == (3, 2, 1, 0, 6)
    after = bank.table()
    assert after.subjects == ("A", "B", "C", "D", "X", "Y")
    np.testing.assert_array_equal(after.values[[1, 4, 5]], np.vstack([values_for("XB")[::-1], values_for("Y", 90.0)]))
    np.testing.assert_array_equal(after.values[[0, 2, 3]], before.values[[0, 2, 3]])
    # A file without outcomes leaves them; who is new has none, which is not 0.
    assert after.labels.tolist() == [0, 1, 0, 1, -1, -1]
    assert np.isnan(bank.values_of("X")[3])
    assert done.data_sha256 == bank.data_sha256 == digest_of(bank) != told


def test_the_same_again_changes_nothing_and_a_correction_is_a_load(bank):
    first = load_customers(bank, [batch("XY", [0, -1])])
    again = load_customers(bank, [batch("XY", [0, -1])])
    assert (again.unchanged, again.added, again.changed) == (2, 0, 0)
    assert again.data_sha256 == first.data_sha256
    corrected = load_customers(bank, [batch("XY", [-1, 1])])
    assert (corrected.changed, corrected.unchanged) == (2, 0)
    assert bank.table().labels.tolist() == [0, 1, 0, 1, -1, 1]
    assert corrected.data_sha256 == digest_of(bank) != first.data_sha256


def test_a_fold_follows_from_the_id_alone_and_who_has_one_keeps_it(tmp_path):
    many = [f"S-{i}" for i in range(2_000)]
    one, other = store_of(tmp_path / "one"), store_of(tmp_path / "other", subjects="DCBA")
    load_customers(one, [batch(many, [i % 2 for i in range(len(many))])])
    for part in (many[1_500:], many[:1_500][::-1]):
        load_customers(other, [batch(part)])
    kept = one.table()
    folds = dict(zip(kept.subjects, kept.folds.tolist(), strict=True))
    assert {s: f for s, f in folds.items() if len(s) > 1} == dict(zip(many, folds_of(many).tolist(), strict=True))
    theirs = dict(zip(other.table().subjects, other.table().folds.tolist(), strict=True))
    assert all(theirs[subject] == folds[subject] for subject in many)
    assert np.bincount(folds_of(many), minlength=5).min() > 340
    # As fixed as a format: another rule would put customers of before into other folds.
    assert folds_of(["FIRM-00001", "FIRM-00002", "CUSTOMER-000000007"]).tolist() == [2, 2, 3]
    load_customers(one, [batch("ABCD")])
    assert one.table().folds[:4].tolist() == [0, 1, 2, 3]
    for store in (one, other):
        store.close()


def test_outcomes_come_later_are_corrected_and_taken_back(bank):
    load_customers(bank, [batch("XYZ")])
    values = bank.table().values
    done = set_outcomes(bank, [Outcomes(["X", "Y", "A"], np.array([1, 0, 0]), range(1, 4))])
    assert (done.rows, done.added, done.changed, done.unchanged) == (3, 0, 2, 1)
    assert bank.table().labels.tolist() == [0, 1, 0, 1, 1, 0, -1]
    assert done.data_sha256 == digest_of(bank)
    set_outcomes(bank, [Outcomes(["X"], np.array([0]), [1]), Outcomes(["A"], np.array([-1]), [2])])
    assert bank.table().labels.tolist() == [-1, 1, 0, 1, 0, 0, -1]
    np.testing.assert_array_equal(bank.table().values, values)


def test_an_outcome_of_somebody_unknown_is_refused_and_none_is_set(bank, grid):
    before = all_of(bank)
    with pytest.raises(
        CorruptData, match="bank-gusu: column outcome line 8 is the outcome of a customer without a file"
    ):
        set_outcomes(bank, [Outcomes(["A", "Q"], np.array([1, 1]), [7, 8])])
    with pytest.raises(CorruptData, match="column outcome line 2 is neither 0 nor 1"):
        set_outcomes(bank, [Outcomes(["A", "B"], np.array([1, 2]), [1, 2])])
    with pytest.raises(NotPermitted, match="keeps no outcomes"):
        set_outcomes(grid, [Outcomes(["A"], np.array([1]), [1])])
    assert all_of(bank) == before


WRONG = {
    "an infinite number": (lambda b: np.put(b.values, 9, np.inf), CorruptData, "column current_ratio line 2"),
    "an id again": (lambda b: b.subjects.__setitem__(1, "X"), CorruptData, "line 2 has the id of line 1 again"),
    "an id of the batch before": (
        lambda b: b.subjects.__setitem__(1, "W"), CorruptData, "column subject_id line 2 has the id of line 9"
    ),
    "no id": (lambda b: b.subjects.__setitem__(1, ""), CorruptData, "column subject_id line 2 is no id"),
    "a name for an id": (lambda b: b.subjects.__setitem__(0, "Zhang San"), CorruptData, "column subject_id line 1"),
    "a wide digit": (lambda b: b.subjects.__setitem__(0, "１"), CorruptData, "column subject_id line 1"),
    "a long id": (lambda b: b.subjects.__setitem__(0, "x" * 65), CorruptData, "column subject_id line 1"),
    "two lines for an id": (lambda b: b.subjects.__setitem__(0, "a\nb"), CorruptData, "column subject_id line 1"),
    "another outcome": (lambda b: np.put(b.outcomes, 1, 2), CorruptData, "column outcome line 2"),
    "too few columns": (lambda b: replace(b, values=b.values[:, :7]), SchemaMismatch, "expected 8 columns"),
    "a batch without outcomes": (lambda b: replace(b, outcomes=None), SchemaMismatch, "batches come with outcomes"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_nothing_of_a_refused_load_is_there(bank, what):
    spoil, refusal, said = WRONG[what]
    good, bad = batch("W", [1], line=9), batch("XYZ", [0, 1, -1])
    bad = spoil(bad) or bad
    before = all_of(bank)
    with pytest.raises(refusal, match=said) as refused:
        load_customers(bank, [good, bad])
    assert refused.value.context["party"] == BANK
    assert all_of(bank) == before
    assert bank.data_sha256 == digest_of(bank)


def test_a_load_of_nothing_is_refused(bank):
    with pytest.raises(CorruptData, match="bank-gusu: no rows"):
        load_customers(bank, [])


def test_values_of_meters_come_with_their_days_and_never_go_back(grid):
    load_customers(grid, [batch("AX", until=DAY - 1)], AT)
    # The same days again are a correction.
    load_customers(grid, [batch("A", first=50.0, until=DAY - 1)], AT)
    held, before = holdings(grid), all_of(grid)
    assert (held.read_from, held.read_until, held.without_period) == ("2025-11-30", "2026-11-29", 3)
    backwards = replace(batch("X", until=DAY), read_from=np.array([DAY + 1]))
    for wrong, refusal, said in (
        (batch("YA", until=DAY - 2), InvalidTime, "line 2 has readings of before those that are there"),
        (batch("Y", until=DAY + 1), InvalidTime, "line 1 has readings of the future"),
        (backwards, CorruptData, "column read_from line 1 is after its read_until"),
        (batch("Y"), SchemaMismatch, "come with the days that they are of"),
        (batch("Y", [1], until=DAY), SchemaMismatch, "keeps no outcomes"),
    ):
        with pytest.raises(refusal, match=said):
            load_customers(grid, [wrong], AT)
    assert all_of(grid) == before
    assert holdings(grid).folds == {"-1": 5}


def test_others_read_and_write_while_a_load_arrives(bank):
    def arriving():
        for line, subject in enumerate("XYZ", start=1):
            bank.put_state({f"while {subject}": b"1"})
            assert bank.count() == 4
            yield batch(subject, line=line)

    done = load_customers(bank, arriving())
    assert (done.customers, bank.state("while Z")) == (7, b"1")


def test_a_store_that_somebody_writes_to_for_long_is_left_as_it_is(bank, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(stores.sqlite3, "connect", lambda *given, **named: connect(*given, **named | {"timeout": 0.05}))
    with closing(connect(bank.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NodeUnavailable):
            load_customers(bank, [batch("X")])
        other.execute("ROLLBACK")
    assert bank.count() == 4


KILLED = """
import sqlite3, sys, time
from arriving import batch
from pathlib import Path
from federated.nodes import store as stores
from federated.nodes.customers import delete_customers, load_customers

def stop():
    print("now", flush=True)
    time.sleep(60)

def opened(*given, **named):
    db = connect(*given, **named)
    db.set_trace_callback(traced)
    return db

connect, armed, how = sqlite3.connect, [], sys.argv[2]
store = stores.NodeStore(Path(sys.argv[1]))
stores.sqlite3.connect = opened

def arriving():
    yield batch([f"S-{i}" for i in range(3_000)])
    if how == "arriving":
        stop()
    yield batch("AX", line=3_001)

def traced(statement):
    if statement.strip().startswith(("INSERT INTO files", "DELETE FROM files")):
        armed.append(statement)
    if statement == "COMMIT" and armed:
        stop()

if how == "leaving":
    delete_customers(store, ["A"])
else:
    load_customers(store, arriving())
"""


@pytest.mark.parametrize("how", ["arriving", "writing", "leaving"])
def test_a_process_that_is_killed_half_way_leaves_the_store_as_it_was(bank, how, tmp_path):
    """Between two batches, and with all rows written and not committed: kill -9 asks nobody."""
    before, digest = all_of(bank), bank.data_sha256
    script = textwrap.dedent(KILLED)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(bank.path), how],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == b"now\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert all_of(bank) == before
    assert b"S-2999" not in bytes_of(bank) or how == "writing"
    again = NodeStore(bank.path)
    assert (again.data_sha256, digest_of(again)) == (digest, digest)
    assert load_customers(again, [batch("AX")]).added == 1
    again.close()


def test_a_hash_that_somebody_changes_rows_under_is_not_kept(bank, monkeypatch):
    load_customers(bank, [batch("X")])
    with bank.connected() as db:
        stores.clear_digest(db)
    hashed, once = stores._hashed, []

    def slowly(*row):
        if not once:
            once.append(None)
            once[0] = load_customers(NodeStore(bank.path), [batch("Y")])
        return hashed(*row)

    # Of one snapshot: who asked before Y came is told the hash of before.
    before = digest_of(bank)
    monkeypatch.setattr(stores, "_hashed", slowly)
    assert bank.data_sha256 == before
    assert bank.data_sha256 == once[0].data_sha256 == digest_of(bank)


def test_another_process_sees_what_was_loaded_and_its_hash(bank):
    other = NodeStore(bank.path)
    told = other.data_sha256
    load_customers(bank, [batch("X")])
    assert np.isnan(other.values_of("X")[3])
    assert other.data_sha256 == digest_of(bank) != told
    other.close()


def test_a_store_of_before_takes_periods(grid):
    with closing(sqlite3.connect(grid.path)) as db:
        for column in ("read_from", "read_until"):
            db.execute(f"ALTER TABLE files DROP COLUMN {column}")
    old = NodeStore(grid.path)
    assert old.data_sha256 == digest_of(old)
    assert load_customers(old, [batch("X", until=DAY)], AT).customers == 5
    old.close()


def filled(store, subject):
    """The values of a customer that the store holds, as its bytes: nothing else there looks like them."""
    return store.values_of(subject).astype("<f8").tobytes()


def test_a_deletion_leaves_neither_id_nor_values_in_the_file(bank):
    many = [f"CUSTOMER-{i:05d}" for i in range(1_500)]
    load_customers(bank, [batch(many, [i % 2 for i in range(len(many))])])
    # Corrected and moved about: pages were split, and older versions lie in free space.
    load_customers(bank, [batch(many[::-1], [i % 2 for i in range(len(many))], first=1e6)])
    gone = many[700:705]
    traces = [text.encode() for text in gone] + [filled(bank, subject) for subject in gone]
    old = values_for(many)[700:705].astype("<f8")
    assert all(trace in bytes_of(bank) for trace in traces)
    done = delete_customers(bank, gone, AT)
    assert (done.deleted, done.unknown, done.customers, done.scrubbed) == (5, (), 1_499, True)
    left = bytes_of(bank)
    assert [trace for trace in [*traces, *[row.tobytes() for row in old]] if trace in left] == []
    assert many[699].encode() in left
    assert done.data_sha256 == bank.data_sha256 == digest_of(bank)
    assert bank.values_of(gone[0]) is None
    again = delete_customers(bank, gone, AT)
    assert (again.deleted, again.unknown, again.data_sha256) == (0, tuple(gone), done.data_sha256)


def test_what_an_earlier_version_left_in_free_pages_is_gone_too(bank):
    many = [f"CUSTOMER-{i:05d}" for i in range(600)]
    with closing(sqlite3.connect(bank.path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = OFF")
        insert = "INSERT INTO files (subject_id, features) VALUES (?, ?)"
        db.executemany(insert, [(each, values_for([each]).tobytes()) for each in many])
        db.execute("DELETE FROM files WHERE subject_id LIKE 'CUSTOMER-%'")
    load_customers(bank, [batch(many[300:301])])
    assert (bank.count(), bytes_of(bank).count(b"CUSTOMER-00299") > 0) == (5, True)
    other = NodeStore(bank.path)
    assert other.count() == 5
    assert delete_customers(bank, many[300:301], AT).scrubbed
    assert b"CUSTOMER-" not in bytes_of(bank)
    assert other.count() == 4
    other.close()


@pytest.mark.parametrize("how", ["somebody asks again", "the store is used next"])
def test_what_cannot_be_cleared_now_is_made_up_for(bank, monkeypatch, how):
    load_customers(bank, [batch(["CUSTOMER-1", "CUSTOMER-2"])])
    monkeypatch.setattr(NodeStore, "scrub", lambda _: False)
    done = delete_customers(bank, ["CUSTOMER-1"], AT)
    assert (done.deleted, done.scrubbed, bank.state(TO_SCRUB)) == (1, False, b"1")
    assert bank.values_of("CUSTOMER-1") is None
    monkeypatch.undo()
    assert b"CUSTOMER-1" in bytes_of(bank)
    if how == "somebody asks again":
        assert delete_customers(bank, ["CUSTOMER-1"], AT).scrubbed
    else:
        BankNode(bank).public_key()
    assert bank.state(TO_SCRUB) is None
    assert b"CUSTOMER-1" not in bytes_of(bank)


def test_a_place_in_an_alignment_stays_and_is_empty(bank):
    load_customers(bank, [batch(["CUSTOMER-1"])])
    bank.put_alignment(GRID, ["C", "CUSTOMER-1", "A"])
    done = delete_customers(bank, ["CUSTOMER-1", "D"], AT)
    # The peer has a row at the same place: taken out, all later rows would be others' there.
    assert (bank.alignment(GRID), done.places) == (("C", "", "A"), {GRID: 1})
    assert [kept.what for kept in done.kept] == [GRID, "books", "backups"]
    # An alignment that ends after somebody was deleted has no id of theirs either.
    bank.put_alignment(GRID, ["D", "A", "CUSTOMER-1"])
    assert bank.alignment(GRID) == ("", "A", "")
    assert b"CUSTOMER-1" not in bytes_of(bank)


def test_an_alignment_under_way_ends_without_the_deleted(bank, grid):
    sides = AlignmentSession(bank, GRID), AlignmentSession(grid, BANK)
    points = [
        side.blind({s: psi.element(s, b"x" * 32) for s in own}) for side, own in zip(sides, ("ABC", "BCD"), strict=True)
    ]
    delete_customers(bank, ["B"], AT)
    assert "B" not in json.loads(bank.state(f"psi/{GRID}/order"))
    tags = sides[0].double(points[1]), sides[1].double(points[0])
    (mine, digest), (theirs, same) = sides[0].match(tags[1]), sides[1].match(tags[0])
    assert (mine, digest) == (theirs, same)
    pairs = set(zip(bank.alignment(GRID), grid.alignment(BANK), strict=True))
    assert pairs == {("", "B"), ("C", "C")}


def test_evidence_and_what_protects_the_deleted_are_kept_and_named(bank):
    node = BankNode(bank, lambda: AT)
    window = node.training_limit.window
    with bank.consents(write=True) as consents:
        consents.uses.append(Use(AT, Action.SCORE, BANK, "loan_review", "answered", "A", "C-A"))
    node.log_batch(Action.TRAINING, BANK, Purpose.MODEL_TRAINING, AT, {"A": "C-A", "B": "C-B"})
    # One run that counts still, with A in it, and one that no limit counts any more.
    early = BankNode(bank, lambda: AT - window - timedelta(days=1)).row_sets("fitted")
    early.begin(1, [digests_of(["A", "B"])], [[2]], [early.known([digests_of(["A", "B"])])], [0])
    sets = node.row_sets("counted")
    sets.begin(2, [digests_of(["A", "B"])], [[2]], [sets.known([digests_of(["A", "B"])])], [0])
    done = delete_customers(bank, ["A"], AT)
    kept = {each.what: each for each in done.kept}
    assert list(kept) == ["use log", "model weights", "memory of runs", "books", "backups"]
    assert (kept["use log"].count, kept["model weights"].count, kept["memory of runs"].count) == (2, 1, 1)
    assert kept["memory of runs"].until == AT + window
    # The log is whole, and the difference to that run is told still: without the digest it would be one label.
    assert [use.action for use in node.uses_of("A")] == [Action.TRAINING, Action.SCORE]
    # B is in both runs, and one more was in the earlier one.
    assert node.row_sets("counted").known([digests_of(["B"])]).cells == ({0b10: 1, 0b11: 1},)
    remembered = digests_of(["A"]).astype("<u8").tobytes()
    assert remembered not in bank.state(f"{NAME}fitted")
    assert remembered in bank.state(f"{NAME}counted")


def test_what_is_no_id_or_is_named_twice_is_not_deleted(bank):
    for named in (["A", "A"], ["A", "no id"]):
        with pytest.raises(CorruptData, match="subject_id line 2"):
            delete_customers(bank, named, AT)
    assert bank.count() == 4


def test_holdings_are_numbers_and_no_rows(bank):
    load_customers(bank, [batch(["CUSTOMER-1", "CUSTOMER-2"], [1, -1])])
    bank.put_alignment(GRID, ["A", "CUSTOMER-1"])
    held = holdings(bank)
    assert (held.party, held.role, held.schema_id, held.customers) == (BANK, "bank", "generated-firms", 6)
    assert held.outcomes == {"-1": 1, "0": 2, "1": 3}
    assert sum(held.folds.values()) == 6
    assert (held.alignments, held.consents, held.uses) == ({GRID: 2}, 0, 0)
    assert held.data_sha256 == digest_of(bank)
    assert "CUSTOMER" not in repr(held)
