"""Business dates, alerts, parked loans, and the set-based reads and writes of an end of day, on one connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, insert, select

from financing.base.storage.bulk import insert_rows, read_integers, stored_date
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store
from financing.lending.business_day.outcome import ClosedDay
from financing.lending.business_day.tables import AlertRow, BusinessDayRow, ParkedLoanRow
from financing.lending.collateral.tables import PledgeRow
from financing.lending.loans.days import Ints
from financing.lending.loans.store import account_t, loan_t

day_t = table_of(BusinessDayRow)
alert_t = table_of(AlertRow)
parked_t = table_of(ParkedLoanRow)
pledge_t = table_of(PledgeRow)


@dataclass(frozen=True, slots=True)
class Alert:
    day: date
    kind: str
    subject: str
    detail: str


class DayStore(Store):
    def last(self, bank_id: str) -> date | None:
        """The last business date that a bank closed."""
        return self._connection.execute(
            select(func.max(day_t.c.day)).where(day_t.c.bank_id == bank_id)
        ).scalar_one_or_none()

    def first_loan_at(self, bank_id: str) -> datetime | None:
        """When a bank made its first loan: it has no business date to close before. None before there is one."""
        row = self._connection.execute(
            select(func.min(loan_t.c.created_at)).where(loan_t.c.bank_id == bank_id)
        ).scalar_one_or_none()
        return row

    def closed(self, bank_id: str, window: Window = ALL) -> Page[ClosedDay]:
        """A bank's closed dates, newest first."""
        query = select(day_t).where(day_t.c.bank_id == bank_id)
        return page_of(self._connection, query, (Key(day_t.c.day, descending=True),), window, _closed)

    def closed_on(self, bank_id: str, day: date) -> ClosedDay | None:
        """One closed date, or None."""
        row = self._connection.execute(select(day_t).where(day_t.c.bank_id == bank_id, day_t.c.day == day)).first()
        return _closed(row) if row else None

    def close(self, closed: ClosedDay) -> None:
        self._connection.execute(insert(day_t).values(closed.model_dump()))

    def park(self, numbers: Iterable[int], day: date, faults: Iterable[str]) -> None:
        rows = [
            (number, stored_date(self._connection, day), fault) for number, fault in zip(numbers, faults, strict=True)
        ]
        if rows:
            insert_rows(self._connection, "parked_loan", ("number", "day", "fault"), rows)

    def parked(self, bank_id: str, day: date) -> list[tuple[str, str]]:
        """The loans that a date's closing left behind, with the fault of each."""
        rows = self._connection.execute(
            select(loan_t.c.id, parked_t.c.fault)
            .join(loan_t, loan_t.c.number == parked_t.c.number)
            .where(loan_t.c.bank_id == bank_id, parked_t.c.day == day)
            .order_by(loan_t.c.number)
        )
        return [(row.id, row.fault) for row in rows]

    def alert(self, bank_id: str, alerts: Sequence[Alert]) -> None:
        rows = [
            (bank_id, stored_date(self._connection, each.day), each.kind, each.subject, each.detail) for each in alerts
        ]
        if rows:
            insert_rows(self._connection, "alert", ("bank_id", "day", "kind", "subject", "detail"), rows)

    def alerts(self, bank_id: str, window: Window = ALL) -> Page[Alert]:
        """A bank's alerts, newest date first."""
        query = select(alert_t).where(alert_t.c.bank_id == bank_id)
        keys = (Key(alert_t.c.day, descending=True), Key(alert_t.c.id))
        return page_of(
            self._connection, query, keys, window, lambda row: Alert(row.day, row.kind, row.subject, row.detail)
        )

    def pledged(self, portfolios: Sequence[int], classes: Sequence[str]) -> tuple[Ints, Ints, Ints]:
        """Posted pledges behind the loans of these portfolios: loan number, class index, kg outstanding; an unknown
        class has the index after the last."""
        cases = " ".join(
            f"WHEN '{key.replace(chr(39), chr(39) * 2)}' THEN {place}" for place, key in enumerate(classes)
        )
        index = f"CASE p.asset_class {cases} ELSE {len(classes)} END"
        columns = read_integers(
            self._connection,
            ("number", "class", "kg"),
            ("l.number", index, "p.quantity_kg - p.released_kg - p.disposed_kg"),
            "FROM pledge p JOIN loan l ON l.id = p.loan_id JOIN loan_account a ON a.number = l.number"
            f" WHERE p.state = 'posted' AND a.portfolio IN ({_listed(portfolios)})",
        )
        return columns[0], columns[1], columns[2]

    def cliffs(self, bank_id: str, until: date) -> list[tuple[str, str, date]]:
        """Posted pledges to a bank whose allowances must be surrendered by `until`: pledge, loan, day."""
        rows = self._connection.execute(
            select(pledge_t.c.id, pledge_t.c.loan_id, pledge_t.c.surrender_by).where(
                pledge_t.c.pledgee_id == bank_id,
                pledge_t.c.state == "posted",
                pledge_t.c.surrender_by <= until,
                pledge_t.c.carry_over.is_(False),
            )
        )
        return [(row.id, row.loan_id, row.surrender_by) for row in rows]

    def lapsed_reservations(self, bank_id: str, at: datetime) -> list[str]:
        """Reservations for a bank whose time is over."""
        rows = self._connection.execute(
            select(pledge_t.c.id).where(
                pledge_t.c.pledgee_id == bank_id, pledge_t.c.state == "reserved", pledge_t.c.expires_at <= at
            )
        )
        return [row.id for row in rows]

    def loan_ids(self, portfolios: Sequence[int], numbers: Ints) -> dict[int, str]:
        """The ids of these loans; one query, whatever their number."""
        if not len(numbers):
            return {}
        wanted = set(numbers.tolist())
        query = select(loan_t.c.number, loan_t.c.id)
        if len(wanted) <= 500:
            query = query.where(loan_t.c.number.in_(sorted(wanted)))
        else:
            query = query.join(account_t, account_t.c.number == loan_t.c.number).where(
                account_t.c.portfolio.in_(list(portfolios))
            )
        return {row.number: row.id for row in self._connection.execute(query) if row.number in wanted}


def _closed(row: Row[Any]) -> ClosedDay:
    return ClosedDay.model_validate(row)


def days_between(first: date, last: date) -> list[date]:
    """Every date from `first` to `last`, both included; none when `last` is earlier."""
    start, end = date.toordinal(first), date.toordinal(last)
    return [date.fromordinal(each) for each in range(start, end + 1)]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers) or "NULL"
