"""Rebuild every book from its journal and hold it against all that is stored beside it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from financing.base.errors import BookDiverged
from financing.base.quantities import KG_PER_TONNE
from financing.base.storage.paging import Window
from financing.ledger.store import hold
from financing.market.order_book.engine.admission import reserved_for
from financing.market.order_book.engine.matching_engine import MatchingEngine, Trade
from financing.market.unit import MarketUnit


@dataclass(frozen=True, slots=True)
class Audited:
    """A book that agrees with its journal: the hash of its state, and how much stands behind it."""

    instrument: str
    events: int
    waiting: int
    trades: int
    state_hash: str


def verify_books(unit: MarketUnit) -> list[Audited]:
    """Replay all journals. Raises `BookDiverged` naming the first instrument whose orders, trades or reservations are
    not what its journal leads to."""
    return [_verified(unit, listed.id) for listed in unit.orders.instruments()]


def rebuilt(unit: MarketUnit, instrument: str) -> tuple[MatchingEngine, list[Trade]]:
    """The state that the journal leads to, and every trade on the way. Raises `BookDiverged`."""
    state, trades = MatchingEngine(instrument), []
    for recorded in unit.journal.after(instrument, 0):
        trades += state.apply(recorded.event).trades
        if state.chain != recorded.chain or state.seq != recorded.seq:
            raise BookDiverged("an event does not lead to the stored state", instrument=instrument, seq=recorded.seq)
    return state, trades


def _verified(unit: MarketUnit, instrument: str) -> Audited:
    state, trades = rebuilt(unit, instrument)
    stored = [each.trade for each in unit.orders.trades_after(instrument, 0, len(trades) + 1)]
    _require(stored == trades, "the trades are not those of the journal", instrument)
    waiting = {
        order.order_id: (order.left, order.spent, reserved_for(order, KG_PER_TONNE))
        for order in state.book.orders.values()
    }
    open_orders = {
        row.order_id: (row.left, row.spent, row.reserved)
        for row in unit.orders.orders(instrument=instrument, state="open", window=Window(len(waiting) + 1))
    }
    _require(open_orders == waiting, "the open orders are not those of the journal", instrument)
    held = unit.connection.execute(select(hold.c.reference, hold.c.amount).where(hold.c.state == "pending"))
    holds = {row.reference: row.amount for row in held if row.reference in waiting}
    _require(holds == {name: each[2] for name, each in waiting.items()}, "the reservations differ", instrument)
    shown = unit.orders.instrument(instrument)
    seen = (shown.phase, shown.halted, shown.day, shown.reference, shown.last)
    now = (state.phase.value, state.halted, state.day, state.reference, state.last)
    _require(seen == now, "what readers see is not the state", instrument)
    return Audited(instrument, state.seq, len(waiting), len(trades), state.state_hash())


def _require(agrees: bool, what: str, instrument: str) -> None:
    if not agrees:
        raise BookDiverged(what, instrument=instrument)
