"""Loans on one connection: what was agreed, the accounts of one or of all, events, and the instalments fallen due."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Row, Select, delete, func, insert, or_, select, update

from financing.base.quantities import Money
from financing.base.storage.bulk import day_number, insert_integers, insert_rows, read_integers, write_integers
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store, value_of
from financing.lending.loans.book import LoanBook, State
from financing.lending.loans.days import NO_DAY, Ints, date_of
from financing.lending.loans.events import LoanEvent, StoredEvent
from financing.lending.loans.loan import STATES, LoanState, LoanTerms, StoredLoan
from financing.lending.loans.rolling import Dues
from financing.lending.loans.tables import LoanAccountRow, LoanDueRow, LoanEventRow, LoanRow, PortfolioRow

account_t = table_of(LoanAccountRow)
due_t = table_of(LoanDueRow)
event_t = table_of(LoanEventRow)
portfolio_t = table_of(PortfolioRow)
loan_t = table_of(LoanRow)
_events = Codec(LoanEvent)
_terms = Codec(LoanTerms)

DATES = frozenset({"matures_on", "next_reset_on", "holiday_until", "accrued_to", "next_due_on", "oldest_due_on"})
_MONEY = frozenset(
    {
        "disbursed", "received", "principal", "principal_due", "principal_billed", "instalment", "interest_closed",
        "interest_billed", "interest_paid", "penal_paid", "written_principal", "written_interest", "recovered",
        "secured", "allowance", "market", "lendable", "after_haircut",
    }
)  # fmt: skip
COLUMNS = {name: f"{name}_fen" if name in _MONEY else name for name in LoanBook.names()}
_DUE = ("number", "due_on", "interest_fen", "principal_fen", "interest_total_fen", "principal_total_fen")


@dataclass(frozen=True, slots=True)
class Portfolio:
    portfolio_id: int
    bank_id: str
    product: str


class LoanStore(Store):
    def of_decision(self, decision_id: str) -> str | None:
        """The loan drawn on a decision, if any."""
        row = self._connection.execute(select(loan_t.c.id).where(loan_t.c.decision_id == decision_id)).first()
        return row.id if row else None

    def add(self, stored: StoredLoan, at: datetime) -> None:
        terms = stored.terms
        self._add(
            loan_t, terms, stored, id=terms.loan_id, bank_id=terms.lender, terms=_terms.encode(terms), created_at=at
        )
        self.open(stored.book)

    def get(self, loan_id: str) -> StoredLoan:
        row = self._one(select(loan_t).where(loan_t.c.id == loan_id), "no such loan", loan_id=loan_id)
        return self._stored([row])[0]

    def of(
        self, *, organisation_id: str | None = None, state: LoanState | None = None, window: Window = ALL
    ) -> Page[StoredLoan]:
        """Loans that an organisation gave or took, newest first; of everyone for None."""
        query = select(loan_t)
        if organisation_id is not None:
            query = query.where(or_(loan_t.c.bank_id == organisation_id, loan_t.c.borrower_id == organisation_id))
        if state is not None:
            code = next(number for number, named in STATES.items() if named is state)
            query = query.join(account_t, account_t.c.number == loan_t.c.number).where(account_t.c.state == int(code))
        return self._latest(query, window)

    def taken_by(self, borrower_id: str, window: Window = ALL) -> Page[StoredLoan]:
        """Loans that an organisation took, newest first."""
        query = select(loan_t).where(loan_t.c.borrower_id == borrower_id)
        return self._latest(query, window)

    def ended(self, bank_id: str, window: Window = ALL) -> Page[StoredLoan]:
        """A bank's loans that run no more, newest first."""
        query = (
            select(loan_t)
            .join(account_t, account_t.c.number == loan_t.c.number)
            .where(loan_t.c.bank_id == bank_id, account_t.c.state != int(State.ACTIVE))
        )
        return self._latest(query, window)

    def _latest(self, query: Select[Any], window: Window) -> Page[StoredLoan]:
        keys = (Key(loan_t.c.created_at, descending=True), Key(loan_t.c.id))
        return page_of(self._connection, query, keys, window, lambda row: row).map(self._stored)

    def drawn_on(self, decision_ids: Sequence[str]) -> set[str]:
        """Which of these decisions a loan was drawn on."""
        query = select(loan_t.c.decision_id).where(loan_t.c.decision_id.in_(list(decision_ids)))
        return set(self._connection.execute(query).scalars())

    def numbered(self, numbers: Sequence[int]) -> list[StoredLoan]:
        """These loans, in the order of their numbers given."""
        rows = {
            row.number: row
            for row in self._connection.execute(select(loan_t).where(loan_t.c.number.in_(list(numbers))))
        }
        return self._stored([rows[number] for number in numbers])

    def _stored(self, rows: list[Row[Any]]) -> list[StoredLoan]:
        book = self.read([row.number for row in rows])
        place = {number: at for at, number in enumerate(book.number.tolist())}
        return [
            StoredLoan(
                terms=_terms.decode(row.terms),
                book=one_of(book, place[row.number]),
                decision_id=row.decision_id,
                committed=Money(row.committed_fen),
            )
            for row in rows
        ]

    def portfolio(self, bank_id: str, product: str) -> Portfolio:
        """The portfolio of a bank's loans on a product, opened if this is the first."""
        wanted = (portfolio_t.c.bank_id == bank_id) & (portfolio_t.c.product == product)
        portfolio_id = self._connection.execute(select(portfolio_t.c.id).where(wanted)).scalar_one_or_none()
        if portfolio_id is None:
            self._connection.execute(insert(portfolio_t).values(bank_id=bank_id, product=product))
            portfolio_id = self._connection.execute(select(portfolio_t.c.id).where(wanted)).scalar_one()
        return Portfolio(int(portfolio_id), bank_id, product)

    def portfolios(self) -> dict[int, Portfolio]:
        rows = self._connection.execute(select(portfolio_t))
        return {row.id: Portfolio(row.id, row.bank_id, row.product) for row in rows}

    def next_number(self) -> int:
        """A number for a new loan; the writer is alone, so it is free."""
        return int(self._connection.execute(select(func.coalesce(func.max(loan_t.c.number), 0))).scalar_one()) + 1

    def open(self, book: LoanBook) -> None:
        """Add the account of one new loan."""
        values = {COLUMNS[name]: int(getattr(book, name)[0]) for name in LoanBook.names()}
        dated = {name: date_of(values[name]) if values[name] != NO_DAY else None for name in DATES}
        self._connection.execute(insert(account_t).values(**(values | dated)))

    def read(self, numbers: Sequence[int] | None = None, *, running_in: Sequence[int] | None = None) -> LoanBook:
        """The accounts of these loans, or the active ones of some portfolios, or all, in order of number."""
        expressions = [
            day_number(self._connection, COLUMNS[name]) if name in DATES else COLUMNS[name] for name in LoanBook.names()
        ]
        where = []
        if numbers is not None:
            listed = ", ".join(str(int(number)) for number in numbers)
            where.append(f"number IN ({listed})" if listed else "1 = 0")
        if running_in is not None:
            listed = ", ".join(str(int(portfolio)) for portfolio in running_in)
            where.append(f"state = {int(State.ACTIVE)} AND portfolio IN ({listed or 'NULL'})")
        tail = f"FROM loan_account {'WHERE ' + ' AND '.join(where) if where else ''} ORDER BY number"
        return LoanBook(*read_integers(self._connection, LoanBook.names(), expressions, tail))

    def open_all(self, book: LoanBook) -> None:
        """Add the accounts of many new loans."""
        columns = {COLUMNS[name]: getattr(book, name) for name in LoanBook.names()}
        insert_integers(self._connection, "loan_account", columns, DATES)

    def write(self, book: LoanBook) -> None:
        """Store the accounts as they stand now, whatever the number of loans in a handful of statements."""
        columns = {COLUMNS[name]: getattr(book, name) for name in LoanBook.names()}
        write_integers(self._connection, "loan_account", "number", columns, DATES)

    def add_dues(self, dues: Dues) -> None:
        rows = zip(
            dues.number.tolist(),
            (_dates(dues.due_on, self._connection.dialect.name)),
            dues.interest.tolist(),
            dues.principal.tolist(),
            dues.interest_total.tolist(),
            dues.principal_total.tolist(),
            strict=True,
        )
        if len(dues):
            insert_rows(self._connection, "loan_due", _DUE, rows)

    def set_dues(self, number: int, dues: Dues) -> None:
        """The instalments of a loan that was replayed, in place of those on record."""
        self._connection.execute(delete(due_t).where(due_t.c.number == number))
        self.add_dues(dues)

    def dues(self, numbers: Sequence[int]) -> Dues:
        """Instalments that fell due of these loans, by loan and date."""
        listed = ", ".join(str(int(number)) for number in numbers)
        expressions = ["number", day_number(self._connection, "due_on"), *_DUE[2:]]
        tail = f"FROM loan_due WHERE number IN ({listed or 'NULL'}) ORDER BY number, due_on"
        return Dues(*read_integers(self._connection, _DUE, expressions, tail))

    def add_event(
        self,
        number: int,
        event: LoanEvent,
        *,
        external_id: str | None,
        entry_id: int | None,
        actor_id: str,
        at: datetime,
    ) -> None:
        self._add(
            event_t,
            event,
            number=number,
            kind=event.what.kind,
            amount_fen=event.what.amount.fen,
            record=_events.encode(event),
            external_id=external_id,
            entry_id=entry_id,
            actor_id=actor_id,
            recorded_at=at,
            reversed_at=None,
        )

    def mark_reversed(self, number: int, sequence: int, at: datetime) -> None:
        self._connection.execute(
            update(event_t).where(event_t.c.number == number, event_t.c.sequence == sequence).values(reversed_at=at)
        )

    def events(self, number: int, window: Window = ALL) -> Page[StoredEvent]:
        """What happened to a loan, in the order of entry; reversed events are marked."""
        query = select(event_t).where(event_t.c.number == number)
        return page_of(self._connection, query, (Key(event_t.c.sequence),), window, _event)

    def count_events(self, number: int, kind: str) -> int:
        """How many events of a kind a loan has, reversed ones among them."""
        query = select(func.count()).where(event_t.c.number == number, event_t.c.kind == kind)
        return int(self._connection.execute(query).scalar_one())

    def totals(self) -> dict[int, int]:
        """Principal outstanding by portfolio, as the accounts have it."""
        rows = self._connection.execute(
            select(account_t.c.portfolio, func.sum(account_t.c.principal_fen)).group_by(account_t.c.portfolio)
        )
        return {row[0]: int(row[1]) for row in rows}


def one_of(book: LoanBook, row: int) -> LoanBook:
    return book.take(np.array([row]))


def _event(row: Row[Any]) -> StoredEvent:
    event = _events.decode(row.record | {"reversed": row.reversed_at is not None})
    return value_of(StoredEvent, row, event=event)


def _dates(days: Ints, dialect: str) -> Iterable[object]:
    texts = days.astype("datetime64[D]").astype(str).tolist() if dialect == "sqlite" else None
    return texts if texts is not None else (date_of(day) for day in days.tolist())
