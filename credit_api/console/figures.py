"""The figures of the first page, read from the books and the network as they stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from credit_api.app.wiring import Parts
from credit_api.scores.inquiries import inquiry_t
from federated.errors import FederatedError
from federated.governance.manifest import Manifest
from financing.base.parameters import Parameters
from financing.base.quantities import Carbon, Energy, Money, Rate
from financing.ledger.accounts import AccountKind
from financing.ledger.store import LedgerHead, account
from financing.lending.collateral.coverage import CoverageStatus
from financing.lending.collateral.marking import marked_book, totals_of
from financing.lending.collateral.store import call_t
from financing.lending.origination.store import decision_t
from financing.lending.unit import UnitOfWork
from financing.registry.credits.store import issuance_t
from financing.registry.metering.node.port import MeteringNodes
from financing.registry.projects.store import project_t
from financing.registry.verification.monitoring import MonitoringState
from financing.registry.verification.period_store import period_t


@dataclass(frozen=True, slots=True)
class AssetStory:
    """From meter to retirement. `market` and `ltv` are None while a loan's collateral has no price."""

    plants: int
    capacity_w: int
    metered: Energy
    readings: int
    verified: Carbon
    waiting_verification: int
    waiting_issuance: int
    issued: Carbon
    issuances: int
    held: Carbon
    set_aside: Carbon
    pledged: Carbon
    retired: Carbon
    loans: int
    debt: Money
    market: Money | None
    ltv: Rate | None
    coverage: dict[CoverageStatus, int]
    open_calls: int
    decisions: dict[str, int]
    head: LedgerHead


@dataclass(frozen=True, slots=True)
class CustomerStory:
    """From consent to score. `champion` is None while no model was appointed; `missing` is the code of what lacks."""

    banks: int
    grids: int
    customers: int
    consents: int
    inquiries: dict[str, int]
    champion: Manifest | None
    missing: str | None = None


def asset_story(connection: Connection, parameters: Parameters, nodes: MeteringNodes, at: datetime) -> AssetStory:
    plants, capacity = _row(connection, select(func.count(), func.coalesce(func.sum(project_t.c.capacity_w), 0)))
    measured = [
        nodes.of(grid.id).summary()
        for grid in UnitOfWork(connection).organisations.all("grid")
        if nodes.is_here(grid.id)  # what a node elsewhere holds in all, it tells nobody
    ]
    readings, metered = sum(count for count, _ in measured), sum(wh for _, wh in measured)
    states = {
        row.state: (row.claims, int(row.kg))
        for row in connection.execute(
            select(
                period_t.c.state, func.count().label("claims"), func.sum(period_t.c.reduction_kg).label("kg")
            ).group_by(period_t.c.state)
        )
    }
    issuances, issued = _row(
        connection, select(func.count(), func.coalesce(func.sum(issuance_t.c.quantity_kg), 0)).select_from(issuance_t)
    )
    amounts = {
        row.kind: (int(row.posted), int(row.held))
        for row in connection.execute(
            select(account.c.kind, func.sum(account.c.posted).label("posted"), func.sum(account.c.held).label("held"))
            .where(account.c.asset != "CNY")
            .group_by(account.c.kind)
        )
    }
    nothing = (0, 0)
    held, set_aside = amounts.get(AccountKind.HOLDING.value, nothing)
    accepted, done = (
        states.get(MonitoringState.ACCEPTED.value, nothing),
        states.get(MonitoringState.ISSUED.value, nothing),
    )
    unit = UnitOfWork(connection)
    book = totals_of(marked_book(unit, parameters, at)[0])
    return AssetStory(
        plants=plants,
        capacity_w=int(capacity),
        metered=Energy(int(metered)),
        readings=readings,
        verified=Carbon(accepted[1] + done[1]),
        waiting_verification=states.get(MonitoringState.SUBMITTED.value, nothing)[0],
        waiting_issuance=accepted[0],
        issued=Carbon(int(issued)),
        issuances=issuances,
        held=Carbon(held),
        set_aside=Carbon(set_aside),
        pledged=Carbon(amounts.get(AccountKind.PLEDGED.value, nothing)[0]),
        retired=Carbon(amounts.get(AccountKind.RETIRED.value, nothing)[0]),
        loans=book.loans,
        debt=book.debt,
        market=book.market,
        ltv=book.ltv,
        coverage=book.by_status,
        open_calls=_row(connection, select(func.count()).select_from(call_t).where(call_t.c.state == "open"))[0],
        decisions=_by(connection, decision_t.c.outcome),
        head=unit.ledger.head(),
    )


def customer_story(parts: Parts, connection: Connection, at: datetime) -> CustomerStory:
    inquiries = _by(connection, inquiry_t.c.outcome)
    try:
        network = parts.network
    except FederatedError as refusal:
        return CustomerStory(0, 0, 0, 0, inquiries, None, refusal.code)
    champion, missing = None, None
    try:
        champion = network.champion(at)
    except FederatedError as refusal:
        missing = refusal.code
    return CustomerStory(
        banks=len(network.bank_ids),
        grids=len(network.grid_ids),
        customers=sum(network.customer_count(bank) for bank in network.bank_ids),
        consents=sum(network.consent_count(bank, at) for bank in network.bank_ids),
        inquiries=inquiries,
        champion=champion,
        missing=missing,
    )


def _row(connection: Connection, query: Select[Any]) -> tuple[Any, ...]:
    return tuple(connection.execute(query).one())


def _by(connection: Connection, column: ColumnElement[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(select(column, func.count()).group_by(column))}
