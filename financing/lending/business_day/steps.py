"""The steps of an end of day, in order. Each reads and changes the day's work; all is stored in one commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np

from financing.base.context import Context
from financing.base.errors import FinancingError
from financing.base.quantities import Money
from financing.lending.business_day.work import DayWork
from financing.lending.collateral.commands import expire_pledge
from financing.lending.collateral.coverage import NO_PRICE, CoverageStatus, statuses
from financing.lending.collateral.margin import StoredCall, called_for, cure_by, judge
from financing.lending.collateral.marking import class_table, pooled, uncovered
from financing.lending.loans.book import Fault, LoanBook, faults
from financing.lending.loans.classification import Provisioning, classify, provide
from financing.lending.loans.days import Ints
from financing.lending.loans.rolling import Dues, advance
from financing.lending.unit import UnitOfWork

Step = Callable[[UnitOfWork, Context, DayWork], None]


def expire_reservations(unit: UnitOfWork, context: Context, work: DayWork) -> None:
    """End the reservations of pledges whose time is over."""
    lapsed = unit.days.lapsed_reservations(work.bank_id, work.at)
    for pledge_id in lapsed:
        expire_pledge(unit, context, pledge_id)
    work.note("expire_reservations", expired=len(lapsed))


def take_forward(unit: UnitOfWork, context: Context, work: DayWork) -> None:  # noqa: ARG001
    """Interest to this date, rate resets, instalments due. A loan that cannot be taken forward is parked."""
    work.faults[:] = faults(work.book)
    rows = work.going
    part = work.book.take(rows)
    try:
        work.dues = advance(part, work.number, work.market)
        work.book.put(rows, part)
    except FinancingError:
        _one_by_one(work, rows)
    for row in np.flatnonzero(work.faults):
        fault = Fault(int(work.faults[row]))
        work.warn("loan_parked", str(work.book.number[row]), fault.name.lower())
    work.note(
        "take_forward",
        loans=len(work.going),
        parked=int(np.count_nonzero(work.faults)),
        instalments=len(work.dues),
        interest_fen=int((work.book.interest_accrued - work.before.interest_accrued).sum()),
        overdue=int(np.count_nonzero(work.book.days_past_due(work.number) > 0)),
    )


def revalue(unit: UnitOfWork, context: Context, work: DayWork) -> None:
    """Mark every pledge at this date's prices; each loan's value, line and standing. No price is never healthy."""
    classes = class_table(unit, context.parameters, work.at)
    pool, pledged = pooled(unit, work.portfolios, work.book, classes)
    book, rows = work.book, work.going
    status = statuses(uncovered(book), pool)
    for name, values in (
        ("market", pool.market),
        ("lendable", pool.advance),
        ("after_haircut", np.where(pool.unpriced, 0, pool.after_haircut)),
        ("coverage", status),
    ):
        getattr(book, name)[rows] = values[rows]
    for place in pledged[classes.price[pledged] == NO_PRICE].tolist():
        named = classes.keys[place] if place < len(classes.keys) else "unknown class"
        work.warn("price_missing", named, "no usable price: its loans are unpriced")
    names = {
        each.label: int(np.count_nonzero(status[rows] == each))
        for each in CoverageStatus
        if each is not CoverageStatus.UNVALUED
    }
    work.note("revalue", market_fen=int(pool.market.sum()), **names)


def classify_and_provide(unit: UnitOfWork, context: Context, work: DayWork) -> None:  # noqa: ARG001
    """Five-class category, stage and allowance of every loan."""
    rules = context.parameters.provisioning(work.day)
    size = max(work.portfolios, default=0) + 1
    floor, cost = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for number, portfolio in work.portfolios.items():
        product = context.parameters.running_product(portfolio.product, work.day)
        floor[number], cost[number] = product.lgd_bps_min, product.disposal_cost_bps
    table = Provisioning(
        class_days=rules.class_days,
        stage_2_days=rules.stage_2_days,
        stage_3_days=rules.stage_3_days,
        pd_ratio=rules.pd_ratio_pct / 100,
        pd_rise_bps=rules.pd_rise_bps,
        lgd_bps_min=floor,
        disposal_cost_bps=cost,
        sale_days=np.full(size, rules.sale_days, np.int64),
    )
    rows = work.going
    part = work.book.take(rows)
    classify(part, work.number, table)
    provide(part, work.number, table)
    work.book.put(rows, part)
    stages = {f"stage_{stage}": int(np.count_nonzero(part.stage == stage)) for stage in (1, 2, 3)}
    work.note("classify_and_provide", allowance_fen=int(part.allowance.sum()), **stages)


def call_margins(unit: UnitOfWork, context: Context, work: DayWork) -> None:
    """Make the margin calls that are due, close those that are cured, and report those whose time is over."""
    book, exposed = work.book, uncovered(work.book)
    known = unit.calls.open_of_bank(work.bank_id)
    called = np.isin(book.number, np.array(list(known), np.int64))
    verdicts = judge(exposed, book.lendable, book.coverage, called)
    going = work.faults == 0
    lapsed = 0
    for row in np.flatnonzero(called & going).tolist():
        stored = known[int(book.number[row])]
        if stored.call.called_at > work.at:
            continue  # a date that is closed late says nothing of a call that was made after it
        if verdicts.cure[row]:
            work.cured.append(stored.call_id)
        elif work.day > stored.call.cure_by:
            lapsed += 1
            work.warn("call_past_due", stored.call.loan_id, f"not cured by {stored.call.cure_by}")
    due = np.flatnonzero(verdicts.call & going)
    ids = unit.days.loan_ids(list(work.portfolios), book.number[due])
    until = {
        number: cure_by(
            context.parameters.running_product(portfolio.product, work.day), work.day, context.parameters.china
        )
        for number, portfolio in work.portfolios.items()
    }
    for row in due.tolist():
        debt, advance = Money(int(exposed[row])), Money(int(book.lendable[row]))
        call = called_for(ids[int(book.number[row])], debt, advance, work.at, until[int(book.portfolio[row])])
        work.new_calls.append(StoredCall(context.new_id("mcl"), call, Money(int(book.market[row]))))
    work.note("call_margins", called=len(work.new_calls), cured=len(work.cured), past_due=lapsed)


def watch_cliffs(unit: UnitOfWork, context: Context, work: DayWork) -> None:
    """Name the pledges whose allowances must soon be surrendered: after that day they are worth nothing."""
    ahead = timedelta(days=context.parameters.provisioning(work.day).cliff_alert_days)
    cliffs = unit.days.cliffs(work.bank_id, work.day + ahead)
    for pledge_id, loan_id, by in cliffs:
        work.warn("compliance_cliff", pledge_id, f"loan {loan_id}: to be surrendered by {by}")
    work.note("watch_cliffs", pledges=len(cliffs))


STEPS: tuple[Step, ...] = (
    expire_reservations,
    take_forward,
    revalue,
    classify_and_provide,
    call_margins,
    watch_cliffs,
)


def _one_by_one(work: DayWork, rows: Ints) -> None:
    """Some loan refuses: find out which, by itself, and take the others forward."""
    for row in rows.tolist():
        one: LoanBook = work.book.take(np.array([row]))
        try:
            dues: Dues = advance(one, work.number, work.market)
        except FinancingError:
            work.faults[row] = Fault.TERMS
            continue
        work.book.put(np.array([row]), one)
        work.dues = work.dues.and_(dues)
