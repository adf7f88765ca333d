import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
from hand_made import appointed, approved
from small_network import AT

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.consent.uses import Action
from federated.errors import (
    ConsentConflict,
    ConsentExpired,
    ConsentMissing,
    ConsentWithdrawn,
    DataMissing,
    ModelCorrupt,
    NodeUnavailable,
    NotPermitted,
    PurposeNotCovered,
    SchemaMismatch,
    SealBroken,
    VersionNotApproved,
    VersionNotFound,
)
from federated.governance.decisions import Act
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.models.served.reasons import RankedReason, Reason, strongest
from federated.models.served.scaling import logit_of, probability_of, score_of
from federated.nodes.keys import MASK
from federated.nodes.masks import new_secret, public_of, unmasked_sum
from federated.nodes.node import PEER_STATE, PartialRequest, PartialScore
from federated.nodes.seals import SEALED, opened, seal
from federated.privacy.attacks.made_up_scorer import read, reading_scorer
from federated.serving import Basis, Electricity, Network, NoFile, Score, ScoreQuery
from simulations.worlds.wallet import Wallet

NOW = AT + timedelta(days=1)


@pytest.fixture
def network(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "home")
    opened = Network.open(tmp_path / "home", lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def wallet(trained):
    return Wallet.open(trained[0])


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
        logit = model.calibrated(logit, bank, alone=False)
        assert isinstance(score, Score)
        assert score.score == score_of(logit)
        assert score.probability == pytest.approx(probability_of(logit), abs=0.003)
        assert score.probability == probability_of(logit_of(score.score))
        assert (score.basis, score.electricity) == (Basis.JOINT, Electricity.INCLUDED)
        assert (score.model_version, score.data_origin) == ("v0001", "generated")
        assert score.valid_until - score.scored_at == timedelta(days=30)
        assert len(score.reasons) <= 4
        assert all(r.code[0] in "BG" and r.zh and r.en for r in score.reasons)
        assert network.score(query(subject, bank)) == score


def test_reasons_come_from_both_parties(network, trained):
    found = {r.code[0] for s, b, _ in rows(trained[1])[:40] for r in network.score(query(s, b)).reasons}
    assert found == {"B", "G"}


@pytest.mark.parametrize(
    ("wanted", "why"),
    [({"served": False}, Electricity.NOT_CONSENTED), ({"opens": False}, Electricity.NOT_CONSENTED)],
)
def test_without_a_grid_side_the_companion_answers_and_says_so(network, trained, wanted, why):
    home, result = trained
    subject, bank, i = rows(result, **wanted)[0]
    score = network.score(query(subject, bank))
    assert (score.basis, score.electricity) == (Basis.BANK_ONLY, why)
    assert score.score == companion_score(home, result, bank, i)
    assert all(r.code[0] == "B" for r in score.reasons)


def test_where_banks_alone_were_as_good_no_grid_company_is_asked(trained, tmp_path):
    home, result = trained
    shutil.copytree(home, tmp_path / "home")
    registry = ModelRegistry(tmp_path / "home")
    before = registry.manifest("credit", "v0001")
    config = before.config | {"offered": "bank_only: held-out Brier 0.2 with grid companies, 0.1 without"}
    registry.publish(replace(before, version="v0009", config=config), registry.load("credit", "v0001"))
    governance = Governance(tmp_path / "home", registry)
    governance.register(registry.manifest("credit", "v0009"), AT)
    approved(governance, "v0009", AT)
    appointed(governance, "v0009", AT)
    network = Network.open(tmp_path / "home", lambda: NOW)
    try:
        subject, bank, i = rows(result)[0]
        score = network.score(query(subject, bank))
        assert (score.basis, score.electricity) == (Basis.BANK_ONLY, Electricity.NOT_USED)
        assert score.score == companion_score(home, result, bank, i)
        uses = network.grid_node(result.tables.grid_of[i]).uses_of(subject)
        assert not any(use.action is Action.SCORE for use in uses)
    finally:
        network.close()


def companion_score(home, result, bank, i):
    model = ModelRegistry(home).load("credit", "v0001")
    logit = model.bank_only.logits(result.tables.bank_values[i : i + 1])[0]
    return score_of(model.calibrated(logit, bank, alone=True))


def test_a_grid_company_that_is_down_leaves_a_marked_bank_only_answer(network, trained):
    home, result = trained
    subject, bank, i = next(row for row in rows(result) if result.tables.grid_of[row[2]] == "grid-sip")
    other = next(row for row in rows(result) if result.tables.grid_of[row[2]] == "grid-gaoxin")
    network.grid_node("grid-sip").store.close()
    score = network.score(query(subject, bank))
    assert (score.basis, score.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
    assert score.score == companion_score(home, result, bank, i)
    assert network.score(query(other[0], other[1])).electricity is Electricity.INCLUDED


def test_a_grid_company_that_hangs_is_not_waited_for(network, trained, monkeypatch):
    result = trained[1]
    subject, bank, _ = next(row for row in rows(result) if result.tables.grid_of[row[2]] == "grid-sip")
    monkeypatch.setattr("federated.serving.network.GRID_DEADLINE_S", 0.05)
    go_on = threading.Event()
    monkeypatch.setattr(network.grid_node("grid-sip"), "partial", lambda *_, **__: go_on.wait(10))
    score = network.score(query(subject, bank))
    go_on.set()
    assert score.electricity is Electricity.UNAVAILABLE


def test_a_node_whose_store_is_spoilt_does_not_take_the_others_down(trained, tmp_path):
    home, result = tmp_path / "home", trained[1]
    shutil.copytree(trained[0], home)
    for name in ("grid-sip", "bank-taihu"):
        for file in home.glob(f"nodes/{name}.db*"):
            file.unlink()
        (home / "nodes" / f"{name}.db").write_text("no database " * 400)
    opened = Network.open(home, lambda: NOW)
    expected = {"grid-sip": Electricity.UNAVAILABLE, "grid-gaoxin": Electricity.INCLUDED}
    for grid, electricity in expected.items():
        subject = next(s for s, b, i in rows(result) if (b, result.tables.grid_of[i]) == ("bank-gusu", grid))
        assert opened.score(query(subject, "bank-gusu")).electricity is electricity
    with pytest.raises(NodeUnavailable):
        opened.customers("bank-taihu")
    opened.close()


def test_the_operator_sees_masked_shares_and_their_sum(network, trained):
    result = trained[1]
    model = ModelRegistry(trained[0]).load("credit", "v0001")
    grid = network.grid_node("grid-sip")
    shares = []
    for subject, bank_id, i in [r for r in rows(result) if result.tables.grid_of[r[2]] == "grid-sip"][:200]:
        bank = network.bank_node(bank_id)
        request = PartialRequest(bank_id, subject, f"CONS-{subject}", Purpose.LOAN_REVIEW, NOW, "v0001")
        of_grid = grid.partial(request)
        of_bank = bank.partial(request, of_grid).passed_on
        logit = model.joint_bank.logits(result.tables.bank_values[i : i + 1])[0]
        logit += model.joint_grid.logits(result.tables.grid_values[i : i + 1])[0]
        assert unmasked_sum(of_bank.share, of_grid.share) == pytest.approx(logit, abs=1e-8)
        assert grid.partial(request).share == of_grid.share
        shares += [of_bank.share, of_grid.share]
    # Uniform over the ring: the mean of 400 draws lies within four standard errors of the middle.
    assert abs(np.mean([s / 2**64 for s in shares]) - 0.5) < 4 / np.sqrt(12 * len(shares))


def asked(network, result, count):
    """Requests about customers of one bank and one grid company, with both nodes."""
    tables = result.tables
    both = ("bank-gusu", "grid-sip")
    subjects = [s for s, b, i in rows(result) if (b, tables.grid_of[i]) == both][:count]
    requests = [PartialRequest(both[0], s, f"CONS-{s}", Purpose.LOAN_REVIEW, NOW, "v0001") for s in subjects]
    return network.bank_node(both[0]), network.grid_node(both[1]), requests


def test_reasons_pass_the_operator_sealed_and_all_alike(network, trained):
    """With strengths in the clear the operator had the grid company's logit to R² 0.96."""
    bank, grid, requests = asked(network, trained[1], 40)
    seals = [grid.partial(request).sealed for request in requests]
    assert {len(each) for each in seals} == {SEALED}
    assert not any("分位".encode() in each or b"marks of customers" in each for each in seals)
    key = bank.mask_key("grid-sip")
    ranked = [opened(key, r.text(), s) for r, s in zip(requests, seals, strict=True)]
    assert {len(each) for each in ranked} >= {1, 2}
    assert all(r.reason.code[0] == "G" and r.strength >= 1 for each in ranked for r in each)
    # The same question again is sealed under another nonce.
    assert grid.partial(requests[0]).sealed != seals[0]
    # Nothing that the operator is given holds more than a share and a seal.
    assert {f.name for f in fields(PartialScore)} == {"org_id", "share", "sealed"}
    assert bank.partial(requests[0], grid.partial(requests[0])).passed_on.sealed == b""
    assert grid.partial(requests[0], explained=False).sealed == b""


def test_a_seal_that_was_changed_repeated_or_left_out_is_refused(network, trained):
    bank, grid, (first, second) = asked(network, trained[1], 2)
    good = grid.partial(first)
    changed = bytearray(good.sealed)
    changed[-1] ^= 1
    later = replace(first, at=NOW + timedelta(seconds=1))
    for request, sealed in (
        (first, bytes(changed)),
        (first, good.sealed[:-1]),
        (first, b""),
        (second, good.sealed),
        (later, good.sealed),
        (first, seal(b"k" * 32, first.text(), ())),
    ):
        with pytest.raises(SealBroken):
            bank.partial(request, replace(good, sealed=sealed))
        assert bank.uses_of(request.subject_id)[0].outcome == "seal_broken"
    assert bank.partial(first, good).reasons


def test_a_score_with_a_broken_seal_is_refused(network, trained, monkeypatch):
    bank, grid, (first, _) = asked(network, trained[1], 2)
    answers = grid.partial
    monkeypatch.setattr(grid, "partial", lambda *given, **named: replace(answers(*given, **named), sealed=b"other"))
    with pytest.raises(SealBroken):
        network.score(query(first.subject_id, bank.org_id))


def test_what_is_too_long_is_not_sealed():
    long = RankedReason(Reason("G01H", "长" * 700, "long" * 700), 1)
    with pytest.raises(ValueError, match="too long"):
        seal(b"k" * 32, "query", [long])


def made_up(home, version, like="v0001"):
    """A version whose function of electricity data is one column, as an operator would publish it."""
    registry = ModelRegistry(home)
    manifest, model = registry.manifest("credit", like), registry.load("credit", like)
    reads = replace(model, joint_grid=reading_scorer(model.joint_grid.n_features, 0))
    return registry.publish(replace(manifest, version=version), reads)


def test_a_node_computes_nothing_but_an_approved_version(network, trained, tmp_path):
    """With a function of the caller's choice a share was a column of the grid company's, read to six digits."""
    home, tables = tmp_path / "home", trained[1].tables
    subject, bank_id, i = next(r for r in rows(trained[1]) if tables.grid_of[r[2]] == "grid-sip")
    bank, grid = network.bank_node(bank_id), network.grid_node("grid-sip")

    def column(opened, version):
        request = PartialRequest(bank_id, subject, f"CONS-{subject}", Purpose.LOAN_REVIEW, NOW, version)
        # The operator and a bank that takes its mask off for it.
        share = opened.grid_node("grid-sip").partial(request).share
        return unmasked_sum(share, bank._mask(request, "grid-sip"))

    published = made_up(home, "v0666")
    truth = tables.grid_values[i, tables.schema.grid.lending[0]]
    with pytest.raises(VersionNotFound):
        column(network, "v0666")
    governance = Governance(home, ModelRegistry(home))
    governance.register(published, AT)
    with pytest.raises(VersionNotApproved, match="registered"):
        column(network, "v0666")
    # The attack is one: were all banks to approve the column, it would be read.
    approved(governance, "v0666", AT)
    assert read(column(network, "v0666"), truth)
    assert not read(column(network, "v0001"), truth)
    governance.reject("v0666", Act("bank-gusu", AT))
    with pytest.raises(VersionNotApproved, match="rejected"):
        column(network, "v0666")
    # Its weights or its manifest in the place of approved ones are not what was approved.
    folder = home / "registry" / "credit"
    shutil.copy(folder / "v0666" / "weights.npz", folder / "v0001" / "weights.npz")
    exchanged = replace(published, version="v0001").to_json()
    for manifest in ((folder / "v0001" / "manifest.json").read_text(), exchanged):
        (folder / "v0001" / "manifest.json").write_text(manifest)
        again = Network.open(home, lambda: NOW)
        with pytest.raises(ModelCorrupt):
            column(again, "v0001")
        again.close()
    assert grid.partial(PartialRequest(bank_id, subject, f"CONS-{subject}", Purpose.LOAN_REVIEW, NOW, "v0001"))


def test_an_approval_that_has_lapsed_by_the_nodes_clock_opens_nothing(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "home")
    subject, bank_id, _ = next(r for r in rows(trained[1]) if trained[1].tables.grid_of[r[2]] == "grid-sip")
    late = AT + timedelta(days=366)
    opened = Network.open(tmp_path / "home", lambda: late)
    request = PartialRequest(bank_id, subject, f"CONS-{subject}", Purpose.LOAN_REVIEW, late, "v0001")
    for ask in (
        lambda: opened.grid_node("grid-sip").partial(request),
        lambda: opened.bank_node(bank_id).partial(request, None),
    ):
        with pytest.raises(VersionNotApproved, match="expired"):
            ask()
    opened.close()


def test_a_node_knows_its_peers_by_the_keys_that_it_pinned(network, trained, tmp_path):
    bank, grid = network.bank_node("bank-gusu"), network.grid_node("grid-sip")
    strange = public_of(new_secret())
    with pytest.raises(NotPermitted, match="another key"):
        grid.pin_peer("bank-gusu", strange)
    subject = next(s for s, b, _ in rows(trained[1]) if b == "bank-gusu")
    request = PartialRequest("bank-gusu", subject, f"CONS-{subject}", Purpose.LOAN_REVIEW, NOW, "v0001")
    with pytest.raises(NotPermitted, match="knows no key of grid-nobody"):
        bank.partial(request, PartialScore("grid-nobody", 0))
    # A node that comes back with another key is no peer of anybody: masks that do not cancel make no score.
    pinned = bank.store.state(f"{PEER_STATE}grid-sip")
    grid.store.drop_state([MASK])
    again = Network.open(tmp_path / "home", lambda: NOW)
    assert again.broken_ids == ("grid-sip",)
    served = next(r for r in rows(trained[1]) if trained[1].tables.grid_of[r[2]] == "grid-sip")
    assert again.score(query(served[0], served[1])).electricity is Electricity.UNAVAILABLE
    again.close()
    assert bank.store.state(f"{PEER_STATE}grid-sip") == pinned != grid.public_key()


def test_reasons_tell_a_band_and_never_a_value(network, trained):
    schema = trained[1].tables.schema
    texts = {f.high_en for p in (schema.bank, schema.grid) for f in p.features}
    texts |= {f.low_en for p in (schema.bank, schema.grid) for f in p.features}
    for subject, bank, _ in rows(trained[1])[:60]:
        for reason in network.score(query(subject, bank)).reasons:
            if reason.code.endswith("M"):
                continue
            text, low, high = re.fullmatch(
                r"(.*) \(between the (\d+) % and (\d+) % marks of customers\)", reason.en
            ).groups()
            assert text in texts
            assert int(low) % 20 == int(high) % 20 == 0
            assert 0 <= int(low) < int(high) <= 100
            assert reason.zh.endswith(f"（在客户中处于 {low}%–{high}% 分位）")


def test_neutralising_a_stated_reason_improves_the_score(trained):
    model, tables = ModelRegistry(trained[0]).load("credit", "v0001"), trained[1].tables
    better = total = 0
    for _, _, i in rows(trained[1])[:300]:
        for scorer, values in ((model.joint_bank, tables.bank_values[i]), (model.joint_grid, tables.grid_values[i])):
            logit, contributions = scorer.explain(values)
            for j in strongest(contributions):
                changed = values.copy()
                changed[j] = scorer.tables.reference[j]
                better, total = better + int(scorer.logits(changed[None, :])[0] < logit), total + 1
    assert total > 300
    assert better / total >= 0.95


def test_a_version_that_reads_other_columns_is_refused(network, trained):
    registry = ModelRegistry(trained[0])
    manifest = network.champion(NOW)
    odd = replace(manifest, columns=manifest.columns | {"grid": ("night_share",)})
    with pytest.raises(SchemaMismatch, match="grid-gaoxin: columns differ") as refusal:
        network._require_columns(odd, registry.load("credit", "v0001"))
    assert refusal.value.context["party"] == "grid-gaoxin"


def test_a_subject_without_a_file_is_an_answer_of_its_own(network, wallet):
    draft = ConsentRecord(
        "C-new", "FIRM-99999", "bank-gusu", frozenset(Purpose), {DataScope.BANK_FILE}, AT, AT + timedelta(days=9)
    )
    network.record_consent(wallet.sign(draft))
    assert network.score(query("FIRM-99999", "bank-gusu", consent_id="C-new")) == NoFile("FIRM-99999", NOW)


def test_a_bank_cannot_score_another_banks_customer(network, wallet, trained):
    subject, bank, _ = rows(trained[1])[0]
    other = next(b for b in network.bank_ids if b != bank)
    with pytest.raises(ConsentMissing):
        network.score(query(subject, other))
    own = ConsentRecord("C-x", subject, other, frozenset(Purpose), frozenset(DataScope), AT, AT + timedelta(days=9))
    network.record_consent(wallet.sign(wallet.named(own)))
    assert isinstance(network.score(query(subject, other, consent_id="C-x")), NoFile)
    with pytest.raises(NotPermitted):
        network.score(query(subject, "grid-sip"))


def test_consent_is_needed_for_this_purpose_at_this_time(network, trained, tmp_path):
    subject, bank, _ = rows(trained[1])[0]
    with pytest.raises(ConsentMissing):
        network.score(query(subject, bank, consent_id="none"))
    late = AT + timedelta(days=9_999)
    opened = Network.open(tmp_path / "home", lambda: late)
    with pytest.raises(ConsentExpired):
        opened.score(query(subject, bank, at=late))
    opened.close()
    untrained = next(i for i in range(1_500) if not trained[1].tables.trains[i])
    with pytest.raises(PurposeNotCovered):
        network.score(
            query(
                trained[1].tables.subjects[untrained],
                trained[1].tables.bank_of[untrained],
                purpose=Purpose.MODEL_TRAINING,
            )
        )


def test_a_withdrawn_consent_stops_the_next_score(network, wallet, trained):
    subject, bank, _ = rows(trained[1])[0]
    assert isinstance(network.score(query(subject, bank)), Score)
    other = next(b for b in network.bank_ids if b != bank)
    with pytest.raises(ConsentMissing):
        network.withdraw_consent(f"CONS-{subject}", other, NOW, by=other)
    record = network.withdraw_consent(f"CONS-{subject}", bank, NOW, by=bank)
    assert (record.withdrawn_at, record.withdrawn_by) == (NOW, bank)
    with pytest.raises(ConsentWithdrawn):
        network.score(query(subject, bank))
    copies = [network.grid_node(g).consent(f"CONS-{subject}") for g in network.grid_ids]
    assert [each.withdrawn_at for each in copies if each] == [NOW]
    with pytest.raises(ConsentConflict):
        network.record_consent(wallet.sign(replace(record.terms(), valid_until=AT + timedelta(days=5))))


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
        "import sys, federated.serving, federated.nodes.bank, federated.governance.model_registry,"
        " federated.alignment.session; bad = {m.split('.')[0] for m in sys.modules} & {'torch', 'flwr', 'sklearn'};"
        " sys.exit(repr(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
