"""Schedules in columns against the same schedules one by one, in whole numbers and fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import sized

from financing.base.errors import ContractInvalid
from financing.base.quantities import half_even
from financing.lending.contracts.batch import exact_level, schedules

loans = st.lists(
    st.tuples(st.integers(0, 10**12), st.integers(0, 3_600), st.integers(1, 40), st.integers(1, 12)),
    min_size=1,
    max_size=8,
)


def one(kind, amount, rate_bps, count, months):
    """The rule of the module's docstring, for one loan."""
    rate = rate_bps * months
    if kind == "bullet":
        level = 0
    elif kind == "equal_principal":
        level = half_even(Fraction(amount, count))
    else:
        level = half_even(exact_level(amount, rate, count) if rate else Fraction(amount, count))
    left, rows = amount, []
    for place in range(count):
        interest = half_even(Fraction(left * rate_bps * months, 120_000))
        part = min(max(level - interest, 0) if kind == "annuity" else level, left)
        part = left if place == count - 1 else part
        rows.append((interest, part))
        left -= part
    return rows


@settings(max_examples=sized(66, 2_000), deadline=None)
@given(st.sampled_from(["bullet", "equal_principal", "annuity"]), loans)
def test_columns_are_the_schedules_one_by_one(kind, drawn):
    amount, rate, count, months = (np.array(column, np.int64) for column in zip(*drawn, strict=True))
    found = schedules(kind, amount, rate, count, months)
    for row, loan in enumerate(drawn):
        expected = one(kind, *loan)
        have = list(zip(found.interest[row].tolist(), found.principal[row].tolist(), strict=True))
        assert have[: loan[2]] == expected
        assert not any(interest or principal for interest, principal in have[loan[2] :])
        assert int(found.principal[row].sum()) == loan[0]


@pytest.mark.parametrize(("amount", "rate", "count"), [(-1, 1, 1), (10**13, 1, 1), (1, 9_999, 1), (1, 1, 0)])
def test_amounts_beyond_the_limits_are_refused(amount, rate, count):
    one_each = (np.array([each]) for each in (amount, rate, count, 1))
    with pytest.raises(ContractInvalid):
        schedules("annuity", *one_each)


@given(st.integers(1, 10**12), st.integers(1, 3_600), st.integers(1, 60))
@settings(max_examples=sized(33, 1_000), deadline=None)
def test_the_level_instalment_pays_the_loan_back_exactly(amount, rate, count):
    level, left = exact_level(amount, rate, count), Fraction(amount)
    for _ in range(count):
        left = left * (1 + Fraction(rate, 120_000)) - level
    assert left == 0


def test_a_level_instalment_on_the_edge_of_two_fen_is_rounded_to_the_even_one():
    # One instalment at 0.5 % a month: 100 fen × 1.005 = 100.5, 300 × 1.005 = 301.5.
    found = schedules("annuity", np.array([100, 300]), np.array([600, 600]), np.array([2, 1]), np.array([1, 1]))
    assert found.principal.tolist() == [[50, 50], [300, 0]]
    level = exact_level(100, 600, 1)
    assert level == Fraction(201, 2)


@pytest.mark.parametrize(
    "columns",
    [
        (np.array([100]), np.array([1]), np.array([2]), np.array([1_000])),
        (np.array([100]), np.array([1]), np.array([2_000]), np.array([1])),
        (np.array([100.5]), np.array([1]), np.array([2]), np.array([1])),
        (np.array([100, 200]), np.array([1]), np.array([2]), np.array([1])),
        (np.array([[100]]), np.array([1]), np.array([2]), np.array([1])),
    ],
)
def test_columns_of_another_shape_or_beyond_64_bits_are_refused(columns):
    with pytest.raises(ContractInvalid):
        schedules("annuity", *columns)


def test_narrow_integers_are_widened_before_they_are_multiplied():
    wide = [np.array([each]) for each in (2 * 10**9, 3_600, 3, 12)]
    narrow = [each.astype(np.int32) for each in wide]
    assert schedules("annuity", *narrow).interest.tolist() == schedules("annuity", *wide).interest.tolist()
