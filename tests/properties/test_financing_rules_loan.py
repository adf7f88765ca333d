from datetime import date, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from financing.lending.loan import LoanState, accrue, debt_on, disburse, repay
from financing.quantities import Money, Rate

START = date(2026, 1, 1)
loans = st.builds(
    lambda fen, bps: disburse(
        loan_id="L", borrower="b", lender="k", amount=Money(fen), rate=Rate(bps), on=START, tenor_days=365
    ),
    st.integers(1, 10**11),
    st.integers(0, 2_400),
)


@settings(max_examples=200, deadline=None)
@given(loans, st.integers(1, 400))
def test_daily_booking_and_one_jump_give_the_same_total(loan, days):
    daily, booked = loan, Money(0)
    for day in range(1, days + 1):
        daily, posted = accrue(daily, START + timedelta(days=day))
        assert posted >= Money(0)
        booked += posted
    jumped, at_once = accrue(loan, START + timedelta(days=days))
    assert booked == at_once
    assert daily == jumped
    exact = Fraction(loan.principal.fen * loan.rate.bps * days, 3_600_000)
    assert abs(at_once.fen - exact) <= Fraction(1, 2)


@settings(max_examples=300, deadline=None)
@given(loans, st.lists(st.tuples(st.integers(0, 60), st.integers(1, 100)), max_size=8))
def test_payments_and_interest_reconcile_to_what_was_lent(loan, steps):
    """An auditor with its own arithmetic: principal per day, summed, against the loan's books."""
    day, paid, exact, start = 0, 0, Fraction(0), loan.principal.fen
    for gap, percent in steps:
        if loan.state is not LoanState.ACTIVE:
            break
        exact += Fraction(loan.principal.fen * loan.rate.bps * gap, 3_600_000)
        day += gap
        on = START + timedelta(days=day)
        owed = debt_on(loan, on)
        amount = owed.total.scaled_ceil(Fraction(percent, 100))
        loan, split = repay(loan, amount, on)
        assert split.interest + split.principal == amount
        assert split.interest == min(amount, owed.interest)
        paid += amount.fen
        assert loan.interest_booked.fen == round(exact)
        assert start + loan.interest_booked.fen - paid == debt_on(loan, on).total.fen
        assert (loan.state is LoanState.REPAID) is (amount == owed.total)
