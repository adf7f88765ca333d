"""Worked examples of interest and cover, by hand."""

from datetime import date

from financing.lending.loan import debt_on, disburse
from financing.quantities import Money, Rate


def loan(yuan: str, bps: int, days: int):
    return disburse(
        loan_id="L", borrower="b", lender="k", amount=Money.from_yuan(yuan), rate=Rate(bps),
        on=date(2026, 1, 1), tenor_days=days,
    )  # fmt: skip


def test_a_year_of_365_days_over_360():
    assert debt_on(loan("1000000", 360, 365), date(2027, 1, 1)).interest == Money.from_yuan("36500.00")


def test_ninety_days_are_a_quarter():
    assert debt_on(loan("1000000", 400, 90), date(2026, 4, 1)).interest == Money.from_yuan("10000.00")


def test_one_day_is_rounded_half_to_even():
    # 1,000 yuan at 3.42 % for one day is 9.5 fen, and the even neighbour is 10; at 3.06 %, 8.5 fen becomes 8.
    assert debt_on(loan("1000", 342, 1), date(2026, 1, 2)).interest == Money(10)
    assert debt_on(loan("1000", 306, 1), date(2026, 1, 2)).interest == Money(8)
