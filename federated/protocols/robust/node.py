"""A bank's side: the bounded mean of its rows' moments, and its verdict on candidates, in the modes that it allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.errors import PrivacyPlanRefused
from federated.models.encoding.hats import HatBasis
from federated.models.encoding.public_ranges import PublicTable
from federated.models.encoding.ramps import FloatArray
from federated.privacy.differential.moments import MomentShape, moment_vector
from federated.privacy.robust.bounding import bounded
from federated.privacy.robust.groups import LEAST_GROUP

KNOTS = 8
SECURE, INSPECTED = "secure", "inspected"
# Every fifth row judges and does not train, in the mode that has judges.
JUDGING = 5


@dataclass(frozen=True, slots=True)
class RobustRows:
    """A bank's training rows: `values` (rows, columns of `public`), `labels` (rows,) in {0, 1}."""

    public: PublicTable
    values: FloatArray
    labels: NDArray[np.int64]


def public_basis(public: PublicTable, knots: int = KNOTS) -> HatBasis:
    """Hats on knots spread evenly over the public ranges: nothing that a bank sends can move them."""
    return HatBasis(public, {c.column: np.linspace(*c.ends, knots) for _, c in public.measures})


class RobustNode:
    """`allows` names the modes that the bank takes part in; `inspected` shows the operator the bank's own moments.

    In the mode `secure` the node gives its moments into one sum as long as it lives, also if that sum then fails: the
    same vector in two sums over different survivors could be told from their difference. So every vector is in one
    opened sum at most, and sums are disjoint.
    """

    def __init__(self, org_id: str, rows: RobustRows, allows: frozenset[str] = frozenset({SECURE})) -> None:
        self.org_id = org_id
        self._rows, self._allows = rows, allows
        self._basis = public_basis(rows.public)
        self._given = False

    def update(self, table: str, mode: str, group: tuple[str, ...]) -> FloatArray:
        """The bounded mean (MomentShape.length,), in units, of rows' moments. Raises `PrivacyPlanRefused`."""
        self._check(table, mode)
        if mode == SECURE:
            self._join(group)
        kept = ~self._judging() if mode == SECURE else np.ones(len(self._rows.labels), dtype=np.bool_)
        if not kept.any():
            raise PrivacyPlanRefused(f"{self.org_id} has no row to train on", bank=self.org_id)
        shape = MomentShape(self._basis.width, self._basis.blocks)
        units = self._basis.units(self._rows.values[kept])
        total = moment_vector(units, self._rows.labels[kept], shape)
        return bounded(total / float(kept.sum()), shape)

    def losses(self, table: str, candidates: Mapping[str, NDArray[np.generic]]) -> FloatArray:
        """Mean squared error of each candidate, by name, on the judging rows, scores cut to ±½: (candidates,)."""
        self._check(table, SECURE)
        mine = self._judging()
        if not mine.any():
            raise PrivacyPlanRefused(f"{self.org_id} has no row to judge on", bank=self.org_id)
        units, wanted = self._basis.units(self._rows.values[mine]), self._rows.labels[mine] - 0.5
        errors = []
        for name in sorted(candidates):
            beta = np.asarray(candidates[name], dtype=np.float64)
            if beta.shape != (self._basis.width,) or not np.isfinite(beta).all():
                raise PrivacyPlanRefused(f"{self.org_id}: candidate {name} is no model of {table}", bank=self.org_id)
            errors.append(float(np.mean((np.clip(units @ beta, -0.5, 0.5) - wanted) ** 2)))
        return np.array(errors)

    def _judging(self) -> NDArray[np.bool_]:
        return np.asarray(np.arange(len(self._rows.labels)) % JUDGING == JUDGING - 1)

    def _check(self, table: str, mode: str) -> None:
        if table != self._rows.public.table:
            raise PrivacyPlanRefused(f"{self.org_id} holds no rows of {table}", bank=self.org_id)
        if mode not in self._allows:
            raise PrivacyPlanRefused(f"{self.org_id} takes no part in the mode {mode}", bank=self.org_id)

    def _join(self, group: tuple[str, ...]) -> None:
        if self.org_id not in group or len(set(group)) < LEAST_GROUP:
            raise PrivacyPlanRefused(f"{self.org_id} is not in a group of {LEAST_GROUP} banks", bank=self.org_id)
        if self._given:
            raise PrivacyPlanRefused(f"{self.org_id} has given its moments into a sum before", bank=self.org_id)
        self._given = True
