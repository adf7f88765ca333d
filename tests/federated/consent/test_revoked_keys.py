"""A subject's key that its identity authority ended opens nothing more, at any node that heard of it."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from small_network import AT
from test_signed_consents import DRAFT, NOW, WALLET, use
from trained import trained_folder

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.consent.revocations import LIFE, Revocations
from federated.errors import ConsentSignatureInvalid, CorruptData
from federated.nodes.store import NodeStore
from federated.serving import Network, ScoreQuery
from simulations.worlds.wallet import Wallet

SIGNED = WALLET.sign(DRAFT)
OTHERS = WALLET.sign(replace(DRAFT, subject_id="S-2", consent_id="C-2"))


def listed(*records, number=1, at=NOW, wallet=WALLET):
    return Revocations.signed(wallet.authority_secret, number, [each.public_key for each in records], at)


def test_what_an_ended_key_signed_opens_nothing_and_other_keys_do():
    ended = listed(SIGNED)
    with pytest.raises(ConsentSignatureInvalid, match="ended the key"):
        use(SIGNED, ended=ended)
    assert use(OTHERS, ended=ended) == OTHERS
    assert use(SIGNED, ended=listed(OTHERS)) == SIGNED


def test_a_list_that_is_over_opens_nothing():
    ended = listed(OTHERS, at=NOW - LIFE)
    with pytest.raises(ConsentSignatureInvalid, match="is over since"):
        use(SIGNED, ended=ended)
    assert use(SIGNED, ended=listed(OTHERS, at=NOW - LIFE + timedelta(microseconds=1))) == SIGNED


CHANGES = {
    "number": 2, "issued_at": (NOW + timedelta(days=1)).isoformat(), "next_at": (NOW + 2 * LIFE).isoformat(),
    "keys": [], "signature": "00" * 64,
}  # fmt: skip


@pytest.mark.parametrize("field", CHANGES)
def test_a_list_is_the_authoritys_as_it_signed_it(field):
    content = listed(SIGNED).written()
    assert Revocations.read(content, WALLET.authority) == listed(SIGNED)
    changed = json.dumps(json.loads(content) | {field: CHANGES[field]}).encode()
    with pytest.raises(ConsentSignatureInvalid):
        Revocations.read(changed, WALLET.authority)
    fewer = {name: value for name, value in json.loads(content).items() if name != field}
    for forged in (json.dumps(fewer).encode(), content + b"}", b"[]", b"[" * 100_000, b"\xff"):
        with pytest.raises(ConsentSignatureInvalid):
            Revocations.read(forged, WALLET.authority)


def test_another_authoritys_list_is_none():
    with pytest.raises(ConsentSignatureInvalid):
        Revocations.read(listed(SIGNED, wallet=Wallet(b"s" * 32, b"b" * 32)).written(), WALLET.authority)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return trained_folder(tmp_path_factory) / "home"


@pytest.fixture
def network(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "home")
    opened = Network.open(tmp_path / "home", lambda: NOW)
    yield opened
    opened.close()


def test_nodes_keep_the_latest_list_and_score_and_train_by_it(network, trained, tmp_path):
    bank, wallet = network.bank_node("bank-gusu"), Wallet.open(trained)
    at = AT + timedelta(days=1)
    subject, other = sorted(bank.training_consents("bank-gusu", at))[:2]
    consent = bank.consent(f"CONS-{subject}")
    given = [listed(consent, number=2, wallet=wallet), listed(number=1, wallet=wallet)]
    for node in (bank, network.grid_node("grid-sip")):
        assert node.take_revocations(given[0].written()) == given[0]
        # One that was kept back, to have the key hold again.
        assert node.take_revocations(given[1].written()) == given[0]
    with pytest.raises(ConsentSignatureInvalid, match="ended the key"):
        network.score(ScoreQuery("bank-gusu", subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW))
    assert [use.outcome for use in bank.uses_of(subject)][:1] == ["consent_signature_invalid"]
    assert network.score(ScoreQuery("bank-gusu", other, f"CONS-{other}", Purpose.CREDIT_APPLICATION, NOW))
    consented = bank.training_consents("bank-gusu", at)
    assert other in consented
    assert subject not in consented
    # Nor is anything taken that the key signed before, or signs now.
    again = ConsentRecord(
        "C-again", subject, "bank-gusu", frozenset({Purpose.LOAN_REVIEW}), frozenset({DataScope.BANK_FILE}), AT,
        AT + timedelta(days=10),
    )  # fmt: skip
    with pytest.raises(ConsentSignatureInvalid, match="ended the key"):
        network.record_consent(wallet.sign(again))
    assert bank.consent("C-again") is None
    with pytest.raises(ConsentSignatureInvalid):
        bank.take_revocations(listed(number=9, wallet=Wallet(b"s" * 32, b"b" * 32)).written())
    # It is there when the store is opened again, and a store where somebody took it out of is not read.
    store = NodeStore(tmp_path / "home" / "nodes" / "bank-gusu.db")
    assert store.ended_keys == given[0]
    store.put_state({"revoked subject keys": given[0].written().replace(b'"number": 2', b'"number": 1')})
    store.close()
    with pytest.raises(CorruptData):
        NodeStore(tmp_path / "home" / "nodes" / "bank-gusu.db")


def test_where_the_list_is_over_nobody_is_trained_on(network, trained):
    bank, wallet = network.bank_node("bank-gusu"), Wallet.open(trained)
    bank.take_revocations(listed(wallet=wallet, at=NOW - LIFE).written())
    with pytest.raises(ConsentSignatureInvalid, match="is over since"):
        bank.training_consents("bank-gusu", NOW)


@pytest.mark.parametrize("knows", ["bank-gusu", "grid-sip"])
def test_nothing_is_recorded_of_what_one_side_knows_to_be_void(network, trained, knows):
    """The other has not heard of it: it would keep a consent that its peer has none of."""
    bank, wallet = network.bank_node("bank-gusu"), Wallet.open(trained)
    subject = min(bank.training_consents("bank-gusu", NOW))
    consent = bank.consent(f"CONS-{subject}")
    grid = network.grid_node("grid-sip")
    (bank if knows == "bank-gusu" else grid).take_revocations(listed(consent, wallet=wallet).written())
    again = wallet.sign(replace(consent, consent_id="C-again", grid_id="grid-sip", scope=frozenset(DataScope)))
    with pytest.raises(ConsentSignatureInvalid, match="ended the key"):
        network.record_consent(again)
    assert (grid.consent("C-again"), bank.consent("C-again")) == (None, None)
    if knows == "grid-sip":
        with pytest.raises(ConsentSignatureInvalid, match="ended the key"):
            grid.record_consents([again])
