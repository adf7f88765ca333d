"""Schedules in columns against the same schedules one by one, in whole numbers and fractions."""

from fractions import Fraction
from math import expm1, log1p

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from financing.contracts.batch import schedules
from financing.errors import ContractInvalid
from financing.quantities import half_even

loans = st.lists(
    st.tuples(st.integers(0, 10**12), st.integers(0, 3_600), st.integers(1, 40), st.integers(1, 12)),
    min_size=1,
    max_size=8,
)


def one(kind, amount, rate_bps, count, months):
    """The rule of the module's docstring, for one loan."""
    rate = rate_bps * months / 120_000
    if kind == "bullet":
        level = 0
    elif kind == "equal_principal":
        level = half_even(Fraction(amount, count))
    else:
        level = round(amount * rate / -expm1(-count * log1p(rate)) if rate else amount / count)
    left, rows = amount, []
    for place in range(count):
        interest = half_even(Fraction(left * rate_bps * months, 120_000))
        part = min(max(level - interest, 0) if kind == "annuity" else level, left)
        part = left if place == count - 1 else part
        rows.append((interest, part))
        left -= part
    return rows


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["bullet", "equal_principal", "annuity"]), loans)
def test_columns_are_the_schedules_one_by_one(kind, drawn):
    amount, rate, count, months = (np.array(column, np.int64) for column in zip(*drawn, strict=True))
    found = schedules(kind, amount, rate, count, months)
    for row, loan in enumerate(drawn):
        expected = one(kind, *loan)
        have = list(zip(found.interest[row].tolist(), found.principal[row].tolist(), strict=True))
        for place, (want, got) in enumerate(zip(expected, have, strict=False)):
            # The level instalment is a rounded estimate: numpy and math may differ by a fen on its edge.
            assert abs(want[0] - got[0]) <= place + 1, (loan, place)
            if kind != "annuity":
                assert want == got
        assert int(found.principal[row].sum()) == loan[0]


@pytest.mark.parametrize(("amount", "rate", "count"), [(-1, 1, 1), (10**13, 1, 1), (1, 9_999, 1), (1, 1, 0)])
def test_amounts_beyond_the_limits_are_refused(amount, rate, count):
    one_each = (np.array([each]) for each in (amount, rate, count, 1))
    with pytest.raises(ContractInvalid):
        schedules("annuity", *one_each)
