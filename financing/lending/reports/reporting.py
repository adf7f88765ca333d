"""What an accountant and a risk officer take away: trial balance, general ledger, positions of a bank's loans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlalchemy import case, func, select

from financing.base.context import Context
from financing.base.errors import PeriodInvalid
from financing.base.quantities import CHINA_TIME, business_date
from financing.ledger.store import account, entry, posting
from financing.lending.collateral.coverage import CoverageStatus
from financing.lending.loans.book import State
from financing.lending.loans.classification import RiskClass
from financing.lending.loans.days import date_of, day_of
from financing.lending.loans.markets import market_of
from financing.lending.loans.rolling import advance
from financing.lending.loans.store import loan_t
from financing.lending.unit import UnitOfWork

LINES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Table:
    """A report: its columns and rows; amounts in fen or kg, whole numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


def trial_balance(unit: UnitOfWork, context: Context) -> Table:
    """The actor's balances by account and asset, debit and credit apart; in money both columns add up to the same once
    its settlement account is counted, and the last rows give the totals of every asset."""
    c = account.c
    rows = unit.connection.execute(
        select(
            c.asset,
            c.kind,
            func.sum(case((c.posted > 0, c.posted), else_=0)).label("debit"),
            func.sum(case((c.posted < 0, -c.posted), else_=0)).label("credit"),
        )
        .where(c.owner_id == context.actor.id)
        .group_by(c.asset, c.kind)
        .order_by(c.asset, c.kind)
    ).all()
    lines: list[tuple[object, ...]] = [(row.asset, row.kind, int(row.debit), int(row.credit)) for row in rows]
    for asset in sorted({str(row.asset) for row in rows}):
        debit = sum(int(row.debit) for row in rows if row.asset == asset)
        credit = sum(int(row.credit) for row in rows if row.asset == asset)
        lines.append((asset, "total", debit, credit))
    return Table("trial balance", ("asset", "account", "debit", "credit"), tuple(lines))


def general_ledger(unit: UnitOfWork, context: Context, first: date, last: date) -> Table:
    """Every posting to the actor's accounts on these dates (China), in order, with the balance after it.

    Raises `PeriodInvalid` for a period that is empty or holds more than a report does.
    """
    if last < first:
        raise PeriodInvalid("a period ends after it begins", first=str(first), last=str(last))
    start = datetime.combine(first, time.min, CHINA_TIME).astimezone(UTC)
    end = datetime.combine(last, time.max, CHINA_TIME).astimezone(UTC)
    rows = unit.connection.execute(
        select(
            entry.c.id,
            entry.c.at,
            entry.c.kind,
            entry.c.reference,
            account.c.kind.label("account"),
            account.c.reference.label("about"),
            account.c.asset,
            posting.c.amount,
            posting.c.balance_after,
        )
        .select_from(
            posting.join(entry, entry.c.id == posting.c.entry_id).join(account, account.c.id == posting.c.account_id)
        )
        .where(account.c.owner_id == context.actor.id, entry.c.at >= start, entry.c.at <= end)
        .order_by(entry.c.id, account.c.id)
        .limit(LINES_MAX + 1)
    ).all()
    if len(rows) > LINES_MAX:
        raise PeriodInvalid("the period holds more lines than a report; choose a shorter one", lines_max=LINES_MAX)
    return Table(
        "general ledger",
        ("entry", "at", "kind", "reference", "account", "about", "asset", "amount", "balance_after"),
        tuple(
            (r.id, r.at.isoformat(), r.kind, r.reference, r.account, r.about, r.asset, r.amount, r.balance_after)
            for r in rows
        ),
    )


def positions(unit: UnitOfWork, context: Context) -> Table:
    """Every loan the actor gave, as of today: debt and its parts, arrears, class, stage, allowance, cover."""
    context.require_kind("bank")
    mine = [number for number, each in unit.loans.portfolios().items() if each.bank_id == context.actor.id]
    book = unit.loans.read(running_in=mine)
    today = day_of(business_date(context.at))
    advance(book, today, market_of(context.parameters))
    names = {
        row.number: row
        for row in unit.connection.execute(
            select(loan_t.c.number, loan_t.c.id, loan_t.c.borrower_id, loan_t.c.product).where(
                loan_t.c.bank_id == context.actor.id
            )
        )
    }
    late = book.days_past_due(today)
    rows = []
    for row, number in enumerate(book.number.tolist()):
        known = names[number]
        rows.append(
            (
                known.id,
                known.borrower_id,
                known.product,
                State(int(book.state[row])).name.lower(),
                int(book.rate_bps[row]),
                str(date_of(int(book.matures_on[row]))),
                int(book.principal[row]),
                int(book.interest_owed[row]),
                int(book.penal_owed[row]),
                int(late[row]),
                RiskClass(int(book.risk_class[row])).name.lower(),
                int(book.stage[row]),
                int(book.allowance[row]),
                int(book.market[row]),
                CoverageStatus(int(book.coverage[row])).label,
            )
        )
    columns = (
        "loan", "borrower", "product", "state", "annual_rate_bps", "matures_on", "principal_fen", "interest_fen",
        "penal_fen", "days_past_due", "class", "stage", "allowance_fen", "market_fen", "coverage",
    )  # fmt: skip
    return Table("positions", columns, tuple(rows))
