"""Which account holds which serial numbers. Follows every entry that moves credits, in the same commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from financing.errors import LedgerTampered
from financing.ledger.accounts import AccountKind
from financing.persistence.columns import table_of
from financing.persistence.ledger_store import account
from financing.persistence.tables.registry import IssuanceRow, SerialBlockRow
from financing.quantities import Carbon
from financing.registry.serials import SerialBlock, take_from

block_t = table_of(SerialBlockRow)
issuance_t = table_of(IssuanceRow)

# Built once: on the write path, building a statement costs as much as running it.
_HELD = (
    select(
        block_t,
        issuance_t.c.methodology_tag,
        issuance_t.c.project_code,
        issuance_t.c.vintage,
        issuance_t.c.first_day,
        issuance_t.c.last_day,
    )
    .join(issuance_t, issuance_t.c.id == block_t.c.issuance_id)
    .where(block_t.c.account_id == bindparam("account"), block_t.c.until_entry_id.is_(None))
    .order_by(block_t.c.issuance_id, block_t.c.first_kg)
)
_HELD_OF = _HELD.where(block_t.c.issuance_id == bindparam("issuance"))
_OPEN = insert(block_t)
_CLOSE = update(block_t).where(block_t.c.id == bindparam("block")).values(until_entry_id=bindparam("entry"))


class SerialStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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

        A block closes once an entry, so what several accounts take of one block is taken together.
        """
        total = sum(quantity.kg for _, quantity in shares)
        rows = self._enough(source_id, issuance_id, total)
        stay = [_block(row) for row in rows]
        dealt: list[tuple[int, SerialBlock]] = []
        for target_id, quantity in shares:
            stay, taken = take_from(tuple(stay), quantity)
            dealt += [(target_id, block) for block in taken]
        kept = {(block.first_kg, block.last_kg) for block in stay}
        touched = [row for row in rows if (row.first_kg, row.last_kg) not in kept]
        self._connection.execute(_CLOSE, [{"block": row.id, "entry": entry_id} for row in touched])
        known = {(row.first_kg, row.last_kg) for row in rows}
        left = [(source_id, block) for block in stay if (block.first_kg, block.last_kg) not in known]
        self._connection.execute(_OPEN, [_opened(block, account_id, entry_id) for account_id, block in (*left, *dealt)])
        return tuple(block for _, block in dealt)

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
            .where(account.c.asset != "CNY", account.c.kind != AccountKind.ISSUED.value)
        )
        for row in rows:
            if row.posted != row.kg:
                raise LedgerTampered("an account's serials do not add up to its balance", account_id=row.id)
        return self._connection.execute(
            select(func.count()).select_from(block_t).where(block_t.c.until_entry_id.is_(None))
        ).scalar_one()

    def _rows(self, account_id: int) -> list[Row[Any]]:
        return list(self._connection.execute(_HELD, {"account": account_id}))

    def _enough(self, account_id: int, issuance_id: str, kg: int) -> list[Row[Any]]:
        """The first blocks of an account that hold `kg` together; all of them if they hold less."""
        found: list[Row[Any]] = []
        rows = self._connection.execute(_HELD_OF, {"account": account_id, "issuance": issuance_id})
        for row in rows:
            found.append(row)
            kg -= row.last_kg - row.first_kg + 1
            if kg <= 0:
                break
        rows.close()
        return found


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
    return SerialBlock(
        issuance_id=row.issuance_id,
        methodology_tag=row.methodology_tag,
        project_code=row.project_code,
        vintage=row.vintage,
        first_day=row.first_day,
        last_day=row.last_day,
        first_kg=row.first_kg,
        last_kg=row.last_kg,
        history=tuple(row.history),
    )
