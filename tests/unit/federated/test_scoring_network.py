import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from small_network import AT

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.errors import (
    ConsentConflict,
    ConsentExpired,
    ConsentMissing,
    ConsentWithdrawn,
    DataMissing,
    NotPermitted,
    PurposeNotCovered,
)
from federated.models.scaling import probability_of, score_of
from federated.registry.store import ModelRegistry
from federated.serving import Basis, Network, NoFile, Score, ScoreQuery

NOW = AT + timedelta(days=1)


@pytest.fixture
def network(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "home")
    opened = Network.open(tmp_path / "home")
    yield opened
    opened.close()


def query(subject, bank, **changes):
    return replace(ScoreQuery(bank, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW), **changes)


def rows(result, **wanted):
    tables = result.tables
    mask = np.array([bool(g) for g in tables.grid_of]) == wanted.get("served", True)
    mask &= tables.opens_electricity == wanted.get("opens", True)
    return [(tables.subjects[i], tables.bank_of[i], i) for i in np.flatnonzero(mask)]


def test_a_score_is_the_sum_of_the_parties_logits(network, trained):
    home, result = trained
    model, tables = ModelRegistry(home).load("credit", "v0001"), result.tables
    for subject, bank, i in rows(result)[:20]:
        score = network.score(query(subject, bank))
        logit = model.joint_bank.logits(tables.bank_values[i : i + 1])[0]
        logit += model.joint_grid.logits(tables.grid_values[i : i + 1])[0]
        assert isinstance(score, Score)
        assert score.probability == pytest.approx(probability_of(logit))
        assert score.score == score_of(logit)
        assert (score.basis, score.model_version, score.data_origin) == (Basis.JOINT, "v0001", "generated")
        assert score.valid_until - score.scored_at == timedelta(days=30)
        assert len(score.reasons) <= 4
        assert all(r.code[0] in "BG" and r.zh and r.en for r in score.reasons)
        assert network.score(query(subject, bank)) == score


def test_reasons_come_from_both_parties(network, trained):
    found = {r.code[0] for s, b, _ in rows(trained[1])[:40] for r in network.score(query(s, b)).reasons}
    assert found == {"B", "G"}


@pytest.mark.parametrize("wanted", [{"served": False}, {"opens": False}])
def test_without_a_grid_side_the_companion_answers_and_says_so(network, trained, wanted):
    home, result = trained
    subject, bank, i = rows(result, **wanted)[0]
    score = network.score(query(subject, bank))
    companion = ModelRegistry(home).load("credit", "v0001").bank_only
    assert score.basis is Basis.BANK_ONLY
    assert score.probability == pytest.approx(probability_of(companion.logits(result.tables.bank_values[i : i + 1])[0]))
    assert all(r.code[0] == "B" for r in score.reasons)


def test_a_subject_without_a_file_is_an_answer_of_its_own(network):
    network.record_consent(
        ConsentRecord(
            "C-new", "FIRM-99999", "bank-gusu", frozenset(Purpose), frozenset(DataScope), AT, AT + timedelta(days=9)
        )
    )
    assert network.score(query("FIRM-99999", "bank-gusu", consent_id="C-new")) == NoFile("FIRM-99999", NOW)


def test_a_bank_cannot_score_another_banks_customer(network, trained):
    subject, bank, _ = rows(trained[1])[0]
    other = next(b for b in network.bank_ids if b != bank)
    with pytest.raises(ConsentMissing):
        network.score(query(subject, other))
    own = ConsentRecord("C-x", subject, other, frozenset(Purpose), frozenset(DataScope), AT, AT + timedelta(days=9))
    network.record_consent(own)
    assert isinstance(network.score(query(subject, other, consent_id="C-x")), NoFile)
    with pytest.raises(NotPermitted):
        network.score(query(subject, "grid-sip"))


def test_consent_is_needed_for_this_purpose_at_this_time(network, trained):
    subject, bank, _ = rows(trained[1])[0]
    with pytest.raises(ConsentMissing):
        network.score(query(subject, bank, consent_id="none"))
    with pytest.raises(ConsentExpired):
        network.score(query(subject, bank, at=AT + timedelta(days=9_999)))
    untrained = next(i for i in range(1_500) if not trained[1].tables.trains[i])
    with pytest.raises(PurposeNotCovered):
        network.score(
            query(
                trained[1].tables.subjects[untrained],
                trained[1].tables.bank_of[untrained],
                purpose=Purpose.MODEL_TRAINING,
            )
        )


def test_a_withdrawn_consent_stops_the_next_score(network, trained):
    subject, bank, _ = rows(trained[1])[0]
    assert isinstance(network.score(query(subject, bank)), Score)
    other = next(b for b in network.bank_ids if b != bank)
    with pytest.raises(ConsentMissing):
        network.withdraw_consent(f"CONS-{subject}", other, NOW)
    record = network.withdraw_consent(f"CONS-{subject}", bank, NOW)
    assert record.withdrawn_at == NOW
    with pytest.raises(ConsentWithdrawn):
        network.score(query(subject, bank))
    assert all(network.grid_node(g).consent(f"CONS-{subject}").withdrawn_at == NOW for g in network.grid_ids)
    with pytest.raises(ConsentConflict):
        network.record_consent(replace(record, withdrawn_at=None, valid_until=AT + timedelta(days=5)))


def test_customers_and_consents_are_paged(network):
    first = network.customers("bank-gusu", limit=3)
    assert len(first) == 3
    assert network.customers("bank-gusu", limit=1, after=first[0]) == [first[1]]
    page = network.consents("bank-gusu", limit=2)
    assert [c.bank_id for c in page] == ["bank-gusu"] * 2
    assert network.consent(page[0].consent_id, "bank-gusu") == page[0]
    with pytest.raises(NotPermitted):
        network.customers("grid-sip")


def test_scores_from_many_threads_are_the_same(network, trained):
    asked = [query(subject, bank) for subject, bank, _ in rows(trained[1])[:12]]
    expected = [network.score(q) for q in asked]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(network.score, asked * 4)) == expected * 4


def test_an_empty_home_is_missing_data(tmp_path):
    with pytest.raises(DataMissing):
        Network.open(tmp_path)


def test_serving_loads_neither_torch_nor_flower():
    code = (
        "import sys, federated.serving, federated.serving.building, federated.nodes.bank, federated.registry.store,"
        " federated.alignment.session; bad = {m.split('.')[0] for m in sys.modules} & {'torch', 'flwr', 'sklearn'};"
        " sys.exit(repr(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
