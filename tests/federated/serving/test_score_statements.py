"""What a bank's node states of a score: what the signature covers, what it tells nobody, and who keeps what."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from small_network import AT

from federated.consent.record import Purpose
from federated.errors import DataMissing, InvalidStatement, InvalidTime, NotPermitted, StatementSignatureInvalid
from federated.models.served.reasons import Reason
from federated.models.served.scaling import logit_of, probability_of
from federated.nodes import statements
from federated.nodes.bank import ToldScore
from federated.nodes.customers import delete_customers
from federated.nodes.node import PartialRequest
from federated.nodes.statements import (
    ScoreStatement,
    ShownReasons,
    SignedStatement,
    as_document,
    is_weak,
    public_key,
    reasons_digest,
    renew_key,
    require_signed,
    shows,
)
from federated.serving import Network, ScoreQuery

NOW = AT + timedelta(days=1)


def statement(**changes):
    score = changes.get("score", 640)
    said = {
        "statement_id": "stm_1",
        "bank_id": "bank-gusu",
        "subject_id": "S1",
        "consent_id": "CONS-1",
        "purpose": Purpose.CREDIT_APPLICATION,
        "score": score,
        "probability": probability_of(logit_of(score)),
        "basis": "joint",
        "reasons_sha256": "ab" * 32,
        "model_version": "v0001",
        "manifest_sha256": "cd" * 32,
        "model_sha256": "ef" * 32,
        "assessed_at": NOW,
        "valid_until": NOW + timedelta(days=30),
    }
    return ScoreStatement(**said | changes)


@pytest.fixture
def network(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "home")
    opened = Network.open(tmp_path / "home", lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def asked(trained):
    """A customer with a grid company's share, and its bank."""
    tables = trained[1].tables
    i = int(np.flatnonzero(tables.opens_electricity & np.array([bool(each) for each in tables.grid_of]))[0])
    bank, subject = tables.bank_of[i], tables.subjects[i]
    return ScoreQuery(bank, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW)


def test_a_statement_says_what_the_answer_says_and_its_node_signed_it(network, asked):
    answer = network.score(asked)
    said = answer.statement.statement
    require_signed(answer.statement)
    for name in ("subject_id", "score", "probability", "grade", "basis", "model_version", "valid_until"):
        assert getattr(said, name) == getattr(answer, name), name
    assert (said.bank_id, said.consent_id, said.purpose) == (asked.bank_id, asked.consent_id, asked.purpose)
    assert said.assessed_at == answer.scored_at == NOW
    manifest = network.oversight.governance.manifest(said.model_version)
    assert said.model_sha256 == manifest.weights_sha256
    assert said.manifest_sha256 == network.oversight.governance.manifest_sha256(said.model_version)
    bank = network.bank_node(asked.bank_id)
    assert answer.statement.public_key == public_key(bank.store)
    # The key signs nothing else: neither messages of training nor masks have it.
    assert network.score(asked).statement.statement.statement_id != said.statement_id


def test_every_field_is_under_the_signature():
    kept = statement()
    other = {
        "statement_id": "stm_2", "bank_id": "bank-taihu", "subject_id": "S2", "consent_id": "CONS-2",
        "purpose": Purpose.LOAN_REVIEW, "basis": "bank_only", "reasons_sha256": "ba" * 32, "model_version": "v0002",
        "manifest_sha256": "dc" * 32, "model_sha256": "fe" * 32, "assessed_at": NOW - timedelta(microseconds=1),
        "valid_until": NOW + timedelta(days=31), "score": 641,
    }  # fmt: skip
    contents = {kept.content(), *(statement(**{name: value}).content() for name, value in other.items())}
    # A probability goes with the score; it is in the bytes all the same.
    assert {each.name for each in fields(kept)} == {*other, "probability"}
    assert len(contents) == 1 + len(other)
    near = replace(kept, probability=kept.probability * (1 + 1e-12))
    assert near.content() != kept.content()
    # No boundary between fields can be moved.
    assert statement(bank_id="ab", subject_id="c").content() != statement(bank_id="a", subject_id="bc").content()


def test_what_was_changed_or_signed_by_another_is_no_statement(network, asked):
    signed = network.score(asked).statement
    other = renew_key(network.bank_node(asked.bank_id).store)
    better = min(850, signed.statement.score + 80)
    for forged in (
        replace(signed, statement=replace(signed.statement, subject_id="somebody-else")),
        replace(
            signed,
            statement=replace(signed.statement, score=better, probability=probability_of(logit_of(better))),
        ),
        replace(signed, public_key=other),
        replace(signed, signature="00" * 64),
    ):
        with pytest.raises(StatementSignatureInvalid):
            require_signed(forged)
    for spoilt in ({"signature": "zz"}, {"signature": signed.signature.upper()}, {"public_key": "ab"}):
        with pytest.raises(InvalidStatement):
            replace(signed, **spoilt)
    # What the key of before signed is still its signature; what follows is the new one's.
    require_signed(signed)
    assert network.score(asked).statement.public_key == other != signed.public_key


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"score": 851}, "score"),
        ({"score": 299}, "score"),
        ({"probability": 0.5}, "probability"),
        ({"probability": float("nan")}, "probability"),
        ({"basis": "guessed"}, "basis"),
        ({"purpose": "curiosity"}, "purpose"),
        ({"subject_id": ""}, "subject_id"),
        ({"statement_id": "a b"}, "statement_id"),
        ({"statement_id": "a\n"}, "statement_id"),
        ({"model_sha256": "AB" * 32}, "model_sha256"),
        ({"reasons_sha256": "ab"}, "reasons_sha256"),
        ({"valid_until": NOW}, "valid_until"),
    ],
)
def test_what_no_statement_can_say_is_refused(changes, field):
    with pytest.raises(InvalidStatement) as refusal:
        statement(**changes)
    assert refusal.value.context["field"] == field


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(InvalidTime):
        statement(assessed_at=datetime(2026, 11, 22))  # noqa: DTZ001
    assert statement(assessed_at=NOW.astimezone(UTC)).content() == statement().content()


def test_reasons_stay_with_the_bank_which_can_show_them(network, asked):
    answer = network.score(asked)
    assert answer.reasons
    document = json.dumps(as_document(answer.statement), ensure_ascii=False)
    for reason in answer.reasons:
        assert reason.en not in document
        assert reason.zh not in document
        assert f'"{reason.code}"' not in document
    bank = network.bank_node(asked.bank_id)
    said = answer.statement.statement
    shown = bank.shown_reasons(said.statement_id)
    assert shown.reasons == answer.reasons
    assert shows(said, shown)
    assert not shows(said, replace(shown, reasons=shown.reasons[1:]))
    # Without the salt a right guess is as good as a wrong one; with the same reasons again the digest is another.
    assert not shows(said, ShownReasons(shown.reasons, "00" * 32))
    assert network.score(asked).statement.statement.reasons_sha256 != said.reasons_sha256
    # Nor does one reason's text run into the next.
    a, b = Reason("B1H", "x", "yz"), Reason("B1H", "xy", "z")
    assert reasons_digest([a], b"s") != reasons_digest([b], b"s")


def test_another_banks_node_has_no_reasons_and_states_nothing_for_it(network, asked):
    answer = network.score(asked)
    other = next(each for each in network.bank_ids if each != asked.bank_id)
    with pytest.raises(DataMissing):
        network.bank_node(other).shown_reasons(answer.statement.statement.statement_id)
    said = answer.statement.statement
    told = ToldScore(said.score, (), said.basis, said.manifest_sha256, said.model_sha256, said.valid_until)
    request = PartialRequest(asked.bank_id, asked.subject_id, asked.consent_id, asked.purpose, NOW, "")
    with pytest.raises(NotPermitted):
        network.bank_node(other).state(request, told)


def test_who_is_deleted_leaves_no_reasons_behind(network, asked):
    answer = network.score(asked)
    bank = network.bank_node(asked.bank_id)
    statement_id = answer.statement.statement.statement_id
    assert bank.shown_reasons(statement_id)
    delete_customers(bank.store, [asked.subject_id], NOW)
    with pytest.raises(DataMissing):
        bank.shown_reasons(statement_id)


def test_a_copy_of_the_store_has_no_key_of_statements(network, asked):
    network.score(asked)
    store = network.bank_node(asked.bank_id).store
    with closing(sqlite3.connect(store.path)) as db:
        ((sealed,),) = db.execute("SELECT value FROM state WHERE key = 'statement key'").fetchall()
    assert sealed.startswith(b"sealed1 ")
    assert statements._key(store).private_bytes_raw() not in store.path.read_bytes()


def test_a_document_reads_back_as_what_was_signed():
    said = statement()
    signed = SignedStatement(said, "ab" * 32, "cd" * 64)
    read = json.loads(json.dumps(as_document(signed)))
    times = {name: datetime.fromisoformat(read["statement"][name]) for name in ("assessed_at", "valid_until")}
    again = ScoreStatement(**read["statement"] | times | {"purpose": Purpose(read["statement"]["purpose"])})
    assert again.content() == said.content()


@pytest.mark.parametrize(
    "point",
    [
        "01" + "00" * 31, "01" + "00" * 30 + "80", "00" * 32, "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ee" + "ff" * 30 + "7f", "ff" * 32,
    ],
)  # fmt: skip
def test_under_a_key_of_small_order_nobody_signed_anything(network, asked, point):
    """With the identity as key, R = identity and S = 0 verify over any message (RFC 8032, section 5.1.7)."""
    signed = network.score(asked).statement
    forged = replace(signed, public_key=point, signature="01" + "00" * 63)
    with pytest.raises(StatementSignatureInvalid):
        require_signed(forged)
    assert is_weak(bytes.fromhex(point))
    assert not is_weak(bytes.fromhex(signed.public_key))
