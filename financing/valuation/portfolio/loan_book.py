"""A book of collateralised loans as columns, and what their joint simulation needs of classes and dependence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import RiskInputInvalid
from financing.base.quantities import Price, Rate
from financing.valuation.price_models.processes import JumpDiffusion
from financing.valuation.price_models.series import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassRisk:
    """One class of collateral: today's price, its model, and what a sale takes in trading days and discount.

    `to_generate`: its tonnes are still to be generated, so they rise and fall with the year's yield.
    """

    key: str
    price: Price
    model: JumpDiffusion
    sale_days: int
    sale_discount: Rate
    to_generate: bool = False

    def __post_init__(self) -> None:
        if self.price < Price(0) or self.sale_days < 0 or not 0 <= self.sale_discount.bps <= 10_000:
            raise RiskInputInvalid("a class has a price, days and a discount between none and all", key=self.key)


@dataclass(frozen=True, eq=False)
class LoanBook:
    """Loans as columns of one length n. Raises `RiskInputInvalid`.

    `exposure` fen (n,), `pd` probability of default within the horizon in (0, 1) (n,), `loading` weight a of the credit
    factor in [0, 1) (n,), `class_index` into `classes` (n,), `collateral` kg (n,). A missing value is refused:
    neither a default probability nor collateral is made up.
    """

    exposure: IntArray
    pd: FloatArray
    loading: FloatArray
    class_index: IntArray
    collateral: IntArray
    classes: tuple[ClassRisk, ...]

    def __post_init__(self) -> None:
        columns: tuple[tuple[str, NDArray[Any], Callable[[NDArray[Any]], Any]], ...] = (
            ("exposure", self.exposure, lambda x: x > 0),
            ("pd", self.pd, lambda x: (x > 0) & (x < 1)),
            ("loading", self.loading, lambda x: (x >= 0) & (x < 1)),
            ("class_index", self.class_index, lambda x: (x >= 0) & (x < len(self.classes))),
            ("collateral", self.collateral, lambda x: x >= 0),
        )
        whole = ("exposure", "class_index", "collateral")
        for name, values, allowed in columns:
            if values.shape != self.exposure.shape or values.ndim != 1 or not len(values):
                raise RiskInputInvalid("columns have one length, not none", column=name)
            if (values.dtype.kind != "i") if name in whole else (values.dtype.kind != "f"):
                raise RiskInputInvalid("money, kilograms and classes are integers, rates floats", column=name)
            # NaN fails every comparison, so it is refused here too.
            bad = np.flatnonzero(~allowed(values))
            if len(bad):
                raise RiskInputInvalid("a value is missing or out of range", column=name, row=int(bad[0]))

    def __len__(self) -> int:
        return len(self.exposure)

    def with_classes(self, change: Callable[[ClassRisk], ClassRisk]) -> LoanBook:
        """The same loans over changed classes."""
        return replace(self, classes=tuple(change(each) for each in self.classes))


@dataclass(frozen=True, slots=True)
class Dependence:
    """How things move together: correlations of normal scores, the sd of the year's log yield, and loss assumptions.

    `wrong_way` is the correlation of the credit factor with every class's price: positive means that prices are low
    when defaults are many. `unsecured_recovery` is of what collateral leaves uncovered, `lgd_min` the least loss of a
    default, `discount` the yearly rate over the time to sell. Raises `RiskInputInvalid`.
    """

    class_correlation: float
    wrong_way: float
    yield_sd: float
    horizon_days: int
    unsecured_recovery: Rate
    lgd_min: Rate
    discount: Rate

    def __post_init__(self) -> None:
        sound = -1 < self.class_correlation < 1 and -1 < self.wrong_way < 1 and 0 <= self.yield_sd < 1
        if not sound or self.horizon_days < 1:
            raise RiskInputInvalid("correlations lie within ±1, the yield's sd in [0, 1)", wrong_way=self.wrong_way)

    def factor(self, classes: int) -> FloatArray:
        """Lower Cholesky factor (classes + 1, classes + 1), credit factor first. Raises `RiskInputInvalid`."""
        matrix = np.full((classes + 1, classes + 1), self.class_correlation)
        matrix[0, :] = matrix[:, 0] = self.wrong_way
        np.fill_diagonal(matrix, 1.0)
        try:
            return np.asarray(np.linalg.cholesky(matrix))
        except np.linalg.LinAlgError as error:
            raise RiskInputInvalid("no variables have these correlations", wrong_way=self.wrong_way) from error


def basel_loading(pd: FloatArray) -> FloatArray:
    """√R of a corporate exposure: R = 0.12·g + 0.24·(1 − g), g = (1 − e^{−50·pd}) ÷ (1 − e^{−50}). Basel CRE31.5."""
    share = -np.expm1(-50.0 * pd) / -np.expm1(-50.0)
    return np.asarray(np.sqrt(0.12 * share + 0.24 * (1.0 - share)), dtype=np.float64)
