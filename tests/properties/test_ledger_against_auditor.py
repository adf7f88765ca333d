"""Random commands on the ledger, on SQLite and PostgreSQL: the ledger and an independent auditor always agree."""

from datetime import UTC, datetime
from random import Random

import pytest
from auditor import Auditor
from soak import sized
from sqlalchemy import insert

from financing.base.errors import FinancingError, InsufficientBalance
from financing.base.storage.columns import table_of
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.ledger.accounts import AccountKey, AccountKind, Asset
from financing.ledger.entries import EntryKind, Posting, balanced
from financing.ledger.tables import OrganisationRow
from financing.lending.unit import UnitOfWork

AT = datetime(2026, 11, 22, tzinfo=UTC)
OWNERS = ("a", "b", "c")
ASSETS = ("CNY", "PHCER:x", "PHCER:y")
KINDS = ("cash", "settlement", "issued", "holding", "pledged", "retired", "loan_principal", "loan_principal_owed")


@pytest.fixture
def books(books_url):
    engine = open_engine(books_url)
    writer = Writer(engine, UnitOfWork, max_batch=8)

    def found(unit):
        rows = [{"id": o, "kind": "bank", "name_zh": o, "name_en": o, "created_at": AT} for o in OWNERS]
        unit.connection.execute(insert(table_of(OrganisationRow)), rows)

    writer.execute(found)
    yield engine, writer
    writer.close()
    engine.dispose()


def random_account(rng):
    return rng.choice(OWNERS), rng.choice(KINDS), rng.choice(ASSETS), rng.choice(("", "r1"))


def key_of(account):
    owner, kind, asset, reference = account
    return AccountKey(owner, AccountKind(kind), Asset(asset), reference)


def random_entry(rng):
    """Two or three transfers, mostly balanced, sometimes with an unbalanced leg on top."""
    changes = {}
    for _ in range(rng.randint(1, 3)):
        source, target = random_account(rng), random_account(rng)
        if rng.random() < 0.9:
            target = (target[0], target[1], source[2], target[3])
        amount = rng.choice((1, 7, 500, 10_000))
        changes[source] = changes.get(source, 0) - amount
        changes[target] = changes.get(target, 0) + amount
    if rng.random() < 0.05:
        lonely = random_account(rng)
        changes[lonely] = changes.get(lonely, 0) + 1
    return changes


def post(writer, changes):
    def command(unit):
        postings = [Posting(key_of(account), amount) for account, amount in changes.items()]
        return unit.ledger.post(balanced(EntryKind.TRADE, "t", postings), at=AT, actor_id="a")

    return writer.submit(command)


@pytest.mark.parametrize("seed", range(4))
def test_the_ledger_and_an_independent_auditor_agree(books, seed):
    engine, writer = books
    rng, auditor = Random(seed), Auditor()
    for number in range(sized(100, 2_000)):
        choice = rng.random()
        if choice < 0.75:
            changes = random_entry(rng)
            expected = auditor.allows(changes)
            try:
                post(writer, changes).result()
            except FinancingError:
                assert not expected, changes
            else:
                assert expected, changes
                auditor.apply(changes)
        elif choice < 0.9:
            account, amount, reference = random_account(rng), rng.choice((1, 400)), f"h{number}"
            expected = account[1] in {"settlement"} or auditor.can_hold(account, amount)
            if account[1] in {"issued", "loan_principal_owed", "settlement"}:
                continue

            def reserve(unit, account=account, amount=amount, reference=reference):
                unit.ledger.reserve(reference, key_of(account), amount, reference=reference, at=AT, expires_at=None)

            try:
                writer.execute(reserve)
            except InsufficientBalance:
                assert not expected
            else:
                assert expected
                auditor.hold(reference, account, amount)
        elif auditor.holds:
            reference = rng.choice(sorted(auditor.holds))
            state = rng.choice(("posted", "voided", "expired"))
            writer.execute(lambda unit, r=reference, s=state: unit.ledger.close_hold(r, s, at=AT))
            auditor.close(reference)
        if number % 50 == 49:
            with engine.connect() as connection:
                unit = UnitOfWork(connection)
                assert auditor.agrees(unit.ledger.balances())
                assert unit.ledger.verify().entry_id == auditor.entries


def test_commands_that_share_a_commit_are_refused_one_by_one(books):
    """500 withdrawals of 1 from an account of 300, all queued at once: exactly 300 go through."""
    engine, writer = books
    post(writer, {("a", "settlement", "CNY", ""): -300, ("a", "cash", "CNY", ""): 300}).result()
    taken = {("a", "cash", "CNY", ""): -1, ("b", "cash", "CNY", ""): 1}
    futures = [post(writer, taken) for _ in range(500)]
    outcomes = [future.exception() for future in futures]
    assert sum(outcome is None for outcome in outcomes) == 300
    assert {type(outcome) for outcome in outcomes} == {type(None), InsufficientBalance}
    with engine.connect() as connection:
        assert UnitOfWork(connection).ledger.verify().entry_id == 301
