"""Which account holds which serial numbers. Follows every entry that moves credits, in the same commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select, update

from financing.base.errors import CreditsFrozen, LedgerTampered
from financing.base.quantities import Carbon
from financing.base.storage.columns import table_of
from financing.base.storage.store import Store, value_of
from financing.ledger.accounts import AccountKind
from financing.ledger.serials import SerialBlock, SerialText, cut, take_from, without
from financing.ledger.store import account, entry
from financing.registry.credits.model import SerialStay
from financing.registry.credits.tables import IssuanceRow, SerialBlockRow
from financing.registry.oversight.tables import FreezeRow

block_t = table_of(SerialBlockRow)
issuance_t = table_of(IssuanceRow)
freeze_t = table_of(FreezeRow)


_BLOCKS = select(
    block_t,
    issuance_t.c.methodology_tag,
    issuance_t.c.project_code,
    issuance_t.c.vintage,
    issuance_t.c.first_day,
    issuance_t.c.last_day,
    issuance_t.c.registry_code,
).join(issuance_t, issuance_t.c.id == block_t.c.issuance_id)
_HELD = _BLOCKS.where(block_t.c.account_id == bindparam("account_id"), block_t.c.until_entry_id.is_(None)).order_by(
    block_t.c.issuance_id, block_t.c.first_kg
)
_HELD_OF = _HELD.where(block_t.c.issuance_id == bindparam("issuance"))
_OPEN = insert(block_t)
_CLOSE = update(block_t).where(block_t.c.id == bindparam("block")).values(until_entry_id=bindparam("entry"))
_FROZEN = select(freeze_t.c.first_kg, freeze_t.c.last_kg).where(
    freeze_t.c.issuance_id == bindparam("issuance_id"), freeze_t.c.state == "active"
)


class SerialStore(Store):
    def open(self, block: SerialBlock, *, account_id: int, entry_id: int) -> None:
        """Put a block into an account, from `entry_id` on."""
        self._connection.execute(_OPEN, _opened(block, account_id, entry_id))

    def held(self, account_id: int) -> list[SerialBlock]:
        """The blocks an account holds now, in serial order."""
        return [_block(row) for row in self._rows(account_id)]

    def move(
        self, *, issuance_id: str, source_id: int, target_id: int, quantity: Carbon, entry_id: int
    ) -> tuple[SerialBlock, ...]:
        """Move `quantity` from one account to another and return the serials that moved."""
        return self.deal(
            issuance_id=issuance_id, source_id=source_id, shares=((target_id, quantity),), entry_id=entry_id
        )

    def deal(
        self, *, issuance_id: str, source_id: int, shares: Sequence[tuple[int, Carbon]], entry_id: int
    ) -> tuple[SerialBlock, ...]:
        """Move quantities from one account to several in one entry, (account, quantity) each; returns what moved.

        A block closes once an entry, so what several accounts take of one block is taken together. Frozen kilograms
        are passed over; raises `CreditsFrozen` when the rest does not suffice.
        """
        total = sum(quantity.kg for _, quantity in shares)
        frozen = self.frozen(issuance_id)
        rows = self._of(source_id, issuance_id, None if frozen else total)
        free = [part for row in rows for part in without(_block(row), frozen)]
        if frozen and sum(part.quantity.kg for part in free) < total:
            raise CreditsFrozen("some of these credits are frozen", issuance_id=issuance_id, asked_kg=total)
        dealt: list[_Taken] = []
        for target_id, quantity in shares:
            free, taken = take_from(tuple(free), quantity)
            dealt += [_Taken(part.first_kg, part.last_kg, target_id) for part in taken]
        return self._relocate(rows, dealt, source_id, entry_id=entry_id)

    def move_range(
        self, *, issuance_id: str, source_id: int, target_id: int, first_kg: int, last_kg: int, entry_id: int
    ) -> tuple[SerialBlock, ...]:
        """Move just these kilograms, as far as the source holds them, and return the serials that moved."""
        rows = self._of(source_id, issuance_id, None)
        taken = [
            _Taken(max(row.first_kg, first_kg), min(row.last_kg, last_kg), target_id)
            for row in rows
            if row.first_kg <= last_kg and first_kg <= row.last_kg
        ]
        return self._relocate(rows, taken, source_id, entry_id=entry_id)

    def frozen(self, issuance_id: str) -> list[tuple[int, int]]:
        """The kilogram ranges of an issuance under an active freeze."""
        rows = self._connection.execute(_FROZEN, {"issuance_id": issuance_id})
        return [(row.first_kg, row.last_kg) for row in rows]

    def standing(self, issuance_id: str, first_kg: int, last_kg: int) -> list[tuple[int, SerialBlock]]:
        """Which account holds which of these kilograms now: (account id, block), in serial order."""
        rows = self._connection.execute(
            _BLOCKS.where(
                block_t.c.issuance_id == issuance_id,
                block_t.c.until_entry_id.is_(None),
                block_t.c.first_kg <= last_kg,
                block_t.c.last_kg >= first_kg,
            ).order_by(block_t.c.first_kg)
        )
        return [
            (row.account_id, cut(_block(row), max(row.first_kg, first_kg), min(row.last_kg, last_kg))) for row in rows
        ]

    def arrived(self, entry_id: int) -> list[SerialBlock]:
        """The blocks that changed account with an entry: what was cut off and stayed is left out."""
        rows = self._connection.execute(
            _BLOCKS.where(block_t.c.since_entry_id == entry_id).order_by(block_t.c.issuance_id, block_t.c.first_kg)
        ).all()
        left = {
            (row.issuance_id, row.account_id)
            for row in self._connection.execute(
                select(block_t.c.issuance_id, block_t.c.account_id).where(block_t.c.until_entry_id == entry_id)
            )
        }
        return [_block(row) for row in rows if (row.issuance_id, row.account_id) not in left]

    def past(self, issuance_id: str, first_kg: int, last_kg: int) -> list[SerialStay]:
        """Everywhere these kilograms have ever been, oldest first."""
        rows = self._connection.execute(
            select(
                block_t.c.first_kg,
                block_t.c.last_kg,
                block_t.c.since_entry_id,
                block_t.c.until_entry_id,
                account.c.owner_id,
                account.c.kind,
                account.c.reference,
                entry.c.kind.label("entry_kind"),
                entry.c.at,
            )
            .join(account, account.c.id == block_t.c.account_id)
            .join(entry, entry.c.id == block_t.c.since_entry_id)
            .where(block_t.c.issuance_id == issuance_id, block_t.c.first_kg <= last_kg, block_t.c.last_kg >= first_kg)
            .order_by(block_t.c.since_entry_id, block_t.c.first_kg)
        )
        return [
            SerialStay(
                max(row.first_kg, first_kg),
                min(row.last_kg, last_kg),
                row.owner_id,
                row.kind,
                row.reference,
                row.entry_kind,
                row.at,
                row.since_entry_id,
                row.until_entry_id,
            )
            for row in rows
        ]

    def _relocate(
        self, rows: list[Row[Any]], taken: list[_Taken], source_id: int, *, entry_id: int
    ) -> tuple[SerialBlock, ...]:
        """Close the blocks that something was taken of; open what stays and what was taken, each knowing its block."""
        moved: list[SerialBlock] = []
        closed: list[dict[str, int]] = []
        opened: list[dict[str, Any]] = []
        for row in rows:
            mine = [each for each in taken if row.first_kg <= each.first_kg <= row.last_kg]
            if not mine:
                continue
            block = _block(row)
            closed.append({"block": row.id, "entry": entry_id})
            left = without(block, [(each.first_kg, each.last_kg) for each in mine])
            opened += [_opened(rest, source_id, entry_id) for rest in left]
            parts = [(cut(block, each.first_kg, each.last_kg), each.target_id) for each in mine]
            opened += [_opened(part, target_id, entry_id) for part, target_id in parts]
            moved += [part for part, _ in parts]
        if closed:
            self._connection.execute(_CLOSE, closed)
            self._connection.execute(_OPEN, opened)
        return tuple(moved)

    def verify(self) -> int:
        """Check that every account's serials add up to its ledger balance; returns the number of open blocks.

        Raises `LedgerTampered` naming the first account that differs.
        """
        sums = (
            select(block_t.c.account_id, func.sum(block_t.c.last_kg - block_t.c.first_kg + 1).label("kg"))
            .where(block_t.c.until_entry_id.is_(None))
            .group_by(block_t.c.account_id)
            .subquery()
        )
        rows = self._connection.execute(
            select(account.c.id, account.c.posted, func.coalesce(sums.c.kg, 0).label("kg"))
            .join(sums, sums.c.account_id == account.c.id, isouter=True)
            .where(account.c.asset.like("PHCER:%"), account.c.kind != AccountKind.ISSUED.value)
        )
        for row in rows:
            if row.posted != row.kg:
                raise LedgerTampered("an account's serials do not add up to its balance", account_id=row.id)
        return self._connection.execute(
            select(func.count()).select_from(block_t).where(block_t.c.until_entry_id.is_(None))
        ).scalar_one()

    def _rows(self, account_id: int) -> list[Row[Any]]:
        return list(self._connection.execute(_HELD, {"account_id": account_id}))

    def _of(self, account_id: int, issuance_id: str, kg: int | None) -> list[Row[Any]]:
        """The first blocks of an issuance in an account that hold `kg` together; all of them for None, or if they hold
        less."""
        blocks: list[Row[Any]] = []
        rows = self._connection.execute(_HELD_OF, {"account_id": account_id, "issuance": issuance_id})
        for row in rows:
            blocks.append(row)
            if kg is not None:
                kg -= row.last_kg - row.first_kg + 1
                if kg <= 0:
                    break
        rows.close()
        return blocks


@dataclass(frozen=True, slots=True)
class _Taken:
    """Kilograms that go to an account."""

    first_kg: int
    last_kg: int
    target_id: int


def _opened(block: SerialBlock, account_id: int, entry_id: int) -> dict[str, Any]:
    return {
        "issuance_id": block.issuance_id,
        "account_id": account_id,
        "first_kg": block.first_kg,
        "last_kg": block.last_kg,
        "history": list(block.history),
        "since_entry_id": entry_id,
        "until_entry_id": None,
    }


def _block(row: Row[Any]) -> SerialBlock:
    return value_of(SerialBlock, row)


def serial_of(row: Row[Any]) -> SerialText:
    """The serial number of a block that was read with its issuance."""
    return value_of(SerialText, row)
