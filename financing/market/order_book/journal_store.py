"""The journals of the order books: events in a gap-free sequence an instrument, each linked to the one before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select

from financing.base.storage.columns import table_of
from financing.base.storage.store import Store
from financing.market.order_book.engine.events import Event, from_plain, to_plain
from financing.market.order_book.tables import JournalRow

journal_t = table_of(JournalRow)
PAGE = 5_000

_ADD = insert(journal_t)
_HEAD = (
    select(journal_t.c.seq, journal_t.c.chain)
    .where(journal_t.c.instrument_id == bindparam("instrument"))
    .order_by(journal_t.c.seq.desc())
    .limit(1)
)
_LINK = select(journal_t.c.chain).where(
    journal_t.c.instrument_id == bindparam("instrument"), journal_t.c.seq == bindparam("link")
)
_AFTER = (
    select(journal_t)
    .where(journal_t.c.instrument_id == bindparam("instrument"), journal_t.c.seq > bindparam("after"))
    .order_by(journal_t.c.seq)
    .limit(PAGE)
)


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One event as it was stored."""

    seq: int
    event: Event
    chain: str
    at: datetime


class JournalStore(Store):
    def head(self, instrument: str) -> tuple[int, str]:
        """Number and chain of the last event; (0, "") for an instrument without any."""
        row = self._connection.execute(_HEAD, {"instrument": instrument}).first()
        return (row.seq, row.chain) if row else (0, "")

    def link(self, instrument: str, seq: int) -> str | None:
        """The chain at `seq`, or None if there is no such event."""
        link: str | None = self._connection.execute(_LINK, {"instrument": instrument, "link": seq}).scalar()
        return link

    def append(self, instrument: str, seq: int, event: Event, chain: str, *, actor_id: str, at: datetime) -> None:
        self._connection.execute(
            _ADD,
            {
                "instrument_id": instrument,
                "seq": seq,
                "kind": event.kind,
                "payload": json.dumps(to_plain(event), separators=(",", ":")),
                "chain": chain,
                "actor_id": actor_id,
                "at": at,
            },
        )

    def after(self, instrument: str, seq: int) -> Iterator[JournalEvent]:
        """Events after `seq` in their order, read a page at a time."""
        while True:
            rows = self._connection.execute(_AFTER, {"instrument": instrument, "after": seq}).all()
            yield from (_recorded(row) for row in rows)
            if len(rows) < PAGE:
                return
            seq = rows[-1].seq


def _recorded(row: Row[Any]) -> JournalEvent:
    return JournalEvent(row.seq, from_plain(row.kind, json.loads(row.payload)), row.chain, row.at)
