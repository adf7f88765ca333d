"""The log of uses tells a subject exactly what was done, and shows when somebody rewrote it."""

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from small_network import AT

from federated.consent.record import Purpose
from federated.consent.uses import Action, Use, UseLog
from federated.errors import ConsentMissing, ConsentWithdrawn, NodeUnavailable, PurposeNotCovered, UseLogTampered
from federated.nodes.store import NodeStore
from federated.serving import Electricity, Network, ScoreQuery

NOW = AT + timedelta(days=1)
USE = Use(AT, Action.SCORE, "bank-gusu", "loan_review", "answered", "S-1", "C-1")


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


@pytest.fixture
def log(db):
    found = UseLog(db)
    found.append(USE)
    found.append_batch(
        Use(AT, Action.TRAINING, "bank-gusu", "model_training", "answered"), {f"S-{i}": f"C-{i}" for i in range(40)}
    )
    found.append(replace(USE, at=NOW, subject_id="S-2", consent_id="C-2", outcome="consent_withdrawn"))
    return found


def test_a_subject_is_told_of_single_uses_and_of_batches_that_it_was_in(log):
    assert log.verify() == 3
    first, second = log.of_subject("S-2")
    assert (first.outcome, first.number, first.size) == ("consent_withdrawn", 3, 1)
    assert (second.action, second.subject_id, second.consent_id, second.size) == (Action.TRAINING, "S-2", "C-2", 40)
    assert [use.action for use in log.of_subject("S-1")] == [Action.TRAINING, Action.SCORE]
    assert log.of_subject("S-99") == []


def test_a_batch_that_comes_again_is_kept_once(db, log):
    again = Use(NOW, Action.ALIGNMENT, "bank-gusu", "model_training", "answered")
    log.append_batch(again, {f"S-{i}": f"C-{i}" for i in range(40)})
    assert db.execute("SELECT COUNT(*) FROM use_batches").fetchone() == (40,)
    assert [use.action for use in log.of_subject("S-7")] == [Action.ALIGNMENT, Action.TRAINING]
    assert log.verify() == 4


def test_entries_are_neither_edited_nor_deleted(db, log):
    for statement in ("UPDATE uses SET outcome = 'no_file'", "DELETE FROM uses WHERE number = 3"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)


COLUMNS = {
    "at_us": 1,
    "action": "review",
    "organisation": "bank-jinji",
    "purpose": "x",
    "outcome": "no_file",
    "subject_id": "S-9",
    "consent_id": "C-9",
    "batch": "f" * 64,
    "size": 7,
    "hash": "0" * 64,
    "number": 9,
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_edited_entry_breaks_the_chain(db, log, column, number):
    db.execute("DROP TRIGGER uses_not_edited")
    db.execute(f"UPDATE uses SET {column} = ? WHERE number = ?", (COLUMNS[column], number))
    with pytest.raises(UseLogTampered):
        log.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM uses WHERE number = 1",
        "DELETE FROM uses WHERE number = 2",
        "DELETE FROM use_batches WHERE subject_id = 'S-3'",
        "UPDATE use_batches SET subject_id = 'S-99' WHERE subject_id = 'S-3'",
        "UPDATE use_batches SET consent_id = 'C-99' WHERE subject_id = 'S-3'",
        "INSERT INTO use_batches SELECT batch, 'S-99', 'C-99' FROM use_batches LIMIT 1",
        "INSERT INTO uses SELECT 4, at_us, action, organisation, purpose, outcome, subject_id, consent_id, batch, size,"
        " hash FROM uses WHERE number = 1",
    ],
)
def test_what_was_taken_out_or_put_in_breaks_it_too(db, log, statement):
    db.execute("DROP TRIGGER uses_not_deleted")
    db.execute(statement)
    with pytest.raises(UseLogTampered):
        log.verify()


@pytest.fixture
def someone(trained):
    tables = trained[1].tables
    row = next(i for i, found in enumerate(tables.joint) if found and tables.grid_of[i] == "grid-sip")
    return tables.subjects[row], tables.bank_of[row]


def ask(network, subject, bank, **changes):
    query = ScoreQuery(bank, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW)
    return network.score(replace(query, **changes))


def test_training_and_alignment_are_told_at_every_node_that_used_the_data(network, someone):
    subject, bank = someone
    found, silent = network.uses_of(subject)
    assert silent == ()
    told = {org: {use.action for use in uses} for org, uses in found.items()}
    assert told[bank] == told["grid-sip"] == {Action.ALIGNMENT, Action.TRAINING}
    assert [told[org] for org in told if org not in {bank, "grid-sip"}] == [set()] * 3
    for use in found["grid-sip"]:
        assert (use.organisation, use.purpose, use.consent_id) == (bank, "model_training", f"CONS-{subject}")
        assert use.size > 1


def test_scores_and_refusals_are_told_at_bank_and_grid_company(network, someone):
    subject, bank = someone
    other = next(each for each in network.bank_ids if each != bank)
    ask(network, subject, bank)
    with pytest.raises(ConsentMissing):
        ask(network, subject, other)
    with pytest.raises(ConsentMissing):
        ask(network, subject, bank, consent_id="C-guess")
    network.withdraw_consent(f"CONS-{subject}", bank, NOW, by="subject")
    with pytest.raises(ConsentWithdrawn):
        ask(network, subject, bank)
    found, _ = network.uses_of(subject)
    told = {org: [(use.action.value, use.organisation, use.outcome) for use in uses] for org, uses in found.items()}
    assert told[bank][:4] == [
        ("score", bank, "consent_withdrawn"),
        ("withdrawal", "subject", "unsigned"),
        ("score", bank, "consent_missing"),
        ("score", bank, "answered"),
    ]
    assert told[other] == [("score", other, "consent_missing")]
    assert told["grid-sip"][:2] == [("withdrawal", "subject", "unsigned"), ("score", bank, "answered")]
    # Whom the consent does not name hears nothing of the customer.
    assert told["grid-gaoxin"] == []


def test_a_review_names_who_was_counted(network, someone):
    subject, bank = someone
    network.feature_drift(NOW)
    found, _ = network.uses_of(subject)
    assert {org for org, uses in found.items() if Action.REVIEW in {use.action for use in uses}} == {bank, "grid-sip"}


def test_a_refused_purpose_is_logged_before_it_is_refused(network, trained):
    tables = trained[1].tables
    row = next(i for i in range(len(tables.subjects)) if not tables.trains[i])
    subject, bank = tables.subjects[row], tables.bank_of[row]
    with pytest.raises(PurposeNotCovered):
        ask(network, subject, bank, purpose=Purpose.MODEL_TRAINING)
    (use,) = network.bank_node(bank).uses_of(subject)
    assert (use.purpose, use.outcome) == ("model_training", "purpose_not_covered")


def spoil(home, org, statement):
    with sqlite3.connect(home / "nodes" / f"{org}.db") as db:
        db.execute("DROP TRIGGER uses_not_edited")
        db.execute("DROP TRIGGER uses_not_deleted")
        assert db.execute(statement).rowcount >= 1
    db.close()


def test_a_node_whose_log_was_rewritten_answers_nothing_more(home, someone):
    subject, bank = someone
    spoil(home, bank, "UPDATE uses SET organisation = 'nobody' WHERE number = 1")
    spoil(home, "grid-sip", "UPDATE use_batches SET subject_id = 'FIRM-x' WHERE subject_id = "
          f"'{subject}'")  # fmt: skip
    with pytest.raises(UseLogTampered):
        NodeStore(home / "nodes" / f"{bank}.db")
    opened = Network.open(home, lambda: NOW)
    assert set(opened.broken_ids) == {bank, "grid-sip"}
    with pytest.raises(NodeUnavailable):
        ask(opened, subject, bank)
    assert set(opened.uses_of(subject)[1]) == {bank, "grid-sip"}
    opened.close()


def test_a_log_rewritten_while_the_node_runs_is_noticed_before_the_subject_is_told(home, network, someone):
    subject, _ = someone
    spoil(home, "grid-sip", "UPDATE uses SET purpose = 'loan_review'")
    assert network.uses_of(subject)[1] == ("grid-sip",)


def test_a_withdrawal_taken_out_of_one_file_is_still_refused(home, someone):
    subject, bank = someone
    opened = Network.open(home, lambda: NOW)
    opened.withdraw_consent(f"CONS-{subject}", bank, NOW, by="subject")
    # More entries follow, so the withdrawal is not simply cut off at the end.
    with pytest.raises(ConsentWithdrawn):
        ask(opened, subject, bank)
    spoil(home, bank, "DELETE FROM uses WHERE action = 'withdrawal'")
    # The running bank no longer sees it, but every grid company does.
    with pytest.raises(ConsentWithdrawn):
        ask(opened, subject, bank)
    opened.close()
    opened = Network.open(home, lambda: NOW)
    with pytest.raises(NodeUnavailable):
        ask(opened, subject, bank)
    opened.close()


def test_a_grid_company_with_a_broken_log_leaves_a_marked_bank_only_answer(home, someone):
    subject, bank = someone
    spoil(home, "grid-sip", "UPDATE uses SET size = size + 1")
    opened = Network.open(home, lambda: NOW)
    assert ask(opened, subject, bank).electricity is Electricity.UNAVAILABLE
    opened.close()
