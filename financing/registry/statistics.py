"""What the registry shows to everyone: sums by method, region and vintage, and every unit with its status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, cast, func, literal, select

from financing.ledger.accounts import CREDIT_PREFIX
from financing.ledger.serials import SerialText
from financing.ledger.store import account
from financing.registry.credits.serial_store import block_t, issuance_t
from financing.registry.projects.store import project_t

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
    registry_id: str
    project_id: str
    project_name: str
    region: str
    asset_class: str
    issued_at: datetime
    quantity_kg: int


class StatisticsStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_kind(self) -> list[Cell]:
        """Every method, region and vintage that was ever issued, from balances alone."""
        region = _region()
        keys = (issuance_t.c.methodology_tag, region, issuance_t.c.vintage)
        rows = self._connection.execute(
            select(*keys, account.c.kind, func.sum(account.c.posted))
            .select_from(account)
            .join(issuance_t, account.c.asset == literal(CREDIT_PREFIX) + issuance_t.c.id)
            .join(project_t, project_t.c.id == issuance_t.c.project_id)
            .group_by(*keys, account.c.kind)
            .order_by(*keys)
        )
        found: dict[tuple[str, str, int], dict[str, int]] = {}
        for method, where, vintage, kind, kilograms in rows:
            found.setdefault((method, where, vintage), {})[kind] = int(kilograms)
        return [
            Cell(method, where, vintage, -sums.get("issued", 0), {kind: sums.get(kind, 0) for kind in SHOWN})
            for (method, where, vintage), sums in found.items()
        ]

    def units(self, *, limit: int, after: int) -> Iterator[Unit]:
        """Blocks of serial numbers where they are now, in the order of issue: `limit` of them from `after` on."""
        rows = self._connection.execute(
            select(
                block_t.c.first_kg,
                block_t.c.last_kg,
                account.c.kind,
                account.c.owner_id,
                issuance_t,
                project_t.c.name,
                _region().label("region"),
            )
            .join(account, account.c.id == block_t.c.account_id)
            .join(issuance_t, issuance_t.c.id == block_t.c.issuance_id)
            .join(project_t, project_t.c.id == issuance_t.c.project_id)
            .where(block_t.c.until_entry_id.is_(None))
            .order_by(issuance_t.c.issued_at, block_t.c.issuance_id, block_t.c.first_kg)
            .limit(limit)
            .offset(after)
        )
        for row in rows:
            text = SerialText(
                methodology_tag=row.methodology_tag,
                project_code=row.project_code,
                vintage=row.vintage,
                first_day=row.first_day,
                last_day=row.last_day,
                first_kg=row.first_kg,
                last_kg=row.last_kg,
                registry_code=row.registry_code,
            )
            yield Unit(
                serial=text,
                account=row.kind,
                owner_id=row.owner_id,
                registry_id=row.registry_id,
                project_id=row.project_id,
                project_name=row.name,
                region=row.region,
                asset_class=row.asset_class,
                issued_at=row.issued_at,
                quantity_kg=row.last_kg - row.first_kg + 1,
            )


def _region() -> Any:
    return cast(project_t.c.record["location"]["region"].as_string(), String)
