"""A consent names the grid company that serves its subject: there it lies and is used, and nowhere else."""

import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from small_network import AT

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.consent.signature import signed
from federated.errors import InvalidConsent, NodeUnavailable, NotPermitted, ScopeNotCovered
from federated.nodes.node import PartialRequest
from federated.serving import Electricity, Network, ScoreQuery
from simulations.worlds.wallet import Wallet

NOW = AT + timedelta(days=1)
SERVED, OTHER = "grid-sip", "grid-gaoxin"


@pytest.fixture
def wallet(home):
    return Wallet.open(home)


@pytest.fixture
def customer(trained):
    tables = trained[1].tables
    i = next(i for i in range(len(tables.subjects)) if tables.joint[i] and tables.grid_of[i] == SERVED)
    return tables.subjects[i], tables.bank_of[i]


def draft(customer, **changes):
    subject, bank = customer
    given = ConsentRecord("C-x", subject, bank, frozenset(Purpose), frozenset(DataScope), AT, AT + timedelta(days=9))
    return replace(given, **({"grid_id": SERVED} | changes))


def score(network, customer):
    subject, bank = customer
    return network.score(ScoreQuery(bank, subject, "C-x", Purpose.LOAN_REVIEW, NOW))


def test_no_consent_lies_at_a_company_that_does_not_serve_its_subject(network, trained):
    """Copies went to every grid company: half of what each held was about strangers."""
    for grid in network.grid_ids:
        store = network.grid_node(grid).store
        own = store.subject_ids()
        with sqlite3.connect(store.path) as db:
            held = [subject for (subject,) in db.execute("SELECT subject_id FROM consents")]
        db.close()
        assert len(held) > 500
        assert set(held) <= own


def test_a_consent_is_delivered_used_and_withdrawn_where_it_says(network, wallet, customer, monkeypatch):
    subject, bank = customer
    network.record_consent(wallet.sign(draft(customer)))
    assert network.grid_node(SERVED).consent("C-x").grid_id == SERVED
    asked = []
    monkeypatch.setattr(network.grid_node(OTHER), "partial", lambda *given, **_: asked.append(given))
    assert score(network, customer).electricity is Electricity.INCLUDED
    network.withdraw_consent("C-x", bank, NOW, by=bank)
    assert network.grid_node(SERVED).consent("C-x").withdrawn_at == NOW
    assert network.bank_node(bank).undelivered() == []
    assert (asked, network.grid_node(OTHER).consent("C-x")) == ([], None)
    assert network.grid_node(OTHER).uses_of(subject) == []


def test_the_name_is_among_what_is_signed(wallet, customer):
    given = wallet.sign(draft(customer))
    others = [replace(given, grid_id=grid_id) for grid_id in (OTHER, "")]
    assert signed([given, *others], wallet.authority) == [True, False, False]


def test_a_company_without_the_file_is_the_only_one_asked(network, wallet, customer):
    network.record_consent(wallet.sign(draft(customer, grid_id=OTHER)))
    assert score(network, customer).electricity is Electricity.NO_FILE
    assert network.grid_node(SERVED).consent("C-x") is None


def test_a_name_that_is_none_is_refused_and_nothing_is_stored(network, wallet, customer, home):
    for grid_id in ("grid-nobody", customer[1], ""):
        with pytest.raises(InvalidConsent, match="no grid company of this network") as refusal:
            network.record_consent(wallet.sign(draft(customer, grid_id=grid_id)))
        assert refusal.value.context == {"field": "grid_id"}
    with pytest.raises(InvalidConsent, match="no electricity data"):
        draft(customer, scope=frozenset({DataScope.BANK_FILE}))
    (home / "nodes" / f"{OTHER}.db").write_bytes(b"no database " * 400)
    for name in (f"{OTHER}.db-wal", f"{OTHER}.db-shm"):
        (home / "nodes" / name).unlink(missing_ok=True)
    broken = Network.open(home, lambda: NOW)
    with pytest.raises(NodeUnavailable):
        broken.record_consent(wallet.sign(draft(customer, grid_id=OTHER)))
    broken.close()
    assert network.consents_of(*customer) == [network.consent(f"CONS-{customer[0]}", customer[1])]


def test_a_grid_company_takes_and_opens_nothing_that_names_another(network, wallet, customer):
    subject, bank = customer
    grid, elsewhere = network.grid_node(SERVED), wallet.sign(draft(customer, grid_id=OTHER))
    for offered in (elsewhere, wallet.sign(draft(customer, grid_id=""))):
        with pytest.raises(NotPermitted, match="does not name grid-sip"):
            grid.record_consent(offered)
        with pytest.raises(NotPermitted):
            grid.record_consents([offered])
    # Somebody writes it into the store: it is signed, and opens nothing here.
    with grid.store.consents(write=True) as consents:
        consents.add(elsewhere)
    with pytest.raises(ScopeNotCovered, match="of grid-sip"):
        grid.partial(PartialRequest(bank, subject, "C-x", Purpose.LOAN_REVIEW, NOW, "v0001"))
    network.withdraw_consent(f"CONS-{subject}", bank, NOW, by=bank)
    for found in (grid.training_consents(bank, NOW, grid_id=SERVED), grid.reviewed_consents(NOW)):
        assert found
        assert subject not in found
    # The bank aligns such a customer with the company that the consent names alone.
    own = network.bank_node(bank)
    with own.store.consents(write=True) as consents:
        consents.add(elsewhere)
    assert subject in own.training_consents(bank, NOW, grid_id=OTHER)
    assert subject not in own.training_consents(bank, NOW, grid_id=SERVED)
    assert subject in own.training_consents(bank, NOW)


def test_consents_of_the_form_before_stay_valid_where_they_lie(trained, tmp_path, customer):
    home, (subject, bank) = tmp_path / "home", customer
    shutil.copytree(trained[0], home)
    wallet = Wallet.open(home)
    before = wallet.sign(draft(customer, grid_id=""))
    for org in (bank, SERVED):
        with sqlite3.connect(home / "nodes" / f"{org}.db") as db:
            # A store of before has no column for the name.
            db.execute("DELETE FROM consents")
            db.execute("ALTER TABLE consents DROP COLUMN grid_id")
        db.close()
    network = Network.open(home, lambda: NOW)
    for node in (network.bank_node(bank), network.grid_node(SERVED)):
        with node.store.consents(write=True) as consents:
            consents.add(before)
    assert score(network, customer).electricity is Electricity.INCLUDED
    assert subject in network.bank_node(bank).training_consents(bank, NOW, grid_id=SERVED)
    # Recorded again it is known, and goes nowhere new.
    assert network.record_consent(before) == before
    assert network.grid_node(OTHER).consent("C-x") is None
    network.withdraw_consent("C-x", bank, NOW, by=bank)
    assert network.grid_node(SERVED).consent("C-x").withdrawn_at == NOW
    network.close()


def test_a_wallet_names_the_company_that_has_the_file(wallet, trained, customer):
    tables = trained[1].tables
    unserved = next(s for s, g in zip(tables.subjects, tables.grid_of, strict=True) if not g)
    assert (wallet.grid_of(customer[0]), wallet.grid_of(unserved)) == (SERVED, "")
    assert wallet.named(draft(customer, grid_id="")).grid_id == SERVED
    assert wallet.named(draft(customer, grid_id=OTHER)).grid_id == OTHER
    assert wallet.named(draft((unserved, "bank-gusu"), grid_id="")).scope == {DataScope.BANK_FILE}
