"""What an owner has of every issuance, as pages show it: sums over the owner's accounts, made by the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, literal, select

from financing.base.quantities import Carbon
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.ledger.accounts import CREDIT_PREFIX, AccountKind
from financing.ledger.store import account
from financing.registry.credits.model import Issuance
from financing.registry.credits.store import issuance_of, issuance_t

STATES = (AccountKind.HOLDING, AccountKind.ESCROW, AccountKind.PLEDGED, AccountKind.RETIRED)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Credits of an owner by what became of them. What is set aside is held, or in escrow for a sale."""

    held: Carbon
    set_aside: Carbon
    pledged: Carbon
    retired: Carbon

    @property
    def available(self) -> Carbon:
        return self.held - self.set_aside


@dataclass(frozen=True, slots=True)
class Holding(Amounts):
    """One issuance as an owner has it, in all states."""

    issuance: Issuance


def holdings(connection: Connection, owner_id: str, window: Window = ALL) -> Page[Holding]:
    """Everything an owner has or had of any issuance, newest issuance first."""
    keys = (Key(issuance_t.c.issued_at, descending=True), Key(issuance_t.c.id, descending=True))
    return page_of(connection, _by_issuance(owner_id), keys, window, _holding)


def free_holdings(connection: Connection, owner_id: str, most: int, issuance_id: str = "") -> list[Holding]:
    """Issuances of which the owner has something free, most first, at most `most`; a named one is among them."""
    free = _of(AccountKind.HOLDING, account.c.posted - account.c.held)
    query = _by_issuance(owner_id).having(free > 0)
    first = (issuance_t.c.id == issuance_id, free, issuance_t.c.issued_at, issuance_t.c.id)
    ordered = query.order_by(*(each.desc() for each in first)).limit(most)
    return sorted(map(_holding, connection.execute(ordered)), key=lambda row: row.available, reverse=True)


def amounts(connection: Connection, owner_id: str) -> Amounts:
    """The sums over everything that an owner has or had."""
    return Amounts(*_carbons(connection.execute(_mine(_sums(), owner_id)).one()))


def _by_issuance(owner_id: str) -> Select[Any]:
    joined = account.c.asset == literal(CREDIT_PREFIX) + issuance_t.c.id
    return _mine((*issuance_t.c, *_sums()), owner_id).join(issuance_t, joined).group_by(issuance_t.c.id)


def _mine(columns: Iterable[ColumnElement[Any]], owner_id: str) -> Select[Any]:
    """These columns of the owner's accounts of credits."""
    wanted: list[Any] = list(columns)
    query: Select[Any] = select(*wanted)
    return query.select_from(account).where(
        account.c.owner_id == owner_id,
        account.c.kind.in_([kind.value for kind in STATES]),
        account.c.asset.startswith(CREDIT_PREFIX, autoescape=True),
    )


def _sums() -> tuple[ColumnElement[int], ...]:
    promised = _of(AccountKind.ESCROW, account.c.posted)
    return (
        (_of(AccountKind.HOLDING, account.c.posted) + promised).label("held_kg"),
        (_of(AccountKind.HOLDING, account.c.held) + promised).label("set_aside_kg"),
        _of(AccountKind.PLEDGED, account.c.posted).label("pledged_kg"),
        _of(AccountKind.RETIRED, account.c.posted).label("retired_kg"),
    )


def _of(kind: AccountKind, amount: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((account.c.kind == kind.value, amount), else_=0)), 0)


def _carbons(row: Row[Any]) -> tuple[Carbon, Carbon, Carbon, Carbon]:
    return (
        Carbon(int(row.held_kg)),
        Carbon(int(row.set_aside_kg)),
        Carbon(int(row.pledged_kg)),
        Carbon(int(row.retired_kg)),
    )


def _holding(row: Row[Any]) -> Holding:
    return Holding(*_carbons(row), issuance=issuance_of(row))
