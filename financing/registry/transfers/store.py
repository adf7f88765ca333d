"""Transfers between regions on one connection."""

from __future__ import annotations

from sqlalchemy import func, or_, select, update

from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store, value_of
from financing.registry.credits.tables import IssuanceRow
from financing.registry.transfers.messages import Kind, TransferMessage
from financing.registry.transfers.model import Transfer
from financing.registry.transfers.tables import TransferMessageRow, TransferRow

transfer_t, message_t = table_of(TransferRow), table_of(TransferMessageRow)
issuance_t = table_of(IssuanceRow)
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

    def keep(self, message: TransferMessage) -> None:
        """Keep a message that was signed or received."""
        self._add(message_t, message)

    def message(self, from_registry: str, transfer_id: str, kind: Kind) -> TransferMessage | None:
        """A message of a transfer, if it is there."""
        query = select(message_t).where(
            message_t.c.from_registry == from_registry,
            message_t.c.transfer_id == transfer_id,
            message_t.c.kind == kind,
        )
        row = self._connection.execute(query).first()
        return None if row is None else value_of(TransferMessage, row)

    def told(self, from_registry: str, to_registry: str, *, kind: Kind = "export") -> list[TransferMessage]:
        """Every message of one kind between two registries, by transfer."""
        query = select(message_t).where(
            message_t.c.from_registry == from_registry,
            message_t.c.to_registry == to_registry,
            message_t.c.kind == kind,
        )
        rows = self._connection.execute(query.order_by(message_t.c.transfer_id))
        return [value_of(TransferMessage, row) for row in rows]

    def next_import(self) -> int:
        """The number of the next transfer that comes in from books elsewhere."""
        received = select(func.count()).select_from(issuance_t).where(issuance_t.c.transfer_id.like("%:%"))
        return 1 + int(self._connection.execute(received).scalar_one())

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
