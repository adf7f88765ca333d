"""Matching in process: our engine with risk checks and self-trade prevention beside its peers and a bare book.

One random crossing flow, the same for all, in one process, one after the other; each builds its own orders from it.
The bare book is what a deque a price and a heap a side cost at least: orders with identity, an index for cancels and a
record a trade; no owners, no risk, no rules.
"""

from __future__ import annotations

import gc
import logging
import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from financing.market.order_book.engine.matching import WAITS, OrderBook
from financing.market.order_book.engine.orders import PPM, Order, set_aside

PEERS = ("pyorderbook", "lightmatchingengine")
OWNERS = 64
FEE_PPM = 700
Flow = list[tuple[str, str, bool, int, int]]


def random_flow(orders: int, seed: int) -> Flow:
    """(id, owner, is buy, fen per lot, lots): both sides around one price, so that most orders cross."""
    rng = Random(seed)
    return [
        (
            f"o{number}",
            f"p{rng.randrange(OWNERS)}",
            rng.random() < 0.5,
            max(2_700, min(3_300, round(rng.gauss(3_000, 60)))),
            rng.randint(1, 20),
        )
        for number in range(orders)
    ]


def measure_matching(orders: int, seed: int = 7) -> dict[str, Any]:
    """Orders a second of each engine on the same flow, the median of three runs; None for a peer not installed."""
    flow = random_flow(orders, seed)
    ours = _median(_ours, flow)
    bare = _median(_bare, flow)
    figures: dict[str, Any] = {"orders": orders, "ours_per_s": ours[0], "ours_trades": ours[1]}
    figures |= {"bare_per_s": bare[0], "bare_trades": bare[1], "ours_over_bare": ours[0] / bare[0]}
    for name, run in (("pyorderbook", _pyorderbook), ("lightmatchingengine", _lightmatchingengine)):
        try:
            speed, trades = _median(run, flow)
        except ImportError:
            figures |= {f"{name}_per_s": None, f"ours_over_{name}": None}
            continue
        figures |= {f"{name}_per_s": speed, f"{name}_trades": trades, f"ours_over_{name}": ours[0] / speed}
    return figures


def _median(run: Callable[[Flow], int], flow: Flow) -> tuple[float, int]:
    seconds, trades = [], 0
    for _ in range(3):
        gc.collect()
        started = time.perf_counter()
        trades = run(flow)
        seconds.append(time.perf_counter() - started)
    return len(flow) / sorted(seconds)[1], trades


def _ours(flow: Flow) -> int:
    """The engine, with every order checked against what its owner has free and every change of it booked."""
    book = OrderBook()
    place = book.place
    cash = {f"p{n}": 10**15 for n in range(OWNERS)}
    units = {f"p{n}": 10**12 for n in range(OWNERS)}
    trades = 0
    for seq, (order_id, owner, is_buy, price, lots) in enumerate(flow):
        order = Order(order_id, owner, is_buy, price, lots, seq, FEE_PPM)
        if is_buy:
            amount = price * lots
            need = amount - -amount * FEE_PPM // PPM
            if need > cash[owner]:
                continue
            cash[owner] -= need
        else:
            if lots > units[owner]:
                continue
            units[owner] -= lots
        placed = place(order)
        if placed is WAITS:
            continue
        for maker, got in placed.fills:
            trades += 1
            amount = got * maker.price
            # The waiting side's fee and what its better reservation frees; its money or units arrive.
            if is_buy:
                cash[maker.owner] += amount + -amount * FEE_PPM // PPM
            else:
                units[maker.owner] += got
        if is_buy:
            units[owner] += lots - order.left - placed.dropped
            spent = order.spent
            cash[owner] += need - spent + -spent * FEE_PPM // PPM - (set_aside(order) if order.left else 0)
        else:
            spent = order.spent
            cash[owner] += spent + -spent * FEE_PPM // PPM
            units[owner] += placed.dropped
        for maker, lost in placed.shrunk:
            (cash if maker.is_buy else units)[maker.owner] += lost * (maker.price if maker.is_buy else 1)
    return trades


def _bare(flow: Flow) -> int:
    bids: dict[int, deque[list[Any]]] = {}
    asks: dict[int, deque[list[Any]]] = {}
    bid_heap: list[int] = []
    ask_heap: list[int] = []
    index: dict[str, list[Any]] = {}
    trades = 0
    for order_id, _, is_buy, price, lots in flow:
        order = [order_id, price, lots]
        done: list[tuple[str, str, int, int]] = []
        if is_buy:
            limit, heap, levels, own_heap, own, own_key = price, ask_heap, asks, bid_heap, bids, -price
        else:
            limit, heap, levels, own_heap, own, own_key = -price, bid_heap, bids, ask_heap, asks, price
        while order[2] and heap and heap[0] <= limit:
            queue = levels[heap[0]]
            while queue and order[2]:
                maker = queue[0]
                got = min(order[2], maker[2])
                maker[2] -= got
                order[2] -= got
                done.append((order_id, maker[0], maker[1], got))
                if not maker[2]:
                    queue.popleft()
                    del index[maker[0]]
            if not queue:
                del levels[heappop(heap)]
        trades += len(done)
        if order[2]:
            waiting = own.get(own_key)
            if waiting is None:
                own[own_key] = deque((order,))
                heappush(own_heap, own_key)
            else:
                waiting.append(order)
            index[order_id] = order
    return trades


def _pyorderbook(flow: Flow) -> int:
    from pyorderbook import OrderBook as PeerBook  # noqa: PLC0415
    from pyorderbook import ask, bid  # noqa: PLC0415

    logging.getLogger("pyorderbook.book").setLevel(logging.WARNING)  # what it logs is no part of matching
    book, trades = PeerBook(), 0
    for _, _, is_buy, price, lots in flow:
        trades += len(book.match((bid if is_buy else ask)("PHCER", price, lots)).trades)
    return trades


def _lightmatchingengine(flow: Flow) -> int:
    from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side  # noqa: PLC0415

    engine, trades = LightMatchingEngine(), 0
    for _, _, is_buy, price, lots in flow:
        _, fills = engine.add_order("PHCER", price, lots, Side.BUY if is_buy else Side.SELL)
        trades += len(fills) // 2
    return trades
