import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from federated.consent.checking import check
from federated.consent.instants import from_micros, to_micros
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.consent.store import ConsentStore
from federated.errors import (
    ConsentConflict,
    ConsentExpired,
    ConsentMissing,
    ConsentWithdrawn,
    InvalidConsent,
    InvalidTime,
    PurposeNotCovered,
    ScopeNotCovered,
    error_codes,
)
from simulations.worlds.wallet import Wallet

START = datetime(2026, 1, 1, tzinfo=UTC)
DRAFT = ConsentRecord(
    consent_id="C-1",
    subject_id="S-1",
    bank_id="bank-gusu",
    purposes=frozenset({Purpose.CREDIT_APPLICATION}),
    scope=frozenset({DataScope.BANK_FILE}),
    valid_from=START,
    valid_until=START + timedelta(days=10),
)
WALLET = Wallet(b"s" * 32, b"a" * 32)
RECORD = WALLET.sign(DRAFT)


def ask(record, **changes):
    use = {
        "authority": WALLET.authority,
        "ended": None,
        "subject_id": "S-1",
        "bank_id": "bank-gusu",
        "purpose": Purpose.CREDIT_APPLICATION,
        "scope": DataScope.BANK_FILE,
        "org_id": "bank-gusu",
        "at": START + timedelta(days=1),
    }
    return check(record, **(use | changes))


def test_what_was_allowed_is_allowed():
    assert ask(RECORD) is RECORD


@pytest.mark.parametrize(
    ("record", "changes", "error"),
    [
        (None, {}, ConsentMissing),
        (RECORD, {"subject_id": "S-2"}, ConsentMissing),
        (RECORD, {"bank_id": "bank-jinji"}, ConsentMissing),
        (RECORD, {"purpose": Purpose.MODEL_TRAINING}, PurposeNotCovered),
        (RECORD, {"scope": DataScope.ELECTRICITY}, ScopeNotCovered),
        (RECORD, {"at": START - timedelta(microseconds=1)}, ConsentExpired),
        (RECORD, {"at": START + timedelta(days=10)}, ConsentExpired),
        (RECORD.withdrawn(START + timedelta(days=1)), {}, ConsentWithdrawn),
        (RECORD, {"at": datetime(2026, 1, 2)}, InvalidTime),  # noqa: DTZ001
    ],
)
def test_everything_else_is_refused(record, changes, error):
    with pytest.raises(error) as caught:
        ask(record, **changes)
    assert caught.value.code == error.code


def test_an_earlier_instant_does_not_bring_a_withdrawn_consent_back():
    with pytest.raises(ConsentWithdrawn):
        ask(RECORD.withdrawn(START + timedelta(days=5)))


def test_the_first_withdrawal_stands():
    first = RECORD.withdrawn(START + timedelta(days=1))
    assert first.withdrawn(START + timedelta(days=2)) == first


@pytest.mark.parametrize(
    "changes",
    [{"purposes": frozenset()}, {"scope": frozenset()}, {"valid_until": START}, {"consent_id": " "}],
)
def test_contradictory_terms_are_refused(changes):
    with pytest.raises(InvalidConsent):
        replace(RECORD, **changes)


def test_times_are_kept_in_utc():
    shanghai = timezone(timedelta(hours=8))
    record = replace(RECORD, valid_from=datetime(2026, 1, 1, 8, tzinfo=shanghai))
    assert record.valid_from == START
    assert record.valid_from.tzinfo is UTC
    assert from_micros(to_micros(START + timedelta(microseconds=7))) == START + timedelta(microseconds=7)


def test_the_store_keeps_terms_and_never_edits_them():
    store = ConsentStore(sqlite3.connect(":memory:"))
    assert store.add(RECORD) == RECORD
    assert store.add(RECORD) == RECORD
    with pytest.raises(ConsentConflict):
        store.add(signed(subject_id="S-2"))
    withdrawn = store.withdraw("C-1", "bank-gusu", START + timedelta(days=3), "bank-gusu")
    assert (withdrawn.withdrawn_at, withdrawn.withdrawn_by) == (START + timedelta(days=3), "bank-gusu")
    assert store.get("C-1") == withdrawn
    assert store.add(RECORD) == withdrawn
    assert store.withdraw("C-1", "bank-gusu", START + timedelta(days=4), "subject") == withdrawn
    with pytest.raises(ConsentMissing):
        store.withdraw("C-1", "bank-jinji", START, "bank-jinji")
    assert [r.consent_id for r in store.of_bank("bank-gusu", 10, "")] == ["C-1"]
    assert store.of_bank("bank-gusu", 10, "C-1") == []


def signed(**changes):
    return WALLET.sign(replace(DRAFT, **changes))


def test_the_bulk_answer_agrees_with_the_single_check():
    store = ConsentStore(sqlite3.connect(":memory:"))
    both = frozenset(Purpose)
    records = [
        signed(consent_id="a", subject_id="a"),
        signed(consent_id="b", subject_id="b", purposes=both),
        signed(consent_id="c", subject_id="c", purposes=both),
        signed(consent_id="d", subject_id="d", purposes=both, valid_until=START + timedelta(hours=1)),
        signed(consent_id="e", subject_id="e", purposes=both, bank_id="bank-jinji"),
        replace(signed(consent_id="f", subject_id="f"), purposes=both),
        signed(consent_id="g", subject_id="nobody's customer", purposes=both),
    ]
    store.add_many(records)
    # Asked about the day before it was withdrawn, it opens nothing either.
    store.withdraw("c", "bank-gusu", START + timedelta(days=2), "subject")
    at = START + timedelta(days=1)

    def allowing(bank_id):
        return store.allowing(
            bank_id, Purpose.MODEL_TRAINING, {DataScope.BANK_FILE}, at, WALLET.authority, None, frozenset("abcdef")
        )

    assert set(allowing("bank-gusu")) == {"b"}
    assert set(allowing(None)) == {"b", "e"}


def test_of_several_consents_both_sides_choose_the_same():
    both, scopes = frozenset(Purpose), frozenset(DataScope)
    terms = {"purposes": both, "scope": scopes}
    records = [
        signed(consent_id="x", **terms, valid_until=START + timedelta(days=9)),
        signed(consent_id="a", **terms, valid_until=START + timedelta(days=20)),
        signed(consent_id="b", **terms, valid_until=START + timedelta(days=20)),
        signed(consent_id="z", purposes=both, valid_until=START + timedelta(days=30)),
    ]
    for order in (records, records[::-1]):
        store = ConsentStore(sqlite3.connect(":memory:"))
        store.add_many(order)
        found = store.allowing("bank-gusu", Purpose.MODEL_TRAINING, scopes, START, WALLET.authority, None, {"S-1"})
        assert found["S-1"] == records[2]


def test_codes_are_unique_and_stable():
    codes = error_codes()
    assert len(codes) == len(set(codes.values()))
    assert {"consent_missing", "consent_withdrawn", "consent_expired", "purpose_not_covered"} <= set(codes)
