"""Price–time priority over price levels: a dictionary of queues and a heap of prices a side.

Levels are kept under a signed price, so that the best level of either side is the smallest key: asks under their
price, bids under its negative. A level that empties by cancels stays until it is the best, so a price is in the heap
once. The loop of `place` is one function on purpose: a call costs as much as a fill.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from financing.base.errors import CannotFill, NotFound, WouldCross
from financing.market.order_book.engine.orders import Order, OrderState, SelfTrade

Fill = tuple[Order, int]
NEWEST = SelfTrade.CANCEL_NEWEST.value
OLDEST = SelfTrade.CANCEL_OLDEST.value
CANCELLED, EXPIRED, SELF_TRADE = OrderState.CANCELLED, OrderState.EXPIRED, OrderState.SELF_TRADE


class Placed:
    """What an order did: fills (waiting order, lots) at the waiting order's price, own waiting orders that ended
    or shrank (with the lots they lost), why its own rest ended if it did not wait, and how many lots that was."""

    __slots__ = ("dropped", "ended", "fills", "shrunk")

    def __init__(
        self, fills: Sequence[Fill] = (), shrunk: Sequence[Fill] = (), ended: OrderState | None = None, dropped: int = 0
    ) -> None:
        self.fills = fills
        self.shrunk = shrunk
        self.ended = ended
        self.dropped = dropped


WAITS = Placed()  # what every order did that met nothing


class OrderBook:
    """Waiting orders of one instrument."""

    __slots__ = ("_ask_heap", "_asks", "_bid_heap", "_bids", "orders")

    def __init__(self) -> None:
        self._bids: dict[int, deque[Order]] = {}
        self._asks: dict[int, deque[Order]] = {}
        self._bid_heap: list[int] = []
        self._ask_heap: list[int] = []
        self.orders: dict[str, Order] = {}

    def place(self, order: Order, levels_max: int = 5) -> Placed:  # noqa: PLR0911, PLR0912, PLR0915 (one loop, see above)
        """Trade an order against the best `levels_max` opposite prices and let the rest wait if it may.

        What would still trade beyond those prices ends, so that the book never stands crossed.
        Raises `WouldCross` for a post-only order that would trade, `CannotFill` for one that must trade in full and
        cannot. Nothing changes then.
        """
        if order.whole or order.post_only:
            self._require_possible(order, levels_max)
        price = order.price
        if order.is_buy:
            limit, heap = price, self._ask_heap
            if order.waits and (not heap or heap[0] > limit):
                queue = self._bids.get(-price)
                if queue is not None:
                    queue.append(order)
                    self.orders[order.order_id] = order
                    return WAITS
            levels = self._asks
        else:
            limit, heap = -price, self._bid_heap
            if order.waits and (not heap or heap[0] > limit):
                queue = self._asks.get(price)
                if queue is not None:
                    queue.append(order)
                    self.orders[order.order_id] = order
                    return WAITS
            levels = self._bids
        if not heap or heap[0] > limit:
            if order.waits:
                self._rest(order)
                return WAITS
            dropped, order.left = order.left, 0
            return Placed((), (), EXPIRED, dropped)
        owner, left, spent, orders = order.owner, order.left, 0, self.orders
        fills: list[Fill] = []
        shrunk: list[Fill] = []
        ended: OrderState | None = None
        seen = 0
        while left and heap:
            key = heap[0]
            if key > limit:
                break
            queue = levels[key]
            if queue:
                if seen == levels_max:
                    ended = EXPIRED
                    break
                seen += 1
            price = key if key > 0 else -key
            while queue:
                maker = queue[0]
                there = maker.left
                if maker.owner == owner:
                    if order.self_trade == NEWEST:
                        ended = SELF_TRADE
                        break
                    left -= self._prevent(order, maker, left, shrunk)
                    if not maker.left:
                        queue.popleft()
                elif left < there:
                    maker.left = there - left
                    amount = left * price
                    maker.spent += amount
                    spent += amount
                    fills.append((maker, left))
                    left = 0
                else:
                    maker.left = 0
                    amount = there * price
                    maker.spent += amount
                    spent += amount
                    fills.append((maker, there))
                    left -= there
                    queue.popleft()
                    del orders[maker.order_id]
                if not left:
                    break
            if not queue:
                heappop(heap)
                del levels[key]
            if ended is not None:
                break
        order.spent = spent
        order.left = left
        if not left:
            return Placed(fills, shrunk, SELF_TRADE if shrunk and not _is_filled(order, fills) else None)
        if ended is None and order.waits:
            self._rest(order)
            return Placed(fills, shrunk)
        order.left = 0
        return Placed(fills, shrunk, ended or EXPIRED, left)

    def collect(self, order: Order) -> Placed:
        """Let an order wait for the call auction without trading; own opposite orders that it meets are kept apart.

        Raises `CannotFill` when it would meet one and its rule is to cancel the newest.
        """
        shrunk: list[Fill] = []
        for maker in self._own_opposites(order):
            if order.self_trade == NEWEST:
                raise CannotFill("it would trade with your own order", order_id=maker.order_id)
            order.left -= self._prevent(order, maker, order.left, shrunk)
            if not maker.left:
                self._unlink(maker)
            if not order.left:
                return Placed((), shrunk, SELF_TRADE)
        self._rest(order)
        return Placed((), shrunk)

    def cancel(self, order_id: str) -> Order:
        """Take a waiting order out; its `left` is what it still had. Raises `NotFound`."""
        order = self.orders.pop(order_id, None)
        if order is None:
            raise NotFound("no such order is waiting", order_id=order_id)
        self._unlink(order)
        return order

    def undo(self, order: Order, placed: Placed) -> None:
        """Make `order`, the last thing that happened to this book, not to have happened."""
        if self.orders.pop(order.order_id, None) is not None:
            self._unlink(order)
        for maker, lots in reversed(placed.fills):
            maker.left += lots
            maker.spent -= lots * maker.price
            self._return(maker)
        for maker, lots in reversed(placed.shrunk):
            maker.left += lots
            self._return(maker)

    def bids(self) -> Iterator[tuple[int, deque[Order]]]:
        """Levels (price, orders in time order) from the best; empty ones left out."""
        return ((-key, self._bids[key]) for key in sorted(self._bids) if self._bids[key])

    def asks(self) -> Iterator[tuple[int, deque[Order]]]:
        return ((key, self._asks[key]) for key in sorted(self._asks) if self._asks[key])

    def drop_filled(self, order: Order) -> None:
        """Forget an order that the call auction filled."""
        del self.orders[order.order_id]
        self._unlink(order)

    def _rest(self, order: Order) -> None:
        if order.is_buy:
            key, heap, levels = -order.price, self._bid_heap, self._bids
        else:
            key, heap, levels = order.price, self._ask_heap, self._asks
        queue = levels.get(key)
        if queue is None:
            levels[key] = deque((order,))
            heappush(heap, key)
        else:
            queue.append(order)
        self.orders[order.order_id] = order

    def _return(self, order: Order) -> None:
        """Back to its place in its level, if it had left it: levels are in the order of `seq`."""
        if order.order_id in self.orders:
            return
        levels, heap, key = (
            (self._bids, self._bid_heap, -order.price) if order.is_buy else (self._asks, self._ask_heap, order.price)
        )
        if key not in levels:
            levels[key] = deque()
            heappush(heap, key)
        queue = levels[key]
        place = next((n for n, other in enumerate(queue) if other.seq > order.seq), len(queue))
        queue.insert(place, order)
        self.orders[order.order_id] = order

    def _unlink(self, order: Order) -> None:
        queue = self._bids[-order.price] if order.is_buy else self._asks[order.price]
        if queue[-1] is order:
            queue.pop()
        else:
            queue.remove(order)

    def _prevent(self, order: Order, maker: Order, left: int, shrunk: list[Fill]) -> int:
        """End or shrink an own waiting order; returns the lots that the arriving order loses by it."""
        lost = maker.left if order.self_trade == OLDEST else min(left, maker.left)
        maker.left -= lost
        shrunk.append((maker, lost))
        if not maker.left:
            del self.orders[maker.order_id]
        return 0 if order.self_trade == OLDEST else lost

    def _own_opposites(self, order: Order) -> list[Order]:
        levels = self._asks if order.is_buy else self._bids
        limit = order.price if order.is_buy else -order.price
        return [each for key in sorted(levels) if key <= limit for each in levels[key] if each.owner == order.owner]

    def _require_possible(self, order: Order, levels_max: int) -> None:
        limit = order.price if order.is_buy else -order.price
        levels = self._asks if order.is_buy else self._bids
        keys = [key for key in sorted(levels) if key <= limit and levels[key]][:levels_max]
        if order.post_only and keys:
            raise WouldCross("a post-only order would trade at once", best_fen_per_tonne=abs(keys[0]))
        if order.whole and self._within_reach(order, keys, levels) < order.left:
            raise CannotFill("it cannot trade in full at once", asked_lots=order.left)

    @staticmethod
    def _within_reach(order: Order, keys: list[int], levels: dict[int, deque[Order]]) -> int:
        lots = 0
        for key in keys:
            for maker in levels[key]:
                if maker.owner != order.owner:
                    lots += maker.left
                elif order.self_trade != OLDEST and lots < order.left:
                    return lots
        return lots


def _is_filled(order: Order, fills: list[Fill]) -> bool:
    return sum(lots for _, lots in fills) == order.lots
