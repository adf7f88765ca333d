"""Risk class, stage and loss allowance of a whole book, from days past due, credit risk and cover. Vectorised.

Five classes: Rules on Risk Classification of Financial Assets of Commercial Banks (CBIRC and PBoC, 2023 No. 1): overdue
is at least special mention, more than 90 days substandard, more than 270 doubtful, more than 360 loss; a restructured
loan is at least special mention. Stages: IFRS 9 5.5.11 (30 days past due presumes a significant increase in credit
risk) and B5.5.37 (90 days presume default). The allowance is PD × LGD × EAD: within a year in stage 1, over the rest of
the life in stage 2, with PD = 1 in stage 3; the recovery from collateral is discounted for the time a sale takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from financing.lending.loans.book import BPS, LoanBook
from financing.lending.loans.days import Ints

DAYS_A_YEAR = 365.25


class RiskClass(IntEnum):
    NORMAL = 0
    SPECIAL_MENTION = 1
    SUBSTANDARD = 2
    DOUBTFUL = 3
    LOSS = 4


@dataclass(frozen=True, slots=True)
class Provisioning:
    """The thresholds in force. `pd_ratio` and `pd_rise_bps` together say when credit risk has risen significantly;
    the arrays are by portfolio id: floor of loss given default, cost of disposal (basis points), days a sale takes."""

    class_days: tuple[int, int, int, int]
    stage_2_days: int
    stage_3_days: int
    pd_ratio: float
    pd_rise_bps: int
    lgd_bps_min: Ints
    disposal_cost_bps: Ints
    sale_days: Ints


def classify(book: LoanBook, on: int, rules: Provisioning) -> None:
    """Set `risk_class` and `stage` of every active loan as of day `on`; of closed loans both are 0."""
    late = book.days_past_due(on)
    by_days = np.searchsorted(np.array(rules.class_days), late, side="left")
    restructured = np.where(book.restructured == 1, RiskClass.SPECIAL_MENTION, RiskClass.NORMAL)
    book.risk_class[:] = np.where(book.active, np.maximum(by_days, restructured), 0)
    risen = (book.pd_bps >= rules.pd_ratio * book.pd_origin_bps) & (
        book.pd_bps - book.pd_origin_bps >= rules.pd_rise_bps
    )
    impaired = (late >= rules.stage_3_days) | (book.risk_class >= RiskClass.SUBSTANDARD) | (book.pd_bps >= BPS)
    doubtful = (late >= rules.stage_2_days) | risen | (book.restructured == 1)
    stage = np.where(impaired, 3, np.where(doubtful, 2, 1))
    book.stage[:] = np.where(book.active, stage, 0)


def provide(book: LoanBook, on: int, rules: Provisioning) -> None:
    """Set `allowance` (fen, rounded up) of every loan as of day `on`. Unpriced collateral recovers nothing."""
    exposure = book.debt.astype(np.float64)
    years = np.maximum((book.matures_on - on) / DAYS_A_YEAR, 1 / DAYS_A_YEAR)
    annual = np.clip(book.pd_bps / BPS, 0.0, 1.0)
    horizon = np.where(book.stage == 1, np.minimum(years, 1.0), years)
    with np.errstate(divide="ignore"):
        probability = np.where(book.stage == 3, 1.0, -np.expm1(horizon * np.log1p(-annual)))
    of = book.portfolio
    kept = 1 - rules.disposal_cost_bps[of] / BPS
    discount = (1 + book.rate_bps / BPS) ** (-rules.sale_days[of] / DAYS_A_YEAR)
    recovery = np.maximum(book.after_haircut, 0) * kept * discount + book.secured * discount
    with np.errstate(divide="ignore", invalid="ignore"):
        lgd = np.where(exposure > 0, 1 - np.minimum(recovery / exposure, 1.0), 0.0)
    lgd = np.maximum(lgd, rules.lgd_bps_min[of] / BPS)
    loss = np.ceil(probability * lgd * exposure - 1e-6).astype(np.int64)
    book.allowance[:] = np.where(book.active, np.minimum(loss, book.debt), 0)
