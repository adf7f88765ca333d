"""A bullet loan: principal and interest due at maturity, repayable earlier in part or whole.

Interest is ACT/360 (the PBoC convention: daily rate = annual rate ÷ 360) and simple. What has accrued to a date is a
function of dates alone: principal × days is summed exactly, and the whole is rounded half to even once, so booking it
daily or in one jump gives the same total. After maturity interest runs on at the contract rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

from financing.errors import InvalidState, OverpaymentRefused, PeriodInvalid
from financing.quantities import Money, Rate, checked_int64, half_even

DAYS_PER_YEAR = 360
NOTHING = Money(0)


class LoanState(StrEnum):
    ACTIVE = "active"
    REPAID = "repaid"
    WRITTEN_OFF = "written_off"


@dataclass(frozen=True, slots=True)
class Loan:
    """A disbursed loan. `principal_days` (fen × days) is exact up to `accrued_from`, the date of the last change of
    principal; `interest_booked` is what was posted so far, `interest_paid` what of it was paid."""

    loan_id: str
    borrower: str
    lender: str
    rate: Rate
    disbursed_on: date
    matures_on: date
    drawn: Money
    principal: Money
    accrued_from: date
    principal_days: int = 0
    interest_booked: Money = NOTHING
    interest_paid: Money = NOTHING
    state: LoanState = LoanState.ACTIVE

    def __post_init__(self) -> None:
        checked_int64(self.principal_days, "principal_days")


@dataclass(frozen=True, slots=True)
class Debt:
    """What is owed on a date."""

    on: date
    principal: Money
    interest: Money

    @property
    def total(self) -> Money:
        return self.principal + self.interest


@dataclass(frozen=True, slots=True)
class Allocation:
    """How a payment is split. `accrual` is the interest to book with it, up to its date."""

    accrual: Money
    interest: Money
    principal: Money


def disburse(*, loan_id: str, borrower: str, lender: str, amount: Money, rate: Rate, on: date, tenor_days: int) -> Loan:
    """A new loan of `amount` from `on`. Raises `QuantityOutOfRange` or `PeriodInvalid` for nothing or no tenor."""
    amount.require_positive()
    rate.require_non_negative()
    if tenor_days <= 0:
        raise PeriodInvalid("a loan runs at least one day", tenor_days=tenor_days)
    matures = on + timedelta(days=tenor_days)
    return Loan(loan_id, borrower, lender, rate, on, matures, amount, amount, on)


def interest_to(loan: Loan, on: date) -> Money:
    """All interest from disbursement up to, not including, `on`; half to even. Raises `PeriodInvalid` before the
    last change of principal."""
    if on < loan.accrued_from:
        raise PeriodInvalid("the books are already later than this date", on=str(on), since=str(loan.accrued_from))
    return Money(half_even(Fraction(_principal_days(loan, on) * loan.rate.bps, 10_000 * DAYS_PER_YEAR)))


def debt_on(loan: Loan, on: date) -> Debt:
    """Principal and unpaid interest on `on`. A closed loan owes nothing."""
    if loan.state is not LoanState.ACTIVE:
        return Debt(on, NOTHING, NOTHING)
    return Debt(on, loan.principal, interest_to(loan, on) - loan.interest_paid)


def accrue(loan: Loan, on: date) -> tuple[Loan, Money]:
    """Book interest up to `on`: the loan, and the amount to post now (zero if it is booked already)."""
    _require_active(loan)
    due = interest_to(loan, on) - loan.interest_booked
    if due < NOTHING:
        raise PeriodInvalid("interest is already booked past this date", on=str(on))
    return replace(loan, interest_booked=loan.interest_booked + due), due


def repay(loan: Loan, amount: Money, on: date) -> tuple[Loan, Allocation]:
    """Allocate a payment: interest first, then principal. The loan is repaid when nothing is owed.

    Raises `OverpaymentRefused` above the debt of the day, `InvalidState` on a closed loan, `PeriodInvalid` for a date
    before the last change of principal, `QuantityOutOfRange` for a payment of nothing.
    """
    amount.require_positive()
    booked, accrual = accrue(loan, on)
    debt = debt_on(booked, on)
    if amount > debt.total:
        raise OverpaymentRefused("the payment is larger than the debt", debt_fen=debt.total.fen, paid_fen=amount.fen)
    interest = min(amount, debt.interest)
    principal = amount - interest
    after = replace(booked, interest_paid=booked.interest_paid + interest)
    if principal:
        after = replace(
            after,
            principal=loan.principal - principal,
            principal_days=_principal_days(loan, on),
            accrued_from=on,
        )
    if amount == debt.total:
        after = replace(after, state=LoanState.REPAID)
    return after, Allocation(accrual, interest, principal)


def write_off(loan: Loan, on: date) -> tuple[Loan, Debt]:
    """Close the loan with a loss: the loan and what was lost, after accruing to `on`."""
    booked, _ = accrue(loan, on)
    return replace(booked, state=LoanState.WRITTEN_OFF), debt_on(booked, on)


def is_overdue(loan: Loan, on: date) -> bool:
    """Whether the loan is unpaid after its maturity date."""
    return loan.state is LoanState.ACTIVE and on > loan.matures_on


def _principal_days(loan: Loan, on: date) -> int:
    return loan.principal_days + loan.principal.fen * (on - loan.accrued_from).days


def _require_active(loan: Loan) -> None:
    if loan.state is not LoanState.ACTIVE:
        raise InvalidState(f"the loan is {loan.state}", loan_id=loan.loan_id)
