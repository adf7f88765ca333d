"""Carry-over, freezes, suspensions and cancellations on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from financing.base.errors import InvalidState
from financing.base.quantities import Carbon
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.ledger.serials import SerialBlock
from financing.ledger.store import account
from financing.registry.credits.carry_over import CarryOver
from financing.registry.credits.tables import CarryOverRow
from financing.registry.oversight.model import Cancellation, SerialFreeze, Suspension
from financing.registry.oversight.tables import CancellationRow, FreezeRow, SuspensionRow

carry_t = table_of(CarryOverRow)
freeze_t = table_of(FreezeRow)
suspension_t = table_of(SuspensionRow)
cancellation_t = table_of(CancellationRow)


_FREEZES = select(freeze_t, freeze_t.c.id.label("freeze_id"))


class CustodyStore(Store):
    # carry-over

    def remainder(self, project_id: str) -> Carbon:
        """The kilograms that the project's last issued period carried on."""
        row = self._last_carry(project_id)
        return Carbon(row.carried_out_kg if row else 0)

    def add_carry_over(self, period_id: str, project_id: str, carried: CarryOver) -> None:
        row = self._last_carry(project_id)
        self._add(carry_t, carried, period_id=period_id, project_id=project_id, seq=1 + (row.seq if row else 0))

    def carry_over(self, period_id: str) -> CarryOver | None:
        """How the period's kilograms became tonnes; None before it was issued."""
        row = self._connection.execute(select(carry_t).where(carry_t.c.period_id == period_id)).first()
        return None if row is None else value_of(CarryOver, row)

    def _last_carry(self, project_id: str) -> Row[Any] | None:
        return self._connection.execute(
            select(carry_t).where(carry_t.c.project_id == project_id).order_by(carry_t.c.seq.desc()).limit(1)
        ).first()

    # freezes

    def add_freeze(self, order: SerialFreeze) -> None:
        self._connection.execute(insert(freeze_t).values(id=order.freeze_id, **order.model_dump(exclude={"freeze_id"})))

    def close_freeze(self, freeze_id: str, state: str, at: datetime) -> None:
        """End an active freeze as `lifted` or `revoked`. Raises `InvalidState` if it is not active."""
        done = self._connection.execute(
            update(freeze_t)
            .where(freeze_t.c.id == freeze_id, freeze_t.c.state == "active")
            .values(state=state, closed_at=at)
        )
        if done.rowcount != 1:
            raise InvalidState("the freeze is not active", freeze_id=freeze_id)

    def freeze(self, freeze_id: str) -> SerialFreeze:
        row = self._one(_FREEZES.where(freeze_t.c.id == freeze_id), "no such freeze", freeze_id=freeze_id)
        return SerialFreeze.model_validate(row, from_attributes=True)

    def freezes(self, window: Window = ALL) -> Page[SerialFreeze]:
        """Every freeze there ever was, newest first."""
        keys = (Key(freeze_t.c.ordered_at, descending=True), Key(freeze_t.c.id))
        return page_of(
            self._connection, _FREEZES, keys, window, lambda row: SerialFreeze.model_validate(row, from_attributes=True)
        )

    # suspensions

    def suspend(self, order: Suspension) -> None:
        if self.suspension(order.project_id) is not None:
            raise InvalidState("the project is suspended already", project_id=order.project_id)
        self._add(suspension_t, order, id=order.suspension_id, lifted_at=None)

    def resume(self, project_id: str, at: datetime) -> None:
        done = self._connection.execute(
            update(suspension_t)
            .where(suspension_t.c.project_id == project_id, suspension_t.c.lifted_at.is_(None))
            .values(lifted_at=at)
        )
        if done.rowcount != 1:
            raise InvalidState("the project is not suspended", project_id=project_id)

    def suspension(self, project_id: str) -> Suspension | None:
        """The open suspension of a project, if any."""
        row = self._connection.execute(
            select(suspension_t).where(suspension_t.c.project_id == project_id, suspension_t.c.lifted_at.is_(None))
        ).first()
        return None if row is None else value_of(Suspension, row, suspension_id=row.id)

    # cancellations

    def add_cancellation(self, cancelled: Cancellation, blocks: Sequence[SerialBlock], *, entry_id: int) -> None:
        serials = [block.serial for block in blocks]
        self._add(cancellation_t, cancelled, id=cancelled.cancellation_id, record=serials, entry_id=entry_id)

    def cancellations(self, *, owner_id: str | None = None, window: Window = ALL) -> Page[Cancellation]:
        """What one owner had cancelled, or (None) everyone, in the order of time."""
        query = select(
            cancellation_t, cancellation_t.c.id.label("cancellation_id"), cancellation_t.c.record.label("serials")
        )
        if owner_id is not None:
            query = query.where(cancellation_t.c.owner_id == owner_id)
        keys = (Key(cancellation_t.c.cancelled_at), Key(cancellation_t.c.id))
        return page_of(
            self._connection, query, keys, window, lambda row: Cancellation.model_validate(row, from_attributes=True)
        )

    def totals(self) -> dict[str, int]:
        """Kilograms of credits by kind of account, over the whole ledger (`issued` is negative)."""
        rows = self._connection.execute(
            select(account.c.kind, func.sum(account.c.posted))
            .where(account.c.asset.like("PHCER:%"))
            .group_by(account.c.kind)
        )
        return {row[0]: int(row[1]) for row in rows}
