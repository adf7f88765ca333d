"""The customer's story from consent to refusal, on generated firms and, where the files are there, on real clients."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hand_made import in_use

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.errors import ConsentWithdrawn, ModelNotFound
from federated.protocols.operator_run import Reporter
from federated.protocols.protected.protocol import ProtectedProtocol
from federated.serving import Basis, Electricity, Network, NoFile, Score, ScoreQuery
from simulations.experiments.vertical_credit.pipeline import run
from simulations.worlds.credit_population import generate_population
from simulations.worlds.taiwan import read_taiwan
from simulations.worlds.wallet import Wallet

ROOT = Path(__file__).resolve().parents[2]
TAIWAN = ROOT.parent / "shared" / "data" / "credit"
NAMES = ("taiwan_fate_hetero_guest.csv", "taiwan_fate_hetero_host.csv")
AT = datetime(2026, 11, 22, 9, tzinfo=UTC)


def clients(folder):
    """The first 2,000 real clients; generated firms if the files are not on this machine."""
    for name in NAMES:
        source = TAIWAN / f"{name}.gz"
        if not source.is_file():
            return generate_population(1_300, seed=12)
        with gzip.open(source, "rt", encoding="utf-8") as file:
            lines = [next(file) for _ in range(2_001)]
        (folder / name).write_text("".join(lines), "utf-8")
    return read_taiwan(folder, seed=2024)


def test_from_consent_to_refusal(tmp_path):
    tables, home, seen = clients(tmp_path), tmp_path / "home", []
    reporter = Reporter(seen.append, lambda *_: None)

    # As `tanxin train` does it: under protection.
    result = run(
        tables,
        folds=1,
        protocols=[ProtectedProtocol()],
        at=AT,
        home=home,
        reporter=reporter,
        sandbox=True,
    )

    assert sum(result.alignment.rows.values()) == int(tables.joint.sum())
    joint = result.models["protected"][0]
    assert joint.metrics.auc > 0.6
    assert joint.exchanges > 0

    clock = [AT]
    network = Network.open(home, lambda: clock[0])
    with pytest.raises(ModelNotFound):
        network.champion(AT)
    in_use(home, AT)
    champion = network.champion(AT)
    assert champion.data_origin == tables.schema.data_origin
    assert champion.metrics["federated"]["auc"] == result.models["protected"][0].metrics.auc

    subject = next(s for s, joint in zip(tables.subjects, tables.joint, strict=True) if joint)
    bank = tables.bank_of[tables.subjects.index(subject)]
    assert subject in network.customers(bank, limit=len(tables.subjects))
    now = clock[0] = AT + timedelta(hours=1)
    consent = ConsentRecord(
        consent_id="C-journey",
        subject_id=subject,
        bank_id=bank,
        purposes=frozenset({Purpose.CREDIT_APPLICATION}),
        scope=frozenset(DataScope),
        valid_from=AT,
        valid_until=AT + timedelta(days=90),
    )
    wallet = Wallet.open(home)
    consent = network.record_consent(wallet.sign(wallet.named(consent)))
    query = ScoreQuery(bank, subject, consent.consent_id, Purpose.CREDIT_APPLICATION, now)
    score = network.score(query)
    assert isinstance(score, Score)
    assert 300 <= score.score <= 850
    assert 0 < score.probability < 1
    assert (score.basis, score.electricity) == (Basis.JOINT, Electricity.INCLUDED)
    assert score.model_version == champion.version
    assert len(score.reasons) <= 4

    stranger = ConsentRecord(
        "C-stranger", "NOBODY-1", bank, frozenset(Purpose), {DataScope.BANK_FILE}, AT, AT + timedelta(days=90)
    )
    network.record_consent(wallet.sign(stranger))
    unknown = ScoreQuery(bank, "NOBODY-1", "C-stranger", Purpose.CREDIT_APPLICATION, now)
    assert network.score(unknown) == NoFile("NOBODY-1", now)

    network.withdraw_consent(consent.consent_id, bank, now + timedelta(minutes=1), by=bank)
    clock[0] = now + timedelta(hours=1)
    later = ScoreQuery(bank, subject, consent.consent_id, Purpose.CREDIT_APPLICATION, now + timedelta(hours=1))
    with pytest.raises(ConsentWithdrawn):
        network.score(later)
    network.close()
