"""What the registry shows to everyone: sums by method, region and vintage, and every unit with its status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, String, case, cast, func, literal, select

from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.ledger.accounts import CREDIT_PREFIX
from financing.ledger.organisations import organisation
from financing.ledger.serials import SerialText
from financing.ledger.store import account
from financing.registry.credits.serial_store import block_t, issuance_t, serial_of
from financing.registry.projects.store import project_t

CHUNK = 1_000
SHOWN = ("holding", "pledged", "escrow", "packaged", "buffer", "retired", "cancelled", "exported")


@dataclass(frozen=True, slots=True)
class Cell:
    """Kilograms of one method, region and vintage by where they are. `issued_kg` is the sum of all the others."""

    methodology: str
    region: str
    vintage: int
    issued_kg: int
    by_account: dict[str, int]


@dataclass(frozen=True, slots=True)
class Unit:
    """A block of serial numbers in one account."""

    serial: SerialText
    account: str
    owner_id: str
    owner_name: str
    registry_id: str
    project_id: str
    project_name: str
    region: str
    asset_class: str
    issued_at: datetime
    quantity_kg: int


class StatisticsStore(Store):
    def by_kind(self, window: Window = ALL) -> Page[Cell]:
        """Every method, region and vintage that was ever issued, in this order, from balances alone."""
        region = _region().label("region")
        groups = (issuance_t.c.methodology_tag, region, issuance_t.c.vintage)
        query = (
            select(*groups, *(_in_account(kind) for kind in ("issued", *SHOWN)))
            .select_from(account)
            .join(issuance_t, account.c.asset == literal(CREDIT_PREFIX) + issuance_t.c.id)
            .join(project_t, project_t.c.id == issuance_t.c.project_id)
            .group_by(*groups)
        )
        return page_of(self._connection, query, [Key(each) for each in groups], window, _cell)

    def units(self, window: Window = ALL) -> Page[Unit]:
        """Blocks of serial numbers where they are now, in the order of issue."""
        keys = (Key(issuance_t.c.issued_at), Key(block_t.c.issuance_id), Key(block_t.c.first_kg))
        return page_of(self._connection, _units(), keys, window, _unit)

    def every_unit(self) -> Iterator[Unit]:
        """All of `units`, a thousand in memory at a time: what a file is written from."""
        query = _units().order_by(issuance_t.c.issued_at, block_t.c.issuance_id, block_t.c.first_kg)
        for row in self._connection.execution_options(yield_per=CHUNK).execute(query):
            yield _unit(row)


def _units() -> Select[Any]:
    return (
        select(
            block_t.c.issuance_id,
            block_t.c.first_kg,
            block_t.c.last_kg,
            account.c.kind,
            account.c.owner_id.label("account_owner"),
            organisation.c.name_en.label("owner_name"),
            issuance_t,
            project_t.c.name,
            _region().label("region"),
        )
        .join(account, account.c.id == block_t.c.account_id)
        .join(organisation, organisation.c.id == account.c.owner_id)
        .join(issuance_t, issuance_t.c.id == block_t.c.issuance_id)
        .join(project_t, project_t.c.id == issuance_t.c.project_id)
        .where(block_t.c.until_entry_id.is_(None))
    )


def _region() -> ColumnElement[str]:
    return cast(project_t.c.record["location"]["region"].as_string(), String)


def _in_account(kind: str) -> ColumnElement[int]:
    return func.sum(case((account.c.kind == kind, account.c.posted), else_=0)).label(kind)


def _cell(row: Row[Any]) -> Cell:
    by_account = {kind: int(getattr(row, kind)) for kind in SHOWN}
    return Cell(row.methodology_tag, row.region, row.vintage, -int(row.issued), by_account)


def _unit(row: Row[Any]) -> Unit:
    return value_of(
        Unit,
        row,
        serial=serial_of(row),
        account=row.kind,
        owner_id=row.account_owner,
        project_name=row.name,
        quantity_kg=row.last_kg - row.first_kg + 1,
    )
