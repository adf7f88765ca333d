"""Decide an application from score and collateral, disburse, accrue, repay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from financing.collateral.pledge import PledgeState
from financing.errors import CoverageInsufficient, InvalidState, NotPermitted, PeriodInvalid
from financing.ledger.accounts import CNY, AccountKey, AccountKind
from financing.ledger.entries import EntryKind, Posting, balanced, pay, transfer
from financing.lending import loan as rules
from financing.lending.assessment import CreditAssessment, NoFile
from financing.lending.decision import LoanApplication, decide, require_drawable
from financing.lending.loan import Allocation, Loan
from financing.persistence.lending_store import DecisionRecord, StoredLoan, StoredPledge
from financing.persistence.unit_of_work import UnitOfWork
from financing.quantities import Money, business_date
from financing.services.context import Context
from financing.services.margin import LoanCoverage, settle_call, stand
from financing.services.marks import marks_of, value_lots
from financing.services.pledging import freeze
from financing.valuation.pools import require_priced, value_pool
from financing.valuation.prices import Marked


@dataclass(frozen=True, slots=True)
class Apply:
    """A bank officer's application for a customer. `credit` is the score the bank was given, or `NoFile`."""

    borrower_id: str
    product: str
    amount: Money
    tenor_days: int
    pledge_ids: tuple[str, ...]
    credit: CreditAssessment | NoFile


@dataclass(frozen=True, slots=True)
class Disburse:
    decision_id: str
    amount: Money
    registration_number: str


@dataclass(frozen=True, slots=True)
class Repaid:
    stored: StoredLoan
    allocation: Allocation
    standing: LoanCoverage


def decide_application(unit: UnitOfWork, context: Context, command: Apply) -> DecisionRecord:
    """Decide on the collateral reserved for the actor and on the score. Every outcome is stored, a decline too.

    Raises `NotPermitted` (pledge of another, score of another subject), `InvalidState`, `AssessmentExpired`.
    """
    context.require_kind("bank")
    borrower = unit.organisations.get(command.borrower_id)
    if borrower.subject_id is None or command.credit.subject != borrower.subject_id:
        raise NotPermitted("the score is of another subject", borrower_id=borrower.id)
    pledges = _reserved(unit, context, command.pledge_ids, borrower.id)
    application = LoanApplication(
        application_id=context.new_id("app"),
        applicant=borrower.subject_id,
        lender=context.actor.id,
        product=command.product,
        amount=command.amount,
        tenor_days=command.tenor_days,
        collateral=tuple(stored.pledge.lot for stored in pledges),
    )
    on = business_date(context.at)
    marks = marks_of(unit, context.parameters, (lot.asset_class for lot in application.collateral), context.at)
    decision = decide(
        application,
        command.credit,
        value_pool(application.collateral, marks, context.parameters.classes_on(on)),
        product=context.parameters.product(command.product, on),
        parameters=context.parameters,
        at=context.at,
    )
    record = DecisionRecord(
        decision_id=context.new_id("dec"),
        borrower_id=borrower.id,
        application=application,
        pledge_ids=tuple(stored.pledge.pledge_id for stored in pledges),
        credit=command.credit,
        prices=tuple(
            (key, found.price.amount, found.observed_at) for key, found in marks.items() if isinstance(found, Marked)
        ),
        decision=decision,
    )
    unit.lending.add_decision(record)
    return record


def disburse_loan(unit: UnitOfWork, context: Context, command: Disburse) -> LoanCoverage:
    """Draw an approved decision: post its pledges, book both sides of the debt and pay out, in one commit.

    The collateral is valued again: raises `CoverageInsufficient` when it no longer supports the amount, and
    `CreditStandardNotMet`, `InvalidState` (drawn already), `NotPermitted`, `PriceMissing` and its kin.
    """
    record = unit.lending.decision(command.decision_id)
    context.require_party(record.application.lender)
    if (drawn := unit.lending.loan_of_decision(record.decision_id)) is not None:
        raise InvalidState("the decision was drawn already", loan_id=drawn)
    rate = require_drawable(record.decision, command.amount, context.at)
    pledges = _reserved(unit, context, record.pledge_ids, record.borrower_id)
    lendable = require_priced(
        value_lots(unit, context.parameters, (stored.pledge.lot for stored in pledges), context.at)
    ).lendable
    if command.amount > lendable:
        raise CoverageInsufficient(
            "the collateral no longer supports the amount",
            amount_fen=command.amount.fen,
            lendable_fen=lendable.fen,
        )
    loan = rules.disburse(
        loan_id=context.new_id("loan"),
        borrower=record.borrower_id,
        lender=context.actor.id,
        amount=command.amount,
        rate=rate,
        on=business_date(context.at),
        tenor_days=record.application.tenor_days,
    )
    unit.lending.add_loan(StoredLoan(loan, record.decision_id, record.application.product), context.at)
    for stored in pledges:
        freeze(unit, context, stored, loan.loan_id, command.registration_number)
    _post(unit, context, EntryKind.DISBURSEMENT, loan, [*pay(loan.lender, loan.borrower, loan.drawn), *_lend(loan)])
    return stand(unit, context, loan.loan_id)


def accrue_loan(unit: UnitOfWork, context: Context, loan_id: str, on: date) -> StoredLoan:
    """Book interest up to `on`, as the lender. Raises `PeriodInvalid` for a date in the future or already passed."""
    stored = unit.lending.loan(loan_id)
    context.require_party(stored.loan.lender)
    if on > business_date(context.at):
        raise PeriodInvalid("interest is not booked for days to come", on=str(on))
    accrued, due = rules.accrue(stored.loan, on)
    if due:
        _post(unit, context, EntryKind.ACCRUAL, accrued, owe_interest(accrued, due))
        unit.lending.save_loan(accrued)
    return unit.lending.loan(loan_id)


def repay_loan(unit: UnitOfWork, context: Context, loan_id: str, amount: Money) -> Repaid:
    """Pay from the borrower's settlement balance: interest first, then principal; a call that it cures is closed.

    Raises `NotPermitted`, `OverpaymentRefused`, `InvalidState`, `InsufficientBalance`.
    """
    stored = unit.lending.loan(loan_id)
    context.require_party(stored.loan.borrower)
    repaid, allocation = rules.repay(stored.loan, amount, business_date(context.at))
    postings = [
        *pay(repaid.borrower, repaid.lender, amount),
        *owe_interest(repaid, allocation.accrual),
        *settle_debt(repaid, allocation.interest, allocation.principal),
    ]
    _post(unit, context, EntryKind.REPAYMENT, repaid, postings)
    unit.lending.save_loan(repaid)
    settle_call(unit, context, stand(unit, context, loan_id))
    return Repaid(unit.lending.loan(loan_id), allocation, stand(unit, context, loan_id))


def owe_interest(loan: Loan, accrual: Money) -> Sequence[Posting]:
    """Postings that book `accrual` on both sides; none for nothing."""
    if not accrual:
        return ()
    return transfer(_owed(loan, AccountKind.LOAN_INTEREST_OWED), _claim(loan, AccountKind.LOAN_INTEREST), accrual)


def settle_debt(loan: Loan, interest: Money, principal: Money) -> Sequence[Posting]:
    """Postings that extinguish parts of the debt on both sides."""
    postings: list[Posting] = []
    if interest:
        postings += transfer(
            _claim(loan, AccountKind.LOAN_INTEREST), _owed(loan, AccountKind.LOAN_INTEREST_OWED), interest
        )
    if principal:
        postings += transfer(
            _claim(loan, AccountKind.LOAN_PRINCIPAL), _owed(loan, AccountKind.LOAN_PRINCIPAL_OWED), principal
        )
    return postings


def _lend(loan: Loan) -> Sequence[Posting]:
    return transfer(_owed(loan, AccountKind.LOAN_PRINCIPAL_OWED), _claim(loan, AccountKind.LOAN_PRINCIPAL), loan.drawn)


def _claim(loan: Loan, kind: AccountKind) -> AccountKey:
    return AccountKey(loan.lender, kind, CNY, loan.loan_id)


def _owed(loan: Loan, kind: AccountKind) -> AccountKey:
    return AccountKey(loan.borrower, kind, CNY, loan.loan_id)


def _post(unit: UnitOfWork, context: Context, kind: EntryKind, loan: Loan, postings: Sequence[Posting]) -> None:
    unit.ledger.post(balanced(kind, loan.loan_id, postings), at=context.at, actor_id=context.actor.id)


def _reserved(
    unit: UnitOfWork, context: Context, pledge_ids: Sequence[str], borrower_id: str
) -> tuple[StoredPledge, ...]:
    if not pledge_ids or len(set(pledge_ids)) != len(pledge_ids):
        raise InvalidState("an application names its pledges, each once", pledge_ids=list(pledge_ids))
    found = tuple(unit.lending.pledge(pledge_id) for pledge_id in pledge_ids)
    for stored in found:
        if stored.pledge.pledgee != context.actor.id or stored.pledge.pledgor != borrower_id:
            raise NotPermitted("the pledge is not this borrower's to this bank", pledge_id=stored.pledge.pledge_id)
        if stored.pledge.state is not PledgeState.RESERVED or context.at >= stored.pledge.expires_at:
            raise InvalidState("the pledge is not reserved any more", pledge_id=stored.pledge.pledge_id)
    return found
