"""A package: many small issuances behind one standard product, one unit a kilogram, open to look through.

Criteria are fixed when the package is made. Redemption takes from custody pro rata (largest remainders to whole
kilograms, ties to the older) or the oldest first (by vintage, last day of the period, issuance id).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from financing.base.errors import NotEligible, QuantityOutOfRange, SerialInvalid
from financing.base.quantities import INT64_MAX, Carbon
from financing.base.storage.records import Fact

PACKAGE_CODE = re.compile(r"[A-Z0-9][A-Z0-9-]{1,31}")
Kilograms = NDArray[np.int64]


class Redemption(StrEnum):
    PRO_RATA = "pro_rata"
    OLDEST_FIRST = "oldest_first"


@dataclass(frozen=True, slots=True)
class Criteria:
    """What may be put in: methodology codes and regions (empty: any), vintages from and to, plant size up to."""

    methodologies: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    vintage_first: int = 2000
    vintage_last: int = 2100
    capacity_w_max: int | None = None

    def __post_init__(self) -> None:
        if self.vintage_first > self.vintage_last:
            raise QuantityOutOfRange("the first vintage is not after the last", first=self.vintage_first)
        if self.capacity_w_max is not None and self.capacity_w_max <= 0:
            raise QuantityOutOfRange("a size limit is positive", capacity_w_max=self.capacity_w_max)


class Product(BaseModel):
    """What a package, its row and its answer share: what the market knows it by, and who keeps what is behind it."""

    code: str
    name: str
    registry_id: str
    asset_class: str
    state: str


class Package(Product, Fact):
    """A standard product; `registry_id` keeps custody of the credits behind its units."""

    package_id: str
    criteria: Criteria
    redemption: Redemption

    def model_post_init(self, context: Any, /) -> None:  # noqa: ARG002
        if PACKAGE_CODE.fullmatch(self.code) is None:
            raise SerialInvalid("a package code is 2 to 32 of A-Z, 0-9 and hyphen", code=self.code)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the criteria ask of an issuance and its project."""

    issuance_id: str
    registry_id: str
    asset_class: str
    methodology: str
    region: str
    vintage: int
    capacity_w: int | None


@dataclass(frozen=True, slots=True)
class Constituent:
    """One issuance behind a package's units, and how much of it is in custody."""

    issuance_id: str
    project_code: str
    methodology_tag: str
    region: str
    vintage: int
    last_day: date
    quantity: Carbon


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Custody by methodology, region and vintage."""

    methodology_tag: str
    region: str
    vintage: int
    issuances: int
    quantity: Carbon


def require_eligible(package: Package, candidate: Candidate) -> None:
    """Raise `NotEligible` naming the first criterion that the credits do not meet."""
    criteria = package.criteria
    tests = (
        ("state", package.state == "open"),
        ("registry", candidate.registry_id == package.registry_id),
        ("asset_class", candidate.asset_class == package.asset_class),
        ("methodology", not criteria.methodologies or candidate.methodology in criteria.methodologies),
        ("region", not criteria.regions or candidate.region in criteria.regions),
        ("vintage", criteria.vintage_first <= candidate.vintage <= criteria.vintage_last),
        (
            "capacity_w",
            criteria.capacity_w_max is None or (candidate.capacity_w or INT64_MAX) <= criteria.capacity_w_max,
        ),
    )
    for criterion, met in tests:
        if not met:
            raise NotEligible(
                f"the package does not take these credits: {criterion}",
                package=package.code,
                issuance_id=candidate.issuance_id,
                criterion=criterion,
            )


def take_pro_rata(held: Kilograms, quantity_kg: int) -> Kilograms:
    """How much of each holding (kg, oldest first, shape n) makes up `quantity_kg` in proportion; sums to it exactly.

    Raises `QuantityOutOfRange` when the holdings are smaller together.
    """
    total = _require_enough(held, quantity_kg)
    # Python integers: the product of two 64-bit amounts does not fit one.
    exact = [int(each) * quantity_kg for each in held.tolist()]
    taken = np.array([each // total for each in exact], dtype=np.int64)
    missing = quantity_kg - int(taken.sum())
    if missing:
        remainders = np.array([each % total for each in exact], dtype=np.float64)
        for place in np.argsort(-remainders, kind="stable")[:missing]:
            taken[place] += 1
    return taken


def take_oldest_first(held: Kilograms, quantity_kg: int) -> Kilograms:
    """How much of each holding (kg, oldest first, shape n) makes up `quantity_kg`, emptying the oldest first."""
    _require_enough(held, quantity_kg)
    before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(held)[:-1]])
    shares: Kilograms = np.clip(quantity_kg - before, 0, held)
    return shares


def taken(policy: Redemption, held: Kilograms, quantity_kg: int) -> Kilograms:
    rule = take_pro_rata if policy is Redemption.PRO_RATA else take_oldest_first
    return rule(held, quantity_kg)


def _require_enough(held: Kilograms, quantity_kg: int) -> int:
    total = int(held.sum())
    if not 0 < quantity_kg <= total:
        raise QuantityOutOfRange("the package holds less", available_kg=total, asked_kg=quantity_kg)
    return total
