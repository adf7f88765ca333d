"""Pledges and margin calls on one connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, update

from financing.base.quantities import Carbon
from financing.base.storage.bulk import insert_rows, stored_date, stored_moment
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.ledger.accounts import Asset
from financing.lending.collateral.margin import MarginCall, StoredCall
from financing.lending.collateral.pledge import Pledge, PledgedUse, PledgeState, StoredPledge
from financing.lending.collateral.tables import MarginCallRow, PledgeRow
from financing.lending.loans.tables import LoanRow
from financing.valuation.pools import Lot

pledge_t = table_of(PledgeRow)
call_t = table_of(MarginCallRow)
loan_t = table_of(LoanRow)
_NEW_CALL = (
    "id",
    "loan_id",
    "state",
    "debt_fen",
    "market_fen",
    "shortfall_fen",
    "cash_fen",
    "cure_by",
    "called_at",
)


class PledgeStore(Store):
    def add(self, pledge: Pledge, use: PledgedUse) -> None:
        self._add(
            pledge_t,
            use,
            pledge,
            pledge.lot,
            Asset(pledge.lot.asset),
            id=pledge.pledge_id,
            registration_number=None,
            registered_on=None,
            freeze_number=None,
        )

    def save(
        self, pledge: Pledge, *, registration_number: str | None = None, registered_on: date | None = None
    ) -> None:
        changes: dict[str, Any] = {
            "state": pledge.state.value,
            "loan_id": pledge.loan_id,
            "released_kg": pledge.released.kg,
            "disposed_kg": pledge.disposed.kg,
        }
        if registration_number is not None:
            changes["registration_number"] = registration_number
            changes["registered_on"] = registered_on
            changes["freeze_number"] = f"FRZ-{pledge.pledge_id}"
        self._connection.execute(update(pledge_t).where(pledge_t.c.id == pledge.pledge_id).values(**changes))

    def get(self, pledge_id: str) -> StoredPledge:
        row = self._one(select(pledge_t).where(pledge_t.c.id == pledge_id), "no such pledge", pledge_id=pledge_id)
        return _pledge(row)

    def reserved_for(
        self, bank_id: str, *, pledgor_id: str | None = None, at: datetime | None = None, window: Window = ALL
    ) -> Page[StoredPledge]:
        """Reservations for a bank, newest first: of one pledgor if named, only those that stand at `at` if given."""
        query = select(pledge_t).where(pledge_t.c.pledgee_id == bank_id, pledge_t.c.state == PledgeState.RESERVED.value)
        if pledgor_id is not None:
            query = query.where(pledge_t.c.pledgor_id == pledgor_id)
        if at is not None:
            query = query.where(pledge_t.c.expires_at > at)
        keys = (Key(pledge_t.c.reserved_at, descending=True), Key(pledge_t.c.id))
        return page_of(self._connection, query, keys, window, _pledge)

    def pledgors(self, bank_id: str, at: datetime, most: int) -> list[str]:
        """Who has reserved credits for a bank that it can still take at `at`, by id, at most `most`."""
        query = (
            select(pledge_t.c.pledgor_id)
            .where(
                pledge_t.c.pledgee_id == bank_id,
                pledge_t.c.state == PledgeState.RESERVED.value,
                pledge_t.c.expires_at > at,
            )
            .distinct()
            .order_by(pledge_t.c.pledgor_id)
            .limit(most)
        )
        return list(self._connection.execute(query).scalars())

    def given_by(self, pledgor_id: str, window: Window = ALL) -> Page[StoredPledge]:
        """Pledges that an organisation gave, newest first."""
        query = select(pledge_t).where(pledge_t.c.pledgor_id == pledgor_id)
        keys = (Key(pledge_t.c.reserved_at, descending=True), Key(pledge_t.c.id))
        return page_of(self._connection, query, keys, window, _pledge)

    def of(self, organisation_id: str, window: Window = ALL) -> Page[StoredPledge]:
        """Pledges that an organisation gave or holds, newest first."""
        query = select(pledge_t).where(
            or_(pledge_t.c.pledgor_id == organisation_id, pledge_t.c.pledgee_id == organisation_id)
        )
        keys = (Key(pledge_t.c.reserved_at, descending=True), Key(pledge_t.c.id))
        return page_of(self._connection, query, keys, window, _pledge)

    def posted(self, loan_ids: Iterable[str]) -> dict[str, list[StoredPledge]]:
        """The posted pledges behind each loan, in the order they were reserved: one query for the whole book."""
        rows = self._connection.execute(
            select(pledge_t)
            .where(pledge_t.c.loan_id.in_(list(loan_ids)), pledge_t.c.state == PledgeState.POSTED.value)
            .order_by(pledge_t.c.loan_id, pledge_t.c.reserved_at, pledge_t.c.id)
        )
        pledges: dict[str, list[StoredPledge]] = {}
        for row in rows:
            pledges.setdefault(row.loan_id, []).append(_pledge(row))
        return pledges


class MarginCallStore(Store):
    def add(self, calls: Sequence[StoredCall]) -> None:
        """Keep new calls, whatever their number in a handful of statements."""
        rows = [
            (
                each.call_id,
                each.call.loan_id,
                each.state,
                each.call.debt.fen,
                each.market.fen,
                each.call.shortfall.fen,
                each.call.cash.fen,
                stored_date(self._connection, each.call.cure_by),
                stored_moment(self._connection, each.call.called_at),
            )
            for each in calls
        ]
        if rows:
            insert_rows(self._connection, "margin_call", _NEW_CALL, rows)

    def close(self, call_ids: Sequence[str], state: str, at: datetime) -> None:
        if call_ids:
            self._connection.execute(
                update(call_t).where(call_t.c.id.in_(list(call_ids))).values(state=state, closed_at=at)
            )

    def open_of_bank(self, bank_id: str) -> dict[int, StoredCall]:
        """The open calls on a bank's loans, by loan number."""
        rows = self._connection.execute(
            select(call_t, loan_t.c.number)
            .join(loan_t, loan_t.c.id == call_t.c.loan_id)
            .where(call_t.c.state == "open", loan_t.c.bank_id == bank_id)
        )
        return {row.number: _call(row) for row in rows}

    def open_of(self, loan_ids: Iterable[str]) -> dict[str, StoredCall]:
        """The open margin call of each loan that has one."""
        rows = self._connection.execute(
            select(call_t).where(call_t.c.loan_id.in_(list(loan_ids)), call_t.c.state == "open")
        )
        return {row.loan_id: _call(row) for row in rows}

    def count_open(self, bank_id: str) -> int:
        """How many calls on a bank's loans are open."""
        query = select(func.count()).select_from(call_t).join(loan_t, loan_t.c.id == call_t.c.loan_id)
        counted = query.where(call_t.c.state == "open", loan_t.c.bank_id == bank_id)
        return int(self._connection.execute(counted).scalar_one())

    def on_loan(self, loan_id: str, window: Window = ALL) -> Page[StoredCall]:
        """Margin calls on one loan, newest first."""
        keys = (Key(call_t.c.called_at, descending=True), Key(call_t.c.id))
        return page_of(self._connection, select(call_t).where(call_t.c.loan_id == loan_id), keys, window, _call)

    def open_against(self, borrower_id: str, window: Window = ALL) -> Page[tuple[StoredCall, str]]:
        """The open calls on what an organisation borrowed, each with the lender, newest first."""
        query = (
            select(call_t, loan_t.c.bank_id)
            .join(loan_t, loan_t.c.id == call_t.c.loan_id)
            .where(call_t.c.state == "open", loan_t.c.borrower_id == borrower_id)
        )
        keys = (Key(call_t.c.called_at, descending=True), Key(call_t.c.id))
        return page_of(self._connection, query, keys, window, lambda row: (_call(row), row.bank_id))

    def of(self, organisation_id: str | None = None, window: Window = ALL) -> Page[StoredCall]:
        """Margin calls on loans that an organisation gave or took, newest first."""
        query = select(call_t)
        if organisation_id is not None:
            query = query.join(loan_t, loan_t.c.id == call_t.c.loan_id).where(
                or_(loan_t.c.bank_id == organisation_id, loan_t.c.borrower_id == organisation_id)
            )
        keys = (Key(call_t.c.called_at, descending=True), Key(call_t.c.id))
        return page_of(self._connection, query, keys, window, _call)


def _pledge(row: Row[Any]) -> StoredPledge:
    lot = Lot(Asset.credits(row.issuance_id).code, row.asset_class, Carbon(row.quantity_kg))
    pledge = value_of(Pledge, row, pledge_id=row.id, lot=lot)
    return value_of(StoredPledge, row, pledge=pledge, use=PledgedUse.model_validate(row, from_attributes=True))


def _call(row: Row[Any]) -> StoredCall:
    return value_of(StoredCall, row, call_id=row.id, call=value_of(MarginCall, row))
