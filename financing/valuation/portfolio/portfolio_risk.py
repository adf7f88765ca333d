"""What a book's drawn losses say: expected loss, VaR, ES, economic capital, who they come from, and concentration.

Economic capital is VaR at the level (99.9 %) less the expected loss. Contributions are E[L_c | L ≥ VaR]: they add up to
the ES (Euler; Tasche 1999). A name's weight is the capital with it less the capital without it, on the same paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from financing.base.quantities import Money, money_from_estimate_up
from financing.valuation.portfolio.joint import PortfolioLosses
from financing.valuation.portfolio.loan_book import LoanBook
from financing.valuation.price_models.series import FloatArray
from financing.valuation.price_models.tail_risk import tail_of


@dataclass(frozen=True, slots=True)
class ClassContribution:
    """One class: its expected loss and its part of the expected shortfall."""

    key: str
    exposure: Money
    expected_loss: Money
    tail: Money


@dataclass(frozen=True, slots=True)
class NameContribution:
    """One large loan (row of the book): exposure, expected loss, part of the expected shortfall, and the capital that
    would be freed without it, which is a difference of two drawn quantiles and as noisy."""

    row: int
    exposure: Money
    expected_loss: Money
    tail: Money
    capital_freed: Money


@dataclass(frozen=True, slots=True)
class PortfolioRisk:
    """Figures of a book in fen, rounded up; errors are standard errors of the simulation.

    `herfindahl` is the sum of squared exposure shares; its inverse is how many equal loans would be as concentrated.
    """

    exposure: Money
    expected_loss: Money
    expected_loss_error: Money
    var: Money
    var_error: Money
    expected_shortfall: Money
    expected_shortfall_error: Money
    economic_capital: Money
    herfindahl: float
    equal_loans: float
    classes: tuple[ClassContribution, ...]
    names: tuple[NameContribution, ...]


def assess(book: LoanBook, losses: PortfolioLosses, level: float = 0.999) -> PortfolioRisk:
    """Figures at `level`. Raises `RiskInputInvalid` for fewer than ten paths in the tail."""
    total = losses.total
    tail = tail_of(total, level)
    mean = float(total.mean())
    worst = total >= tail.var
    shares = book.exposure / book.exposure.sum()
    herfindahl = float(shares @ shares)
    return PortfolioRisk(
        exposure=Money(int(book.exposure.sum())),
        expected_loss=money_from_estimate_up(mean),
        expected_loss_error=money_from_estimate_up(float(total.std(ddof=1)) / sqrt(len(total))),
        var=money_from_estimate_up(tail.var),
        var_error=money_from_estimate_up(tail.var_error),
        expected_shortfall=money_from_estimate_up(tail.es),
        expected_shortfall_error=money_from_estimate_up(tail.es_error),
        economic_capital=money_from_estimate_up(max(tail.var - mean, 0.0)),
        herfindahl=herfindahl,
        equal_loans=1.0 / herfindahl,
        classes=tuple(_class(book, losses, worst, column) for column in range(len(book.classes))),
        names=tuple(
            _name(book, losses, row, losses.by_name[:, place], worst, tail.var - mean, level)
            for place, row in enumerate(losses.names)
        ),
    )


def _class(book: LoanBook, losses: PortfolioLosses, worst: NDArray[np.bool_], column: int) -> ClassContribution:
    lost = losses.by_class[:, column]
    return ClassContribution(
        key=book.classes[column].key,
        exposure=Money(int(book.exposure[book.class_index == column].sum())),
        expected_loss=money_from_estimate_up(float(lost.mean())),
        tail=money_from_estimate_up(float(lost[worst].mean())),
    )


def _name(
    book: LoanBook,
    losses: PortfolioLosses,
    row: np.int64,
    lost: FloatArray,
    worst: NDArray[np.bool_],
    capital: float,
    level: float,
) -> NameContribution:
    rest = losses.total - lost
    without = tail_of(rest, level).var - float(rest.mean())
    return NameContribution(
        row=int(row),
        exposure=Money(int(book.exposure[row])),
        expected_loss=money_from_estimate_up(float(losses.by_loan[row])),
        tail=money_from_estimate_up(float(lost[worst].mean())),
        capital_freed=money_from_estimate_up(capital - without),
    )
