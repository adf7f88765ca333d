"""Gradients on shares against Python's integers, at the ends of the range: never a wrong sum, at worst a refusal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import sized

from federated.errors import AggregationFailed
from federated.privacy.vertical.curve import REACH, Curve
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.party import PRODUCTS, PairSide
from federated.privacy.vertical.ring import COLUMN_BITS, LOGIT_BITS, RESIDUAL_BITS, Tape, fixed

FAR = 99.0
RATES = st.floats(0.001, 0.999)


def opened(curve, labels, columns, bank_logits, grid_logits):
    """The bank's gradient (width,) as two parties and their dealer compute it, as signed integers."""
    dealer = Dealer(len(labels))
    tapes = {role: (Tape(key), Tape(bytes(32))) for role, key in dealer.keys.items()}
    bank = PairSide(columns, *tapes["bank"], curve, labels)
    grid = PairSide(columns, *tapes["grid"], curve)
    dealer.columns({"bank": columns.shape[1], "grid": columns.shape[1]})
    hidden = bank.hidden_columns(), grid.hidden_columns()
    bank.take_hidden(hidden[1])
    grid.take_hidden(hidden[0])
    # No coefficient of the grid company's columns: each side's part of a logit is its own.
    bank._theirs = np.zeros(len(labels), dtype=np.uint64)
    grid._theirs = fixed(np.clip(grid_logits / REACH, -1.0, 1.0), LOGIT_BITS, 1.0)
    bank._next = grid._next = "open"
    first = bank.open(bank_logits), grid.open()
    width = columns.shape[1]
    corrections, owed = dealer.products(PRODUCTS), dealer.gradients({"bank": width, "grid": width})
    second = bank.cross(first[1], owed["grid"]), grid.cross(first[0], np.concatenate([corrections, owed["bank"]]))
    bank.cube(second[1])
    grid.cube(second[0])
    masked, owed = grid.hand_over()
    bank.hand_over()
    return np.asarray(bank.receive(masked, width) + owed).astype(np.int64).tolist()


def residual(curve, label, u):
    """y − the cubic at u, an integer number of 2^−10, in Python's integers of any size and units of 2^−36."""
    factors = [round(c * 2.0 ** (RESIDUAL_BITS - k * LOGIT_BITS)) for k, c in enumerate(curve.coefficients)]
    return label * (1 << RESIDUAL_BITS) - sum(f * u**k for k, f in enumerate(factors))


@settings(max_examples=sized(25, 600), deadline=None)
@given(RATES, st.lists(st.tuples(st.booleans(), st.sampled_from([-FAR, FAR, 0.3]), st.sampled_from([-FAR, FAR, -1.7]),
                                 st.integers(0, 1 << COLUMN_BITS)), min_size=1, max_size=8))  # fmt: skip
def test_a_gradient_is_exact_to_the_last_bit_wherever_logits_are(rate, rows):
    curve = Curve.around(rate)
    labels = np.array([float(label) for label, *_ in rows])
    columns = np.array([[column / (1 << COLUMN_BITS)] for *_, column in rows])
    parts = [np.array([row[side] for row in rows]) for side in (1, 2)]
    cut = [np.clip((parts[0] - curve.centre) / REACH, -1.0, 1.0), np.clip(parts[1] / REACH, -1.0, 1.0)]
    together = [int(u) for u in sum(np.rint(part * (1 << LOGIT_BITS)).astype(int) for part in cut)]
    each = [residual(curve, int(row[0]), u) for row, u in zip(rows, together, strict=True)]
    assert opened(curve, labels, columns, *parts) == [sum(r * row[3] for r, row in zip(each, rows, strict=True))]
    assert all(abs(r) <= curve.largest_residual for r in each)


@settings(max_examples=sized(33, 1_000), deadline=None)
@given(RATES)
def test_no_rows_that_are_let_in_can_leave_the_ring(rate):
    curve = Curve.around(rate)
    ends = range(-2 << LOGIT_BITS, (2 << LOGIT_BITS) + 1)
    largest = max(abs(residual(curve, label, u)) for label in (0, 1) for u in ends)
    assert curve.largest_residual == largest
    assert (
        curve.most_rows * largest * (1 << COLUMN_BITS) < 1 << 63 <= (curve.most_rows + 1) * largest * (1 << COLUMN_BITS)
    )
    assert curve.most_rows > 370_800


def test_as_many_rows_as_fit_sum_up_right_where_the_cubic_is_farthest_off_and_one_more_is_refused():
    curve = Curve.around(0.05)
    assert curve.of(np.array([curve.centre + 2 * REACH]))[0] == pytest.approx(2.68, abs=0.005)
    for rows in (curve.most_rows, curve.most_rows + 1):
        far, ones, none = np.full(rows, FAR), np.ones((rows, 1)), np.zeros(rows)
        if rows > curve.most_rows:
            with pytest.raises(AggregationFailed, match="may not fit the ring"):
                opened(curve, none, ones, far, far)
            continue
        exact = rows * residual(curve, 0, 2 << LOGIT_BITS) * (1 << COLUMN_BITS)
        assert opened(curve, none, ones, far, far) == [exact]
        assert -(1 << 63) < exact < -0.8 * (1 << 63)
