"""Close a bank's business dates: a commit each, in order, missed ones first; a closed one stays as it is."""

from __future__ import annotations

from datetime import date

import numpy as np
from pydantic import Field
from sqlalchemy import func, select

from financing.base.commands import Command, use_case
from financing.base.context import Context
from financing.base.errors import BooksDiverged, InvalidState, PeriodInvalid
from financing.base.quantities import business_date
from financing.ledger.accounts import CNY_CODE, AccountKind
from financing.ledger.entries import EntryKind
from financing.ledger.posting import post_entry
from financing.ledger.store import account
from financing.lending.business_day.outcome import ClosedDay
from financing.lending.business_day.steps import STEPS
from financing.lending.business_day.store import days_between
from financing.lending.business_day.work import DayWork, next_day
from financing.lending.loans.book import Fault
from financing.lending.loans.markets import market_of
from financing.lending.loans.posting import day_changes
from financing.lending.loans.store import account_t, loan_t
from financing.lending.unit import UnitOfWork

DAYS_AT_ONCE = 31


def open_dates(unit: UnitOfWork, context: Context) -> list[date]:
    """The bank's business dates that are over and not closed: from its first loan, or the last closed date, to
    yesterday (China)."""
    last, first = unit.days.last(context.actor.id), unit.days.first_loan_at(context.actor.id)
    if first is None:
        return []
    start = next_day(last) if last is not None else business_date(first)
    yesterday = date.fromordinal(business_date(context.at).toordinal() - 1)
    return days_between(start, yesterday)


class CloseDays(Command):
    through: date | None = Field(default=None, description="the last date to close; yesterday (China) if left out")


@use_case
def close_days(unit: UnitOfWork, context: Context, command: CloseDays) -> tuple[ClosedDay, ...]:
    """Close the issuer's open business dates, missed ones first, at most `DAYS_AT_ONCE`. Raises as `close_day`."""
    dates = [day for day in open_dates(unit, context) if command.through is None or day <= command.through]
    return tuple(close_day(unit, context, day) for day in dates[:DAYS_AT_ONCE])


@use_case
def close_day(unit: UnitOfWork, context: Context, day: date) -> ClosedDay:
    """Run the steps of one date on the bank's whole book and post them as one entry.

    Raises `PeriodInvalid` for a day that is not over, `InvalidState` for one out of order, `BooksDiverged` when the
    loans and the general ledger do not agree afterwards. A date that is closed is returned as it was: nothing changes.
    """
    bank_id = context.actor.id
    if day > business_date(context.at):
        raise PeriodInvalid("a business date is closed when it has come", on=str(day))
    last = unit.days.last(bank_id)
    if last is not None and day <= last:
        known = unit.days.closed_on(bank_id, day)
        if known is None:
            raise InvalidState("a later business date is closed", on=str(day), last=str(last))
        return known
    if last is not None and day != next_day(last):
        raise InvalidState("business dates are closed in order", on=str(day), next=str(next_day(last)))
    work = _work(unit, context, day)
    for step in STEPS:
        step(unit, context, work)
    entry_id = _store(unit, context, work)
    reconcile(unit, work)
    closed = ClosedDay(
        bank_id=bank_id,
        day=day,
        closed_at=context.at,
        loans=len(work.going),
        parked=int(np.count_nonzero(work.faults)),
        steps=work.findings,
        entry_id=entry_id,
    )
    unit.days.close(closed)
    return closed


def reconcile(unit: UnitOfWork, work: DayWork) -> None:
    """Hold the loans against the general ledger: principal, interest receivable and allowance to the fen.

    Raises `BooksDiverged` naming the account and both sums.
    """
    a = account_t.c
    contract = (
        select(func.coalesce(func.sum(a.principal_fen), 0), func.coalesce(func.sum(a.allowance_fen), 0))
        .join(loan_t, loan_t.c.number == a.number)
        .where(loan_t.c.bank_id == work.bank_id)
    )
    principal, allowance = unit.connection.execute(contract).one()
    held = {
        row.kind: int(row.total)
        for row in unit.connection.execute(
            select(account.c.kind, func.sum(account.c.posted).label("total"))
            .where(account.c.owner_id == work.bank_id, account.c.asset == CNY_CODE)
            .group_by(account.c.kind)
        )
    }
    sums = {
        AccountKind.LOAN_PRINCIPAL: int(principal),
        AccountKind.INTEREST_RECEIVABLE: int((work.book.interest_owed + work.book.penal_owed).sum()),
        AccountKind.LOSS_ALLOWANCE: -int(allowance),
    }
    for kind, expected in sums.items():
        if held.get(kind.value, 0) != expected:
            raise BooksDiverged(
                "the loans and the general ledger do not agree",
                account=kind.value,
                loans_fen=expected,
                ledger_fen=held.get(kind.value, 0),
            )


def _work(unit: UnitOfWork, context: Context, day: date) -> DayWork:
    portfolios = {
        number: portfolio
        for number, portfolio in unit.loans.portfolios().items()
        if portfolio.bank_id == context.actor.id
    }
    book = unit.loans.read(running_in=list(portfolios))
    return DayWork(
        bank_id=context.actor.id,
        day=day,
        portfolios=portfolios,
        before=book.copy(),
        book=book,
        market=market_of(context.parameters),
        faults=np.zeros(len(book), np.int64),
    )


def _store(unit: UnitOfWork, context: Context, work: DayWork) -> int | None:
    rows = work.going
    unit.loans.write(work.book.take(rows))
    unit.loans.add_dues(work.dues)
    parked = np.flatnonzero(work.faults)
    names = [Fault(int(work.faults[row])).name.lower() for row in parked]
    unit.days.park(work.book.number[parked].tolist(), work.day, names)
    unit.calls.add(work.new_calls)
    unit.calls.close(work.cured, "cured", work.at)
    unit.days.alert(work.bank_id, work.alerts)
    postings = day_changes(work.before.take(rows), work.book.take(rows), work.portfolios)
    if not postings:
        return None
    return post_entry(unit, context, EntryKind.END_OF_DAY, f"day:{work.day}", changes=postings).entry_id
