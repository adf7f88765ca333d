"""Looking into the registry without changing it: a serial's issuance, what a package is made of and worth."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from financing.base.errors import NotFound
from financing.base.parameters import Parameters
from financing.base.quantities import Carbon, Money
from financing.ledger.serials import SerialText, parse_serial
from financing.lending.unit_of_work import UnitOfWork
from financing.market.prices.model import Unpriced
from financing.registry.packages.model import Package
from financing.registry.packages.store import Breakdown, Constituent
from financing.registry.store import Issuance
from financing.valuation.marks import marks_of


def find_serial(unit: UnitOfWork, serial: str) -> tuple[Issuance, SerialText]:
    """The issuance that a serial number belongs to. Raises `SerialInvalid`, and `NotFound` when it was never issued."""
    text = parse_serial(serial)
    issuance = unit.registry.issuance_of(text)
    if issuance is None or text.last_kg > issuance.quantity.kg:
        raise NotFound("no such serial was issued", serial=serial)
    return issuance, text


def package_value(
    unit: UnitOfWork, parameters: Parameters, package: Package, lines: Iterable[Breakdown], at: datetime
) -> Money | None:
    """Market value of what is behind the units; None while the class has no usable price."""
    found = marks_of(unit, parameters, [package.asset_class], at)[package.asset_class]
    if isinstance(found, Unpriced):
        return None
    return found.price.value_of(sum((line.quantity for line in lines), Carbon(0)))


def look_through(
    unit: UnitOfWork, package_id: str, *, limit: int | None = None, after: int = 0
) -> list[tuple[Constituent, list[str]]]:
    """Constituents, oldest first, with the serial numbers in custody."""
    package = unit.packages.get(package_id)
    found = unit.packages.custody(package, limit=limit, after=after)
    serials = unit.packages.serials(package, [each.issuance_id for each in found] if limit is not None else None)
    return [(each, serials.get(each.issuance_id, [])) for each in found]
