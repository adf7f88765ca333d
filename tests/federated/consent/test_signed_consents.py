"""What its subject did not sign opens nothing: not recorded, and not when a store file was written to behind a node."""

import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from small_network import AT

from federated.consent.checking import check
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.consent.signature import attest, public_of, sign, signed, terms_bytes
from federated.errors import (
    ConsentConflict,
    ConsentMissing,
    ConsentSignatureInvalid,
    ConsentWithdrawn,
    FederatedError,
    NotPermitted,
    StoreOutdated,
)
from federated.nodes.store import NodeStore
from federated.serving import Electricity, Network, Score, ScoreQuery
from simulations.worlds.credit_nodes import build_nodes
from simulations.worlds.credit_population import generate_population
from simulations.worlds.wallet import Wallet

WALLET = Wallet(b"s" * 32, b"a" * 32)
NOW = AT + timedelta(days=1)
DRAFT = ConsentRecord(
    "C-1",
    "S-1",
    "bank-gusu",
    frozenset({Purpose.CREDIT_APPLICATION}),
    frozenset(DataScope),
    AT,
    AT + timedelta(days=10),
)


def use(record, authority=WALLET.authority, at=NOW, ended=None):
    return check(
        record,
        authority=authority,
        ended=ended,
        subject_id=record.subject_id,
        bank_id=record.bank_id,
        purpose=Purpose.CREDIT_APPLICATION,
        scope=DataScope.BANK_FILE,
        org_id=record.bank_id,
        at=at,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"consent_id": "C-2"},
        {"subject_id": "S-2"},
        {"bank_id": "bank-jinji"},
        {"purposes": frozenset(Purpose)},
        {"scope": frozenset({DataScope.BANK_FILE})},
        {"grid_id": "grid-sip"},
        {"valid_from": AT - timedelta(days=9)},
        {"valid_until": AT + timedelta(days=999)},
        {"signature": b""},
        {"signature": b"s" * 64},
        {"key": None},
    ],
)
def test_a_record_that_differs_anywhere_from_what_was_signed_is_refused(changes):
    record = WALLET.sign(DRAFT)
    assert use(record) == record
    with pytest.raises(ConsentSignatureInvalid) as refusal:
        use(replace(record, **changes))
    assert refusal.value.code == "consent_signature_invalid"
    assert signed([record, replace(record, **changes)], WALLET.authority) == [True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_id": "S-2"},
        {"public_key": public_of(b"b" * 32)},
        {"public_key": b"short"},
        {"valid_from": AT - timedelta(days=1)},
        {"valid_until": AT + timedelta(days=99_999)},
        {"signature": b"s" * 64},
    ],
)
def test_a_key_that_the_authority_did_not_attest_is_nobodys(changes):
    record = WALLET.sign(DRAFT)
    with pytest.raises(ConsentSignatureInvalid):
        use(replace(record, key=replace(record.key, **changes)))


def test_a_bank_that_attests_its_own_key_opens_nothing():
    secret = b"b" * 32
    own = attest(secret, "S-1", public_of(secret), AT, AT + timedelta(days=10))
    with pytest.raises(ConsentSignatureInvalid):
        use(sign(DRAFT, secret, own))
    # The subject's own, attested key signs for the subject alone.
    other = replace(DRAFT, subject_id="S-2")
    with pytest.raises(ConsentSignatureInvalid):
        use(sign(other, secret, WALLET.sign(DRAFT).key))


def test_a_key_counts_only_while_it_is_attested():
    secret = b"k" * 32
    key = attest(WALLET.authority_secret, "S-1", public_of(secret), AT, AT + timedelta(days=2))
    record = sign(DRAFT, secret, key)
    assert use(record)
    with pytest.raises(ConsentSignatureInvalid, match="not attested for this time"):
        use(record, at=AT + timedelta(days=2))


def test_signed_bytes_leave_no_room_between_fields():
    moved = replace(DRAFT, consent_id="C-1S", subject_id="-1")
    assert terms_bytes(moved) != terms_bytes(replace(DRAFT, consent_id="C-1", subject_id="S-1"))
    assert terms_bytes(DRAFT).startswith(b"\x00\x00\x00\x11tanxin/consent/v1")


@pytest.fixture
def home(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "home")
    return tmp_path / "home"


def joint(trained):
    tables = trained[1].tables
    row = next(i for i, found in enumerate(tables.joint) if found and tables.grid_of[i] == "grid-sip")
    return tables.subjects[row], tables.bank_of[row]


def score(home, subject, bank, consent_id):
    network = Network.open(home, lambda: NOW)
    try:
        return network.score(ScoreQuery(bank, subject, consent_id, Purpose.CREDIT_APPLICATION, NOW))
    finally:
        network.close()


def write(home, org, statement, *values):
    with sqlite3.connect(home / "nodes" / f"{org}.db") as db:
        assert db.execute(statement, values).rowcount == 1
    db.close()


EDITS = {
    "subject_id": "FIRM-00001x",
    "bank_id": "bank-other",
    "purposes": "credit_application",
    "scope": "electricity",
    "valid_from_us": 1,
    "valid_until_us": 4_000_000_000_000_000,
    "signature": b"s" * 64,
    "public_key": b"k" * 32,
    "key_from_us": 2,
    "key_until_us": 4_000_000_000_000_001,
    "key_signature": b"k" * 64,
    "grid_id": "grid-gaoxin",
}


@pytest.mark.parametrize("column", EDITS)
@pytest.mark.parametrize("where", ["bank", "grid-sip"])
def test_a_consent_edited_in_a_store_file_opens_nothing(trained, home, column, where):
    subject, bank = joint(trained)
    org = bank if where == "bank" else where
    write(home, org, f"UPDATE consents SET {column} = ? WHERE consent_id = ?", EDITS[column], f"CONS-{subject}")
    if where != "bank" and column in {"subject_id", "bank_id"}:
        # A copy of somebody else's is none: the grid company's share stays closed, the bank's own is not touched.
        answer = score(home, subject, bank, f"CONS-{subject}")
        assert isinstance(answer, Score)
        assert answer.electricity is Electricity.NOT_CONSENTED
    else:
        with pytest.raises((ConsentSignatureInvalid, ConsentMissing)):
            score(home, subject, bank, f"CONS-{subject}")
    store = NodeStore(home / "nodes" / f"{org}.db")
    with store.consents() as consents:
        found = consents.allowing(
            None, Purpose.MODEL_TRAINING, frozenset(DataScope), NOW, store.authority, None, store.subject_ids()
        )
    store.close()
    assert subject not in found


@pytest.mark.parametrize("column", ["purposes", "scope"])
def test_a_row_that_holds_no_consent_is_refused_and_not_a_crash(trained, home, column):
    subject, bank = joint(trained)
    write(home, bank, f"UPDATE consents SET {column} = 'everything' WHERE consent_id = ?", f"CONS-{subject}")
    with pytest.raises(ConsentSignatureInvalid):
        score(home, subject, bank, f"CONS-{subject}")


def test_a_consent_planted_in_every_file_opens_nothing(trained, home):
    subject, bank = joint(trained)
    for org in (bank, "grid-sip"):
        write(
            home,
            org,
            "INSERT INTO consents SELECT 'PLANTED', subject_id, bank_id, 'credit_application loan_review',"
            " scope, valid_from_us, valid_until_us, signature, public_key, key_from_us, key_until_us, key_signature,"
            " grid_id"
            " FROM consents WHERE consent_id = ?",
            f"CONS-{subject}",
        )
    with pytest.raises(ConsentSignatureInvalid):
        score(home, subject, bank, "PLANTED")


def test_unsigned_and_forged_consents_are_not_recorded_anywhere(trained, home):
    subject, bank = joint(trained)
    network = Network.open(home, lambda: NOW)
    draft = replace(DRAFT, consent_id="C-x", subject_id=subject, bank_id=bank, grid_id="grid-sip")
    for offered in (draft, WALLET.sign(draft)):
        with pytest.raises(ConsentSignatureInvalid):
            network.record_consent(offered)
        with pytest.raises(ConsentSignatureInvalid):
            network.grid_node("grid-sip").record_consents([offered])
    nodes = [network.bank_node(bank), *(network.grid_node(g) for g in network.grid_ids)]
    assert [node.consent("C-x") for node in nodes] == [None] * 3
    network.close()


def test_what_was_withdrawn_is_not_recorded_again_nor_redated(trained, home):
    subject, bank = joint(trained)
    network, wallet = Network.open(home, lambda: NOW), Wallet.open(home)
    given = network.consent(f"CONS-{subject}", bank)
    network.withdraw_consent(given.consent_id, bank, NOW, by="subject", signature=wallet.sign_withdrawal(given))
    again = network.record_consent(given)
    assert (again.withdrawn_at, again.withdrawn_by) == (NOW, "subject")
    with pytest.raises(ConsentSignatureInvalid):
        network.record_consent(replace(given, valid_until=given.valid_until + timedelta(days=365)))
    with pytest.raises(ConsentConflict):
        network.record_consent(wallet.sign(replace(given.terms(), valid_until=given.valid_until + timedelta(days=1))))
    network.close()
    # Taking the row out and putting it back does not take the withdrawal back.
    for org in (bank, "grid-sip"):
        write(home, org, "DELETE FROM consents WHERE consent_id = ?", given.consent_id)
    network = Network.open(home, lambda: NOW)
    with pytest.raises(ConsentMissing):
        network.consent(given.consent_id, bank)
    assert network.record_consent(given).withdrawn_at == NOW
    network.close()
    with pytest.raises(ConsentWithdrawn):
        score(home, subject, bank, given.consent_id)


def test_a_withdrawal_may_be_signed_and_a_wrong_signature_is_none(trained, home):
    subject, bank = joint(trained)
    network, wallet = Network.open(home, lambda: NOW), Wallet.open(home)
    given = network.consent(f"CONS-{subject}", bank)
    wrong = [b"w" * 64, given.signature, wallet.sign_withdrawal(replace(given, consent_id="C-other"))]
    for signature in wrong:
        with pytest.raises(ConsentSignatureInvalid):
            network.withdraw_consent(given.consent_id, bank, NOW, by="subject", signature=signature)
    assert network.consent(given.consent_id, bank).withdrawn_at is None
    signature = wallet.sign_withdrawal(given)
    network.withdraw_consent(given.consent_id, bank, NOW, by="subject", signature=signature)
    for node in (network.bank_node(bank), network.grid_node("grid-sip")):
        assert node.uses_of(subject)[0].outcome == signature.hex()
    network.close()


def test_a_grid_company_that_was_down_learns_of_a_withdrawal_later(trained, home):
    subject, bank = joint(trained)
    network, wallet = Network.open(home, lambda: NOW), Wallet.open(home)
    given = network.consent(f"CONS-{subject}", bank)
    network.grid_node("grid-sip").store.close()
    network.withdraw_consent(given.consent_id, bank, NOW, by=bank, signature=wallet.sign_withdrawal(given))
    with pytest.raises(ConsentWithdrawn):
        network.score(ScoreQuery(bank, subject, given.consent_id, Purpose.LOAN_REVIEW, NOW))
    assert [(peer, record.consent_id) for peer, record, _ in network.bank_node(bank).undelivered()] == [
        ("grid-sip", given.consent_id)
    ]
    network.close()
    network = Network.open(home, lambda: NOW)
    told = network.grid_node("grid-sip").consent(given.consent_id)
    assert (told.withdrawn_at, told.withdrawn_by) == (NOW, bank)
    assert network.grid_node("grid-sip").uses_of(subject)[0].outcome != "unsigned"
    assert network.bank_node(bank).undelivered() == []
    network.close()


def test_a_home_of_an_earlier_version_is_refused_by_name(trained, home):
    write(home, "grid-sip", "UPDATE meta SET value = '1' WHERE key = 'format'")
    with pytest.raises(StoreOutdated, match="grid-sip"):
        Network.open(home, lambda: NOW)
    with pytest.raises(StoreOutdated):
        build_nodes(home, generate_population(1_500, seed=2024), [], WALLET.authority)
    write(home, "grid-sip", "DELETE FROM meta WHERE key = 'format'")
    with pytest.raises(StoreOutdated):
        NodeStore(home / "nodes" / "grid-sip.db")


def test_an_unreadable_consent_takes_no_place_of_a_readable_one(trained, home):
    """The rows were limited before unreadable ones were left out: a page came short, and looked like the last one."""
    _, bank = joint(trained)
    network = Network.open(home, lambda: NOW)
    whole = [record.consent_id for record in network.consents(bank, 10)]
    network.close()
    write(home, bank, "UPDATE consents SET purposes = 'everything' WHERE consent_id = ?", whole[1])
    network = Network.open(home, lambda: NOW)
    assert [record.consent_id for record in network.consents(bank, 9)] == [whole[0], *whole[2:]]
    assert [record.consent_id for record in network.consents(bank, 2)] == [whole[0], whole[2]]
    network.close()


def test_a_wallet_is_made_once_and_read_by_its_owner_only(tmp_path):
    made = Wallet.at(tmp_path, "generated")
    assert Wallet.at(tmp_path, "generated") == made
    assert Wallet.open(tmp_path).authority == made.authority
    assert (tmp_path / "sandbox-wallet.json").stat().st_mode & 0o777 == 0o600
    assert made.sign(DRAFT).key.public_key != made.sign(replace(DRAFT, subject_id="S-2")).key.public_key
    with pytest.raises(FederatedError) as missing:
        Wallet.open(tmp_path / "elsewhere")
    assert missing.value.code == "data_missing"
    # It signs for everyone: beside other than generated data it is kept only where somebody says what it is.
    real = tmp_path / "real"
    with pytest.raises(NotPermitted, match="not kept beside taiwan-default-credit-2005 data"):
        Wallet.at(real, "taiwan-default-credit-2005")
    assert not real.exists()
    assert Wallet.at(real, "taiwan-default-credit-2005", sandbox=True) == Wallet.open(real)
    with pytest.raises(NotPermitted):
        Wallet.at(real, "taiwan-default-credit-2005")
    (tmp_path / "sandbox-wallet.json").write_text("{}")
    with pytest.raises(FederatedError) as spoilt:
        Wallet.open(tmp_path)
    assert spoilt.value.code == "corrupt_data"
