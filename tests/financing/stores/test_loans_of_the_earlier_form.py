"""A stored copy from before migration 0007: its loans are carried to the fen, and go on."""

import tempfile
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from stored_copies import put_back

from credit_api.app.database import migrate
from credit_api.app.earlier_loans import EARLIER, open_earlier_loans
from financing.base.context import Actor, Context
from financing.base.errors import CorruptData
from financing.base.parameters import load_parameters
from financing.base.quantities import Money
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.ledger.accounts import AccountKind
from financing.lending.collateral.standing import loan_coverage
from financing.lending.loans.events import Disbursement, Disposal, Repayment
from financing.lending.loans.loan import Debt, LoanState
from financing.lending.origination.commands import RepayLoan, repay_loan
from financing.lending.unit import UnitOfWork

AT = datetime(2027, 1, 6, 2, tzinfo=UTC)
DAY = date(2027, 1, 6)
NOV, DEC = date(2026, 11, 22), date(2026, 12, 23)
# As the code of that day answered GET /v1/loans at AT: state, principal, interest owed; and what had happened.
PART_PAID, REPAID = "loan_d0915f6c501b19c484ab", "loan_a7c5182352bf913ad795"
SOLD_IN_PART, UNTOUCHED = "loan_3b31e7c9eb4144499cae", "loan_f12954851542f5f1350b"
EARLIER_ANSWERS = {
    PART_PAID: (LoanState.ACTIVE, 378_080, 525),
    REPAID: (LoanState.REPAID, 0, 0),
    SOLD_IN_PART: (LoanState.ACTIVE, 364_494, 0),
    UNTOUCHED: (LoanState.ACTIVE, 300_000, 1_346),
}
HAPPENED = {
    PART_PAID: [
        Disbursement(value_on=NOV, amount_fen=Money(500_000)),
        Repayment(value_on=DEC, amount_fen=Money(123_457)),
    ],
    REPAID: [
        Disbursement(value_on=NOV, amount_fen=Money(400_000)),
        Repayment(value_on=DEC, amount_fen=Money(401_233)),
    ],
    # 100 t at 14.50 yuan, less 5 % for the cost of the sale.
    SOLD_IN_PART: [
        Disbursement(value_on=NOV, amount_fen=Money(500_000)),
        Disposal(value_on=DAY, amount_fen=Money(137_750)),
    ],
    UNTOUCHED: [Disbursement(value_on=NOV, amount_fen=Money(300_000))],
}


@pytest.fixture
def stored(kind, tmp_path, databases):
    with databases.copied(kind, tmp_path / "books.db", _migrated) as address:
        engine = open_engine(address)
        with engine.connect() as connection:
            head = connection.execute(text("SELECT MAX(id) FROM entry")).scalar_one()
        writer = Writer(engine, UnitOfWork)
        yield engine, writer, head
        writer.close()
        engine.dispose()


def _migrated(address):
    with tempfile.TemporaryDirectory() as folder:
        engine = put_back("0006", address, Path(folder))
    migrate(engine)
    engine.dispose()


def balances(unit):
    return {(b.key.owner_id, b.key.kind, b.key.reference): b.posted for b in unit.ledger.balances() if b.posted}


def test_loans_are_what_they_were_and_go_on(stored):
    engine, writer, head = stored
    parameters = load_parameters()
    with engine.connect() as connection:
        before = balances(UnitOfWork(connection))
    assert open_earlier_loans(writer, parameters, AT) == 4
    assert open_earlier_loans(writer, parameters, AT) == 0
    assert not inspect(engine).has_table(EARLIER)
    context = Context(Actor("dev-a", "developer"), AT, lambda kind, n=count(): f"{kind}_{next(n)}", parameters)
    with engine.connect() as connection:
        unit = UnitOfWork(connection)
        assert unit.ledger.verify().entry_id == head + 4
        for loan_id, (state, principal, interest) in EARLIER_ANSWERS.items():
            standing = loan_coverage(unit, context, loan_id)
            assert standing.stored.loan.state is state
            if state is LoanState.ACTIVE:
                assert standing.debt == Debt(DAY, Money(principal), Money(interest))
            happened = unit.loans.events(standing.stored.terms.number)
            assert [each.event.what for each in happened] == HAPPENED[loan_id]
            assert [each.entry_id is not None and each.entry_id <= head for each in happened] == [True] * len(happened)
            assert unit.decisions.get(standing.stored.decision_id).maker == ""
        assert loan_coverage(unit, context, SOLD_IN_PART).call is not None
        after = balances(unit)
    moved = {key for key in before | after if before.get(key) != after.get(key)}
    # What everybody has stays; accounts of interest are closed in favour of the bank's ledger and the borrower's cost.
    assert {kind for _, kind, _ in moved} == {
        AccountKind.LOAN_INTEREST, AccountKind.LOAN_INTEREST_OWED, AccountKind.INTEREST_RECEIVABLE,
        AccountKind.INTEREST_INCOME, AccountKind.INTEREST_EXPENSE,
    }  # fmt: skip
    assert not any(kind in {AccountKind.LOAN_INTEREST, AccountKind.LOAN_INTEREST_OWED} for _, kind, _ in after)
    paid = RepayLoan(amount_fen=Money(100_000))
    done = writer.execute(lambda unit: repay_loan(unit, context, PART_PAID, paid))
    assert done.standing.debt == Debt(DAY, Money(378_080 + 525 - 100_000), Money(0))


@pytest.mark.parametrize(
    "change",
    [
        "principal_fen = principal_fen - 1",
        "drawn_fen = drawn_fen + 5",
        "state = 'written_off'",
        "rate_bps = 3500",
        "product = 'nope'",
        "matures_on = '2027-06-01'",
    ],
)
def test_a_loan_that_would_come_out_otherwise_is_not_guessed_at(stored, change):
    engine, writer, head = stored
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        connection.execute(text(f"UPDATE {EARLIER} SET {change} WHERE id = '{PART_PAID}'"))
    with pytest.raises(CorruptData) as refused:
        open_earlier_loans(writer, load_parameters(), AT)
    assert refused.value.context["loan_id"] == PART_PAID
    with engine.connect() as connection:
        assert UnitOfWork(connection).ledger.verify().entry_id == head
        assert connection.execute(text("SELECT COUNT(*) FROM loan_account")).scalar_one() == 0
        assert connection.execute(text(f"SELECT COUNT(*) FROM {EARLIER}")).scalar_one() == 4
