"""Loans that were given before migration 0007 get the accounts that later ones have, once.

Such a loan was a row with its principal and interest, and an account of interest to itself. Now its books follow from
what happened to it, and the ledger from its books. What happened is read off the ledger, the loan is replayed by the
rules of today, and one entry takes the ledger from where it stood to where the books are. A loan whose books would come
out otherwise than its bank had them is not guessed at: nothing is moved, and the service does not start.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import BigInteger, Connection, Date, Row, case, cast, column, func, inspect, select, table, text, update

from financing.base.context import Actor, Context
from financing.base.errors import CorruptData, FinancingError
from financing.base.parameters import Parameters
from financing.base.quantities import Money, Rate, business_date, half_even, rate_from_estimate_up
from financing.base.storage.columns import table_of
from financing.base.storage.records import Codec
from financing.base.storage.writer import Writer
from financing.ledger.accounts import CNY, AccountKey, AccountKind
from financing.ledger.entries import EntryKind
from financing.ledger.posting import post_entry
from financing.ledger.tables import AccountRow, EntryRow, PostingRow
from financing.lending.loans.events import Disbursement, Disposal, LoanEvent, Repayment
from financing.lending.loans.loan import LoanTerms, replay, state_of
from financing.lending.loans.markets import market_of
from financing.lending.loans.posting import changes, positions
from financing.lending.loans.tables import LoanRow
from financing.lending.origination.assessment import CreditAssessment
from financing.lending.unit import UnitOfWork

EARLIER = "loan_before_0007"
PAID_BY = {EntryKind.REPAYMENT: Repayment, EntryKind.DISPOSAL: Disposal}
account_t, entry_t, posting_t, loan_t = (table_of(row) for row in (AccountRow, EntryRow, PostingRow, LoanRow))
_terms = Codec(LoanTerms)
# What migration 0007 copied, as far as it is needed here.
earlier_t = table(
    EARLIER,
    *(column(name) for name in ("id", "decision_id", "bank_id", "borrower_id", "product")),
    *(column(name) for name in ("rate_bps", "state", "drawn_fen", "principal_fen", "interest_paid_fen")),
    column("disbursed_on", Date),
    column("matures_on", Date),
)


def open_earlier_loans(writer: Writer[UnitOfWork], parameters: Parameters, at: datetime) -> int:
    """Open the account of every loan of the earlier form; returns how many there were. Raises `CorruptData`."""

    def run(unit: UnitOfWork) -> int:
        if not inspect(unit.connection).has_table(EARLIER):
            return 0
        rows = unit.connection.execute(
            select(earlier_t, loan_t.c.number).join(loan_t, loan_t.c.id == earlier_t.c.id).order_by(loan_t.c.number)
        ).all()
        for row in rows:
            try:
                _open(unit, parameters, row, at)
            except FinancingError as error:
                why = {"loan_id": row.id, "because": error.detail}
                raise CorruptData("a loan of the earlier form cannot be carried over", **why) from error
        unit.connection.execute(text(f"DROP TABLE {EARLIER}"))
        return len(rows)

    return writer.execute(run)


def _open(unit: UnitOfWork, parameters: Parameters, row: Row[Any], at: datetime) -> None:
    terms = _terms_of(unit, row)
    recorded = _what_happened(unit.connection, row)
    events = [LoanEvent(what, number) for number, (what, _) in enumerate(recorded, start=1)]
    done = replay(terms, events, business_date(at), market_of(parameters))
    drawn, principal, paid = (
        int(each[0]) for each in (done.book.disbursed, done.book.principal, done.book.interest_paid)
    )
    replayed = (state_of(done.book).value, drawn, principal, paid)
    if replayed != (row.state, row.drawn_fen, row.principal_fen, row.interest_paid_fen):
        raise CorruptData("its entries in the ledger lead to other books")
    unit.connection.execute(update(loan_t).where(loan_t.c.id == row.id).values(terms=_terms.encode(terms)))
    unit.loans.open(done.book)
    unit.loans.set_dues(terms.number, done.dues)
    for event, (_, entry) in zip(events, recorded, strict=True):
        unit.loans.add_event(
            terms.number, event, external_id=None, entry_id=entry.id, actor_id=entry.actor_id, at=entry.at
        )
    lender = Context(Actor(row.bank_id, "bank"), at, str, parameters)
    before = {key: unit.ledger.balance(key).posted for key in _accounts_of(row)}
    after = dict.fromkeys(before, 0) | {
        key: amount for key, amount in positions(terms, done.book).items() if key.kind is not AccountKind.CASH
    }
    moved = changes(before, after)
    if moved:
        post_entry(unit, lender, EntryKind.CORRECTION, row.id, changes=moved)


def _terms_of(unit: UnitOfWork, row: Row[Any]) -> LoanTerms:
    """What was agreed then: all at maturity, ACT/360 at a fixed rate that runs on when it is late."""
    record = unit.decisions.get(row.decision_id)
    decided, asked, credit = record.decision, record.application, record.credit
    agreed = (decided.rate, asked.product, row.disbursed_on + timedelta(days=asked.tenor_days))
    if agreed != (Rate(row.rate_bps), row.product, row.matures_on):
        raise CorruptData("its terms are not those that were decided on")
    return LoanTerms(
        loan_id=row.id,
        number=row.number,
        portfolio=unit.loans.portfolio(row.bank_id, row.product).portfolio_id,
        borrower=row.borrower_id,
        lender=row.bank_id,
        product=row.product,
        rate=Rate(row.rate_bps),
        signed_on=row.disbursed_on,
        matures_on=row.matures_on,
        scheme="bullet",
        basis="ACT/360",
        probability_bps=rate_from_estimate_up(credit.probability).bps if isinstance(credit, CreditAssessment) else 0,
    )


def _what_happened(connection: Connection, row: Row[Any]) -> list[tuple[Disbursement | Repayment | Disposal, Row[Any]]]:
    """The payout and the payments, each with its ledger entry. A payment is what left principal, and the interest of
    its day that did not stay owed."""
    happened: list[tuple[Disbursement | Repayment | Disposal, Row[Any]]] = []
    principal, days, since, booked = 0, 0, row.disbursed_on, 0
    for entry in _entries(connection, row):
        on = business_date(entry.at)
        if entry.kind == EntryKind.DISBURSEMENT:
            happened.append((Disbursement(value_on=on, amount_fen=Money(entry.principal)), entry))
        elif entry.kind == EntryKind.ACCRUAL:
            booked += entry.interest
        else:
            accrued = half_even(Fraction((days + principal * (on - since).days) * row.rate_bps, 3_600_000)) - booked
            booked += accrued
            paid = accrued - entry.interest - entry.principal
            happened.append((PAID_BY[EntryKind(entry.kind)](value_on=on, amount_fen=Money(paid)), entry))
        days, since = days + principal * (on - since).days, on
        principal += entry.principal
    return happened


def _entries(connection: Connection, row: Row[Any]) -> list[Row[Any]]:
    """The loan's entries in their order, with what each changed in the bank's accounts of it. One that pays just what
    accrued that day changes neither."""

    def moved(kind: AccountKind) -> Any:
        of_it = (account_t.c.owner_id == row.bank_id) & (account_t.c.kind == kind.value)
        changed = case((of_it & (account_t.c.reference == row.id), posting_t.c.amount), else_=0)
        return cast(func.sum(changed), BigInteger)

    query = (
        select(
            entry_t.c.id,
            entry_t.c.kind,
            entry_t.c.at,
            entry_t.c.actor_id,
            moved(AccountKind.LOAN_PRINCIPAL).label("principal"),
            moved(AccountKind.LOAN_INTEREST).label("interest"),
        )
        .join(posting_t, posting_t.c.entry_id == entry_t.c.id)
        .join(account_t, account_t.c.id == posting_t.c.account_id)
        .where(entry_t.c.reference == row.id, entry_t.c.kind.in_([EntryKind.DISBURSEMENT, EntryKind.ACCRUAL, *PAID_BY]))
        .group_by(entry_t.c.id, entry_t.c.kind, entry_t.c.at, entry_t.c.actor_id)
        .order_by(entry_t.c.id)
    )
    return list(connection.execute(query))


def _accounts_of(row: Row[Any]) -> tuple[AccountKey, ...]:
    return (
        AccountKey(row.bank_id, AccountKind.LOAN_PRINCIPAL, CNY, row.id),
        AccountKey(row.bank_id, AccountKind.LOAN_INTEREST, CNY, row.id),
        AccountKey(row.borrower_id, AccountKind.LOAN_PRINCIPAL_OWED, CNY, row.id),
        AccountKey(row.borrower_id, AccountKind.LOAN_INTEREST_OWED, CNY, row.id),
    )
