"""Products of masks and vectors that a dealer makes in stock: exact, and one that is wrong anywhere is found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import Tape, floating, shifted
from federated.privacy.vertical.triples import bucket_size, dealt
from federated.privacy.vertical.weighing import STOCK, BankStock, GridStock, deal, multiplied

KEY, COMMON = b"b" * 32, b"c" * 32


def a_stock(rows=40, width=5, change=None):
    """Both sides' stocks and the mask; `change` makes the dealer's products others."""
    mask = Tape(b"m" * 32).draw(rows, width)
    sent = deal(mask, Tape(KEY))
    if change is not None:
        change(sent)
    bank = BankStock(rows, width, Tape(KEY), Tape(COMMON))
    return bank, lambda: GridStock(mask, sent, bank.told, Tape(COMMON)), mask


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 600), st.integers(1, 7), st.integers(0, 1 << 32))
def test_products_of_matrices_are_those_of_integers(rows, inner, columns, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 1 << 64, shape, dtype=np.uint64) for shape in ((rows, inner), (inner, columns)))
    assert np.array_equal(multiplied(a, b), a @ b)
    high = np.full((rows, inner), (1 << 64) - 1, dtype=np.uint64)
    assert np.array_equal(multiplied(high, b), high @ b)


def test_shares_of_a_stock_add_up_to_products_and_each_is_taken_once():
    bank, grid, mask = a_stock()
    grid = grid()
    seen = set()
    for _ in range(STOCK):
        vector, share = bank.take()
        assert np.array_equal(share + grid.take(), mask @ vector)
        seen.add(vector.tobytes())
    assert len(seen) == STOCK
    assert bank.empty
    assert grid.empty


@pytest.mark.parametrize("error", [1, 1 << 40, 1 << 63])
def test_a_wrong_product_is_found_wherever_it_is(error):
    for at in range(0, dealt(STOCK) * 40, 97):

        def wrong(sent, at=at):
            sent.reshape(-1)[[at]] += np.uint64(error)

        with pytest.raises(AggregationFailed, match="products do not agree"):
            a_stock(change=wrong)[1]()


def test_wrong_products_pass_only_if_they_are_whole_buckets():
    """A dealer that knew the order would pass: so the order is of a key that it does not have."""
    order = np.argsort(Tape(COMMON).draw(dealt(STOCK)), kind="stable")
    size = bucket_size(STOCK)

    def one_bucket(sent):
        sent[order[size:].reshape(size, STOCK)[:, 3], 7] += np.uint64(1 << 40)

    bank, grid, mask = a_stock(change=one_bucket)
    grid = grid()
    wrong = []
    for _ in range(STOCK):
        vector, share = bank.take()
        wrong.append(int((share + grid.take() != mask @ vector).sum()))
    assert wrong == [1 if k == 3 else 0 for k in range(STOCK)]

    def everything(sent):
        sent[:, 7] += np.uint64(1 << 40)

    with pytest.raises(AggregationFailed, match="products do not agree"):
        a_stock(change=everything)[1]()


def test_numbers_that_are_too_few_are_refused():
    bank, _, mask = a_stock()
    with pytest.raises(AggregationFailed, match="came for a stock of products"):
        GridStock(mask, np.zeros(7, dtype=np.uint64), bank.told, Tape(COMMON))


@settings(max_examples=100, deadline=None)
@given(st.integers(-(1 << 26), 1 << 26), st.integers(0, (1 << 64) - 1))
def test_shares_shifted_down_are_of_a_number_less_than_a_unit_off(number, share):
    one = np.array([share], dtype=np.uint64)
    other = np.array([number], dtype=np.int64).astype(np.uint64) - one
    found = floating(shifted(one, 11, first=True) + shifted(other, 11, first=False), 0)[0]
    wraps = (share < number) if number > 0 else (share + abs(number) >= 1 << 64)
    assert wraps or abs(found - number / 2**11) < 1.0
