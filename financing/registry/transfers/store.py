"""Transfers between regions on one connection."""

from __future__ import annotations

from sqlalchemy import func, or_, select, update

from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store
from financing.registry.transfers.model import Transfer
from financing.registry.transfers.tables import TransferRow

transfer_t = table_of(TransferRow)
_transfers = Codec(Transfer)


class TransferStore(Store):
    def next_number(self) -> int:
        return 1 + (self._connection.execute(select(func.max(transfer_t.c.number))).scalar_one() or 0)

    def add(self, transfer: Transfer) -> None:
        self._add(
            transfer_t,
            transfer,
            id=transfer.transfer_id,
            minted_kg=None,
            record=_transfers.encode(transfer),
            closed_at=None,
        )

    def save(self, transfer: Transfer) -> None:
        self._connection.execute(
            update(transfer_t)
            .where(transfer_t.c.id == transfer.transfer_id)
            .values(
                state=transfer.state,
                minted_kg=transfer.minted.kg if transfer.minted else None,
                record=_transfers.encode(transfer),
                closed_at=transfer.closed_at,
            )
        )

    def get(self, transfer_id: str) -> Transfer:
        query = select(transfer_t.c.record).where(transfer_t.c.id == transfer_id)
        return _transfers.decode(self._one(query, "no such transfer", transfer_id=transfer_id).record)

    def of(self, organisation_id: str, *, window: Window = ALL) -> Page[Transfer]:
        """Transfers that an organisation asked for, or that leave or reach its registry, newest first."""
        query = select(transfer_t.c.number, transfer_t.c.record).where(
            or_(
                transfer_t.c.owner_id == organisation_id,
                transfer_t.c.from_registry == organisation_id,
                transfer_t.c.to_registry == organisation_id,
            )
        )
        keys = (Key(transfer_t.c.number, descending=True),)
        return page_of(self._connection, query, keys, window, lambda row: _transfers.decode(row.record))
