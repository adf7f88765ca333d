"""What the steps of one end of day work on: the book before and after, what they found, and whom to alert."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from financing.base.quantities import CHINA_TIME
from financing.lending.business_day.store import Alert
from financing.lending.collateral.margin import StoredCall
from financing.lending.loans.book import LoanBook
from financing.lending.loans.days import Ints, day_of
from financing.lending.loans.rolling import Dues, Market
from financing.lending.loans.store import Portfolio

END = time(23, 59, 59)


@dataclass(slots=True)
class DayWork:
    """`before` is the book as it was stored, `book` what the steps make of it; `parked` marks the loans left behind,
    whose rows stay as they were."""

    bank_id: str
    day: date
    portfolios: dict[int, Portfolio]
    before: LoanBook
    book: LoanBook
    market: Market
    faults: Ints
    dues: Dues = field(default_factory=Dues.none)
    alerts: list[Alert] = field(default_factory=list)
    new_calls: list[StoredCall] = field(default_factory=list)
    cured: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> int:
        return day_of(self.day)

    @property
    def at(self) -> datetime:
        """The last second of the business date in China: the moment for prices and reservations."""
        return datetime.combine(self.day, END, CHINA_TIME).astimezone(UTC)

    @property
    def going(self) -> Ints:
        """Rows of the loans that are not parked."""
        return np.flatnonzero(self.faults == 0)

    def note(self, step: str, **facts: object) -> None:
        self.findings.append({"step": step, **facts})

    def warn(self, kind: str, subject: str, detail: str) -> None:
        self.alerts.append(Alert(self.day, kind, subject, detail))


def next_day(day: date) -> date:
    return day + timedelta(days=1)
