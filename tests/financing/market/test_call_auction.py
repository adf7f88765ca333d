"""The call auction's four rules, each where it alone decides, and all-or-none orders at the margin."""

from random import Random

import pytest
from book_auditor import auction_price

from financing.market.order_book.engine.call_auction import crossing_price, uncross
from financing.market.order_book.engine.matching import OrderBook
from financing.market.order_book.engine.orders import Order


@pytest.mark.parametrize(
    ("bids", "asks", "reference", "price"),
    [
        ([(102, 5)], [(101, 5)], 100, 101),  # everything equal: nearest to the reference
        ([(102, 5)], [(101, 5)], 110, 102),
        ([(102, 10), (101, 5)], [(100, 12)], 100, 101),  # most volume at 101 or below: 12; least left over at 101
        ([(103, 10)], [(100, 4)], 100, 103),  # buyers left over at every price: the highest
        ([(103, 4)], [(100, 10)], 103, 100),  # sellers left over at every price: the lowest
        ([(99, 5)], [(100, 5)], 100, None),
        ([], [(100, 5)], 100, None),
    ],
)
def test_each_rule(bids, asks, reference, price):
    assert crossing_price(bids, asks, reference) == price


def test_random_books_against_the_auditor():
    rng = Random(5)
    for _ in range(300):
        bids = [(rng.randint(90, 110), rng.randint(1, 9)) for _ in range(rng.randint(0, 8))]
        asks = [(rng.randint(90, 110), rng.randint(1, 9)) for _ in range(rng.randint(0, 8))]
        sides = [[{"price": price, "left": lots} for price, lots in side] for side in (bids, asks)]
        assert crossing_price(bids, asks, 100) == auction_price(*sides, 100)


def test_an_all_or_none_order_is_filled_whole_or_ends():
    book = OrderBook()
    book.collect(Order("b", "a", True, 100, 6, 1))
    book.collect(Order("s", "c", False, 100, 4, 2))
    book.collect(Order("w", "d", False, 100, 4, 3, whole=True))
    crossing, ended = uncross(book, 100)
    assert [(buy.order_id, sell.order_id, lots) for buy, sell, lots in crossing.pairs] == [("b", "s", 4)]
    assert [order.order_id for order in ended] == ["w"]
