"""The call auction: one price at which the most changes hands, and who trades at it.

The price is chosen by largest volume, then smallest imbalance, then market pressure (the highest price if every
candidate leaves buyers over, the lowest if every one leaves sellers over), then the price nearest to the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

from financing.market.order_book.engine.matching import OrderBook
from financing.market.order_book.engine.orders import Order


@dataclass(frozen=True, slots=True)
class Crossing:
    """The auction's price and the trades at it: (buyer's order, seller's order, lots), in priority order."""

    price: int
    volume: int
    pairs: tuple[tuple[Order, Order, int], ...]


def uncross(book: OrderBook, reference: int) -> tuple[Crossing | None, list[Order]]:
    """Find the price and pair the orders without changing the book; also the all-or-none orders that must end.

    An all-or-none order that the price would fill in part is left out, latest first, and the price is found again.
    The crossing is None when nothing meets.
    """
    bids = [order for _, queue in book.bids() for order in queue]
    asks = [order for _, queue in book.asks() for order in queue]
    left_out: list[Order] = []
    while True:
        price = crossing_price(
            [(order.price, order.left) for order in bids], [(order.price, order.left) for order in asks], reference
        )
        if price is None:
            return None, _unfilled(book, frozenset(), left_out)
        crossing = _paired(price, bids, asks)
        filled = _lots_of(crossing)
        broken = [order for order in (*bids, *asks) if order.whole and 0 < filled.get(order.order_id, 0) < order.left]
        if not broken:
            whole = frozenset(name for name, lots in filled.items() if lots)
            return crossing, _unfilled(book, whole, left_out)
        latest = max(broken, key=lambda order: order.seq)
        left_out.append(latest)
        bids = [order for order in bids if order is not latest]
        asks = [order for order in asks if order is not latest]


def crossing_price(bids: list[tuple[int, int]], asks: list[tuple[int, int]], reference: int) -> int | None:
    """The auction price for (price, lots) pairs of either side in any order; None when nothing meets."""
    if not bids or not asks:
        return None
    low, high = min(price for price, _ in asks), max(price for price, _ in bids)
    if low > high:
        return None
    demand, supply = _at_least(bids, low, high), _at_most(asks, low, high)
    ticks = range(low, high + 1)
    volume = max(min(demand[n], supply[n]) for n in range(len(ticks)))
    best = [n for n in range(len(ticks)) if min(demand[n], supply[n]) == volume]
    smallest = min(abs(demand[n] - supply[n]) for n in best)
    best = [n for n in best if abs(demand[n] - supply[n]) == smallest]
    if all(demand[n] > supply[n] for n in best):
        return ticks[best[-1]]
    if all(demand[n] < supply[n] for n in best):
        return ticks[best[0]]
    return min((ticks[n] for n in best), key=lambda price: (abs(price - reference), price))


def _at_least(orders: list[tuple[int, int]], low: int, high: int) -> list[int]:
    """Lots bid at each tick or above it."""
    lots = [0] * (high - low + 1)
    for price, left in orders:
        if price >= low:
            lots[price - low] += left
    for n in range(len(lots) - 2, -1, -1):
        lots[n] += lots[n + 1]
    return lots


def _at_most(orders: list[tuple[int, int]], low: int, high: int) -> list[int]:
    """Lots offered at each tick or below it."""
    lots = [0] * (high - low + 1)
    for price, left in orders:
        if price <= high:
            lots[price - low] += left
    for n in range(1, len(lots)):
        lots[n] += lots[n - 1]
    return lots


def _paired(price: int, bids: list[Order], asks: list[Order]) -> Crossing:
    """Pair the orders that accept `price`, best price and earliest first on both sides."""
    buyers = [order for order in bids if order.price >= price]
    sellers = [order for order in asks if order.price <= price]
    pairs: list[tuple[Order, Order, int]] = []
    buy_left = [order.left for order in buyers]
    sell_left = [order.left for order in sellers]
    b = s = 0
    while b < len(buyers) and s < len(sellers):
        lots = min(buy_left[b], sell_left[s])
        pairs.append((buyers[b], sellers[s], lots))
        buy_left[b] -= lots
        sell_left[s] -= lots
        b += not buy_left[b]
        s += not sell_left[s]
    return Crossing(price, sum(lots for _, _, lots in pairs), tuple(pairs))


def _lots_of(crossing: Crossing) -> dict[str, int]:
    lots: dict[str, int] = {}
    for buy, sell, traded in crossing.pairs:
        lots[buy.order_id] = lots.get(buy.order_id, 0) + traded
        lots[sell.order_id] = lots.get(sell.order_id, 0) + traded
    return lots


def _unfilled(book: OrderBook, filled: frozenset[str], left_out: list[Order]) -> list[Order]:
    """All-or-none orders end with the auction when it does not fill them."""
    ended = {order.order_id for order in left_out}
    return [
        order
        for order in book.orders.values()
        if order.whole and (order.order_id in ended or order.order_id not in filled)
    ]
