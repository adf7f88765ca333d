"""A million holdings into custody as one balanced entry: the same rows and checks as one by one, set-based.

Every trigger of the schema still runs on every row; only the round trips are gone. What is to move is written down in
a temporary table first, so that no statement reads rows that it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    Select,
    String,
    Table,
    func,
    insert,
    literal,
    select,
    update,
)

from financing.base.errors import NotEligible
from financing.ledger.accounts import AccountKey, AccountKind, Asset, holding
from financing.ledger.chain import SealedLine
from financing.ledger.entries import EntryKind
from financing.ledger.store import LedgerStore, account, posting
from financing.registry.credits.serial_store import block_t
from financing.registry.packages.model import Package

moving = Table(
    "moving_holding",
    MetaData(),
    Column("account_id", BigInteger, primary_key=True),
    Column("asset", String, nullable=False, unique=True),
    Column("quantity", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True, slots=True)
class BulkPacked:
    entry_id: int
    issuances: int
    quantity_kg: int


def package_holdings(
    connection: Connection, eligible: Select[Any], package: Package, owner_id: str, at: datetime
) -> BulkPacked:
    """Move the whole of every holding that `eligible` selects into the package's custody, for units.

    Raises `NotEligible` when it selects nothing.
    """
    connection.exec_driver_sql("DROP TABLE IF EXISTS moving_holding")
    moving.create(connection)
    try:
        connection.execute(insert(moving).from_select(["account_id", "asset", "quantity", "seq"], eligible))
        count, total = connection.execute(select(func.count(), func.sum(moving.c.quantity))).one()
        if not count:
            raise NotEligible("none of these holdings meets the package's criteria", package=package.code)
        return _move(connection, package, owner_id, at, int(count), int(total))
    finally:
        moving.drop(connection)


def _move(connection: Connection, package: Package, owner_id: str, at: datetime, count: int, total: int) -> BulkPacked:
    ledger = LedgerStore(connection)
    head = ledger.head()
    entry_id = head.entry_id + 1
    _open_custody(connection, package)
    custody = account.alias("custody")
    into = (
        (custody.c.asset == moving.c.asset)
        & (custody.c.owner_id == package.registry_id)
        & (custody.c.kind == AccountKind.PACKAGED.value)
        & (custody.c.reference == package.package_id)
    )
    columns = ["entry_id", "account_id", "account_seq", "amount", "balance_after"]
    out = select(literal(entry_id), moving.c.account_id, moving.c.seq + 1, -moving.c.quantity, literal(0))
    connection.execute(insert(posting).from_select(columns, out))
    # Custody accounts are read into the temporary table's shape first: the posting trigger changes them.
    connection.exec_driver_sql("DROP TABLE IF EXISTS arriving_holding")
    arriving = Table(
        "arriving_holding",
        MetaData(),
        Column("account_id", BigInteger, primary_key=True),
        Column("source_id", BigInteger, nullable=False, unique=True),
        Column("seq", BigInteger, nullable=False),
        Column("amount", BigInteger, nullable=False),
        Column("after", BigInteger, nullable=False),
        prefixes=["TEMPORARY"],
    )
    arriving.create(connection)
    connection.execute(
        insert(arriving).from_select(
            ["account_id", "source_id", "seq", "amount", "after"],
            select(
                custody.c.id,
                moving.c.account_id,
                custody.c.posting_count + 1,
                moving.c.quantity,
                custody.c.posted + moving.c.quantity,
            ).select_from(moving.join(custody, into)),
        )
    )
    connection.execute(
        insert(posting).from_select(
            columns,
            select(literal(entry_id), arriving.c.account_id, arriving.c.seq, arriving.c.amount, arriving.c.after),
        )
    )
    units = Asset.units(package.package_id)
    ledger.add_lines(
        entry_id,
        {AccountKey(package.registry_id, AccountKind.ISSUED, units): -total, holding(owner_id, units): total},
    )
    lines = _lines(connection, entry_id)
    ledger.seal(head, EntryKind.PACKAGING, package.package_id, lines, at=at, actor_id=owner_id)
    _move_serials(connection, arriving, entry_id)
    arriving.drop(connection)
    return BulkPacked(entry_id, count, total)


def _open_custody(connection: Connection, package: Package) -> None:
    known = select(account.c.asset).where(
        account.c.owner_id == package.registry_id,
        account.c.kind == AccountKind.PACKAGED.value,
        account.c.reference == package.package_id,
    )
    fresh = select(
        literal(package.registry_id),
        literal(AccountKind.PACKAGED.value),
        moving.c.asset,
        literal(package.package_id),
        literal(AccountKind.PACKAGED.floor),
        literal(0),
        literal(0),
        literal(0),
    ).where(moving.c.asset.not_in(known))
    names = ["owner_id", "kind", "asset", "reference", "floor", "posted", "held", "posting_count"]
    connection.execute(insert(account).from_select(names, fresh, include_defaults=False))


def _lines(connection: Connection, entry_id: int) -> list[SealedLine]:
    rows = connection.execute(
        select(posting.c.account_id, posting.c.account_seq, posting.c.amount, posting.c.balance_after)
        .where(posting.c.entry_id == entry_id)
        .order_by(posting.c.account_id)
    )
    return [SealedLine(*row) for row in rows]


def _move_serials(connection: Connection, arriving: Table, entry_id: int) -> None:
    """Close the blocks where they were and open the same kilograms in custody; none is split."""
    connection.execute(
        update(block_t)
        .where(block_t.c.until_entry_id.is_(None), block_t.c.account_id.in_(select(arriving.c.source_id)))
        .values(until_entry_id=entry_id)
    )
    closed = (
        select(
            block_t.c.issuance_id,
            arriving.c.account_id,
            block_t.c.first_kg,
            block_t.c.last_kg,
            block_t.c.history,
            literal(entry_id),
        )
        .join(arriving, arriving.c.source_id == block_t.c.account_id)
        .where(block_t.c.until_entry_id == entry_id)
        # Sorted, so that SQLite reads all of it before it writes the same table.
        .order_by(block_t.c.issuance_id, block_t.c.first_kg)
    )
    names = ["issuance_id", "account_id", "first_kg", "last_kg", "history", "since_entry_id"]
    connection.execute(insert(block_t).from_select(names, closed, include_defaults=False))
