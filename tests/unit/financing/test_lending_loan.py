from datetime import date, timedelta

import pytest

from financing.errors import InvalidState, OverpaymentRefused, PeriodInvalid, QuantityOutOfRange
from financing.lending.loan import Debt, LoanState, accrue, debt_on, disburse, is_overdue, repay, write_off
from financing.quantities import Money, Rate

START = date(2026, 1, 5)


def loan(yuan="1000000", bps=395, days=180):
    return disburse(
        loan_id="L",
        borrower="plant",
        lender="bank",
        amount=Money.from_yuan(yuan),
        rate=Rate(bps),
        on=START,
        tenor_days=days,
    )


def day(number: int) -> date:
    return START + timedelta(days=number)


def test_nothing_has_accrued_on_the_day_of_disbursement():
    assert debt_on(loan(), START) == Debt(START, Money.from_yuan("1000000"), Money(0))


def test_interest_comes_before_principal():
    after, split = repay(loan(), Money.from_yuan("100000"), day(90))
    assert (split.accrual, split.interest, split.principal) == (
        Money.from_yuan("9875"),
        Money.from_yuan("9875"),
        Money.from_yuan("90125"),
    )
    assert after.principal == Money.from_yuan("909875")
    assert debt_on(after, day(90)).interest == Money(0)


def test_a_payment_below_the_interest_leaves_the_principal():
    after, split = repay(loan(), Money.from_yuan("1"), day(90))
    assert (split.principal, after.principal) == (Money(0), Money.from_yuan("1000000"))
    assert debt_on(after, day(90)).interest == Money.from_yuan("9874")


def test_two_prepayments_on_one_day_make_no_negative_interest():
    once, _ = repay(loan(), Money.from_yuan("109875"), day(90))
    twice, split = repay(once, Money.from_yuan("100000"), day(90))
    assert (split.accrual, split.interest) == (Money(0), Money(0))
    assert debt_on(twice, day(90)).interest == Money(0)


def test_paying_all_closes_the_loan():
    owed = debt_on(loan(), day(180)).total
    closed, _ = repay(loan(), owed, day(180))
    assert closed.state is LoanState.REPAID
    assert debt_on(closed, day(200)).total == Money(0)
    assert closed.interest_booked == closed.interest_paid
    for act in (lambda: repay(closed, Money(1), day(181)), lambda: accrue(closed, day(181))):
        with pytest.raises(InvalidState):
            act()


def test_overpayment_is_refused():
    owed = debt_on(loan(), day(180)).total
    with pytest.raises(OverpaymentRefused):
        repay(loan(), owed + Money(1), day(180))
    with pytest.raises(QuantityOutOfRange):
        repay(loan(), Money(0), day(1))


def test_the_books_do_not_go_back():
    after, _ = repay(loan(), Money.from_yuan("100000"), day(90))
    with pytest.raises(PeriodInvalid):
        debt_on(after, day(89))
    booked, _ = accrue(loan(), day(30))
    with pytest.raises(PeriodInvalid):
        accrue(booked, day(29))
    assert accrue(booked, day(30))[1] == Money(0)


def test_interest_runs_on_after_maturity():
    late = loan(days=90)
    assert not is_overdue(late, day(90))
    assert is_overdue(late, day(91))
    assert debt_on(late, day(180)).interest == Money.from_yuan("19750")


def test_a_write_off_says_what_was_lost():
    gone, lost = write_off(loan(), day(90))
    assert (gone.state, lost.total) == (LoanState.WRITTEN_OFF, Money.from_yuan("1009875"))
    assert debt_on(gone, day(90)).total == Money(0)


def test_an_impossible_loan_is_refused():
    with pytest.raises(QuantityOutOfRange):
        loan("0")
    with pytest.raises(QuantityOutOfRange):
        loan(bps=-1)
    with pytest.raises(PeriodInvalid):
        loan(days=0)
