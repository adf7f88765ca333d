"""Packages and what is in their custody, on one connection. Whole portfolios move in set-based statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, String, cast, func, literal, select, update
from sqlalchemy.sql.elements import ColumnElement

from financing.base.errors import AlreadyExists
from financing.base.quantities import Carbon
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store, value_of
from financing.ledger.accounts import CREDIT_PREFIX, AccountKind
from financing.ledger.store import account
from financing.registry.credits.serial_store import block_t, freeze_t, issuance_t, serial_of
from financing.registry.packages.model import Breakdown, Candidate, Constituent, Criteria, Package
from financing.registry.packages.tables import PackageRow
from financing.registry.projects.store import project_t

package_t = table_of(PackageRow)
_criteria = Codec(Criteria)


class PackageStore(Store):
    def add(self, package: Package, at: datetime) -> None:
        """Raises `AlreadyExists` for a code that is taken."""
        taken = self._connection.execute(select(package_t.c.id).where(package_t.c.code == package.code)).first()
        if taken is not None:
            raise AlreadyExists("a package has this code", code=package.code)
        self._add(package_t, package, id=package.package_id, criteria=_criteria.encode(package.criteria), created_at=at)

    def close(self, package_id: str) -> None:
        self._connection.execute(update(package_t).where(package_t.c.id == package_id).values(state="closed"))

    def get(self, package_id: str) -> Package:
        row = self._one(select(package_t).where(package_t.c.id == package_id), "no such package", package_id=package_id)
        return _package(row)

    def these(self, package_ids: Sequence[str]) -> list[Package]:
        """The packages with these ids, in no order."""
        rows = self._connection.execute(select(package_t).where(package_t.c.id.in_(package_ids)))
        return [_package(row) for row in rows]

    def all(self, *, newest_first: bool = False, window: Window = ALL) -> Page[Package]:
        """Every package, in the order they were made or the other way round."""
        keys = (Key(package_t.c.created_at, newest_first), Key(package_t.c.id, newest_first))
        return page_of(self._connection, select(package_t), keys, window, _package)

    def candidate(self, issuance_id: str) -> Candidate:
        query = (
            select(issuance_t, project_t.c.capacity_w, _region().label("region"))
            .join(project_t, project_t.c.id == issuance_t.c.project_id)
            .where(issuance_t.c.id == issuance_id)
        )
        row = self._one(query, "no such issuance", issuance_id=issuance_id)
        methodology = row.methodology_tag.rstrip("0123456789")
        return value_of(Candidate, row, issuance_id=row.id, methodology=methodology)

    def eligible(self, package: Package, owner_id: str) -> Select[Any]:
        """Select `account_id`, `asset`, `quantity`, `seq` of the owner's whole free holdings that the package takes.

        Left out: holdings with something set aside or frozen, and empty ones.
        """
        criteria = package.criteria
        frozen = select(freeze_t.c.issuance_id).where(freeze_t.c.state == "active")
        query = (
            select(
                account.c.id.label("account_id"),
                account.c.asset,
                account.c.posted.label("quantity"),
                account.c.posting_count.label("seq"),
            )
            .join(issuance_t, account.c.asset == literal(CREDIT_PREFIX) + issuance_t.c.id)
            .join(project_t, project_t.c.id == issuance_t.c.project_id)
            .where(
                account.c.owner_id == owner_id,
                account.c.kind == AccountKind.HOLDING.value,
                account.c.posted > 0,
                account.c.held == 0,
                issuance_t.c.registry_id == package.registry_id,
                issuance_t.c.asset_class == package.asset_class,
                issuance_t.c.vintage.between(criteria.vintage_first, criteria.vintage_last),
                issuance_t.c.id.not_in(frozen),
            )
        )
        if criteria.methodologies:
            digits = "0123456789"
            code = func.rtrim(issuance_t.c.methodology_tag, digits)
            query = query.where(code.in_(criteria.methodologies))
        if criteria.regions:
            query = query.where(_region().in_(criteria.regions))
        if criteria.capacity_w_max is not None:
            query = query.where(project_t.c.capacity_w <= criteria.capacity_w_max)
        return query

    def custody(self, package: Package, *, window: Window = ALL) -> Page[Constituent]:
        """What is behind the units, oldest first."""
        query = self._behind(
            package,
            issuance_t.c.id,
            issuance_t.c.project_code,
            issuance_t.c.methodology_tag,
            _region().label("region"),
            issuance_t.c.vintage,
            issuance_t.c.last_day,
            account.c.posted,
        )
        keys = (Key(issuance_t.c.vintage), Key(issuance_t.c.last_day), Key(issuance_t.c.id))
        return page_of(self._connection, query, keys, window, _constituent)

    def serials(self, package: Package, issuance_ids: Sequence[str] | None) -> dict[str, list[str]]:
        """Serial numbers in custody by issuance: of these, or (None) of all."""
        query = self._behind(
            package,
            block_t.c.issuance_id,
            block_t.c.first_kg,
            block_t.c.last_kg,
            issuance_t.c.methodology_tag,
            issuance_t.c.project_code,
            issuance_t.c.vintage,
            issuance_t.c.first_day,
            issuance_t.c.last_day,
            issuance_t.c.registry_code,
        ).join(block_t, (block_t.c.account_id == account.c.id) & block_t.c.until_entry_id.is_(None))
        if issuance_ids is not None:
            query = query.where(issuance_t.c.id.in_(issuance_ids))
        serials: dict[str, list[str]] = {}
        for row in self._connection.execute(query.order_by(block_t.c.issuance_id, block_t.c.first_kg)):
            text = serial_of(row)
            serials.setdefault(row.issuance_id, []).append(str(text))
        return serials

    def breakdown(self, package: Package) -> list[Breakdown]:
        """Custody summed by methodology, region and vintage."""
        keys = (issuance_t.c.methodology_tag, _region(), issuance_t.c.vintage)
        query = self._behind(package, *keys, func.count(), func.sum(account.c.posted)).group_by(*keys).order_by(*keys)
        return [
            Breakdown(row[0], row[1], row[2], row[3], Carbon(int(row[4]))) for row in self._connection.execute(query)
        ]

    def _behind(self, package: Package, *columns: Any) -> Select[Any]:
        return (
            select(*columns)
            .select_from(account)
            .join(issuance_t, account.c.asset == literal(CREDIT_PREFIX) + issuance_t.c.id)
            .join(project_t, project_t.c.id == issuance_t.c.project_id)
            .where(
                account.c.owner_id == package.registry_id,
                account.c.kind == AccountKind.PACKAGED.value,
                account.c.reference == package.package_id,
                account.c.posted > 0,
            )
        )


def _region() -> ColumnElement[str]:
    return cast(project_t.c.record["location"]["region"].as_string(), String)


def _constituent(row: Row[Any]) -> Constituent:
    return value_of(Constituent, row, issuance_id=row.id, quantity=Carbon(row.posted))


def _package(row: Row[Any]) -> Package:
    return value_of(Package, row, package_id=row.id, criteria=_criteria.decode(row.criteria))
